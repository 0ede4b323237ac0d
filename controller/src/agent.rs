//! The agent: opens the drivers, feeds the engine from the manifests, and answers who asks.

mod control;
mod drivers;
mod host_shutdown;
mod http;
mod lock;
mod plan;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tracing::info;

use crate::context::Context;
use crate::metrics::Metrics;
use crate::source::directory::{self, Directory};
use crate::{engine, source::Sink};

pub use control::{Request, Response, ask, socket_path};

/// How the agent is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of manifests.
    pub manifests: PathBuf,
    /// Durable state.
    pub state_dir: PathBuf,
    /// State of this boot.
    pub run_dir: PathBuf,
    /// Whether the removal of the last manifest deletes its objects.
    pub allow_empty: bool,
    /// Where metrics and health are served.
    pub listen: Option<SocketAddr>,
    /// The hypervisor drivers, the first of which is the default.
    pub drivers: Vec<String>,
    /// The emulator of definitions that name none.
    pub emulator: Option<PathBuf>,
    /// As whom guests run.
    pub qemu_user: String,
}

/// Runs until the process is asked to end. Guests and networks go on.
///
/// # Errors
/// What keeps the agent from starting, or a part of it that ended unexpectedly.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _lock = lock::acquire(&config.state_dir).await.context("lock the state folder")?;
    ostler_util::file::create_directory(&config.run_dir, 0o711)
        .with_context(|| format!("make {}", config.run_dir.display()))?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let manifests = std::path::absolute(&config.manifests).context("find the manifests")?;
    let (directory, source) = Directory::open(directory::Config {
        manifests: manifests.clone(),
        state_dir: config.state_dir.clone(),
        host: host.clone(),
        allow_empty: config.allow_empty,
    })
    .with_context(|| format!("open the state in {}", config.state_dir.display()))?;
    let opened = drivers::open(&config).await.context("open the drivers")?;
    let sink: Arc<dyn Sink> = Arc::new(directory.clone());
    let context = Arc::new(Context::new(
        host,
        directory.owner().to_string(),
        opened,
        sink,
        config.state_dir.join("operations-done"),
        Arc::new(Metrics::default()),
    ));
    let (stop, stopped) = watch::channel(false);
    let control = control::serve(&config.run_dir, context.clone()).context("listen for commands")?;
    let http = match config.listen {
        Some(address) => {
            Some(http::serve(address, context.clone()).await.with_context(|| format!("listen on {address}"))?)
        }
        None => None,
    };
    info!(manifests = %manifests.display(), state = %config.state_dir.display(), "the agent is at work");
    let mut engine = tokio::spawn(engine::run(context.clone(), Box::new(source), stopped));
    let signal = async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        anyhow::Ok(())
    };
    tokio::select! {
        result = signal => result.context("wait for signals")?,
        result = &mut engine => {
            result.context("the engine ended unexpectedly")?;
            anyhow::bail!("the source of objects has ended");
        }
    }
    info!("ending; guests and networks go on");
    // The engine may have ended by itself at the same moment.
    let _ = stop.send(true);
    engine.await.context("end the engine")?;
    control.abort();
    if let Some(http) = http {
        http.abort();
    }
    for connection in context.hypervisors.iter().chain([&context.networks, &context.storage]) {
        connection.close().await.context("close a driver")?;
    }
    // Told last: whoever waits for this socket's end may start the next agent.
    let _ = std::fs::remove_file(socket_path(&config.run_dir));
    Ok(())
}
