//! Running guests: `<run_dir>/qemu/<uuid>/` with the state, the monitor's socket and sockets of channels.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_driver::{DomainState, Result, ShutoffReason};
use ostler_util::file::{create_directory, write_atomic};
use ostler_util::pidfd::Process;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{failed, readers, record};
use crate::probe::Flags;

/// The folder of running guests.
#[derive(Clone, Debug)]
pub(crate) struct Running(PathBuf);

/// What the next agent must know of a guest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    /// How far its start has come.
    pub(crate) phase: Phase,
    /// Its process, once there is one.
    pub(crate) process: Option<Process>,
    /// Whether it was started to stay paused: else a crash before its CPUs ran is made up for.
    pub(crate) paused: bool,
    /// Whether its next power-off is the first half of a reboot that we were asked for.
    pub(crate) reboots: bool,
    /// What is made outside its folders, where others can name it: sockets, links to them, shared memory.
    pub(crate) sockets: Vec<PathBuf>,
    /// The nodes of each disk's images in QEMU, top first, by the disk's alias.
    pub(crate) nodes: BTreeMap<String, Vec<String>>,
    /// What it did last, and why; whether it still does, QEMU tells.
    pub(crate) state: DomainState,
    /// What its emulator could do when it was started: the program may be another by now. Not known of a guest that an agent
    /// started which did not record it.
    pub(crate) flags: Option<Flags>,
    /// Its live definition.
    pub(crate) definition: Domain,
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    /// It may have a process, which has not begun to run the guest.
    Starting,
    /// The guest runs.
    Running,
}

impl Status {
    pub(crate) fn starting(definition: Domain) -> Self {
        Status {
            phase: Phase::Starting,
            process: None,
            paused: false,
            reboots: false,
            sockets: Vec::new(),
            nodes: BTreeMap::new(),
            state: DomainState::Shutoff(ShutoffReason::Unknown),
            flags: None,
            definition,
        }
    }
}

impl Running {
    /// Opens the folder, making it if it is missing.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        // QEMU's user must be able to pass; it can't list.
        create_directory(&folder, 0o711)
            .map_err(|error| failed(format!("make the folder {}", folder.display()), error))?;
        Ok(Running(folder))
    }

    /// All guests, by uuid; a folder without a state is removed. A state that can't be read whole, or is newer than we are, comes with the reason.
    pub(crate) fn load(&self) -> Result<BTreeMap<Uuid, Result<Status, String>>> {
        let entries = fs::read_dir(&self.0).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| failed(format!("read the folder {}", self.0.display()), error))?;
        let uuids: Vec<Uuid> = entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        let mut found = BTreeMap::new();
        for (uuid, loaded) in readers::each(&uuids, |uuid| (*uuid, self.load_one(*uuid))) {
            match loaded {
                Ok(Some(status)) => drop(found.insert(uuid, Ok(status))),
                Err(reason) => drop(found.insert(uuid, Err(reason))),
                // Its start was not even intended yet, or its end is complete but for the folder.
                Ok(None) => self.remove(uuid)?,
            }
        }
        Ok(found)
    }

    /// Whether a guest other than `uuid` lists `path` among what was made outside its folder, or may: its state can't be read.
    pub(crate) fn is_listed_by_others(&self, path: &Path, uuid: Uuid) -> io::Result<bool> {
        for entry in fs::read_dir(&self.0)? {
            let Some(other) = entry?.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) else { continue };
            let lists = match self.load_one(other) {
                Ok(status) => status.is_some_and(|status| status.sockets.iter().any(|listed| listed == path)),
                Err(_) => true,
            };
            if lists && other != uuid {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn load_one(&self, uuid: Uuid) -> Result<Option<Status>, String> {
        let path = self.status(uuid);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("read {}: {error}", path.display())),
        };
        record::read(&text).map(Some).map_err(|reason| format!("{} {reason}", path.display()))
    }

    /// Makes the guest's folder, for root only.
    pub(crate) fn create(&self, uuid: Uuid) -> Result<()> {
        let folder = self.folder(uuid);
        create_directory(&folder, 0o700).map_err(|error| failed(format!("make the folder {}", folder.display()), error))
    }

    /// Stores the guest's state, durably for as long as the host is up.
    pub(crate) fn save(&self, uuid: Uuid, status: &Status) -> Result<()> {
        let text = record::write(status, &self.monitor(uuid));
        let write = write_atomic(&self.status(uuid), text.as_bytes(), 0o600);
        write.map_err(|error| failed(format!("store the state of {}", status.definition.name), error))
    }

    /// Removes the guest's folder with all that is in it. The state goes last.
    pub(crate) fn remove(&self, uuid: Uuid) -> Result<()> {
        let remove = || {
            let folder = self.folder(uuid);
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path != self.status(uuid) {
                    fs::remove_file(path)?;
                }
            }
            ostler_util::file::remove_durably(&self.status(uuid))?;
            fs::remove_dir(&folder)
        };
        match remove() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => {
                result.map_err(|error| failed(format!("remove the folder {}", self.folder(uuid).display()), error))
            }
        }
    }

    /// Whether there is anything of this guest.
    pub(crate) fn exists(&self, uuid: Uuid) -> bool {
        self.folder(uuid).exists()
    }

    /// The monitor's socket.
    pub(crate) fn monitor(&self, uuid: Uuid) -> PathBuf {
        self.folder(uuid).join("monitor.sock")
    }

    /// A file in the guest's folder.
    pub(crate) fn file(&self, uuid: Uuid, name: &str) -> PathBuf {
        self.folder(uuid).join(name)
    }

    /// Where QEMU's messages go. They outlive the guest's run, for people.
    pub(crate) fn log(&self, uuid: Uuid) -> PathBuf {
        self.logs().join(format!("{uuid}.log"))
    }

    /// The folder of [`Self::log`].
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    fn status(&self, uuid: Uuid) -> PathBuf {
        self.folder(uuid).join("status.json")
    }

    fn folder(&self, uuid: Uuid) -> PathBuf {
        self.0.join(uuid.to_string())
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_the_next_agent_needs() {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::open(folder.path().join("qemu")).unwrap();
        let uuid = Uuid::from_u128(7);
        let text = "<domain type='qemu' id='3'><name>a</name><memory unit='KiB'>1</memory></domain>";
        let definition = ostler_conf::parse::<Domain>(text).unwrap().value;
        running.create(uuid).unwrap();
        assert!(running.load().unwrap().is_empty() && !running.exists(uuid), "a folder without a state is nobody's");
        running.create(uuid).unwrap();
        let status = Status {
            sockets: vec!["/x".into()],
            process: Some(Process::of(1).unwrap()),
            ..Status::starting(definition)
        };
        running.save(uuid, &status).unwrap();
        fs::write(running.file(uuid, "channel0.sock"), "").unwrap();
        assert_eq!(running.load().unwrap()[&uuid].as_ref().unwrap(), &status);
        let other = Uuid::from_u128(8);
        assert!(!running.is_listed_by_others(Path::new("/x"), uuid).unwrap());
        assert!(running.is_listed_by_others(Path::new("/x"), other).unwrap());
        assert!(!running.is_listed_by_others(Path::new("/y"), other).unwrap());
        fs::write(running.status(uuid), "{\"format\":9,\"future\":1}").unwrap();
        assert!(running.load().unwrap()[&uuid].as_ref().unwrap_err().contains("newer version"));
        assert!(running.is_listed_by_others(Path::new("/y"), other).unwrap());
        running.remove(uuid).unwrap();
        running.remove(uuid).unwrap();
        assert!(!running.exists(uuid));
    }
}
