//! The objects of a directory of manifests, as they were accepted last, with their status: one file each.

use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use ostler_crds::{Kind, Object, ObjectRef};
use ostler_util::file;
use serde_json::Value;
use uuid::Uuid;

/// A folder of objects: what the API server is to a cluster.
#[derive(Clone, Debug)]
pub struct Store {
    state_dir: PathBuf,
}

/// The longest that the log of events grows before it is begun anew.
const MAX_EVENTS_BYTES: u64 = 1 << 20;

impl Store {
    /// The store below an agent's state folder.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Store { state_dir: state_dir.into() }
    }

    /// The folder of all objects.
    pub fn objects_dir(&self) -> PathBuf {
        self.state_dir.join("objects")
    }

    /// Where operations are put that did not come with the manifests.
    pub fn operations_dir(&self) -> PathBuf {
        self.state_dir.join("operations")
    }

    /// Where a wish to delete the last objects is noted.
    pub fn deletions_dir(&self) -> PathBuf {
        self.state_dir.join("deletions")
    }

    /// The log of events.
    pub fn events_path(&self) -> PathBuf {
        self.state_dir.join("events.jsonl")
    }

    fn path(&self, key: &ObjectRef) -> PathBuf {
        let namespace = if key.namespace.is_empty() { "_" } else { &key.namespace };
        self.objects_dir().join(key.kind.plural()).join(namespace).join(format!("{}.json", key.name))
    }

    /// The note that this object's deletion was asked for by a person.
    pub fn deletion_path(&self, key: &ObjectRef) -> PathBuf {
        self.deletions_dir().join(format!("{}_{}_{}", key.kind.plural(), key.namespace, key.name))
    }

    /// Whose objects these are: an id made once on this host.
    ///
    /// # Errors
    /// The operating system's.
    pub fn owner(&self) -> io::Result<Uuid> {
        let path = self.state_dir.join("owner");
        match std::fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                file::create_directory(&self.state_dir, 0o711)?;
                let owner = Uuid::new_v4();
                file::write_atomic(&path, owner.to_string().as_bytes(), 0o600)?;
                Ok(owner)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes an object.
    ///
    /// # Errors
    /// The operating system's, with the old version untouched.
    pub fn put(&self, object: &Value, key: &ObjectRef) -> io::Result<()> {
        self.write(object, key, file::write_atomic)
    }

    /// Writes an object of which only the status is new. After a power cut the old one may be back.
    ///
    /// # Errors
    /// The operating system's, with the old version untouched.
    pub fn put_status(&self, object: &Value, key: &ObjectRef) -> io::Result<()> {
        self.write(object, key, file::replace)
    }

    fn write(&self, object: &Value, key: &ObjectRef, write: fn(&Path, &[u8], u32) -> io::Result<()>) -> io::Result<()> {
        let path = self.path(key);
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            file::create_directory(directory, 0o700)?;
        }
        let text = serde_json::to_vec_pretty(object).expect("an object has only text keys");
        write(&path, &text, 0o600)
    }

    /// Removes an object, and the note of its deletion.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove(&self, key: &ObjectRef) -> io::Result<()> {
        file::remove_durably(&self.path(key))?;
        let note = self.deletion_path(key);
        if note.exists() { file::remove_durably(&note) } else { Ok(()) }
    }

    /// An object.
    ///
    /// # Errors
    /// `NotFound`; a file that can't be read whole.
    pub fn get(&self, key: &ObjectRef) -> io::Result<Value> {
        read(&self.path(key))
    }

    /// All objects. One that can't be read is told by its path.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub fn all(&self) -> io::Result<(Vec<Value>, Vec<String>)> {
        let (mut objects, mut damaged) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            for namespace in entries(&self.objects_dir().join(kind.plural()))? {
                for path in entries(&namespace)? {
                    if path.extension().is_none_or(|extension| extension != "json")
                        || path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
                    {
                        continue;
                    }
                    match read(&path) {
                        Ok(object) => objects.push(object),
                        Err(error) => damaged.push(format!("{}: {error}", path.display())),
                    }
                }
            }
        }
        Ok((objects, damaged))
    }

    /// Adds to the log of events.
    pub fn log_event(&self, key: &ObjectRef, kind: &str, reason: &str, message: &str) {
        let event = serde_json::json!({
            "time": Timestamp::now().to_string(), "type": kind, "kind": key.kind.name(), "namespace": key.namespace,
            "name": key.name, "reason": reason, "message": message,
        });
        if let Err(error) = file::append_bounded(&self.events_path(), &event.to_string(), MAX_EVENTS_BYTES) {
            tracing::warn!(%error, "an event could not be logged");
        }
    }
}

/// The stored object as the type of its kind.
pub fn object_of(value: &Value) -> Option<Object> {
    let kind = Kind::from_name(value.get("kind")?.as_str()?)?;
    Object::from_value(kind, value).ok()
}

fn read(path: &Path) -> io::Result<Value> {
    let text = std::fs::read(path)?;
    serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
