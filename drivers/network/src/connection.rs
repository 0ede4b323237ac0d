//! The driver's calls.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ostler_conf::{MacAddress, Network};
use ostler_driver::{
    Connection, Error, Event, Events, Feature, HostFacts, Lease, Need, NetworkEvent, NetworkSummary, Networks, Port,
    PortRequest, Result,
};
use ostler_util::pidfd::Process;
use ostler_util::{ErrorCode, file};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::check::bridge_name;
use crate::config::Config;
use crate::store::{self, Entry};
use crate::{bridge, dnsmasq, firewall, leases, ports, release, routes, upkeep};

const FEATURES: &[Feature] = &[Feature::Network, Feature::NetworkLeases, Feature::NetworkPorts];

/// The network driver.
#[derive(Clone, Debug)]
pub struct NetworkDriver {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) netlink: rtnetlink::Handle,
    networks: Mutex<store::Networks>,
    events: broadcast::Sender<Event>,
    /// One start, stop or repair of a network at a time.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Counts what the kernel told of changes to the packet filter, by anybody.
    pub(crate) rules_changed: AtomicU64,
    /// The dnsmasq processes whose end is waited for.
    watched: Mutex<Vec<Process>>,
}

impl NetworkDriver {
    /// Opens the driver; networks that are up are watched from now on.
    ///
    /// # Errors
    /// Folders that can't be made or read; no netlink.
    pub async fn open(config: Config) -> Result<Self> {
        let failed = |error| Error::system("open the network driver", error);
        file::create_directory(&config.run_dir.join("network"), 0o711).map_err(failed)?;
        let networks = store::Networks::load(&config).map_err(failed)?;
        let (connection, netlink, _) = rtnetlink::new_connection().map_err(failed)?;
        let mut tasks = vec![tokio::spawn(connection)];
        let inner = Arc::new(Inner {
            config,
            netlink,
            networks: Mutex::new(networks),
            events: broadcast::channel(1024).0,
            locks: Mutex::default(),
            tasks: Mutex::default(),
            rules_changed: AtomicU64::new(0),
            watched: Mutex::default(),
        });
        tasks.extend(upkeep::start(&inner).map_err(failed)?);
        inner.tasks.lock().expect("nothing panics while it holds the tasks").extend(tasks);
        for name in inner.active_names() {
            upkeep::watch_dnsmasq(&inner, &name);
        }
        Ok(NetworkDriver { inner })
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, store::Networks> {
        self.networks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn active_names(&self) -> Vec<String> {
        self.lock().all().filter(|entry| entry.active).map(|entry| entry.definition.name.clone()).collect()
    }

    pub(crate) fn entry(&self, name: &str) -> Result<Entry> {
        self.lock().get(name).cloned()
    }

    pub(crate) fn tell(&self, name: &str, event: NetworkEvent) {
        // Nobody needs to listen.
        let _ = self.events.send(Event::Network { name: name.to_owned(), event });
    }

    pub(crate) fn own_task(&self, task: JoinHandle<()>) {
        let mut tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// `false`: the process is watched already.
    pub(crate) fn watch_once(&self, process: &Process) -> bool {
        let mut watched = self.watched.lock().expect("nothing panics while it holds the list");
        let is_new = !watched.contains(process);
        if is_new {
            watched.push(process.clone());
        }
        is_new
    }

    pub(crate) fn unwatch(&self, process: &Process) {
        self.watched.lock().expect("nothing panics while it holds the list").retain(|known| known != process);
    }

    async fn exclusively(&self, name: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = self
            .locks
            .lock()
            .expect("nothing panics while it holds the locks")
            .entry(name.to_owned())
            .or_default()
            .clone();
        lock.lock_owned().await
    }

    /// Makes whatever is missing of a network. Gives whether anything was.
    pub(crate) async fn ensure(self: &Arc<Self>, name: &str) -> Result<bool> {
        let _alone = self.exclusively(name).await;
        self.make_whole(name).await
    }

    /// The same for a network that is up; one that was stopped meanwhile stays so.
    pub(crate) async fn heal(self: &Arc<Self>, name: &str) -> Result<bool> {
        let _alone = self.exclusively(name).await;
        match self.entry(name) {
            Ok(entry) if entry.active => self.make_whole(name).await,
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// The caller has the network to itself.
    async fn make_whole(self: &Arc<Self>, name: &str) -> Result<bool> {
        let entry = self.entry(name)?;
        let network = entry.definition.clone();
        if !entry.active {
            routes::check(&network)?;
        }
        let run = self.config.run(network.uuid.unwrap_or_default());
        // The folder says that the network is up; it comes first, so that a crash leaves nothing that is not known.
        file::create_directory(&run, 0o711).map_err(|error| Error::system(format!("make {}", run.display()), error))?;
        let made = self.make(&entry).await;
        if made.is_err() && !entry.active {
            // What failed at its first start is taken back; the error says what it was.
            let _ = self.unmake(&network).await;
        }
        let (changed, problem) = made?;
        if let Ok(entry) = self.lock().get_mut(name) {
            entry.active = true;
            entry.problem = problem;
        }
        upkeep::watch_dnsmasq(self, name);
        Ok(changed || !entry.active)
    }

    async fn make(&self, entry: &Entry) -> Result<(bool, Option<(String, String)>)> {
        let network = &entry.definition;
        let mut changed = bridge::ensure(&self.netlink, network).await?;
        // Taken before the look: what changes during it is looked at again.
        let rules_seen = self.rules_changed.load(Ordering::Acquire);
        let rules_are_known = entry.active && entry.rules_seen == Some(rules_seen);
        let (config, definition) = (self.config.clone(), network.clone());
        let rules =
            blocking(move || if rules_are_known { Ok(None) } else { firewall::ensure(&config, &definition).map(Some) });
        let (config, definition) = (self.config.clone(), network.clone());
        let served =
            blocking(
                move || if dnsmasq::is_needed(&definition) { dnsmasq::ensure(&config, &definition) } else { Ok(false) },
            );
        let (rules, served) = tokio::join!(rules, served);
        let (rules, served) = (rules?, served?);
        let problem = match rules {
            None => entry.problem.clone(),
            Some(firewall::Ensured { applied, blocker }) => {
                changed |= applied;
                blocker.map(|chain| {
                    ("ForwardBlocked".to_owned(), format!("the chain {chain} drops what it doesn't accept, our guests' packets too: accept those of bridge {} there", bridge_name(network)))
                })
            }
        };
        if let Ok(entry) = self.lock().get_mut(&network.name) {
            entry.rules_seen = Some(rules_seen);
        }
        changed |= served;
        for port in self.ports_of(&network.name)? {
            changed |= bridge::plug(&self.netlink, &port.tap, &port.bridge, port.mtu).await? == Some(true);
        }
        Ok((changed, problem))
    }

    async fn unmake(&self, network: &Network) -> Result<()> {
        let (config, definition) = (self.config.clone(), network.clone());
        blocking(move || {
            dnsmasq::stop(&config, &definition)?;
            firewall::remove(&config.nft, &definition)
        })
        .await?;
        bridge::remove(&self.netlink, bridge_name(network)).await?;
        let run = self.config.run(network.uuid.unwrap_or_default());
        match std::fs::remove_dir_all(&run) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::system(format!("remove {}", run.display()), error))
            }
            _ => Ok(()),
        }
    }

    fn all_ports(&self) -> Result<Vec<Port>> {
        ports::all(&self.config.ports()).map_err(|error| Error::system("read the networks' ports", error))
    }

    fn ports_of(&self, network: &str) -> Result<Vec<Port>> {
        Ok(self.all_ports()?.into_iter().filter(|port| port.network == network).collect())
    }
}

/// Runs what waits for a process on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorCode::InternalError, "a network task ended unexpectedly").with_source(error))?
}

#[async_trait]
impl Connection for NetworkDriver {
    fn driver(&self) -> &'static str {
        "network"
    }

