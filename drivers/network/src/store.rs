//! Networks' definitions on disk.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ostler_conf::Network;
use ostler_driver::{Error, Result};
use ostler_util::{ErrorCode, file};
use tracing::warn;
use uuid::Uuid;

use crate::check;
use crate::config::Config;

/// All networks of the host.
#[derive(Debug)]
pub(crate) struct Networks {
    networks: BTreeMap<String, Entry>,
}

/// One network.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) definition: Network,
    pub(crate) active: bool,
    /// What is wrong with it now.
    pub(crate) problem: Option<(String, String)>,
    /// How often the packet filter had changed when the network's rules were last found, or put, in force.
    pub(crate) rules_seen: Option<u64>,
}

impl Entry {
    pub(crate) fn uuid(&self) -> Uuid {
        self.definition.uuid.unwrap_or_default()
    }
}

impl Networks {
    /// Reads the definitions, and which networks are up in this boot. What can't be read is left as it is.
    pub(crate) fn load(config: &Config) -> io::Result<Self> {
        let directory = config.definitions();
        file::create_directory(&directory, 0o700)?;
        file::remove_temporary_files(&directory)?;
        let mut networks = BTreeMap::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            match read(&path) {
                Ok(definition) => {
                    let active = config.run(definition.uuid.unwrap_or_default()).exists();
                    networks
                        .insert(definition.name.clone(), Entry { definition, active, problem: None, rules_seen: None });
                }
                Err(error) => {
                    warn!(path = %path.display(), error, "a network's definition can't be read: it is left alone")
                }
            }
        }
        Ok(Networks { networks })
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Entry> {
        self.networks.get(name).ok_or_else(|| missing(name))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Result<&mut Entry> {
        self.networks.get_mut(name).ok_or_else(|| missing(name))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.networks.values()
    }

    /// The definition completed, and checked against the other networks.
    pub(crate) fn check(&self, definition: &Network) -> Result<Network> {
        let old = self.networks.get(&definition.name);
        let definition = check::complete(definition, old.map(|entry| &entry.definition));
        check::check(&definition)?;
        if let Some(other) = old.filter(|entry| entry.definition.uuid != definition.uuid) {
            let message = format!("a network '{}' with uuid {} exists already", definition.name, other.uuid());
            return Err(Error::new(ErrorCode::NetworkExist, message).at("name"));
        }
        for other in self.networks.values().filter(|entry| entry.definition.name != definition.name) {
            if other.definition.uuid == definition.uuid {
                return Err(Error::new(
                    ErrorCode::NetworkExist,
                    format!("the uuid is that of the network '{}'", other.definition.name),
                )
                .at("uuid"));
            }
            if check::bridge_name(&other.definition) == check::bridge_name(&definition) {
                let message = format!(
                    "the bridge '{}' is that of the network '{}'",
                    check::bridge_name(&definition),
                    other.definition.name
                );
                return Err(Error::new(ErrorCode::OperationFailed, message).at("bridge.name"));
            }
        }
        Ok(definition)
    }

    /// Stores a definition; gives whether it changed anything.
    pub(crate) fn define(&mut self, config: &Config, definition: &Network) -> Result<(Network, bool)> {
        let definition = self.check(definition)?;
        if self.networks.get(&definition.name).is_some_and(|entry| entry.definition == definition) {
            return Ok((definition, false));
        }
        file::write_atomic(
            &config.definition(definition.uuid.unwrap_or_default()),
            ostler_conf::format(&definition).as_bytes(),
            0o600,
        )
        .map_err(|error| Error::system(format!("store the definition of network '{}'", definition.name), error))?;
        let active = self.networks.get(&definition.name).is_some_and(|entry| entry.active);
        self.networks.insert(
            definition.name.clone(),
            Entry { definition: definition.clone(), active, problem: None, rules_seen: None },
        );
        Ok((definition, true))
    }

    pub(crate) fn undefine(&mut self, config: &Config, name: &str) -> Result<()> {
        let entry = self.get(name)?;
        if entry.active {
            return Err(Error::new(ErrorCode::OperationInvalid, format!("the network '{name}' is active")));
        }
        let uuid = entry.uuid();
        let system = |error| Error::system(format!("remove the definition of network '{name}'"), error);
        file::remove_durably(&config.leases(uuid)).map_err(system)?;
        file::remove_durably(&config.definition(uuid)).map_err(system)?;
        self.networks.remove(name);
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    Error::new(ErrorCode::NoNetwork, format!("no network '{name}'"))
}

fn read(path: &Path) -> std::result::Result<Network, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let definition = ostler_conf::parse::<Network>(&text)
        .and_then(ostler_conf::Parsed::strict)
        .map_err(|error| error.to_string())?;
    let is_named_so =
        definition.uuid.is_some_and(|uuid| path.file_stem().is_some_and(|stem| *stem == *uuid.to_string()));
    if is_named_so { Ok(definition) } else { Err("its uuid is not the one of its file name".to_owned()) }
}
