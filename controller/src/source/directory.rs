//! A directory of manifests as a source: what the API server is to a cluster, for one host.
//!
//! What was accepted lives in the [`Store`]; the directory only changes it, as `kubectl apply` and `kubectl delete` change
//! a cluster. So a file that turns bad, or a directory that vanishes, leaves every object as it was.

mod scan;
mod secrets;
mod watch;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ostler_crds::{Kind, Object, ObjectRef};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use uuid::Uuid;

use super::store::{Store, object_of};
use super::{EventKind, Sink, SinkError, Source, SourceEvent, SourceProblem};
use scan::{FileStamp, Scan};
use watch::Watch;

/// How long a manifest must be gone before its objects are: an editor replaces a file by removing it first.
const SETTLE: Duration = Duration::from_secs(1);

/// When to look at a manifest again that somebody seems to be writing.
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// How often a directory that is out of reach is looked for. At rest nothing is polled.
const LOST_RETRY: Duration = Duration::from_secs(2);

/// What to read and where to keep it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of manifests.
    pub manifests: PathBuf,
    /// The agent's state folder.
    pub state_dir: PathBuf,
    /// This host's name.
    pub host: String,
    /// Whether the removal of the last manifest deletes its objects.
    pub allow_empty: bool,
}

/// The source and the sink of a directory.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    store: Store,
    owner: Uuid,
    state: Mutex<State>,
    /// Held for one object from reading it to having written it: a status and a spec that change at once both last.
    writing: Mutex<HashMap<ObjectRef, Arc<Mutex<()>>>>,
    /// Told when the state has news for the source.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<ObjectRef, Value>,
    /// The file that each object came from.
    files: BTreeMap<ObjectRef, PathBuf>,
    secrets: secrets::Known,
    stamps: HashMap<PathBuf, FileStamp>,
    refused: BTreeMap<PathBuf, String>,
    /// The directory's device, once objects came from it.
    device: Option<u64>,
    problems: Vec<SourceProblem>,
    events: VecDeque<SourceEvent>,
    rescan: bool,
}

/// The source's end: it is polled by the engine.
#[derive(Debug)]
pub struct DirectorySource {
    directory: Directory,
    watch: Watch,
    /// When to look again for what is missing.
    again: Option<tokio::time::Instant>,
    /// A look that goes on, on a thread that may wait for the disk.
    looking: Option<JoinHandle<Option<Duration>>>,
    /// Told once the first look is over.
    synced: bool,
    started: bool,
}

impl Directory {
    /// Opens the store and gives both ends. Nothing is read from the directory before the source is asked.
    ///
    /// # Errors
    /// A state folder that can't be read or written, or a watch that can't be set up.
    pub fn open(config: Config) -> io::Result<(Self, DirectorySource)> {
        let store = Store::new(&config.state_dir);
        let owner = store.owner()?;
        for directory in [store.objects_dir(), store.operations_dir(), store.deletions_dir()] {
            ostler_util::file::create_directory(&directory, 0o700)?;
        }
        let mut state = State::default();
        let (objects, damaged) = store.all()?;
        for message in damaged {
            warn!(message, "a stored object can't be read: it and its guest are left alone");
            state.problems.push(SourceProblem::Refused { file: "store".into(), message });
        }
        for value in objects {
            let Some(object) = object_of(&value) else { continue };
            let key = object.object_ref();
            if let Some(file) = value.pointer(SOURCE_FILE_POINTER).and_then(Value::as_str) {
                state.files.insert(key.clone(), PathBuf::from(file));
            }
            state.objects.insert(key, value);
        }
        let watch = Watch::new(&config.manifests, &store.operations_dir())?;
        let shared =
            Shared { config, store, owner, state: Mutex::new(state), writing: Mutex::default(), news: Notify::new() };
        let directory = Directory { shared: Arc::new(shared) };
        directory.shared.ensure_host().map_err(|error| error.source)?;
        let source = DirectorySource {
            directory: directory.clone(),
            watch,
            again: None,
            looking: None,
            synced: false,
            started: false,
        };
        Ok((directory, source))
    }

    /// Whose objects these are.
    pub fn owner(&self) -> Uuid {
        self.shared.owner
    }
}

/// Where an object notes its file.
const SOURCE_FILE: &str = "ostler.dev/source-file";
const SOURCE_FILE_POINTER: &str = "/metadata/annotations/ostler.dev~1source-file";

