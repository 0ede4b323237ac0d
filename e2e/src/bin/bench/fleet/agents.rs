//! The agents: the agent's own code from the API server to the reconcilers, over drivers that keep guests in memory.
//!
//! Each has its own connection, its own node's token, its own state folder and its own host. They share this process, its threads and its
//! heap, none of which the API server sees.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ostler::agent::{kubeconfig, lease};
use ostler::context::{ByClaim, Context, Drivers};
use ostler::engine;
use ostler::metrics::Metrics;
use ostler::source::cluster;
use ostler_driver::{Connection, Domains, Events, Feature, HostFacts, Networks, Result, Security, Storage};
use ostler_driver_cpu::CpuDriver;
use ostler_driver_qemu::{Config, QemuDriver, Services};
use ostler_driver_test::{Control, TestDriver};
use ostler_e2e::cluster::api::Api;
use ostler_e2e::cluster::install::NAMESPACE;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::DEADLINE;
use super::place::Place;
use crate::cluster::condition;

/// Clients that make nodes.
const CLIENTS: usize = 4;
/// Agents that begin at the same time: so many does a rollout start.
const STARTING: usize = 20;
const THREADS: usize = 2;
/// Threads for files, as an agent has them for itself.
const BLOCKING: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// All agents.
#[derive(Debug)]
pub(super) struct Fleet {
    runtime: Runtime,
    agents: Vec<Agent>,
}

impl Fleet {
    /// Nodes, and what their agents need to begin.
    pub(super) fn new(place: &Place, hosts: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING)
            .enable_all()
            .build()
            .unwrap();
        let facts = Arc::new(runtime.block_on(facts(place.folder().join("probe"))).expect("QEMU can be asked"));
        eprintln!("  a host tells of its QEMU in {} bytes", facts.to_string().len());
        let open: Mutex<VecDeque<usize>> = Mutex::new((0..hosts).collect());
        let agents = Mutex::new(Vec::with_capacity(hosts));
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    loop {
                        let Some(number) = open.lock().unwrap().pop_front() else { return };
                        let agent = Agent::new(place, number, facts.clone());
                        agents.lock().unwrap().push(agent);
                    }
                });
            }
        });
        Fleet { runtime, agents: agents.into_inner().unwrap() }
    }

    /// Starts them as a rollout does, and waits until all hosts are ready.
    pub(super) fn begin(&mut self, place: &Place) {
        let all = std::mem::take(&mut self.agents);
        self.agents = self.runtime.block_on(start(all, STARTING)).into_iter().map(|(agent, _)| agent).collect();
        let end = Instant::now() + DEADLINE;
        loop {
            let hosts = place.api().get("/apis/ostler.dev/v1alpha1/hosts").unwrap();
            let ready = hosts["items"].as_array().unwrap().iter().filter(|host| condition(host, "Ready") == "True");
            let ready = ready.count();
            if ready == self.agents.len() {
                return;
            }
            assert!(Instant::now() < end, "{ready} of {} hosts are ready", self.agents.len());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Kills half of the agents and starts them, all at once; gives for each the seconds until it knows its objects.
    pub(super) fn restart_half(&mut self) -> Vec<f64> {
        let half = self.agents.len() / 2;
        let mut these: Vec<Agent> = self.agents.drain(..half).collect();
        these.iter_mut().for_each(Agent::kill);
        let done = self.runtime.block_on(start(these, half));
        let (agents, times): (Vec<Agent>, Vec<Duration>) = done.into_iter().unzip();
        self.agents.extend(agents);
        times.into_iter().map(|time| time.as_secs_f64()).collect()
    }
}

/// Starts agents, so many at the same time; gives each with the time until it knew its objects.
async fn start(agents: Vec<Agent>, at_once: usize) -> Vec<(Agent, Duration)> {
    let room = Arc::new(Semaphore::new(at_once.max(1)));
    let mut starting = JoinSet::new();
    for mut agent in agents {
        let room = room.clone();
        starting.spawn(async move {
            let _place = room.acquire().await.expect("it is never closed");
            let begun = Instant::now();
            agent.start().await.unwrap_or_else(|error| panic!("{}: {error:#}", agent.node));
            while !agent.knows_all() {
                assert!(begun.elapsed() < DEADLINE, "{} does not get to know its objects", agent.node);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            (agent, begun.elapsed())
        });
    }
    starting.join_all().await
}

/// One agent, and its host.
#[derive(Debug)]
struct Agent {
    node: String,
    state_dir: PathBuf,
    facts: Arc<Value>,
    host: Control,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    tasks: [JoinHandle<()>; 2],
    context: Arc<Context>,
    /// The engine ends without it.
    _stop: watch::Sender<bool>,
}

impl Agent {
    fn new(place: &Place, number: usize, facts: Arc<Value>) -> Self {
        let name = format!("node-{number:04}");
        let node = node(place.api(), &name, number);
        let state_dir = place.folder().join("agents").join(&name);
        std::fs::create_dir_all(&state_dir).unwrap();
        std::fs::write(state_dir.join("kubeconfig"), place.agent_kubeconfig(&node)).unwrap();
        Agent { node: name, state_dir, facts, host: TestDriver::private().control(), running: None }
    }

    /// As the agent itself starts in a cluster.
    async fn start(&mut self) -> anyhow::Result<()> {
        let metrics = Arc::new(Metrics::default());
        let config = kubeconfig(&self.state_dir.join("kubeconfig")).await?;
        let client = cluster::client::client(config, metrics.clone())?;
        let lease = tokio::spawn(lease::renew(client.clone(), NAMESPACE.to_owned(), self.node.clone()));
        let owner = cluster::owner(&client, &self.state_dir).await?;
        let config = cluster::Config { client, host: self.node.clone(), state_dir: self.state_dir.clone() };
        let (sink, source) = cluster::open(&config, owner)?;
        let guests = Arc::new(self.host.restart());
        let qemu = Arc::new(InPlaceOfQemu { guests: guests.clone(), facts: self.facts.clone() });
        let drivers = Drivers { hypervisors: vec![qemu], networks: guests.clone(), storage: guests };
        let context =
            Context::new(self.node.clone(), owner.to_string(), drivers, Arc::new(sink), &self.state_dir, metrics);
        let given_up = self.state_dir.join("given-up");
        let context = Arc::new(context.by_claim(ByClaim { given_up, ..ByClaim::default() }));
        let (stop, stopped) = watch::channel(false);
        let engine = tokio::spawn(engine::run(context.clone(), Box::new(source), stopped));
        self.running = Some(Running { tasks: [lease, engine], context, _stop: stop });
        Ok(())
    }

    /// Whether the API server has told it all.
    fn knows_all(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.context.is_synced())
    }

    /// Ends it as a kill does: nothing is written any more, the connection is cut. Its guests go on.
    fn kill(&mut self) {
        for task in self.running.take().iter().flat_map(|running| &running.tasks) {
            task.abort();
        }
    }
}

/// A node without a kubelet.
fn node(api: &Api, name: &str, number: usize) -> Value {
    let room = json!({"cpu": "32", "memory": "128Gi", "pods": "110"});
    let node = json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("zone-{}", number % 3), "example.com/rack": format!("rack-{}", number / 20),
        }},
        "status": {"capacity": room, "allocatable": room},
    });
    api.create("/api/v1/nodes", &node).unwrap();
    // A new one counts as not ready until its kubelet says otherwise.
    api.merge(&format!("/api/v1/nodes/{name}"), &json!({"spec": {"taints": null}})).unwrap()
}