    fn uri(&self) -> &str {
        "network:///system"
    }

    fn features(&self) -> &'static [Feature] {
        FEATURES
    }

    async fn host(&self) -> Result<HostFacts> {
        Ok(HostFacts::default())
    }

    fn needs(&self) -> Vec<Need> {
        let config = &self.inner.config;
        vec![
            Need::file(
                "DnsmasqAvailable",
                &config.dnsmasq,
                "install dnsmasq (Debian: dnsmasq-base); networks with DHCP or DNS need it",
            ),
            Need::file(
                "NftAvailable",
                &config.nft,
                "install nftables; networks of the modes nat, route and isolated need it",
            ),
            Need::file(
                "TunAvailable",
                "/dev/net/tun".as_ref(),
                "load the kernel module tun; interfaces of guests need it",
            ),
        ]
    }

    fn events(&self) -> Events {
        self.inner.events.subscribe()
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }

    async fn close(&self) -> Result<()> {
        self.inner
            .tasks
            .lock()
            .expect("nothing panics while it holds the tasks")
            .drain(..)
            .for_each(|task| task.abort());
        Ok(())
    }
}

#[async_trait]
impl Networks for NetworkDriver {
    async fn check(&self, definition: &Network) -> Result<Network> {
        self.inner.lock().check(definition)
    }

