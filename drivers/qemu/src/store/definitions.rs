//! Definitions and what is remembered with them: `<state_dir>/qemu/<uuid>.xml` and `<uuid>.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ostler_conf::{Domain, parse};
use ostler_driver::{Result, ShutoffReason};
use ostler_util::file::{create_directory, remove_durably, remove_temporary_files, write_atomic};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FORMAT, Kept, failed, readers};

/// The folder of definitions.
#[derive(Clone, Debug)]
pub(crate) struct Definitions(PathBuf);

/// What is stored of one domain.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its definition.
    pub(crate) definition: Kept,
    /// What is remembered with it.
    pub(crate) record: Record,
}

/// What is remembered of a domain besides its definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record {
    format: u32,
    /// Whether it is started with the host.
    pub(crate) autostart: bool,
    /// The boot in which it was started, while it has not ended.
    pub(crate) running_in_boot: Option<String>,
    /// How it ended last.
    pub(crate) last_end: Option<ShutoffReason>,
}

impl Default for Record {
    fn default() -> Self {
        Record { format: FORMAT, autostart: false, running_in_boot: None, last_end: None }
    }
}

impl Definitions {
    /// Opens the folder, making it if it is missing, and clears what a crash in the middle of a write left.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        create_directory(&folder, 0o700)
            .map_err(|error| failed(format!("make the folder {}", folder.display()), error))?;
        if let Err(error) = remove_temporary_files(&folder) {
            // A folder that can be read but not written still tells what there is.
            tracing::warn!(%error, folder = %folder.display(), "clear the folder of definitions");
        }
        Ok(Definitions(folder))
    }

    /// All that is stored, by uuid. What can't be read whole, or is newer than we are, comes with the reason; it is left as it is.
    pub(crate) fn load(&self) -> Result<BTreeMap<Uuid, Result<Stored, String>>> {
        let entries = fs::read_dir(&self.0).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| failed(format!("read the folder {}", self.0.display()), error))?;
        let uuids: Vec<Uuid> = entries.iter().filter_map(|entry| uuid_of(&entry.path(), "xml")).collect();
        Ok(readers::each(&uuids, |uuid| (*uuid, self.load_one(*uuid))).into_iter().collect())
    }

    fn load_one(&self, uuid: Uuid) -> Result<Stored, String> {
        let path = self.path(uuid, "xml");
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()));
        let text = read(&path)?;
        let parsed = parse::<Domain>(&text).and_then(ostler_conf::xml::Parsed::strict);
        let definition = parsed.map_err(|invalid| format!("{} can't be read whole: {invalid}", path.display()))?;
        if definition.uuid != Some(uuid) {
            return Err(format!("{} holds the definition of another domain", path.display()));
        }
        let path = self.path(uuid, "json");
        let record: Record = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| format!("{} can't be read whole: {error}", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Record::default(),
            Err(error) => return Err(format!("read {}: {error}", path.display())),
        };
        if record.format > FORMAT {
            return Err(format!("{} was written by a newer version (format {})", path.display(), record.format));
        }
        Ok(Stored { definition: Kept::new(&definition.name, &text), record })
    }

    /// Stores a definition's text, durably, and gives what is kept of it.
    pub(crate) fn save(&self, uuid: Uuid, name: &str, text: &str) -> Result<Kept> {
        let write = write_atomic(&self.path(uuid, "xml"), text.as_bytes(), 0o600);
        write.map_err(|error| failed(format!("store the definition of {name}"), error))?;
        Ok(Kept::new(name, text))
    }

    /// Stores what is remembered, durably.
    pub(crate) fn save_record(&self, uuid: Uuid, record: &Record) -> Result<()> {
        let text = serde_json::to_vec_pretty(record).expect("a plain struct");
        write_atomic(&self.path(uuid, "json"), &text, 0o600)
            .map_err(|error| failed(format!("store the state of {uuid}"), error))
    }

    /// Forgets a domain, durably. The definition goes last: half forgotten is not forgotten.
    pub(crate) fn remove(&self, uuid: Uuid) -> Result<()> {
        let remove = |extension| remove_durably(&self.path(uuid, extension));
        remove("json")
            .and_then(|()| remove("xml"))
            .map_err(|error| failed(format!("remove the definition of {uuid}"), error))
    }

    fn path(&self, uuid: Uuid, extension: &str) -> PathBuf {
        self.0.join(format!("{uuid}.{extension}"))
    }
}

fn uuid_of(path: &Path, extension: &str) -> Option<Uuid> {
    let is_ours = path.extension().is_some_and(|found| found == extension);
    path.file_stem().filter(|_| is_ours)?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "c7a5fdbd-edaf-9455-926a-d65c16db1809";

    fn definition() -> String {
        let text = format!("<domain type='qemu'><name>a</name><uuid>{UUID}</uuid><memory>1</memory></domain>");
        ostler_conf::format(&parse::<Domain>(&text).unwrap().strict().unwrap())
    }

    #[test]
    fn keeps_and_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let store = Definitions::open(folder.path().join("qemu")).unwrap();
        let uuid = UUID.parse().unwrap();
        let kept = store.save(uuid, "a", &definition()).unwrap();
        let record = Record { autostart: true, last_end: Some(ShutoffReason::Crashed), ..Record::default() };
        store.save_record(uuid, &record).unwrap();
        let loaded = Definitions::open(folder.path().join("qemu")).unwrap().load().unwrap();
        let stored = loaded[&uuid].as_ref().unwrap();
        assert_eq!((&stored.definition, &stored.record), (&kept, &record));
        assert_eq!(ostler_conf::format(&kept.definition().unwrap()), definition(), "nothing is lost");
        store.remove(uuid).unwrap();
        store.remove(uuid).unwrap();
        assert!(store.load().unwrap().is_empty());
    }

    #[test]
    fn what_is_damaged_or_newer_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Definitions::open(folder.path().to_owned()).unwrap();
        let uuid: Uuid = UUID.parse().unwrap();
        store.save(uuid, "a", &definition()).unwrap();
        let damages: [(&str, &str, &str); 5] = [
            ("xml", "<domain type='qemu'><name>a</na", "can't be read whole"),
            ("xml", "<domain type='qemu'><name>a</name><from-the-future/></domain>", "from-the-future"),
            (
                "xml",
                "<domain type='qemu'><name>a</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1800</uuid></domain>",
                "another domain",
            ),
            ("json", r#"{"format":2,"autostart":false,"runningInBoot":null,"lastEnd":null}"#, "newer version"),
            ("json", "", "can't be read whole"),
        ];
        for (extension, content, reason) in damages {
            let path = store.path(uuid, extension);
            fs::write(store.path(uuid, "xml"), definition()).unwrap();
            fs::write(&path, content).unwrap();
            let loaded = store.load().unwrap();
            let found = loaded[&uuid].as_ref().unwrap_err();
            assert!(found.contains(reason), "{found}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