/// What this machine's QEMU can do, as an agent tells it in its Host.
async fn facts(folder: PathBuf) -> anyhow::Result<Value> {
    let services = Arc::new(TestDriver::private());
    let services = Services {
        networks: services.clone(),
        storage: services.clone(),
        security: services,
        cpus: Arc::new(CpuDriver),
    };
    let config = Config {
        state_dir: folder.join("state"),
        run_dir: folder.join("run"),
        cgroup: format!("ostler-fleet-{}", std::process::id()),
        ..Config::default()
    };
    let qemu = QemuDriver::open(config, services).await?;
    let facts = qemu.check_facts().await?;
    qemu.close().await?;
    facts.ok_or_else(|| anyhow::anyhow!("the driver tells nothing"))
}

/// The test driver's guests, told of as QEMU's.
#[derive(Debug)]
struct InPlaceOfQemu {
    guests: Arc<TestDriver>,
    facts: Arc<Value>,
}

#[async_trait]
impl Connection for InPlaceOfQemu {
    fn driver(&self) -> &'static str {
        "qemu"
    }

    fn uri(&self) -> &str {
        self.guests.uri()
    }

    fn features(&self) -> &'static [Feature] {
        self.guests.features()
    }

    async fn host(&self) -> Result<HostFacts> {
        self.guests.host().await
    }

    async fn check_facts(&self) -> Result<Option<Value>> {
        Ok(Some((*self.facts).clone()))
    }

    fn events(&self) -> Events {
        self.guests.events()
    }

    fn domains(&self) -> Option<&dyn Domains> {
        self.guests.domains()
    }

    fn networks(&self) -> Option<&dyn Networks> {
        self.guests.networks()
    }

    fn storage(&self) -> Option<&dyn Storage> {
        self.guests.storage()
    }

    fn security(&self) -> Option<&dyn Security> {
        self.guests.security()
    }
}
