//! The agent: opens the drivers, feeds the engine from a directory or a cluster, and answers who asks.

mod control;
mod drivers;
mod host_shutdown;
mod http;
pub mod lease;
mod lock;
mod plan;
pub mod pod;
mod runtime;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_crds::Allowed;
use ostler_crds::grants::Grant;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use crate::context::{ByClaim, Context};
use crate::engine;
use crate::metrics::Metrics;
use crate::secrets::Keeper;
use crate::source::cluster::secrets::FromController;
use crate::source::cluster::{self, Cluster};
use crate::source::directory::{self, Directory};
use crate::source::{Sink, Source};
use runtime::Runtime;

pub use control::{Request, Response, ask, socket_path};

/// How the agent is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where objects come from.
    pub objects: Objects,
    /// Durable state.
    pub state_dir: PathBuf,
    /// State of this boot.
    pub run_dir: PathBuf,
    /// Where metrics and health are served.
    pub listen: Option<SocketAddr>,
    /// The hypervisor drivers, the first of which is the default.
    pub drivers: Vec<String>,
    /// The emulator of definitions that name none.
    pub emulator: Option<PathBuf>,
    /// As whom guests run.
    pub qemu_user: String,
    /// The control group, in every hierarchy, below which what outlives the agent runs.
    pub cgroup: String,
    /// A folder with a runtime to lay down on this host.
    pub runtime: Option<PathBuf>,
}

/// Where objects come from.
#[derive(Clone, Debug)]
pub enum Objects {
    /// A directory of manifests.
    Directory {
        /// The directory.
        manifests: PathBuf,
        /// Whether the removal of the last manifest deletes its objects.
        allow_empty: bool,
    },
    /// A cluster's API server.
    Cluster {
        /// The way to it.
        config: Box<kube::Config>,
        /// This host's Node.
        node: String,
        /// The namespace of the agent's Lease.
        namespace: String,
        /// What objects may reach of this host where its Host has no `spec.allow`.
        allow: Vec<Grant>,
        /// The ids of clusters that this one replaces.
        former_owners: Vec<String>,
        /// The file of the agent's token for the controller, which hands out what domains keep in Secrets.
        token: Option<PathBuf>,
    },
}

/// Objects' ways in and out.
struct Ends {
    host: String,
    owner: String,
    sink: Arc<dyn Sink>,
    keeper: Arc<dyn Keeper>,
    source: Box<dyn Source>,
    cluster: Option<InCluster>,
}

/// What an agent of a cluster has besides.
struct InCluster {
    cluster: Cluster,
    lease: JoinHandle<()>,
    allow: Vec<Allowed>,
}

impl Objects {
    async fn open(&self, state_dir: &Path, metrics: &Arc<Metrics>) -> anyhow::Result<Ends> {
        let opening = || format!("open the state in {}", state_dir.display());
        match self {
            Objects::Directory { manifests, allow_empty } => {
                let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
                let (directory, source) = Directory::open(directory::Config {
                    manifests: std::path::absolute(manifests).context("find the manifests")?,
                    state_dir: state_dir.to_owned(),
                    host: host.clone(),
                    allow_empty: *allow_empty,
                })
                .with_context(opening)?;
                let owner = directory.owner().to_string();
                Ok(Ends {
                    host,
                    owner,
                    sink: Arc::new(directory.clone()),
                    keeper: Arc::new(directory),
                    source: Box::new(source),
                    cluster: None,
                })
            }
            Objects::Cluster { config, node, namespace, allow, token, former_owners: _ } => {
                let client = cluster::client::client((**config).clone(), metrics.clone())
                    .with_context(|| format!("prepare for the API server {}", config.cluster_url))?;
                // First of all: the controller makes this host's object when it sees the Lease.
                let lease = tokio::spawn(lease::renew(client.clone(), namespace.clone(), node.clone()));
                let owner = cluster::owner(&client, state_dir).await.with_context(opening)?;
                let config = cluster::Config { client, host: node.clone(), state_dir: state_dir.to_owned() };
                let (cluster, source) = cluster::open(&config, owner).with_context(opening)?;
                Ok(Ends {
                    host: node.clone(),
                    owner: owner.to_string(),
                    sink: Arc::new(cluster.clone()),
                    keeper: Arc::new(FromController { client: config.client.clone(), token: token.clone() }),
                    source: Box::new(source),
                    cluster: Some(InCluster {
                        cluster,
                        lease,
                        allow: allow.iter().copied().map(Allowed::everywhere).collect(),
                    }),
                })
            }
        }
    }
}

/// How long the agent's end may wait for the last statuses to be written.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// The way to an API server that a kubeconfig names.
///
/// # Errors
/// A file that can't be read, or that names nothing usable.
pub async fn kubeconfig(file: &Path) -> anyhow::Result<kube::Config> {
    let read = kube::config::Kubeconfig::read_from(file).with_context(|| format!("read {}", file.display()))?;
    let options = kube::config::KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(read, &options).await.with_context(|| format!("use {}", file.display()))
}

/// Runs until the process is asked to end. Guests and networks go on.
///
/// # Errors
/// What keeps the agent from starting, or a part of it that ended unexpectedly.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _lock = lock::acquire(&config.state_dir).await.context("lock the state folder")?;
    ostler_util::file::create_directory(&config.run_dir, 0o711)
        .with_context(|| format!("make {}", config.run_dir.display()))?;
    let runtime = match config.runtime.clone() {
        Some(image) => {
            let state_dir = config.state_dir.clone();
            let laid = tokio::task::spawn_blocking(move || Runtime::lay_down(&image, &state_dir)).await?;
            Some(laid.context("lay the runtime down")?)
        }
        None => None,
    };
    let metrics = Arc::new(Metrics::default());
    let opened = drivers::open(&config, runtime.as_ref()).await.context("open the drivers")?;
    let Ends { host, owner, sink, keeper, source, cluster } = config.objects.open(&config.state_dir, &metrics).await?;
    let context = Context::new(host, owner, opened, sink, &config.state_dir, metrics).with_keeper(keeper);
    let context = Arc::new(match (&cluster, config.objects) {
        (Some(cluster), Objects::Cluster { former_owners, .. }) => context.by_claim(ByClaim {
            given_up: config.state_dir.join("given-up"),
            former_owners,
            allow: cluster.allow.clone(),
        }),
        _ => context,
    });
    let (stop, stopped) = watch::channel(false);
    let control = control::serve(&config.run_dir, context.clone()).context("listen for commands")?;
    let http = match config.listen {
        Some(address) => {
            Some(http::serve(address, context.clone()).await.with_context(|| format!("listen on {address}"))?)
        }
        None => None,
    };
    info!(host = context.host, state = %config.state_dir.display(), "the agent is at work");
    let mut engine = tokio::spawn(engine::run(context.clone(), source, stopped));
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
    if let Some(InCluster { cluster, lease, allow: _ }) = cluster {
        lease.abort();
        cluster.flush(LAST_WRITES).await;
    }
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
