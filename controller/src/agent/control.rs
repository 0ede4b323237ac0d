//! The agent's socket for commands on this host: one JSON request and one JSON answer a connection. Root's alone.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ostler_crds::{Kind, Object, ObjectRef};
use ostler_driver::ConsolePath;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tracing::debug;

use super::{host_shutdown, plan};
use crate::context::{Context, domains};
use crate::reconcile::chain;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// Where a guest's console is.
    Console {
        /// The domain's namespace.
        namespace: String,
        /// The domain's name.
        name: String,
        /// The console's alias; absent: the first.
        device: Option<String>,
    },
    /// What applying an object would do.
    Plan(Value),
    /// The statuses that could not be written: a list of `{kind, namespace, name, status}`.
    Unwritten,
    /// Stop every guest, as its spec says, within this time.
    HostShutdown {
        /// In seconds.
        timeout_seconds: u64,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Response {
    /// A pseudo-terminal.
    Pty(PathBuf),
    /// A listening unix socket.
    Socket(PathBuf),
    /// Anything else.
    Value(Value),
    /// It failed.
    Error(String),
}

/// Where the agent listens.
pub fn socket_path(run_dir: &Path) -> PathBuf {
    run_dir.join("agent.sock")
}

/// Asks the agent on this host.
///
/// # Errors
/// No agent there, or one that went away.
pub fn ask(run_dir: &Path, request: &Request) -> io::Result<Response> {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(socket_path(run_dir))?;
    let text = serde_json::to_string(request).expect("a request has only text keys");
    writeln!(stream, "{text}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    serde_json::from_str(&answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

pub(super) fn serve(run_dir: &Path, context: Arc<Context>) -> io::Result<JoinHandle<()>> {
    let path = socket_path(run_dir);
    // The lock on the state folder says that nobody else listens.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let context = context.clone();
            tokio::spawn(async move {
                if let Err(error) = converse(stream, &context).await {
                    debug!(%error, "a command's client went away");
                }
            });
        }
    }))
}

async fn converse(stream: UnixStream, context: &Arc<Context>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).await?;
    let response = match serde_json::from_str(&line) {
        Ok(request) => answer(context, request).await,
        Err(error) => Response::Error(format!("the request can't be read: {error}")),
    };
    let mut text = serde_json::to_string(&response).expect("a response has only text keys");
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

async fn answer(context: &Arc<Context>, request: Request) -> Response {
    match request {
        Request::Console { namespace, name, device } => console(context, &namespace, &name, device.as_deref()).await,
        Request::Plan(value) => match plan::plan(context, &value).await {
            Ok(plan) => Response::Value(plan),
            Err(message) => Response::Error(message),
        },
        Request::Unwritten => Response::Value(unwritten(context)),
        Request::HostShutdown { timeout_seconds } => {
            Response::Value(host_shutdown::run(context, Duration::from_secs(timeout_seconds)).await)
        }
    }
}

fn unwritten(context: &Context) -> Value {
    let item = |(key, (status, _)): (ObjectRef, (Value, String))| json!({ "kind": key.kind.name(), "namespace": key.namespace, "name": key.name, "status": status });
    context.unwritten().into_iter().map(item).collect()
}

async fn console(context: &Context, namespace: &str, name: &str, device: Option<&str>) -> Response {
    let key = ObjectRef::new(Kind::Domain, namespace, name);
    let Some(object) = context.get(&key) else { return Response::Error(format!("there is no {key}")) };
    let Object::Domain(domain) = &*object else { return Response::Error(format!("{key} is no domain")) };
    let found = async {
        let connection = context.hypervisor(domain.spec.driver.as_deref())?;
        let status: ostler_crds::DomainStatus = context.status(&key);
        let uuid = status
            .resolved
            .and_then(|resolved| resolved.uuid.parse().ok())
            .unwrap_or_else(|| crate::names::host_uuid(&object));
        domains(connection.as_ref())?.console(uuid, device).await
    };
    match found.await {
        Ok(ConsolePath::Pty(path)) => Response::Pty(path),
        Ok(ConsolePath::Socket(path)) => Response::Socket(path),
        Err(error) => Response::Error(chain(&error)),
    }
}
