//! The cluster's controller: makes Hosts, sets claims, sums up networks and pools, and answers admission.
//!
//! Two parts meet in one world ([`world`]): the watches that fill it, and what is done by it. Of several replicas one leads
//! and writes: [`decide`] is a pure function from the world to what is to be written. All of them answer admission
//! ([`webhook`]), also pure, by the same world.

pub mod certificates;
pub mod decide;
mod lead;
pub mod liveness;
pub mod metrics;
pub mod placement;
mod quantity;
pub mod quota;
mod secrets;
mod serve;
mod shared;
mod trust;
pub mod uses;
mod watch;
pub mod webhook;
mod work;
pub mod world;
pub mod writes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::header::{HeaderValue, USER_AGENT};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::events::{Recorder, Reporter};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;
use tracing::info;

use shared::{FIELD_MANAGER, Shared};

/// How long admission is answered on after we were asked to end: until then the API server may still send some here.
const DRAIN: Duration = Duration::from_secs(3);

/// How the controller is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of its own objects: Leases, certificate.
    pub namespace: String,
    /// How the API server is reached; absent: as a pod, or by the user's own configuration.
    pub kubeconfig: Option<PathBuf>,
    /// Where admission is answered.
    pub webhook_listen: SocketAddr,
    /// Further names by which the API server reaches it.
    pub webhook_names: Vec<String>,
    /// Where metrics and health are served.
    pub listen: SocketAddr,
    /// How many virtual CPUs share one of a host's.
    pub vcpus_per_cpu: u32,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// What keeps the controller from starting, a part of it that ended unexpectedly, or that it leads no more.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let client = client(config.kubeconfig.as_ref()).await?;
    let me = format!("{}_{}", rustix::system::uname().nodename().to_string_lossy(), uuid::Uuid::new_v4());
    let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(me.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let shared = Arc::new(Shared::new(client.clone(), config.namespace.clone(), recorder));
    let health = listen(config.listen).await?;
    let webhook = listen(config.webhook_listen).await?;
    let served = Arc::new(trust::Served::default());
    let acceptor = serve::acceptor(served.clone()).context("set up TLS")?;

    let (stop, stopped) = channel::channel(false);
    let (lead, leading) = channel::channel(false);
    let (told, telling) = mpsc::channel(1024);
    let (to_trust, found) = channel::channel(trust::Found::default());
    let mut tasks: JoinSet<&'static str> = JoinSet::new();
    watch::start(&mut tasks, &client, &config.namespace, &told);
    let names = webhook_names(&config);
    tasks.spawn(named("metrics and health", serve::plain(health, shared.clone())));
    tasks.spawn(named("the webhook", serve::tls(webhook, shared.clone(), acceptor)));
    tasks.spawn(named("the certificate", trust::keep(shared.clone(), served, names, found, leading.clone())));
    tasks.spawn(named("the work", work::run(shared.clone(), config.vcpus_per_cpu, telling, leading.clone(), to_trust)));
    let mut leader = {
        let (client, namespace, shared) = (client.clone(), config.namespace.clone(), shared.clone());
        let mut leading = leading.clone();
        tasks.spawn(async move {
            // It never ends before the process: who leads once leads on.
            let _ = leading.wait_for(|leads| *leads).await;
            shared.metrics.leads();
            std::future::pending().await
        });
        tokio::spawn(async move { lead::run(client, &namespace, &me, lead, stopped).await })
    };
    info!(namespace = config.namespace, webhook = %config.webhook_listen, "the controller is at work");
    tokio::select! {
        result = asked_to_end() => result.context("wait for signals")?,
        result = &mut leader => {
            result.context("the election ended unexpectedly")??;
            anyhow::bail!("the election ended unexpectedly");
        }
        Some(ended) = tasks.join_next() => {
            let what = ended.context("a part of the controller panicked")?;
            anyhow::bail!("{what} ended unexpectedly");
        }
    }
    info!("ending; another replica may lead");
    // The election may have ended by itself at the same moment.
    let _ = stop.send(true);
    leader.await.context("end the election")??;
    tokio::time::sleep(DRAIN).await;
    tasks.shutdown().await;
    Ok(())
}

async fn client(kubeconfig: Option<&PathBuf>) -> anyhow::Result<Client> {
    let mut config = match kubeconfig {
        Some(file) => {
            let read = Kubeconfig::read_from(file).with_context(|| format!("read {}", file.display()))?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(read, &options)
                .await
                .with_context(|| format!("use {}", file.display()))?
        }
        None => kube::Config::infer().await.context("find out how to reach the API server")?,
    };
    let agent = HeaderValue::from_static(concat!("ostler-controller/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    Client::try_from(config).context("set up the client")
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))
}

/// The names in the webhook's certificate: its Service's, and what was given.
fn webhook_names(config: &Config) -> Vec<String> {
    let service = format!("ostler-webhook.{}.svc", config.namespace);
    [service].into_iter().chain(config.webhook_names.iter().cloned()).collect()
}

async fn named(name: &'static str, task: impl Future<Output = ()> + Send) -> &'static str {
    task.await;
    name
}

async fn asked_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    Ok(())
}