#[async_trait]
impl Source for DirectorySource {
    async fn next(&mut self) -> Option<SourceEvent> {
        let shared = self.directory.shared.clone();
        if !self.started {
            self.started = true;
            shared.tell_all();
            self.look();
        }
        loop {
            if let Some(event) = shared.state().events.pop_front() {
                return Some(event);
            }
            // This future may be dropped at any wait: what goes on is kept in `self`.
            if let Some(looking) = &mut self.looking {
                tokio::select! {
                    wait = looking => {
                        self.looking = None;
                        if let Ok(Some(wait)) = wait {
                            self.again = Some(tokio::time::Instant::now() + wait);
                        }
                        if !std::mem::replace(&mut self.synced, true) {
                            shared.state().events.push_back(SourceEvent::Synced);
                        }
                    }
                    () = shared.news.notified() => {}
                }
                continue;
            }
            if std::mem::take(&mut shared.state().rescan) {
                self.look();
                continue;
            }
            let again = self.again;
            tokio::select! {
                () = shared.news.notified() => {}
                () = self.watch.changed() => self.look(),
                () = async { match again { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => {
                    self.again = None;
                    self.watch.renew();
                    self.look();
                }
            }
        }
    }
}

impl DirectorySource {
    /// Begins to bring the store up to what the directory says.
    fn look(&mut self) {
        let (shared, writing) = (self.directory.shared.clone(), self.watch.being_written());
        self.looking = Some(tokio::task::spawn_blocking(move || Scan::new(&shared, &writing).run()));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the state")
    }

    /// At the start: every object that is known.
    fn tell_all(&self) {
        let mut state = self.state();
        let objects: Vec<Object> = state.objects.values().filter_map(object_of).collect();
        state.events.extend(objects.into_iter().map(|object| SourceEvent::Changed(Box::new(object))));
    }

    /// The object of this host, which has no manifest.
    fn ensure_host(&self) -> Result<(), SinkError> {
        let key = ObjectRef::new(Kind::Host, "", &self.config.host);
        if self.state().objects.contains_key(&key) {
            return Ok(());
        }
        let value = json!({
            "apiVersion": ostler_crds::API_VERSION, "kind": "Host", "spec": {},
            "metadata": { "name": self.config.host, "uid": self.uid_of(&key), "generation": 1, "creationTimestamp": now() },
        });
        self.put(&key, value)
    }

    fn uid_of(&self, key: &ObjectRef) -> String {
        Uuid::new_v5(&self.owner, format!("{}/{}/{}", key.kind, key.namespace, key.name).as_bytes()).to_string()
    }

    /// The lock to hold while the object is written.
    fn writing(&self, key: &ObjectRef) -> Arc<Mutex<()>> {
        let mut all = self.writing.lock().expect("nothing panics while it holds the locks");
        all.entry(key.clone()).or_default().clone()
    }

    fn put(&self, key: &ObjectRef, value: Value) -> Result<(), SinkError> {
        self.store.put(&value, key).map_err(|source| SinkError { object: key.clone(), source })?;
        self.state().objects.insert(key.clone(), value);
        Ok(())
    }

    fn put_status(&self, key: &ObjectRef, status: Value) -> Result<(), SinkError> {
        let writing = self.writing(key);
        let _writing = hold(&writing);
        let Some(mut value) = self.state().objects.get(key).cloned() else { return Ok(()) };
        value["status"] = status;
        self.store.put_status(&value, key).map_err(|source| SinkError { object: key.clone(), source })?;
        self.state().objects.insert(key.clone(), value);
        Ok(())
    }

    /// Takes in a manifest's object; `Ok(false)`: nothing changed.
    fn accept(&self, object: &Object, file: &Path) -> Result<bool, SinkError> {
        let key = object.object_ref();
        let writing = self.writing(&key);
        let _writing = hold(&writing);
        let mut value = object.to_value();
        let old = self.state().objects.get(&key).cloned();
        let spec_changed = old.as_ref().is_none_or(|old| old.get("spec") != value.get("spec"));
        let number = |pointer: &str| old.as_ref().and_then(|old| old.pointer(pointer)).cloned();
        let generation = number("/metadata/generation").and_then(|n| n.as_i64()).unwrap_or(0) + i64::from(spec_changed);
        let created = number("/metadata/creationTimestamp").unwrap_or_else(|| now().into());
        let metadata = &mut value["metadata"];
        if key.kind.is_namespaced() {
            metadata["namespace"] = key.namespace.clone().into();
        }
        metadata["uid"] = self.uid_of(&key).into();
        metadata["generation"] = generation.into();
        metadata["creationTimestamp"] = created;
        metadata["annotations"][SOURCE_FILE] = file.display().to_string().into();
        if let Some(status) = old.as_ref().and_then(|old| old.get("status")) {
            value["status"] = status.clone();
        }
        if old.as_ref() == Some(&value) {
            return Ok(false);
        }
        // A spec is stored as its type reads it, so that what is compared is always of one kind.
        let object = object_of(&value);
        self.put(&key, value)?;
        let mut state = self.state();
        state.files.insert(key, file.to_owned());
        state.events.extend(object.map(|object| SourceEvent::Changed(Box::new(object))));
        self.news.notify_one();
        Ok(true)
    }

    /// Asks for an object's deletion.
    fn mark_deleted(&self, key: &ObjectRef) -> Result<(), SinkError> {
        let writing = self.writing(key);
        let _writing = hold(&writing);
        let Some(mut value) = self.state().objects.get(key).cloned() else { return Ok(()) };
        if value.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(());
        }
        info!(object = %key, "its manifest is gone: deleting");
        let generation = value.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
        value["metadata"]["deletionTimestamp"] = now().into();
        value["metadata"]["generation"] = (generation + 1).into();
        let object = object_of(&value);
        self.put(key, value)?;
        self.state().events.extend(object.map(|object| SourceEvent::Changed(Box::new(object))));
        Ok(())
    }

    /// Tells the problems, if they are others than before.
    fn set_problems(&self, problems: Vec<SourceProblem>) {
        let mut state = self.state();
        if state.problems != problems {
            for problem in &problems {
                warn!(?problem, "manifests");
            }
            state.problems.clone_from(&problems);
            state.events.push_back(SourceEvent::Problems(problems));
        }
    }
}

fn hold(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn now() -> String {
    let now = Timestamp::now();
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    serde_json::to_value(Time(whole))
        .ok()
        .and_then(|time| time.as_str().map(str::to_owned))
        .unwrap_or_else(|| whole.to_string())
}

#[async_trait]
impl Sink for Directory {
    async fn write_status(&self, object: &ObjectRef, status: Value) -> Result<(), SinkError> {
        let (shared, key) = (self.shared.clone(), object.clone());
        let write = tokio::task::spawn_blocking(move || shared.put_status(&key, status));
        write.await.unwrap_or_else(|panic| {
            Err(SinkError { object: object.clone(), source: io::Error::other(panic.to_string()) })
        })
    }

    async fn finalize(&self, object: &ObjectRef) -> Result<(), SinkError> {
        let writing = self.shared.writing(object);
        let _writing = hold(&writing);
        self.shared.store.remove(object).map_err(|source| SinkError { object: object.clone(), source })?;
        self.shared.writing.lock().expect("nothing panics while it holds the locks").remove(object);
        let mut state = self.shared.state();
        state.objects.remove(object);
        if let Some(file) = state.files.remove(object) {
            // A manifest that came back meanwhile is a new object, and one that was refused for its name may now be taken.
            let State { stamps, refused, .. } = &mut *state;
            stamps.retain(|other, _| *other != file && !refused.contains_key(other));
        }
        state.events.push_back(SourceEvent::Gone(object.clone()));
        state.rescan = true;
        drop(state);
        self.shared.news.notify_one();
        info!(%object, "gone");
        Ok(())
    }

    async fn remove(&self, object: &ObjectRef) -> Result<(), SinkError> {
        let file = self.shared.state().files.get(object).cloned();
        // A manifest that a person keeps is not ours to remove; its object stays, done.
        let Some(file) = file.filter(|file| file.starts_with(self.shared.store.operations_dir())) else {
            return Ok(());
        };
        ostler_util::file::remove_durably(&file).map_err(|source| SinkError { object: object.clone(), source })?;
        self.finalize(object).await
    }

    async fn event(&self, object: &ObjectRef, kind: EventKind, reason: &str, message: &str) {
        let word = match kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        self.shared.store.log_event(object, word, reason, message);
    }
}
