//! What there is on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ostler_conf::{Domain, Network, StoragePool};
use ostler_driver::{
    Access, DomainEvent, DomainState, DomainSummary, Error, Event, Events, Lease, NetworkEvent, PoolEvent, Port,
    Result, ShutoffReason,
};
use ostler_util::ErrorCode;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::Call;
use crate::fault::Fault;
use crate::guest::{Guest, Manners};
use crate::storage::{Image, Volume};

/// How many events a slow listener may be behind before it loses some and is told so.
pub(crate) const EVENT_BACKLOG: usize = 256;

/// A host, which outlives the connections to it.
#[derive(Debug)]
pub(crate) struct Host(Mutex<World>);

impl Host {
    pub(crate) fn new(world: World) -> Self {
        Host(Mutex::new(world))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A test that failed while it held the lock has said so already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's number.
pub(crate) type ConnectionId = u64;

/// All that there is.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) domains: BTreeMap<Uuid, Entry>,
    pub(crate) networks: BTreeMap<String, NetworkEntry>,
    pub(crate) ports: Vec<Port>,
    pub(crate) pools: BTreeMap<String, PoolEntry>,
    /// What is in each pool's folder, whether the pool is known or not.
    pub(crate) folders: BTreeMap<PathBuf, BTreeMap<String, Volume>>,
    /// Images on the web, by address.
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) claims: Vec<(PathBuf, Uuid, Access)>,
    /// Files that are not there; all others are.
    pub(crate) missing_files: BTreeSet<PathBuf>,
    /// How guests behave; those that are not named do as they are asked.
    pub(crate) manners: BTreeMap<Uuid, Manners>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) calls: Vec<Call>,
    /// So many of the next events are lost.
    pub(crate) events_to_lose: usize,
    pub(crate) last_id: i32,
    outbox: Vec<Event>,
    connections: BTreeMap<ConnectionId, broadcast::Sender<Event>>,
    last_connection: ConnectionId,
}

/// A domain.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The stored definition; none for a transient guest.
    pub(crate) definition: Option<Domain>,
    pub(crate) guest: Option<Guest>,
    pub(crate) autostart: bool,
    pub(crate) last_end: Option<ShutoffReason>,
    pub(crate) monitor_silent: bool,
    pub(crate) damaged: Option<String>,
}

/// A network.
#[derive(Debug)]
pub(crate) struct NetworkEntry {
    pub(crate) definition: Network,
    pub(crate) active: bool,
    pub(crate) problem: Option<(String, String)>,
    pub(crate) leases: Vec<Lease>,
}

/// A pool.
#[derive(Debug)]
pub(crate) struct PoolEntry {
    pub(crate) definition: StoragePool,
    pub(crate) active: bool,
    pub(crate) capacity_bytes: u64,
}

impl Entry {
    /// The running guest.
    pub(crate) fn guest(&self) -> Result<&Guest> {
        self.usable()?;
        self.guest.as_ref().ok_or_else(|| not_running(&self.name()))
    }

    pub(crate) fn guest_mut(&mut self) -> Result<&mut Guest> {
        self.usable()?;
        let name = self.name();
        self.guest.as_mut().ok_or_else(|| not_running(&name))
    }

    /// # Errors
    /// `InternalError` for a domain whose stored state is damaged.
    pub(crate) fn usable(&self) -> Result<()> {
        match &self.damaged {
            None => Ok(()),
            Some(reason) => Err(Error::new(ErrorCode::InternalError, format!("the domain is left alone: {reason}"))),
        }
    }

    pub(crate) fn name(&self) -> String {
        let live = || self.guest.as_ref().map(|guest| &guest.live);
        self.definition.as_ref().or_else(live).map(|definition| definition.name.clone()).unwrap_or_default()
    }

    pub(crate) fn state(&self) -> DomainState {
        let ended = DomainState::Shutoff(self.last_end.unwrap_or(ShutoffReason::Unknown));
        self.guest.as_ref().map_or(ended, |guest| guest.state)
    }

    pub(crate) fn summary(&self, uuid: Uuid) -> DomainSummary {
        DomainSummary {
            uuid,
            name: self.name(),
            state: self.state(),
            persistent: self.definition.is_some(),
            autostart: self.autostart,
            monitor_silent: self.monitor_silent,
            damaged: self.damaged.clone(),
        }
    }
}

fn not_running(name: &str) -> Error {
    Error::new(ErrorCode::OperationInvalid, format!("the domain {name} is not running"))
}

impl World {
    pub(crate) fn domain(&self, uuid: Uuid) -> Result<&Entry> {
        self.domains.get(&uuid).ok_or_else(|| no_domain(uuid))
    }

    pub(crate) fn domain_mut(&mut self, uuid: Uuid) -> Result<&mut Entry> {
        self.domains.get_mut(&uuid).ok_or_else(|| no_domain(uuid))
    }

    /// The domain's name, for messages.
    pub(crate) fn name_of(&self, uuid: Uuid) -> String {
        self.domains.get(&uuid).map_or_else(|| uuid.to_string(), Entry::name)
    }

    pub(crate) fn tell(&mut self, uuid: Uuid, event: DomainEvent) {
        self.outbox.push(Event::Domain { uuid, event });
    }

    pub(crate) fn tell_network(&mut self, name: &str, event: NetworkEvent) {
        self.outbox.push(Event::Network { name: name.to_owned(), event });
    }

    pub(crate) fn tell_pool(&mut self, name: &str, event: PoolEvent) {
        self.outbox.push(Event::Pool { name: name.to_owned(), event });
    }

    /// Sends what was told, in order, to every connection.
    pub(crate) fn deliver(&mut self) {
        for event in std::mem::take(&mut self.outbox) {
            if self.events_to_lose > 0 {
                self.events_to_lose -= 1;
                continue;
            }
            for connection in self.connections.values() {
                // Nobody listens: then nobody needs to know.
                let _ = connection.send(event.clone());
            }
        }
    }

    pub(crate) fn connect(&mut self) -> ConnectionId {
        self.last_connection += 1;
        self.connections.insert(self.last_connection, broadcast::channel(EVENT_BACKLOG).0);
        self.last_connection
    }

    pub(crate) fn disconnect(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    pub(crate) fn disconnect_all(&mut self) {
        self.connections.clear();
    }

    /// # Errors
    /// `InvalidConn` for a connection that was closed, or whose agent has ended.
    pub(crate) fn check_open(&self, id: ConnectionId) -> Result<()> {
        match self.connections.contains_key(&id) {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::InvalidConn, "the connection is closed")),
        }
    }

    /// Events from now on; on a closed connection there are none.
    pub(crate) fn subscribe(&self, id: ConnectionId) -> Events {
        self.connections.get(&id).map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe)
    }
}

fn no_domain(uuid: Uuid) -> Error {
    Error::new(ErrorCode::NoDomain, format!("there is no domain with the uuid {uuid}"))
}
