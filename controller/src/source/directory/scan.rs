//! One look at the directory: what is new is taken in, what is gone is deleted, where that is safe.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ostler_crds::ObjectRef;
use ostler_crds::manifest::{self, Manifests};
use ostler_util::settled;
use serde_json::Value;

use super::super::store::object_of;
use super::super::{SourceEvent, SourceProblem};
use super::{BUSY_RETRY, LOST_RETRY, SETTLE, Shared};
use crate::admission;

/// Tells whether a file is still the one that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
    /// Since when it is missing.
    missing_since: Option<std::time::Instant>,
}

impl FileStamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        FileStamp {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            missing_since: None,
        }
    }
}

pub(super) struct Scan<'a> {
    shared: &'a Shared,
    writing: &'a HashSet<PathBuf>,
    problems: Vec<SourceProblem>,
    again: Option<Duration>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(shared: &'a Shared, writing: &'a HashSet<PathBuf>) -> Self {
        Scan { shared, writing, problems: Vec::new(), again: None }
    }

    /// Gives when to look again.
    pub(super) fn run(mut self) -> Option<Duration> {
        let operations = self.shared.store.operations_dir();
        match list(&operations) {
            Ok(files) => self.take_files(&operations, files),
            Err(error) => self.problems.push(SourceProblem::Lost(format!("read {}: {error}", operations.display()))),
        }
        let manifests = self.shared.config.manifests.clone();
        match self.reachable(&manifests) {
            Ok(files) => {
                self.take_files(&manifests, files);
                self.tell_secrets();
            }
            Err(why) => {
                self.problems.push(SourceProblem::Lost(format!("{why}: every object stays as it is")));
                self.look_again(LOST_RETRY);
            }
        }
        let refused = self.shared.state().refused.clone();
        for (file, message) in refused {
            self.problems.push(SourceProblem::Refused { file: file.display().to_string(), message });
        }
        let exposed = self.shared.state().secrets.exposed();
        self.problems.extend(exposed.into_iter().map(SourceProblem::Exposed));
        self.shared.set_problems(self.problems);
        self.again
    }

    /// Who refers to Secrets looks again.
    fn tell_secrets(&self) {
        let mut state = self.shared.state();
        if state.secrets.read() {
            state.events.push_back(SourceEvent::Secrets);
            self.shared.news.notify_one();
        }
    }

    fn look_again(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
    }

    /// The manifests, if the directory is the one that it was.
    fn reachable(&mut self, directory: &Path) -> Result<Vec<PathBuf>, String> {
        let name = directory.display();
        let metadata = std::fs::metadata(directory)
            .map_err(|error| format!("the manifests in {name} are out of reach: {error}"))?;
        let files = list(directory).map_err(|error| format!("the manifests in {name} can't be read: {error}"))?;
        let mut state = self.shared.state();
        let known = state.files.values().any(|file| file.starts_with(directory));
        if known && state.device.is_some_and(|device| device != metadata.dev()) && files.is_empty() {
            return Err(format!("{name} is on another file system than its manifests were: is it mounted?"));
        }
        if !files.is_empty() || state.device.is_none() {
            state.device = Some(metadata.dev());
        }
        Ok(files)
    }

    fn take_files(&mut self, directory: &Path, files: Vec<PathBuf>) {
        let mut seen: BTreeMap<ObjectRef, PathBuf> = self.owners_elsewhere(directory);
        let held = self.held_by_file();
        for file in &files {
            let holds: &[ObjectRef] = held.get(file).map_or(&[], Vec::as_slice);
            let read = if self.writing.contains(file) { Ok(None) } else { self.read_if_new(file) };
            match read {
                Ok(Some(read)) if read.is_empty() && !holds.is_empty() => {
                    let message = "it holds no manifest any more; to delete its objects, remove the file";
                    self.refuse(file, format!("{}: {message}", file.display()));
                }
                Ok(Some(read)) => self.take_file(file, read, &mut seen),
                Ok(None) => seen.extend(holds.iter().map(|key| (key.clone(), file.clone()))),
                Err(message) => self.refuse(file, message),
            }
        }
        self.delete_missing(directory, &files);
        self.shared.state().refused.retain(|file, _| !file.starts_with(directory) || files.contains(file));
    }

    /// Objects of the other directory: a name belongs to one file.
    fn owners_elsewhere(&self, directory: &Path) -> BTreeMap<ObjectRef, PathBuf> {
        let state = self.shared.state();
        state
            .files
            .iter()
            .filter(|(_, file)| !file.starts_with(directory))
            .map(|(key, file)| (key.clone(), file.clone()))
            .collect()
    }

    fn held_by_file(&self) -> HashMap<PathBuf, Vec<ObjectRef>> {
        let mut held: HashMap<PathBuf, Vec<ObjectRef>> = HashMap::new();
        for (key, file) in &self.shared.state().files {
            held.entry(file.clone()).or_default().push(key.clone());
        }
        held
    }

    /// `None`: it is as it was, or somebody is writing it.
    fn read_if_new(&mut self, file: &Path) -> Result<Option<Manifests>, String> {
        let failed = |error: io::Error| format!("{}: {error}", file.display());
        let metadata = std::fs::metadata(file).map_err(failed)?;
        if self.shared.state().stamps.get(file) == Some(&FileStamp::of(&metadata)) {
            return Ok(None);
        }
        let Some((metadata, text)) = settled::read_settled(file).map_err(failed)? else {
            // A writer's end is told a moment before it has ended. One that just keeps the file open is looked for less often.
            let age = metadata.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or(LOST_RETRY);
            self.look_again(age.clamp(BUSY_RETRY, LOST_RETRY));
            return Ok(None);
        };
        self.shared.state().stamps.insert(file.to_owned(), FileStamp::of(&metadata));
        let at = |problems: Vec<manifest::ManifestProblem>| {
            problems.iter().map(|problem| format!("{}:{problem}", file.display())).collect::<Vec<_>>().join("\n")
        };
        let read = manifest::read_all(&text).map_err(at)?;
        let mut problems = Vec::new();
        for manifest in &read.manifests {
            let old = self.shared.state().objects.get(&manifest.object.object_ref()).and_then(object_of);
            let found = admission::validate(&manifest.object)
                .into_iter()
                .chain(old.iter().flat_map(|old| admission::validate_update(old, &manifest.object)));
            problems.extend(found.map(|problem| manifest.positions.problem(&problem.path, problem.message)));
        }
        if problems.is_empty() { Ok(Some(read)) } else { Err(at(problems)) }
    }

    /// A file is taken whole or not at all.
    fn take_file(&mut self, file: &Path, read: Manifests, seen: &mut BTreeMap<ObjectRef, PathBuf>) {
        let Manifests { manifests, secrets } = read;
        let mut own = BTreeSet::new();
        let mut names = BTreeSet::new();
        for secret in &secrets {
            let (namespace, name) = (&secret.namespace, &secret.name);
            let other = self.shared.state().secrets.elsewhere(file, secret).map(Path::to_owned);
            if let Some(other) = other.filter(|other| other.exists()) {
                let message = format!("Secret {namespace}/{name} is in {} already", other.display());
                return self.refuse(file, format!("{}: {message}", file.display()));
            }
            if !names.insert((namespace, name)) {
                return self
                    .refuse(file, format!("{}: Secret {namespace}/{name} is in this file twice", file.display()));
            }
        }
        for manifest in &manifests {
            let key = manifest.object.object_ref();
            let other = seen.get(&key).filter(|other| *other != file && other.exists());
            if let Some(other) = other {
                return self.refuse(file, format!("{}: {key} is in {} already", file.display(), other.display()));
            }
            if !own.insert(key.clone()) {
                return self.refuse(file, format!("{}: {key} is in this file twice", file.display()));
            }
        }
        self.shared.state().refused.remove(file);
        self.shared.state().secrets.put(file, secrets);
        for manifest in &manifests {
            let key = manifest.object.object_ref();
            // One that is on its way out must be gone before another of its name comes.
            let leaving = self.shared.state().objects.get(&key).is_some_and(is_deleted);
            if leaving {
                self.shared.state().stamps.remove(file);
                continue;
            }
            if let Err(error) = self.shared.accept(&manifest.object, file) {
                self.shared.state().stamps.remove(file);
                self.problems.push(SourceProblem::Refused {
                    file: file.display().to_string(),
                    message: crate::reconcile::chain(&error),
                });
                self.look_again(LOST_RETRY);
            }
            seen.insert(key, file.to_owned());
        }
        // Objects that the file held before and holds no more.
        let gone: Vec<ObjectRef> = {
            let state = self.shared.state();
            state
                .files
                .iter()
                .filter(|(key, from)| *from == file && !own.contains(key))
                .map(|(key, _)| key.clone())
                .collect()
        };
        self.delete(gone);
    }

    fn refuse(&mut self, file: &Path, message: String) {
        self.shared.state().refused.insert(file.to_owned(), message);
    }

    /// Objects whose file is gone for long enough.
    fn delete_missing(&mut self, directory: &Path, files: &[PathBuf]) {
        let mut gone = Vec::new();
        let mut state = self.shared.state();
        let missing: BTreeSet<PathBuf> =
            state.files.values().filter(|file| file.starts_with(directory) && !files.contains(file)).cloned().collect();
        let held = state.secrets.files_in(directory);
        let missing: BTreeSet<PathBuf> =
            missing.into_iter().chain(held.into_iter().filter(|file| !files.contains(file))).collect();
        for file in missing {
            let stamp = state.stamps.entry(file.clone()).or_default();
            let since = *stamp.missing_since.get_or_insert_with(std::time::Instant::now);
            if since.elapsed() < SETTLE {
                drop(state);
                self.look_again(SETTLE - since.elapsed() + Duration::from_millis(10));
                state = self.shared.state();
                continue;
            }
            state.secrets.put(&file, Vec::new());
            gone.extend(state.files.iter().filter(|(_, from)| **from == file).map(|(key, _)| key.clone()));
        }
        drop(state);
        self.delete(gone);
    }

    /// Deletes, unless that would leave nothing and nobody asked for it.
    fn delete(&mut self, gone: Vec<ObjectRef>) {
        let gone: Vec<ObjectRef> =
            gone.into_iter().filter(|key| self.shared.state().objects.contains_key(key)).collect();
        if gone.is_empty() {
            return;
        }
        let alive: BTreeSet<ObjectRef> = {
            let state = self.shared.state();
            let is_alive = |key: &&ObjectRef| state.objects.get(*key).is_some_and(|value| !is_deleted(value));
            state
                .files
                .keys()
                .filter(|key| key.kind != ostler_crds::Kind::DomainOperation)
                .filter(is_alive)
                .cloned()
                .collect()
        };
        let dying: BTreeSet<&ObjectRef> = gone.iter().filter(|key| alive.contains(key)).collect();
        let would_be_empty = !dying.is_empty() && dying.len() == alive.len();
        for key in &gone {
            let asked = self.shared.store.deletion_path(key).exists();
            let protected = self
                .shared
                .state()
                .objects
                .get(key)
                .is_some_and(|value| value.pointer("/spec/deletion/protect") == Some(&true.into()));
            if protected {
                self.problems.push(SourceProblem::DeletionHeld(format!(
                    "{key}: its manifest is gone, but spec.deletion.protect forbids its deletion"
                )));
                continue;
            }
            if would_be_empty && !asked && !self.shared.config.allow_empty && alive.contains(key) {
                let message = format!(
                    "{key}: its manifest is gone, and no other is left; 'ostler delete' or --allow-empty deletes the last"
                );
                self.problems.push(SourceProblem::DeletionHeld(message));
                continue;
            }
            if let Err(error) = self.shared.mark_deleted(key) {
                self.problems
                    .push(SourceProblem::Refused { file: key.to_string(), message: crate::reconcile::chain(&error) });
                self.look_again(LOST_RETRY);
            }
        }
    }
}

fn is_deleted(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// The manifests of a directory; editors' own files are none.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|suffix| name.ends_with(suffix));
        if is_manifest && !name.starts_with(['.', '#', '~']) && path.metadata().is_ok_and(|metadata| metadata.is_file())
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
