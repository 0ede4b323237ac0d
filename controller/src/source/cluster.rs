//! A cluster as a source: the API server tells of this host's objects and takes their status.
//!
//! [`watch`] asks, [`feed`] decides what the engine is to know, [`pump`] carries that out, [`sink`] writes. What was accepted is kept
//! on this host too, in the same files as a directory's objects: a host that boots while the API server is away goes on from them.

pub mod client;
mod coalesce;
mod deletions;
mod events;
mod feed;
mod judge;
mod known_crds;
mod local;
mod newness;
mod pump;
pub mod secrets;
mod sink;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use ostler_util::file;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::store::{Store, object_of};
use super::{Source, SourceEvent};

pub(crate) use newness::wait_for_crds;
pub use newness::{Lack, lack};
pub use sink::Cluster;

/// The finalizer that an object keeps while something of it may be on a host.
pub const FINALIZER: &str = "ostler.dev/host";

/// As whom the agent writes.
pub const FIELD_MANAGER: &str = "ostler-agent";

/// Which cluster, and as which of its hosts.
#[derive(Clone)]
pub struct Config {
    /// The way to the API server.
    pub client: Client,
    /// This host's name, which is its Node's.
    pub host: String,
    /// The agent's state folder.
    pub state_dir: PathBuf,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("host", &self.host).field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

/// The source's end: it is polled by the engine.
#[derive(Debug)]
pub struct ClusterSource {
    events: mpsc::Receiver<SourceEvent>,
    _pump: Owned,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Owned(JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Source for ClusterSource {
    async fn next(&mut self) -> Option<SourceEvent> {
        self.events.recv().await
    }
}

/// Both ends of a cluster, whose objects belong to `owner`. Nothing waits for the API server.
///
/// # Errors
/// A state folder that can't be read or written.
pub fn open(config: &Config, owner: Uuid) -> io::Result<(Cluster, ClusterSource)> {
    let store = Store::new(&config.state_dir);
    file::create_directory(&store.objects_dir(), 0o700)?;
    let (values, damaged) = store.all()?;
    for message in damaged {
        tracing::warn!(message, "a kept object can't be read: the API server has it too");
    }
    let objects = values.iter().filter_map(object_of).collect();
    let (news, messages) = mpsc::channel(256);
    let cluster = Cluster::start(config, store, &values, news.clone());
    let (tell, events) = mpsc::channel(256);
    let pump = pump::Pump::new(config, owner, cluster.clone(), objects, news, tell);
    let pump = Owned(tokio::spawn(pump.run(messages)));
    Ok((cluster, ClusterSource { events, _pump: pump }))
}

/// Whose objects a cluster's are: the uid of its namespace `kube-system`. It is kept, for when the API server is away; without it
/// there, this waits.
///
/// # Errors
/// A state folder that can't be read or written.
pub async fn owner(client: &Client, state_dir: &std::path::Path) -> io::Result<Uuid> {
    let path = state_dir.join("cluster");
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let owner = newness::cluster_id(client).await;
            file::write_atomic(&path, owner.to_string().as_bytes(), 0o600)?;
            Ok(owner)
        }
        Err(error) => Err(error),
    }
}

/// Another cluster's id is forgotten: the next start asks anew.
///
/// # Errors
/// The operating system's.
pub(crate) fn forget_owner(state_dir: &std::path::Path) -> io::Result<()> {
    file::remove_durably(&state_dir.join("cluster"))
}

/// A wait of about this long: many hosts that lost the API server at once don't come back at once.
fn jittered(wait: Duration) -> Duration {
    let random = u32::try_from(Uuid::new_v4().as_u128() & 0xffff).unwrap_or_default();
    wait.mul_f64(0.75 + f64::from(random) / f64::from(0xffff_u32) / 2.0)
}

/// What callers may share between tasks.
type Shared<T> = Arc<std::sync::Mutex<T>>;
