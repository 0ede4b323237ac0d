//! Writes to the API server: status, coalesced; finalizers; events.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Client, Error};
use ostler_crds::{Kind, Object, ObjectRef, RunRecord, reasons};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};
use uuid::Uuid;

use super::coalesce::Coalescer;
use super::events::Events;
use super::feed::{CLAIMED, SAID_OF_A_HOST};
use super::judge::Refusal;
use super::pump::Message;
use super::{Config, FIELD_MANAGER, FINALIZER, Owned, Shared, watch};
use crate::source::store::Store;
use crate::source::{EventKind, Sink, SinkError, SourceEvent};

/// Status writes at once.
const WRITES: usize = 8;
/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// The API server's code for an object that its schema refuses.
const INVALID: u16 = 422;
/// A status that so many tries could not write is told of.
const TOLD_AFTER: u32 = 5;
/// Reasons that the controller gives in this agent's place: it is not heard of, or what it held may be elsewhere.
const SAID_FOR_US: &[&str] = &["HostUnreachable", reasons::HOST_FENCED];

/// The sink of a cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
    _writer: Arc<Owned>,
}

struct Inner {
    client: Client,
    host: String,
    store: Store,
    entries: Shared<HashMap<ObjectRef, Entry>>,
    coalescer: Shared<Coalescer>,
    /// Told when there is something to write, and when something was written.
    news: Notify,
    wrote: Notify,
    tell: mpsc::Sender<Message>,
    events: Events,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("store", &self.store).finish_non_exhaustive()
    }
}

/// What is known of an object besides its spec.
#[derive(Clone, Debug, Default)]
struct Entry {
    /// As it was accepted last, with our status; null: never.
    value: Value,
    /// What the reconcilers say.
    status: Value,
    uid: String,
    resource_version: String,
    finalizers: Vec<String>,
    /// Status that others write: the host, the claim, what is wanted.
    others: Value,
    refusal: Option<Refusal>,
}

impl Cluster {
    /// `kept`: the objects that this host kept, with the status that was written last.
    pub(super) fn start(config: &Config, store: Store, kept: &[Value], tell: mpsc::Sender<Message>) -> Self {
        let entries = kept.iter().filter_map(|value| Some((key_of(value)?, Entry::kept(value)))).collect();
        let inner = Arc::new(Inner {
            client: config.client.clone(),
            host: config.host.clone(),
            store,
            entries: Arc::new(std::sync::Mutex::new(entries)),
            coalescer: Shared::default(),
            news: Notify::new(),
            wrote: Notify::new(),
            tell,
            events: Events::start(config.client.clone(), &config.host),
        });
        let writer = Arc::new(Owned(tokio::spawn(write_all(inner.clone()))));
        Cluster { inner, _writer: writer }
    }

    /// Waits until all is written, a little while.
    pub async fn flush(&self, patience: Duration) {
        let written = async {
            loop {
                let wrote = self.inner.wrote.notified();
                if self.inner.coalescer().is_idle() {
                    return;
                }
                wrote.await;
            }
        };
        if timeout(patience, written).await.is_err() {
            debug!("ending with statuses unwritten; they are kept here, and the next agent writes them");
        }
    }

    /// Takes note of an object as the API server has it. What it has of us may be older than what we know: written when the last
    /// agent ended, or overwritten while this one was not heard of.
    pub(super) fn seen(&self, key: &ObjectRef, value: Value) {
        let mut entries = self.inner.entries();
        let (claim, uid) = (value.pointer("/status/claim").cloned(), text(&value, "/metadata/uid"));
        let found = entries.get(key).filter(|entry| entry.uid == uid);
        let is_known = found.is_some_and(|entry| !entry.resource_version.is_empty());
        let is_ours =
            found.is_some_and(|entry| entry.others.get("claim").cloned() == claim && entry.status.is_object());
        if !is_ours && !is_known {
            entries.remove(key);
        }
        let entry = entries.entry(key.clone()).or_default();
        entry.uid = uid;
        entry.resource_version = text(&value, "/metadata/resourceVersion");
        entry.finalizers = value
            .pointer("/metadata/finalizers")
            .and_then(|finalizers| serde_json::from_value(finalizers.clone()).ok())
            .unwrap_or_default();
        let server = value.get("status").cloned().unwrap_or(Value::Null);
        let (theirs, others) = split(key.kind, server);
        entry.others = others;
        if is_reported(key.kind) {
            let now = Instant::now();
            if !is_known {
                if !is_ours {
                    entry.status.clone_from(&theirs);
                }
                self.inner.coalescer().has(key, theirs.clone());
                let ours = shown(entry);
                self.inner.coalescer().put(key, ours, now);
            } else if is_contradicted(&entry.status, &theirs) {
                self.inner.coalescer().overwritten(key, now);
            }
            self.inner.news.notify_one();
        }
    }