    async fn define(&self, definition: &Network) -> Result<Network> {
        let (definition, changed) = self.inner.lock().define(&self.inner.config, definition)?;
        if changed {
            self.inner.tell(&definition.name, NetworkEvent::Defined);
        }
        Ok(definition)
    }

    async fn undefine(&self, name: &str) -> Result<()> {
        self.inner.lock().undefine(&self.inner.config, name)?;
        self.inner.tell(name, NetworkEvent::Undefined);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<NetworkSummary>> {
        Ok(self.inner.lock().all().map(summary).collect())
    }

    async fn get(&self, name: &str) -> Result<NetworkSummary> {
        self.inner.lock().get(name).map(summary)
    }

    async fn definition(&self, name: &str) -> Result<Network> {
        self.inner.lock().get(name).map(|entry| entry.definition.clone())
    }

    async fn start(&self, name: &str) -> Result<()> {
        let was_active = self.inner.entry(name)?.active;
        let changed = self.inner.ensure(name).await?;
        match (was_active, changed) {
            (false, _) => self.inner.tell(name, NetworkEvent::Started),
            (true, true) => self.inner.tell(name, NetworkEvent::Healed),
            (true, false) => {}
        }
        Ok(())
    }

    async fn stop(&self, name: &str) -> Result<()> {
        let _alone = self.inner.exclusively(name).await;
        let entry = self.inner.entry(name)?;
        let ports = self.inner.ports_of(name)?;
        if !ports.is_empty() {
            let users: Vec<&str> = ports.iter().map(|port| port.owner_name.as_str()).collect();
            return Err(Error::new(
                ErrorCode::ResourceBusy,
                format!("the network '{name}' is in use by {}", users.join(", ")),
            ));
        }
        self.inner.unmake(&entry.definition).await?;
        if let Ok(entry) = self.inner.lock().get_mut(name) {
            (entry.active, entry.problem, entry.rules_seen) = (false, None, None);
        }
        self.inner.tell(name, NetworkEvent::Stopped);
        Ok(())
    }

    async fn leases(&self, name: &str) -> Result<Vec<Lease>> {
        let entry = self.inner.entry(name)?;
        Ok(leases::read(&self.inner.config.leases(entry.uuid()), &entry.definition))
    }

    async fn release_leases(&self, name: &str, mac: MacAddress) -> Result<()> {
        let entry = self.inner.entry(name)?;
        let path = self.inner.config.leases(entry.uuid());
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|error| Error::system(format!("read {}", path.display()), error))?,
        };
        let clients = release::clients(&text, mac);
        if clients.is_empty() {
            return Ok(());
        }
        if !entry.active {
            // Nobody else writes the file now.
            return leases::remove(&path, &text, mac)
                .map_err(|error| Error::system(format!("write {}", path.display()), error));
        }
        let server = entry.definition.ips.iter().find_map(|ip| match ip.address {
            Some(IpAddr::V4(address)) if ip.dhcp.is_some() => Some(address),
            _ => None,
        });
        for client in clients {
            // Without a server there is nobody to tell, and a line that no server reads.
            let Some(server) = server else { continue };
            release::send(bridge_name(&entry.definition), server, &client)
                .await
                .map_err(|error| Error::system(format!("give the lease of {} back", client.address), error))?;
        }
        Ok(())
    }

    async fn create_port(&self, network: &str, request: &PortRequest) -> Result<Port> {
        let entry = self.inner.entry(network)?;
        if !entry.active {
            return Err(Error::new(ErrorCode::OperationInvalid, format!("the network '{network}' is not active")));
        }
        let port = Port {
            network: network.to_owned(),
            owner: request.owner,
            owner_name: request.owner_name.clone(),
            mac: request.mac,
            bridge: bridge_name(&entry.definition).to_owned(),
            tap: ports::tap_name(request.owner, request.mac),
            mtu: entry.definition.mtu.as_ref().map(|mtu| mtu.size),
        };
        ports::put(&self.inner.config.ports(), &port)
            .map_err(|error| Error::system(format!("note a port of network '{network}'"), error))?;
        Ok(port)
    }

    async fn plug_port(&self, port: &Port) -> Result<()> {
        match bridge::plug(&self.inner.netlink, &port.tap, &port.bridge, port.mtu).await? {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorCode::OperationFailed, format!("the device {} is missing", port.tap))),
        }
    }

    async fn delete_ports(&self, owner: Uuid, mac: Option<MacAddress>) -> Result<()> {
        for port in
            self.inner.all_ports()?.iter().filter(|port| port.owner == owner && mac.is_none_or(|mac| mac == port.mac))
        {
            ports::remove(&self.inner.config.ports(), port).map_err(|error| Error::system("forget a port", error))?;
        }
        Ok(())
    }

    async fn ports(&self) -> Result<Vec<Port>> {
        self.inner.all_ports()
    }
}

