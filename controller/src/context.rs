//! What all reconcilers share: the objects, the drivers, the sink, and what is remembered between two looks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use ostler_crds::{Allowed, Fence, HostOutcome, HostSelector, Kind, Object, ObjectRef};
use ostler_driver::{Connection, Domains, Error, Events, Networks, Result, Storage};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::allow;
use crate::engine::Index;
use crate::given_up::GivenUp;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::plan::Asked;
use crate::secrets::{Keeper, Nobody, Noted};
use crate::source::{EventKind, Sink, SinkError, SourceProblem};

/// What all reconcilers share.
pub struct Context {
    /// This host's name.
    pub host: String,
    /// Whose objects these are: the cluster's id, or the id made once on this host.
    pub owner: String,
    /// Hypervisor drivers, the first of which is the default.
    pub hypervisors: Vec<Arc<dyn Connection>>,
    /// The network driver.
    pub networks: Arc<dyn Connection>,
    /// The storage driver.
    pub storage: Arc<dyn Connection>,
    /// Takes what is reported.
    pub sink: Arc<dyn Sink>,
    /// Verbs that were carried out.
    pub journal: Journal,
    /// Has what domains keep in Secrets.
    pub keeper: Arc<dyn Keeper>,
    /// What guests were started with.
    pub noted: Noted,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Whether an object is this host's by a numbered claim (a cluster's), not by standing in its directory.
    pub by_claim: bool,
    /// Claims that were given up.
    pub given_up: GivenUp,
    /// Owners whose guests this one may take over, besides its own.
    pub former_owners: Vec<String>,
    /// What objects may reach of this host where its Host doesn't say; `None`: everything, as the owner of a directory has every
    /// grant.
    allow: Option<Vec<Allowed>>,
    state: Mutex<State>,
    locks: Mutex<HashMap<ObjectRef, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a host of a cluster has besides.
#[derive(Clone, Debug, Default)]
pub struct ByClaim {
    /// The folder that notes which claims were given up.
    pub given_up: PathBuf,
    /// Owners whose guests this one may take over, besides its own.
    pub former_owners: Vec<String>,
    /// What objects may reach of this host where its Host doesn't say.
    pub allow: Vec<Allowed>,
}

/// Open drivers.
#[derive(Clone, Debug)]
pub struct Drivers {
    /// Hypervisor drivers, the first of which is the default.
    pub hypervisors: Vec<Arc<dyn Connection>>,
    /// The network driver.
    pub networks: Arc<dyn Connection>,
    /// The storage driver.
    pub storage: Arc<dyn Connection>,
}

#[derive(Default)]
struct State {
    index: Index,
    /// The status of each object as it was written last.
    statuses: HashMap<ObjectRef, Value>,
    /// Statuses that could not be written, and why: a full disk, a state folder that is read-only.
    unwritten: BTreeMap<ObjectRef, (Value, String)>,
    domains: HashMap<Uuid, ObjectRef>,
    /// When each guest was asked to shut down first and last.
    shutdown_asked: HashMap<ObjectRef, (Instant, Instant)>,
    outcomes: BTreeMap<ObjectRef, HostOutcome>,
    /// Networks and pools of which it is known since the start whether and how they are carried out.
    looked_at: HashSet<ObjectRef>,
    problems: Vec<SourceProblem>,
    /// Claims that the API server has confirmed.
    confirmed: HashMap<ObjectRef, i64>,
    obeyed: Option<String>,
    emptying: bool,
    /// Domains, by uid and the claim's number, that are here as far as we were told, while the API server knows better.
    disowned: HashSet<(String, i64)>,
    /// Guests without a claim here of which it was asked who holds it.
    strays: HashSet<Uuid>,
    waker: Option<UnboundedSender<ObjectRef>>,
    synced: bool,
    draining: bool,
}

