//! The leader's work: what is told changes the world, the world is decided about, and what was decided is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType};
use ostler_crds::{Host, HostSpec, Kind, Object, ObjectRef};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::decide::{Circumstances, Decision, Memory, decide};
use super::liveness::Liveness;
use super::shared::{FIELD_MANAGER, Shared};
use super::trust;
use super::watch::{Seen, Told, resource};
use super::world::Cache;
use super::writes::{Change, Note, Step, Writes};
use crate::names;
use crate::reconcile::chain;

/// How many writes are under way at a time.
const PARALLEL_WRITES: usize = 16;
/// How many domains of unreachable hosts are written to in a second.
const MARKED_PER_SECOND: f64 = 20.0;
/// How long a write may take, with all that the client tries by itself.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// After a write that was refused because its object had changed: the change is on its way.
const AFTER_CONFLICT: Duration = Duration::from_millis(50);
/// After a write that failed, until the same object is written to again; doubled each time, up to the longest.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const AFTER_FAILURE_MAX: Duration = Duration::from_secs(30);
/// A decision is followed by a pause of so many times the processor's time that it took: a quarter of a CPU at most.
const PAUSE: u32 = 3;

/// Works until all of `told` has ended; writes only while `leading`.
pub(super) async fn run(
    shared: Arc<Shared>,
    vcpus_per_cpu: u32,
    mut told: Receiver<Told>,
    mut leading: watch::Receiver<bool>,
    to_trust: watch::Sender<trust::Found>,
) {
    let mut work = Work::new(shared, vcpus_per_cpu, to_trust);
    let mut batch = Vec::new();
    loop {
        let wake = work.wake(*leading.borrow());
        tokio::select! {
            count = told.recv_many(&mut batch, 512) => {
                if count == 0 {
                    return;
                }
                for told in batch.drain(..) {
                    work.take_in(told);
                }
            }
            // A sender that is gone leads no more; the process is about to end.
            Ok(()) = leading.changed() => work.dirty = true,
            reports = finished(&mut work.writing) => work.written(reports),
            () = sleep_until(wake) => work.decide(),
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

async fn finished(writing: &mut Option<JoinHandle<Reports>>) -> Reports {
    match writing {
        Some(handle) => {
            let result = handle.await;
            *writing = None;
            // A write that panicked is decided anew, like one that was lost.
            result.unwrap_or_default()
        }
        None => std::future::pending().await,
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    Done,
    Conflict,
    Failed,
}

type Reports = Vec<(ObjectRef, Report)>;

/// Writes to an object that failed: how often, and until when none is tried.
#[derive(Clone, Copy, Debug)]
struct Held {
    failures: u32,
    until: Instant,
}

struct Work {
    shared: Arc<Shared>,
    vcpus_per_cpu: u32,
    /// What hosts told under another is not relied upon.
    term: String,
    start: Instant,
    liveness: Liveness,
    memory: Memory,
    to_trust: watch::Sender<trust::Found>,
    /// Something changed since the last decision.
    dirty: bool,
    /// When to decide though nothing changed.
    again: Option<Instant>,
    /// Not before this is anything decided.
    rest_until: Instant,
    /// One object that can't be written to must not hold up the others.
    held: BTreeMap<ObjectRef, Held>,
    allowance: f64,
    allowed_at: Instant,
    writing: Option<JoinHandle<Reports>>,
}

impl Work {
    fn new(shared: Arc<Shared>, vcpus_per_cpu: u32, to_trust: watch::Sender<trust::Found>) -> Self {
        let now = Instant::now();
        Work {
            shared,
            vcpus_per_cpu,
            term: Uuid::new_v4().to_string(),
            start: now,
            liveness: Liveness::default(),
            memory: Memory::default(),
            to_trust,
            dirty: true,
            again: None,
            rest_until: now,
            held: BTreeMap::new(),
            allowance: MARKED_PER_SECOND,
            allowed_at: now,
            writing: None,
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// When to decide next, if ever.
    fn wake(&self, leads: bool) -> Option<Instant> {
        if !leads || self.writing.is_some() || !self.shared.world().is_complete() {
            return None;
        }
        let wake = if self.dirty { Some(self.rest_until) } else { self.again };
        wake.map(|wake| wake.max(self.rest_until))
    }

    fn take_in(&mut self, told: Told) {
        let now = self.now();
        let shared = self.shared.clone();
        let mut world = shared.world_mut();
        self.dirty |= match told {
            Told::Object(kind, seen) => {
                if let Seen::Gone(key) = &seen {
                    self.held.remove(key);
                }
                if let (Kind::Host, Seen::Gone(key)) = (kind, &seen) {
                    self.liveness.forget(&key.name);
                }
                if let (Kind::Host, Seen::There(key, ..)) = (kind, &seen) {
                    self.liveness.known(&key.name, now);
                }
                if let (Kind::Domain, Seen::There(key, version, object)) = (kind, &seen)
                    && has_forgotten(world.cache(kind), key, *version, object)
                {
                    warn!(object = %key, "the API server has forgotten a claim: all hosts are asked for their guests anew");
                    self.term = Uuid::new_v4().to_string();
                }
                let changed = apply(&shared, kind.name(), world.cache(kind), seen, |object| Arc::new(*object));
                shared.metrics.objects(kind.name(), world.cache(kind).len());
                changed
            }
            Told::Node(seen) => apply(&shared, "Node", &mut world.nodes, seen, |node| node),
            Told::Namespace(seen) => apply(&shared, "Namespace", &mut world.namespaces, seen, |labels| labels),
            Told::Quota(seen) => apply(&shared, "ResourceQuota", &mut world.quotas, seen, |limits| limits),
            Told::Pod(seen) => apply(&shared, "Pod", &mut world.pods, seen, |pod| pod),
            Told::Agent(Seen::There(host, version, ())) => {
                // A sign of life is no news, unless it is the first or the agent was thought dead.
                let is_new = world.agents.get(&host).is_none();
                world.agents.insert(host.clone(), version, version);
                self.liveness.seen(&host, version, now) || is_new
            }
            Told::Agent(seen) => {
                if matches!(seen, Seen::Begin | Seen::Lost) {
                    self.liveness.start_afresh(now);
                }
                apply(&shared, "Lease", &mut world.agents, seen, |()| 0)
            }
            Told::Secret(seen) => {
                self.to_trust.send_modify(|found| trust::secret_seen(found, seen));
                false
            }
            Told::Webhooks(seen) => {
                self.to_trust.send_modify(|found| trust::webhooks_seen(found, seen));
                false
            }
        };
    }

    fn decide(&mut self) {
        let (began, worked) = (Instant::now(), worked());
        self.allowance = (self.allowance + began.duration_since(self.allowed_at).as_secs_f64() * MARKED_PER_SECOND)
            .min(MARKED_PER_SECOND);
        self.allowed_at = began;
        let now = self.now();
        let verdict = self.liveness.verdict(now);
        if verdict.held_back {
            warn!("over half of the agents fell silent at once: their hosts are not marked for now");
        }
        let circumstances = Circumstances {
            verdict: &verdict,
            now,
            term: &self.term,
            allowance: self.allowance as usize,
            vcpus_per_cpu: self.vcpus_per_cpu,
        };
        let Decision { mut writes, again, marked } = decide(&self.shared.world(), &circumstances, &mut self.memory);
        self.allowance -= marked as f64;
        self.dirty = false;
        let turns = verdict.next.map(|next| self.start + next);
        let is_held = |key: &ObjectRef| self.held.get(key).filter(|held| held.until > began).map(|held| held.until);
        let host_ref = |name: &String| ObjectRef::new(Kind::Host, "", name);
        let held = writes.changes.keys().filter_map(is_held);
        let held = held.chain(writes.hosts.iter().filter_map(|name| is_held(&host_ref(name)))).min();
        self.again = again.map(|after| began + after).into_iter().chain(turns).chain(held).min();
        writes.changes.retain(|key, _| is_held(key).is_none());
        writes.hosts.retain(|name| is_held(&host_ref(name)).is_none());
        let took = began.elapsed();
        self.shared.metrics.decided(took, verdict.unreachable.len());
        self.rest_until = Instant::now() + self::worked().saturating_sub(worked) * PAUSE;
        if !writes.is_empty() {
            debug!(hosts = writes.hosts.len(), changes = writes.changes.len(), "decided");
            self.writing = Some(tokio::spawn(write(self.shared.clone(), writes)));
        }
    }

    fn written(&mut self, reports: Reports) {
        // What was written may lead to more, and what was not is decided anew.
        self.dirty = true;
        let now = Instant::now();
        for (key, report) in reports {
            match report {
                Report::Done => drop(self.held.remove(&key)),
                Report::Conflict => self.rest_until = self.rest_until.max(now + AFTER_CONFLICT),
                Report::Failed => {
                    let failures = self.held.get(&key).map_or(0, |held| held.failures);
                    let wait = (AFTER_FAILURE * 2_u32.saturating_pow(failures.min(8))).min(AFTER_FAILURE_MAX);
                    self.held.insert(key, Held { failures: failures + 1, until: now + wait });
                }
            }
        }
    }
}

/// The time that this thread has had a processor. On a busy machine a decision takes longer than that, and nobody gains by waiting.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether the API server tells of an older claim than it did before: it came back from a backup.
fn has_forgotten(cache: &Cache<ObjectRef, Arc<Object>>, key: &ObjectRef, version: u64, object: &Object) -> bool {
    let Some(known) = cache.get(key).filter(|known| known.uid() == object.uid()) else { return false };
    // One that we have overtaken by a write is only late.
    let is_late = !cache.is_listing() && cache.version_of(key).is_some_and(|known| known > version);
    !is_late && names::claim(object) < names::claim(known)
}

/// Takes in what a watch tells; gives whether it may matter.
fn apply<K: Ord + Clone, S, V: PartialEq>(
    shared: &Shared,
    kind: &'static str,
    cache: &mut Cache<K, V>,
    seen: Seen<K, S>,
    keep: impl Fn(S) -> V,
) -> bool {
    match seen {
        Seen::Begin => cache.begin(),
        Seen::There(key, version, value) => return cache.insert(key, version, keep(value)),
        Seen::Gone(key) => cache.remove(&key),
        Seen::End => drop(cache.finish()),
        Seen::Lost => {
            shared.metrics.interrupted(kind);
            return false;
        }
    }
    true
}

/// Carries out a decision.
async fn write(shared: Arc<Shared>, writes: Writes) -> Reports {
    let Writes { hosts, changes } = writes;
    let mut reports = Vec::new();
    for host in hosts {
        let report = make_host(&shared, &host).await;
        reports.push((ObjectRef::new(Kind::Host, "", host), report));
    }
    let changing = changes.into_iter().map(|(key, change)| {
        let shared = shared.clone();
        async move {
            let report = change_object(&shared, &key, change).await;
            (key, report)
        }
    });
    let mut changing = futures::stream::iter(changing).buffer_unordered(PARALLEL_WRITES);
    while let Some(report) = changing.next().await {
        reports.push(report);
    }
    reports
}

async fn make_host(shared: &Shared, name: &str) -> Report {
    let api: Api<Host> = Api::all(shared.client.clone());
    let host = Host::new(name, HostSpec::default());
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let result = attempt(api.create(&parameters, &host)).await;
    let report = judge(shared, "Host", "create", &ObjectRef::new(Kind::Host, "", name), result.as_ref().err());
    if result.is_ok() {
        info!(host = name, "a node with an agent: its Host is made");
    }
    report
}

/// The steps of one change, each with the version that the one before it left.
async fn change_object(shared: &Shared, key: &ObjectRef, change: Change) -> Report {
    let Change { mut version, steps, notes } = change;
    let kind = resource(key.kind);
    let api: Api<DynamicObject> = if key.namespace.is_empty() {
        Api::all_with(shared.client.clone(), &kind)
    } else {
        Api::namespaced_with(shared.client.clone(), &key.namespace, &kind)
    };
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let mut about = None;
    for step in steps {
        let patch = Patch::Merge(step.patch(&version));
        let (verb, result) = match step {
            Step::Finalizers(_) | Step::Label(..) => {
                ("patch", attempt(api.patch(&key.name, &parameters, &patch)).await)
            }
            Step::Status(_) => ("patchStatus", attempt(api.patch_status(&key.name, &parameters, &patch)).await),
        };
        match result {
            Ok(object) => {
                judge(shared, key.kind.name(), verb, key, None);
                debug!(object = %key, %verb, "written");
                version = object.metadata.resource_version.clone().unwrap_or_default();
                about = Some(kube::Resource::object_ref(&object, &kind));
                overtake(shared, key, object);
            }
            Err(error) => return judge(shared, key.kind.name(), verb, key, Some(&error)),
        }
    }
    if let Some(about) = about {
        for note in notes {
            tell(shared, key, &about, note).await;
        }
    }
    Report::Done
}

/// The world learns what we wrote before the watch tells of it, so that nothing is decided twice.
fn overtake(shared: &Shared, key: &ObjectRef, mut object: DynamicObject) {
    object.metadata.managed_fields = None;
    let version = object.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    let is_gone = object.metadata.deletion_timestamp.is_some() && object.metadata.finalizers.is_none();
    let mut world = shared.world_mut();
    if is_gone {
        world.cache(key.kind).remove(key);
    } else if let Ok(object) = Object::from_value(key.kind, &serde_json::to_value(object).unwrap_or_default()) {
        world.cache(key.kind).update(key, version, Arc::new(object));
    }
}

async fn tell(shared: &Shared, key: &ObjectRef, about: &k8s_openapi::api::core::v1::ObjectReference, note: Note) {
    let Note { warning, reason, message } = note;
    info!(object = %key, reason, message, "told");
    let event = Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason: reason.to_owned(),
        // The API server takes 1024 bytes.
        note: Some(message.chars().take(250).collect()),
        action: "Place".to_owned(),
        secondary: None,
    };
    if let Err(error) = shared.recorder.publish(&event, about).await {
        warn!(object = %key, error = %chain(&error), "an event could not be written");
    }
}

async fn attempt<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Ok(result) => result.map_err(Error::Api),
        Err(_) => Err(Error::Timeout),
    }
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the API server refused or failed")]
    Api(#[source] kube::Error),
    #[error("no answer in {} s", WRITE_TIMEOUT.as_secs())]
    Timeout,
}

fn judge(shared: &Shared, kind: &'static str, verb: &'static str, key: &ObjectRef, error: Option<&Error>) -> Report {
    let (report, result) = match error {
        None => (Report::Done, "done"),
        // It is gone, or has changed, or is there already: the watch tells.
        Some(Error::Api(kube::Error::Api(status)))
            if status.is_conflict() || status.is_not_found() || status.is_already_exists() =>
        {
            debug!(object = %key, %verb, "it has changed in between");
            (Report::Conflict, "conflict")
        }
        Some(error) => {
            warn!(object = %key, %verb, error = %chain(error), "a write failed; it is tried again");
            (Report::Failed, "failed")
        }
    };
    shared.metrics.wrote(kind, verb, result);
    report
}