    /// Keeps an accepted object on this host.
    pub(super) async fn keep(&self, key: &ObjectRef, mut value: Value) {
        {
            let mut entries = self.inner.entries();
            let entry = entries.entry(key.clone()).or_default();
            value["status"] = joined(entry);
            entry.value.clone_from(&value);
        }
        self.inner.store(key, value).await;
    }

    /// Forgets what is not this host's any more.
    pub(super) async fn forget(&self, key: &ObjectRef) {
        self.inner.entries().remove(key);
        self.inner.coalescer().forget(key);
        let (store, name) = (self.inner.store.clone(), key.clone());
        let removed = tokio::task::spawn_blocking(move || store.remove(&name)).await;
        if let Ok(Err(error)) = removed {
            warn!(object = %key, %error, "a kept object can't be removed");
        }
    }

    /// From now on its status says why it is not applied, whatever else is reported.
    pub(super) fn refuse(&self, key: &ObjectRef, refusal: Refusal) {
        warn!(object = %key, why = ?refusal.why, message = refusal.message, "not applied");
        self.change_refusal(key, Some(refusal));
    }

    /// It is applied again.
    pub(super) fn allow(&self, key: &ObjectRef) {
        self.change_refusal(key, None);
    }

    fn change_refusal(&self, key: &ObjectRef, refusal: Option<Refusal>) {
        let mut entries = self.inner.entries();
        let Some(entry) = entries.get_mut(key) else { return };
        entry.refusal = refusal;
        if is_reported(key.kind) {
            let status = shown(entry);
            self.inner.coalescer().put(key, status, Instant::now());
            self.inner.news.notify_one();
        }
    }

    /// The object with the status that we know, which may be newer than the API server's.
    pub(super) fn with_our_status(&self, event: SourceEvent) -> SourceEvent {
        let SourceEvent::Changed(object) = event else { return event };
        let key = object.object_ref();
        let status = match self.inner.entries().get(&key) {
            Some(entry) if is_reported(key.kind) => joined(entry),
            Some(_) | None => return SourceEvent::Changed(object),
        };
        let mut value = object.to_value();
        value["status"] = status;
        // A status of another version that can't be read is made anew.
        SourceEvent::Changed(Object::from_value(key.kind, &value).map_or(object, Box::new))
    }

    /// Changes the status of an object that this host holds by this claim; `false`: it does not.
    async fn under_claim(&self, object: &ObjectRef, number: i64, change: &[Value]) -> Result<bool, SinkError> {
        let Some(uid) = self.inner.entries().get(object).map(|entry| entry.uid.clone()) else { return Ok(false) };
        let test = |path: &str, value: Value| json!({ "op": "test", "path": path, "value": value });
        let held = [
            test("/metadata/uid", uid.into()),
            test("/status/host", self.inner.host.clone().into()),
            test("/status/claim", number.into()),
        ];
        let steps = held.iter().chain(change).cloned().collect();
        let patch: json_patch::Patch = serde_json::from_value(Value::Array(steps)).expect("these are operations");
        let api = watch::api(&self.inner.client, object.kind, &object.namespace);
        let params = PatchParams::default();
        let call = async {
            match api.patch_status(&object.name, &params, &Patch::<()>::Json(patch)).await {
                Ok(_) => Ok(true),
                // A test failed, the policy did, or there is no such object any more.
                Err(Error::Api(answer)) if matches!(answer.code, 403 | 404 | 409 | 422) => Ok(false),
                Err(error) => Err(error),
            }
        };
        within_time(object, call).await
    }

    /// One call's failure as a sink's.
    fn failed(key: &ObjectRef, error: impl std::error::Error + Send + Sync + 'static) -> SinkError {
        SinkError { object: key.clone(), source: std::io::Error::other(error) }
    }
}

impl Entry {
    fn kept(value: &Value) -> Self {
        let kind = value.get("kind").and_then(Value::as_str).and_then(Kind::from_name);
        let status = value.get("status").cloned().unwrap_or(Value::Null);
        let (status, others) = kind.map_or((Value::Null, Value::Null), |kind| split(kind, status));
        Entry { value: value.clone(), status, uid: text(value, "/metadata/uid"), others, ..Entry::default() }
    }
}