impl State {
    fn outcomes(&self, kind: Kind, told: &[HostOutcome]) -> Vec<HostOutcome> {
        let is_open =
            |key: &ObjectRef| !self.looked_at.contains(key) && (!self.synced || self.index.get(key).is_some());
        let told = told.iter().filter_map(|outcome| {
            let (namespace, name) = outcome.name.split_once('/')?;
            Some((ObjectRef::new(kind, namespace, name), outcome)).filter(|(key, _)| is_open(key))
        });
        let known = self.outcomes.iter().filter(|(key, _)| key.kind == kind);
        let all: BTreeMap<ObjectRef, &HostOutcome> =
            told.chain(known.map(|(key, outcome)| (key.clone(), outcome))).collect();
        all.into_values().cloned().collect()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Context {
    /// A context over open drivers, with what is remembered below `state_dir`.
    pub fn new(
        host: String,
        owner: String,
        drivers: Drivers,
        sink: Arc<dyn Sink>,
        state_dir: &Path,
        metrics: Arc<Metrics>,
    ) -> Self {
        let Drivers { hypervisors, networks, storage } = drivers;
        Context {
            host,
            owner,
            hypervisors,
            networks,
            storage,
            sink,
            journal: Journal::new(state_dir.join("operations-done")),
            keeper: Arc::new(Nobody),
            noted: Noted::new(state_dir.join("secrets")),
            metrics,
            given_up: GivenUp::new(PathBuf::new()),
            by_claim: false,
            former_owners: Vec::new(),
            allow: None,
            state: Mutex::default(),
            locks: Mutex::default(),
        }
    }

    /// The same with someone who keeps Secrets.
    #[must_use]
    pub fn with_keeper(mut self, keeper: Arc<dyn Keeper>) -> Self {
        self.keeper = keeper;
        self
    }

    /// The same in a cluster.
    #[must_use]
    pub fn by_claim(mut self, place: ByClaim) -> Self {
        let ByClaim { given_up, former_owners, allow } = place;
        self.by_claim = true;
        self.given_up = GivenUp::new(given_up);
        self.former_owners = former_owners;
        self.allow = Some(allow);
        self
    }

    /// The fence that keeps this host from running anything.
    pub fn fence(&self) -> Option<Fence> {
        match self.get(&self.host_ref()).as_deref() {
            Some(Object::Host(host)) => host.status.as_ref()?.fence.clone(),
            _ => None,
        }
    }

    /// The number of the claim that the API server has confirmed since the agent's start.
    pub fn confirmed_claim(&self, key: &ObjectRef) -> Option<i64> {
        self.state().confirmed.get(key).copied()
    }

    /// The API server has confirmed a claim.
    pub fn set_confirmed_claim(&self, key: &ObjectRef, number: i64) {
        self.state().confirmed.insert(key.clone(), number);
    }

    /// The API server was asked at this moment which domains this host holds a claim on.
    pub fn set_claimed(&self, claimed: &HashSet<String>) {
        let mut state = self.state();
        let ours = state.index.of_kind(Kind::Domain).filter(|object| !claimed.contains(object.uid()));
        let disowned = ours.map(|object| (object.uid().to_owned(), crate::names::claim(object).unwrap_or(0))).collect();
        state.disowned = disowned;
        state.strays.clear();
    }

    /// The domains that are here as far as anybody knows, by uid.
    pub fn held(&self) -> HashSet<String> {
        let state = self.state();
        let is_held = |object: &&Arc<Object>| {
            let claim = crate::names::claim(object).unwrap_or(0);
            !state.disowned.contains(&(object.uid().to_owned(), claim))
        };
        state.index.of_kind(Kind::Domain).filter(is_held).map(|object| object.uid().to_owned()).collect()
    }

    /// Remembers that it was asked who holds the claim on a guest; gives whether that is new.
    pub fn set_stray(&self, guest: Uuid) -> bool {
        self.state().strays.insert(guest)
    }

    /// Whether this host is being emptied.
    pub fn is_in_maintenance(&self) -> bool {
        match self.get(&self.host_ref()).as_deref() {
            Some(Object::Host(host)) => host.spec.maintenance,
            _ => false,
        }
    }

    /// Remembers whether guests were told last that this host is being emptied; gives whether that is news.
    pub fn set_emptying(&self, emptying: bool) -> bool {
        std::mem::replace(&mut self.state().emptying, emptying) != emptying
    }

    /// Remembers which fence was obeyed last; gives whether it is another than before.
    pub fn set_obeyed(&self, fence: Option<String>) -> bool {
        let mut state = self.state();
        std::mem::replace(&mut state.obeyed, fence.clone()) != fence
    }

    /// What objects may reach of this host; `None`: everything.
    pub fn allowed(&self) -> Option<Vec<Allowed>> {
        let usual = self.allow.as_ref()?;
        let said = match self.get(&self.host_ref()).as_deref() {
            Some(Object::Host(host)) => host.spec.allow.clone(),
            _ => None,
        };
        Some(said.unwrap_or_else(|| usual.clone()))
    }

    /// Whether an object reaches no more of this host than it may.
    ///
    /// # Errors
    /// `AccessDenied` with the fields that do.
    pub fn check_allowed(&self, object: &Object) -> Result<()> {
        self.allowed().map_or(Ok(()), |allow| allow::check(&allow, &self.host, object))
    }

    /// Whether this host carries a definition out though nothing here refers to it: its hostSelector picks it.
    pub fn is_picked(&self, key: &ObjectRef, selector: Option<&HostSelector>) -> bool {
        if !self.by_claim {
            return selector.is_some();
        }
        let host = self.get(&self.host_ref());
        let Some(Object::Host(host)) = host.as_deref() else { return false };
        host.status.iter().flat_map(|status| &status.wanted).any(|wanted| {
            wanted.kind == key.kind.name() && wanted.namespace == key.namespace && wanted.object == key.name
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no reconciler panics while it holds the state")
    }

    /// The objects.
    pub fn index(&self) -> impl std::ops::Deref<Target = Index> + '_ {
        IndexGuard(self.state())
    }

    /// Takes in an object.
    pub fn insert(&self, object: Object) {
        let key = object.object_ref();
        let mut state = self.state();
        // What we wrote ourselves is newer than what the source gives back; only the first is news.
        if !state.statuses.contains_key(&key) {
            let status = object.to_value().get("status").cloned().unwrap_or(Value::Null);
            if let Some(uuid) =
                status.pointer("/resolved/uuid").and_then(Value::as_str).and_then(|uuid| uuid.parse().ok())
            {
                state.domains.insert(uuid, key.clone());
            }
            state.statuses.insert(key, status);
        }
        state.index.insert(object);
    }

    /// Forgets an object.
    pub fn remove(&self, key: &ObjectRef) {
        let mut state = self.state();
        state.index.remove(key);
        state.statuses.remove(key);
        state.unwritten.remove(key);
        state.domains.retain(|_, domain| domain != key);
        state.shutdown_asked.remove(key);
        state.confirmed.remove(key);
        state.outcomes.remove(key);
        // Later it is enough that the object is not there.
        if state.synced {
            state.looked_at.remove(key);
        } else {
            state.looked_at.insert(key.clone());
        }
        drop(state);
        self.metrics.domain(key, None);
        self.locks.lock().expect("as above").remove(key);
    }

    /// An object.
    pub fn get(&self, key: &ObjectRef) -> Option<Arc<Object>> {
        self.index().get(key)
    }

    /// All names.
    pub fn all_refs(&self) -> Vec<ObjectRef> {
        self.index().refs()
    }

    /// This host's own object.
    pub fn host_ref(&self) -> ObjectRef {
        ObjectRef::new(Kind::Host, "", &self.host)
    }

    /// The object's status as it was written last.
    pub fn status<T: serde::de::DeserializeOwned + Default>(&self, key: &ObjectRef) -> T {
        let state = self.state();
        // A status of another version that can't be read is made anew.
        state.statuses.get(key).and_then(|status| T::deserialize(status).ok()).unwrap_or_default()
    }

    /// Writes the status if it changed; then who depends on the object looks again.
    ///
    /// # Errors
    /// The sink's.
    pub async fn report<T: serde::Serialize>(&self, key: &ObjectRef, status: &T) -> Result<(), SinkError> {
        let status = serde_json::to_value(status).expect("our types have only text keys");
        if self.state().statuses.get(key) == Some(&status) {
            return Ok(());
        }
        if let Err(error) = self.sink.write_status(key, status.clone()).await {
            self.note_unwritten(key, status, &error);
            return Err(error);
        }
        if self.state().unwritten.remove(key).is_some() {
            self.wake(self.host_ref());
        }
        let users = {
            let mut state = self.state();
            state.statuses.insert(key.clone(), status);
            state.index.users_of(key)
        };
        users.into_iter().for_each(|user| self.wake(user));
        if key.kind == Kind::Domain {
            self.wake(self.host_ref());
        }
        Ok(())
    }

    fn note_unwritten(&self, key: &ObjectRef, status: Value, error: &SinkError) {
        let why = crate::reconcile::chain(error);
        let is_news = self.state().unwritten.insert(key.clone(), (status, why)).is_none();
        if is_news && *key != self.host_ref() {
            self.wake(self.host_ref());
        }
    }

    /// Statuses that could not be written, and why: only we know them.
    pub fn unwritten(&self) -> BTreeMap<ObjectRef, (Value, String)> {
        self.state().unwritten.clone()
    }

    /// The object is to be looked at.
    pub fn wake(&self, key: ObjectRef) {
        if let Some(waker) = &self.state().waker {
            // The engine that would listen has ended with the agent.
            let _ = waker.send(key);
        }
    }

    pub(crate) fn set_waker(&self, waker: UnboundedSender<ObjectRef>) {
        self.state().waker = Some(waker);
    }

    pub(crate) fn set_synced(&self) {
        self.state().synced = true;
    }

    /// Whether all objects that were there at the start are known.
    pub fn is_synced(&self) -> bool {
        self.state().synced
    }

    /// The host goes down: guests that end stay so.
    pub fn set_draining(&self) {
        self.state().draining = true;
    }

    /// Whether the host goes down.
    pub fn is_draining(&self) -> bool {
        self.state().draining
    }

    pub(crate) fn set_source_problems(&self, problems: Vec<SourceProblem>) {
        self.state().problems = problems;
    }

    /// What is wrong with the source.
    pub fn source_problems(&self) -> Vec<SourceProblem> {
        self.state().problems.clone()
    }

    /// The domain object that a guest belongs to.
    pub fn domain_of(&self, uuid: Uuid) -> Option<ObjectRef> {
        self.state().domains.get(&uuid).cloned()
    }

    /// Remembers which object a guest belongs to.
    pub fn set_domain_of(&self, uuid: Uuid, key: &ObjectRef) {
        self.state().domains.insert(uuid, key.clone());
    }

    /// Forgets the guest.
    pub fn forget_domain(&self, uuid: Uuid) {
        self.state().domains.remove(&uuid);
    }

    /// Objects of a kind whose name on the host is this.
    pub fn named_on_host(&self, kind: Kind, name: &str) -> Vec<ObjectRef> {
        let index = self.index();
        index
            .of_kind(kind)
            .filter(|object| crate::names::host_name(object) == name)
            .map(|object| object.object_ref())
            .collect()
    }

    /// Since when a guest has been asked to shut down.
    pub fn shutdown_asked(&self, key: &ObjectRef) -> Option<Asked> {
        let state = self.state();
        state.shutdown_asked.get(key).map(|(first, last)| Asked { first: first.elapsed(), last: last.elapsed() })
    }

    /// The guest is asked now, or (`false`) no longer.
    pub fn set_shutdown_asked(&self, key: &ObjectRef, asked: bool) {
        let mut state = self.state();
        if asked {
            let now = Instant::now();
            state.shutdown_asked.entry(key.clone()).or_insert((now, now)).1 = now;
        } else {
            state.shutdown_asked.remove(key);
        }
    }

    /// How a network or pool fares on this host; `None`: it is not wanted here.
    pub fn set_outcome(&self, key: &ObjectRef, outcome: Option<HostOutcome>) {
        let mut state = self.state();
        state.looked_at.insert(key.clone());
        let old = match outcome.clone() {
            Some(outcome) => state.outcomes.insert(key.clone(), outcome),
            None => state.outcomes.remove(key),
        };
        drop(state);
        if outcome.is_none() {
            self.sink.released(key);
        }
        if old != outcome {
            self.wake(self.host_ref());
            let users = self.index().users_of(key);
            users.into_iter().for_each(|user| self.wake(user));
        }
    }

    /// How a network or pool fares on this host, once the agent has looked.
    pub fn outcome(&self, key: &ObjectRef) -> Option<HostOutcome> {
        self.state().outcomes.get(key).cloned()
    }

    /// How networks or pools fare on this host. What was `told` before the agent started holds until it has looked itself: of many
    /// agents that start at once none has to tell its Host twice.
    pub fn outcomes(&self, kind: Kind, told: &[HostOutcome]) -> Vec<HostOutcome> {
        self.state().outcomes(kind, told)
    }

    /// Only one at a time acts upon an object, be it the reconciler or an operation.
    pub async fn lock(&self, key: &ObjectRef) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = self.locks.lock().expect("as above").entry(key.clone()).or_default().clone();
        lock.lock_owned().await
    }

    /// Events of all drivers.
    pub(crate) fn driver_events(&self) -> Vec<Events> {
        let mut connections: Vec<&Arc<dyn Connection>> = self.hypervisors.iter().collect();
        for other in [&self.networks, &self.storage] {
            if !connections.iter().any(|known| Arc::ptr_eq(known, other)) {
                connections.push(other);
            }
        }
        connections.into_iter().map(|connection| connection.events()).collect()
    }

    /// The hypervisor driver of this name, or the first.
    ///
    /// # Errors
    /// `NoConnect` if this host has no such driver.
    pub fn hypervisor(&self, name: Option<&str>) -> Result<&Arc<dyn Connection>> {
        let found = match name {
            Some(name) => self.hypervisors.iter().find(|connection| connection.driver() == name),
            None => self.hypervisors.first(),
        };
        found.ok_or_else(|| {
            let drivers: Vec<_> = self.hypervisors.iter().map(|connection| connection.driver()).collect();
            let wanted = name.unwrap_or("any");
            Error::new(
                ostler_conf::ErrorCode::ConfigUnsupported,
                format!("host {} has no driver '{wanted}': it has {}", self.host, drivers.join(", ")),
            )
            .at("driver")
        })
    }

    /// The network driver's calls.
    ///
    /// # Errors
    /// `NoSupport` if it has none.
    pub fn networks(&self) -> Result<&dyn Networks> {
        self.networks.networks().ok_or_else(|| Error::no_support(self.networks.driver(), "networks"))
    }

    /// The storage driver's calls.
    ///
    /// # Errors
    /// `NoSupport` if it has none.
    pub fn storage(&self) -> Result<&dyn Storage> {
        self.storage.storage().ok_or_else(|| Error::no_support(self.storage.driver(), "storage"))
    }

    /// Tells people of something that happened to an object.
    pub async fn event(&self, key: &ObjectRef, kind: EventKind, reason: &str, message: &str) {
        self.sink.event(key, kind, reason, message).await;
    }
}

/// A connection's domains.
///
/// # Errors
/// `NoSupport` if it has none.
pub fn domains(connection: &dyn Connection) -> Result<&dyn Domains> {
    connection.domains().ok_or_else(|| Error::no_support(connection.driver(), "domains"))
}

struct IndexGuard<'a>(MutexGuard<'a, State>);

impl std::ops::Deref for IndexGuard<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.0.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_of_a_definition_holds_until_it_is_looked_at() {
        let told = |name: &str, message: &str| HostOutcome {
            name: format!("default/{name}"),
            observed_generation: 1,
            ready: true,
            reason: "Ready".to_owned(),
            message: message.to_owned(),
        };
        let key = |name: &str| ObjectRef::new(Kind::Network, "default", name);
        let before = [told("gone", "before"), told("known", "before"), told("later", "before"), told("left", "before")];
        let mut state = State::default();
        state.outcomes.insert(key("known"), told("known", "now"));
        state.looked_at.extend([key("known"), key("left")]);
        let names = |state: &State| -> Vec<(String, String)> {
            let all = state.outcomes(Kind::Network, &before).into_iter();
            all.map(|outcome| (outcome.name.replace("default/", ""), outcome.message)).collect()
        };
        let pair = |name: &str, message: &str| (name.to_owned(), message.to_owned());
        assert_eq!(names(&state), [pair("gone", "before"), pair("known", "now"), pair("later", "before")]);
        assert_eq!(state.outcomes(Kind::StoragePool, &[]), []);
        // Once all is there, what is not is nobody's.
        state.synced = true;
        let network = "apiVersion: ostler.dev/v1alpha1\nkind: Network\nmetadata: {name: later}\nspec: {network: {}}\n";
        state.index.insert(ostler_crds::manifest::read(network).unwrap().remove(0).object);
        assert_eq!(names(&state), [pair("known", "now"), pair("later", "before")]);
    }
}