fn summary(entry: &Entry) -> NetworkSummary {
    NetworkSummary {
        uuid: entry.uuid(),
        name: entry.definition.name.clone(),
        active: entry.active,
        bridge: entry.definition.bridge.as_ref().and_then(|bridge| bridge.name.clone()),
        problem: entry.problem.clone(),
    }
}

#[cfg(test)]
mod tests {
    use ostler_conf::{Network, parse};
    use ostler_driver::{Connection, Networks};
    use ostler_util::namespace;

    use super::NetworkDriver;
    use crate::Config;

    /// Who looks after networks may look just when one has been stopped.
    #[test]
    fn what_was_stopped_is_not_healed() {
        let thread = std::thread::spawn(|| {
            namespace::isolate_network().expect("this test needs root, for network namespaces");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let directory = tempfile::tempdir().unwrap();
                let config = Config::new(directory.path().join("state"), directory.path().join("run"));
                let driver = NetworkDriver::open(config).await.unwrap();
                let text =
                    "<network><name>lan</name><bridge name='obheal'/><ip address='10.77.0.1' prefix='24'/></network>";
                driver.define(&parse::<Network>(text).unwrap().strict().unwrap()).await.unwrap();
                assert!(!driver.inner.heal("lan").await.unwrap());
                assert!(!driver.get("lan").await.unwrap().active);
                assert!(!std::path::Path::new("/sys/class/net/obheal").exists());
                assert!(!driver.inner.heal("there-is-none").await.unwrap());
                driver.close().await.unwrap();
            });
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}