impl Inner {
    fn entries(&self) -> MutexGuard<'_, HashMap<ObjectRef, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn coalescer(&self) -> MutexGuard<'_, Coalescer> {
        self.coalescer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API server has it too: one that is lost here is no loss.
    async fn store(&self, key: &ObjectRef, value: Value) {
        let (store, name) = (self.store.clone(), key.clone());
        let written = tokio::task::spawn_blocking(move || store.put_status(&value, &name)).await;
        if let Ok(Err(error)) = written {
            warn!(object = %key, %error, "an object can't be kept on this host");
        }
    }

    /// Writes one status; `false`: there is no such object any more.
    async fn write(&self, key: &ObjectRef, status: &Value) -> kube::Result<bool> {
        let Some(uid) = self.entries().get(key).map(|entry| entry.uid.clone()) else { return Ok(false) };
        let api = watch::api(&self.client, key.kind, &key.namespace);
        let body = json!({
            "apiVersion": ostler_crds::API_VERSION, "kind": key.kind.name(),
            // Another object of the same name is not ours to write.
            "metadata": { "name": key.name, "uid": uid },
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let apply = || async { api.patch_status(&key.name, &params, &Patch::Apply(&body)).await };
        let mut applied = apply().await;
        // A condition of ours that somebody changed since is partly his: we would leave half of it, which is invalid.
        if matches!(&applied, Err(Error::Api(answer)) if answer.code == INVALID) {
            let Some(found) = api.get_opt(&key.name).await? else { return Ok(false) };
            self.take_off_leftovers(key, status, &watch::plain(key.kind, found)).await?;
            applied = apply().await;
        }
        match applied {
            Ok(written) => {
                self.take_off_leftovers(key, status, &watch::plain(key.kind, written)).await?;
                Ok(true)
            }
            Err(Error::Api(answer)) if answer.is_not_found() => Ok(false),
            // Of a conflict too: another object has the name now, which the watch tells, or others wrote at the same time.
            Err(error) => Err(error),
        }
    }

    /// An apply takes off only what we applied before: what others said of a hindrance that is past goes by hand.
    async fn take_off_leftovers(&self, key: &ObjectRef, ours: &Value, written: &Value) -> kube::Result<()> {
        let types = |status: Option<&Value>| -> Vec<String> {
            let conditions = status.and_then(|status| status.get("conditions")).and_then(Value::as_array);
            conditions.into_iter().flatten().map(|condition| text(condition, "/type")).collect()
        };
        let ours = types(Some(ours));
        let left = types(written.get("status"));
        let leftover = left.iter().enumerate().rev().filter(|(_, type_)| {
            matches!(type_.as_str(), ostler_crds::types::RECONCILING | ostler_crds::types::STALLED)
                && !ours.contains(type_)
        });
        let steps: Vec<Value> = leftover
            .flat_map(|(index, type_)| {
                let path = format!("/status/conditions/{index}");
                [
                    json!({ "op": "test", "path": format!("{path}/type"), "value": type_ }),
                    json!({ "op": "remove", "path": path }),
                ]
            })
            .collect();
        if steps.is_empty() {
            return Ok(());
        }
        let patch: json_patch::Patch = serde_json::from_value(Value::Array(steps)).expect("these are operations");
        let api = watch::api(&self.client, key.kind, &key.namespace);
        match api.patch_status(&key.name, &PatchParams::default(), &Patch::<()>::Json(patch)).await {
            // Changed meanwhile: the next write looks again.
            Err(Error::Api(answer)) if answer.code < 500 => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Writes what is due for as long as the agent lives.
async fn write_all(inner: Arc<Inner>) {
    let mut writes = JoinSet::new();
    loop {
        let due = inner.coalescer().take_due(Instant::now(), WRITES - writes.len().min(WRITES));
        for (key, status) in due {
            let inner = inner.clone();
            writes.spawn(async move {
                let result = timeout(CALL_TIMEOUT, inner.write(&key, &status)).await;
                let error = match result {
                    Ok(Ok(true)) => {
                        inner.coalescer().done(&key, status, Instant::now());
                        None
                    }
                    Ok(Ok(false)) => {
                        inner.coalescer().forget(&key);
                        None
                    }
                    Ok(Err(error)) => Some((error.to_string(), status)),
                    Err(_) => Some((format!("no answer in {} s", CALL_TIMEOUT.as_secs()), status)),
                };
                if let Some((error, status)) = error {
                    let failures = inner.coalescer().failed(&key, status, Instant::now());
                    if failures == TOLD_AFTER {
                        warn!(object = %key, error, "a status can't be written");
                    }
                    debug!(object = %key, error, failures, "a status could not be written yet");
                }
                inner.wrote.notify_waiters();
            });
        }
        let next = if writes.len() < WRITES { inner.coalescer().next_due() } else { None };
        tokio::select! {
            () = inner.news.notified() => {}
            Some(_) = writes.join_next(), if !writes.is_empty() => {}
            () = async { match next { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
        }
    }
}

#[async_trait]
impl Sink for Cluster {
    async fn write_status(&self, object: &ObjectRef, status: Value) -> Result<(), SinkError> {
        if !is_reported(object.kind) {
            return Ok(());
        }
        let (ours, _) = split(object.kind, status);
        let value = {
            let mut entries = self.inner.entries();
            let Some(entry) = entries.get_mut(object) else { return Ok(()) };
            entry.status = ours;
            let status = shown(entry);
            self.inner.coalescer().put(object, status, Instant::now());
            let status = joined(entry);
            if entry.value.is_object() {
                entry.value["status"] = status;
            }
            entry.value.clone()
        };
        self.inner.news.notify_one();
        if value.is_object() {
            self.inner.store(object, value).await;
        }
        Ok(())
    }

    async fn finalize(&self, object: &ObjectRef) -> Result<(), SinkError> {
        if !matches!(object.kind, Kind::Domain | Kind::StorageVolume) {
            return Ok(());
        }
        let api = watch::api(&self.inner.client, object.kind, &object.namespace);
        let seen = self.inner.entries().get(object).cloned().unwrap_or_default();
        let (mut finalizers, mut uid) = (seen.finalizers, seen.uid);
        for _ in 0..4 {
            if let Some(index) = finalizers.iter().position(|finalizer| finalizer == FINALIZER) {
                let path = format!("/metadata/finalizers/{index}");
                let patch = json!([
                    { "op": "test", "path": "/metadata/uid", "value": uid },
                    { "op": "test", "path": path, "value": FINALIZER },
                    { "op": "remove", "path": path },
                ]);
                let patch: json_patch::Patch = serde_json::from_value(patch).expect("these are operations");
                let done = api.patch(&object.name, &PatchParams::default(), &Patch::<()>::Json(patch)).await;
                match done {
                    Ok(_) => return Ok(()),
                    Err(Error::Api(answer)) if answer.is_not_found() => return Ok(()),
                    // The finalizers are others than they were.
                    Err(Error::Api(answer)) if matches!(answer.code, 409 | 422) => {}
                    Err(error) => return Err(Self::failed(object, error)),
                }
            }
            let Some(found) = api.get_opt(&object.name).await.map_err(|error| Self::failed(object, error))? else {
                return Ok(());
            };
            let (found_uid, found) =
                (found.metadata.uid.unwrap_or_default(), found.metadata.finalizers.unwrap_or_default());
            if !uid.is_empty() && found_uid != uid || !found.iter().any(|finalizer| finalizer == FINALIZER) {
                return Ok(());
            }
            (finalizers, uid) = (found, found_uid);
        }
        Err(Self::failed(object, std::io::Error::other("its finalizers change all the time")))
    }

    async fn remove(&self, object: &ObjectRef) -> Result<(), SinkError> {
        let uid = self.inner.entries().get(object).map(|entry| entry.uid.clone());
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::background()
        };
        let api = watch::api(&self.inner.client, object.kind, &object.namespace);
        match api.delete(&object.name, &params).await {
            Ok(_) => Ok(()),
            Err(Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
            Err(error) => Err(Self::failed(object, error)),
        }
    }

    async fn confirm_claim(&self, object: &ObjectRef, number: i64) -> Result<bool, SinkError> {
        // New each time, so that the object's version is.
        let word = Uuid::new_v4().to_string();
        let step = json!({ "op": "add", "path": "/status/claimConfirmed", "value": word });
        self.under_claim(object, number, &[step]).await
    }

    async fn give_claim_back(&self, object: &ObjectRef, number: i64, run: &RunRecord) -> Result<(), SinkError> {
        let steps = [
            json!({ "op": "add", "path": "/status/run", "value": run }),
            json!({ "op": "remove", "path": "/status/host" }),
        ];
        self.under_claim(object, number, &steps).await.map(|_| ())
    }

    async fn claimed_now(&self) -> Result<Option<HashSet<String>>, SinkError> {
        let api = watch::api(&self.inner.client, Kind::Domain, "");
        let params = ListParams::default().fields(&format!("status.host={}", self.inner.host));
        let host = ObjectRef::new(Kind::Host, "", &self.inner.host);
        let list = within_time(&host, api.list_metadata(&params)).await?;
        Ok(Some(list.items.into_iter().filter_map(|found| found.metadata.uid).collect()))
    }

    async fn claimed_elsewhere(&self, object: &ObjectRef, uid: &str) -> Result<Option<i64>, SinkError> {
        let api = watch::api(&self.inner.client, object.kind, &object.namespace);
        let Some(found) = within_time(object, api.get_opt(&object.name)).await? else { return Ok(None) };
        let status = &found.data["status"];
        let holder = status["host"].as_str().filter(|host| !host.is_empty() && *host != self.inner.host);
        let is_same = found.metadata.uid.as_deref() == Some(uid);
        Ok(holder.filter(|_| is_same).map(|_| status["claim"].as_i64().unwrap_or(0)))
    }

    fn released(&self, object: &ObjectRef) {
        // A full channel has a source that will look again: the definition is told anew when it changes.
        let (tell, key) = (self.inner.tell.clone(), object.clone());
        tokio::spawn(async move { tell.send(Message::Released(key)).await });
    }

    async fn event(&self, object: &ObjectRef, kind: EventKind, reason: &str, message: &str) {
        let (uid, version) = {
            let entries = self.inner.entries();
            entries.get(object).map(|entry| (entry.uid.clone(), entry.resource_version.clone())).unwrap_or_default()
        };
        let reference = ObjectReference {
            api_version: Some(ostler_crds::API_VERSION.to_owned()),
            kind: Some(object.kind.name().to_owned()),
            name: Some(object.name.clone()),
            namespace: Some(object.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            uid: Some(uid),
            resource_version: Some(version),
            field_path: None,
        };
        self.inner.events.publish(reference, kind, reason, message);
    }
}

async fn within_time<T>(object: &ObjectRef, call: impl Future<Output = kube::Result<T>>) -> Result<T, SinkError> {
    let answer = timeout(CALL_TIMEOUT, call).await.map_err(|late| Cluster::failed(object, late))?;
    answer.map_err(|error| Cluster::failed(object, error))
}

/// Kinds whose status is this agent's to write. Networks and pools are on many hosts: their outcome stands in the Host's.
const fn is_reported(kind: Kind) -> bool {
    match kind {
        Kind::Host | Kind::StorageVolume | Kind::Domain | Kind::DomainOperation => true,
        Kind::Network | Kind::StoragePool => false,
    }
}

/// Our part of a status, and the controller's.
fn split(kind: Kind, mut status: Value) -> (Value, Value) {
    let theirs: &[&str] = match kind {
        Kind::Host => SAID_OF_A_HOST,
        kind if CLAIMED.contains(&kind) => &["host", "claim", "claimConfirmed"],
        _ => &[],
    };
    let mut others = serde_json::Map::new();
    if let Some(status) = status.as_object_mut() {
        for field in theirs {
            others.extend(status.shift_remove(*field).map(|value| ((*field).to_owned(), value)));
        }
    }
    (status, Value::Object(others))
}

/// What the API server is to have of us.
fn shown(entry: &Entry) -> Value {
    let mut status = entry.status.clone();
    if let Some(refusal) = &entry.refusal {
        refusal.show_in(&mut status);
    }
    if status.is_null() { json!({}) } else { status }
}

/// The whole status, as far as it is known.
fn joined(entry: &Entry) -> Value {
    let mut status = if entry.status.is_object() { entry.status.clone() } else { json!({}) };
    if let (Some(status), Some(others)) = (status.as_object_mut(), entry.others.as_object()) {
        status.extend(others.clone());
    }
    status
}

/// The controller speaks in this agent's place while it is not heard of, or while its host is fenced. Where this agent says
/// otherwise, which it can now, its own word is the newer.
fn is_contradicted(ours: &Value, theirs: &Value) -> bool {
    let reason_of = |status: &Value, type_: &Value| {
        let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
        conditions
            .into_iter()
            .find(|condition| condition["type"] == *type_)
            .map(|condition| condition["reason"].clone())
    };
    let conditions = theirs.get("conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|condition| {
        let reason = condition["reason"].as_str().unwrap_or_default();
        SAID_FOR_US.contains(&reason) && reason_of(ours, &condition["type"]).is_none_or(|ours| ours != reason)
    })
}

fn key_of(value: &Value) -> Option<ObjectRef> {
    let kind = Kind::from_name(value.get("kind")?.as_str()?)?;
    Some(ObjectRef::new(kind, text(value, "/metadata/namespace"), text(value, "/metadata/name")))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
