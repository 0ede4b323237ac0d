//! Pools: their definitions on disk, and which are usable now.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ostler_conf::StoragePool;
use ostler_conf::storage_pool::{PoolTarget, PoolType};
use ostler_driver::{Error, PoolSummary, Result};
use ostler_util::{ErrorCode, file};
use tracing::warn;
use uuid::Uuid;

use crate::config::Config;
use crate::record::Records;

/// All pools of the host.
#[derive(Debug)]
pub(crate) struct Pools {
    config: Config,
    pools: BTreeMap<String, Pool>,
}

/// One pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) definition: StoragePool,
    pub(crate) uuid: Uuid,
    pub(crate) path: PathBuf,
    pub(crate) active: bool,
    pub(crate) records: Records,
}

impl Pools {
    /// Reads the definitions. One that can't be read is left as it is.
    pub(crate) fn load(config: Config) -> io::Result<Self> {
        let mut pools = Pools { config, pools: BTreeMap::new() };
        let directory = pools.directory();
        file::create_directory(&directory, 0o700)?;
        file::remove_temporary_files(&directory)?;
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            match read(&path) {
                Ok(definition) => {
                    let pool = pools.pool_of(definition);
                    pools.pools.insert(pool.definition.name.clone(), pool);
                }
                Err(error) => {
                    warn!(path = %path.display(), error, "a pool's definition can't be read: it is left alone")
                }
            }
        }
        Ok(pools)
    }

    fn directory(&self) -> PathBuf {
        self.config.state_dir.join("storage")
    }

    fn pool_of(&self, definition: StoragePool) -> Pool {
        let uuid = definition.uuid.unwrap_or_default();
        let path = definition.target.as_ref().and_then(|target| target.path.clone()).unwrap_or_default();
        let records = Records::new(self.directory().join(uuid.to_string()));
        Pool { uuid, path: PathBuf::from(path), active: false, records, definition }
    }

    fn definition_path(&self, uuid: Uuid) -> PathBuf {
        self.directory().join(format!("{uuid}.xml"))
    }

    /// There while a pool's folder is one that we made.
    fn made_path(&self, uuid: Uuid) -> PathBuf {
        self.directory().join(format!("{uuid}.made"))
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Pool> {
        self.pools.get(name).ok_or_else(|| Error::new(ErrorCode::NoStoragePool, format!("no storage pool '{name}'")))
    }

    /// A pool that is usable.
    pub(crate) fn active(&self, name: &str) -> Result<&Pool> {
        let pool = self.get(name)?;
        if pool.active {
            Ok(pool)
        } else {
            Err(Error::new(ErrorCode::OperationInvalid, format!("the storage pool '{name}' is not active")))
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// The definition, completed and checked against the other pools.
    pub(crate) fn check(&self, definition: &StoragePool) -> Result<StoragePool> {
        let mut definition = definition.clone();
        let old = self.pools.get(&definition.name);
        definition.complete();
        let uuid = *definition.uuid.get_or_insert_with(|| old.map_or_else(Uuid::new_v4, |pool| pool.uuid));
        let nothing = Some(ostler_conf::storage_pool::Bytes::default());
        (definition.capacity, definition.allocation, definition.available) = (nothing, nothing, nothing);
        check_alone(&definition)?;
        if let Some(other) = old.filter(|pool| pool.uuid != uuid) {
            return Err(Error::new(
                ErrorCode::OperationFailed,
                format!("a pool '{}' with uuid {} exists already", definition.name, other.uuid),
            )
            .at("name"));
        }
        if let Some(other) =
            self.pools.values().find(|pool| pool.uuid == uuid && pool.definition.name != definition.name)
        {
            let message = format!("the uuid {uuid} is that of the pool '{}'", other.definition.name);
            return Err(Error::new(ErrorCode::OperationFailed, message).at("uuid"));
        }
        let target = definition.target.get_or_insert_with(PoolTarget::default);
        let own = self.config.pools_dir.join(uuid.to_string()).display().to_string();
        let path = target.path.get_or_insert(own).trim_end_matches('/').to_owned();
        if let Some(other) = self.pools.values().find(|pool| pool.uuid != uuid && pool.path == Path::new(&path)) {
            let message = format!("{path} is the folder of the pool '{}' already", other.definition.name);
            return Err(Error::new(ErrorCode::OperationFailed, message).at("target.path"));
        }
        target.path = Some(path);
        if let Some(pool) = old.filter(|pool| {
            pool.active
                && Some(pool.path.as_path())
                    != definition.target.as_ref().and_then(|t| t.path.as_deref()).map(Path::new)
        }) {
            let message = format!("the pool is active at {}: its folder can't change", pool.path.display());
            return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("target.path"));
        }
        Ok(definition)
    }

    /// Stores a definition; gives whether it changed anything.
    pub(crate) fn define(&mut self, definition: StoragePool) -> Result<(StoragePool, bool)> {
        let definition = self.check(&definition)?;
        if self.pools.get(&definition.name).is_some_and(|pool| pool.definition == definition) {
            return Ok((definition, false));
        }
        let mut pool = self.pool_of(definition.clone());
        pool.active = self.pools.get(&definition.name).is_some_and(|pool| pool.active);
        let path = self.definition_path(pool.uuid);
        file::write_atomic(&path, ostler_conf::format(&definition).as_bytes(), 0o600)
            .map_err(|error| Error::system(format!("store the definition of pool '{}'", definition.name), error))?;
        self.pools.insert(definition.name.clone(), pool);
        Ok((definition, true))
    }

    /// Makes the pool's folder if it is missing, and the pool usable.
    pub(crate) fn start(&mut self, name: &str) -> Result<bool> {
        let pool = self.get(name)?;
        if pool.active && pool.path.is_dir() {
            return Ok(false);
        }
        let system = |what: &str, error| Error::system(format!("{what} {}", pool.path.display()), error);
        match std::fs::symlink_metadata(&pool.path) {
            Ok(metadata) if metadata.is_dir() || (metadata.is_symlink() && pool.path.is_dir()) => {}
            Ok(_) => {
                return Err(Error::new(ErrorCode::OperationFailed, format!("{} is no folder", pool.path.display()))
                    .at("target.path"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mode = pool
                    .definition
                    .target
                    .as_ref()
                    .and_then(|t| t.permissions.as_ref()?.mode)
                    .map_or(0o711, |mode| mode.0);
                // The note comes first: a folder that we made and forgot would never go again, one that we note and don't make harms nobody.
                file::write_atomic(&self.made_path(pool.uuid), b"", 0o600)
                    .map_err(|error| system("note the making of", error))?;
                file::create_directory(&pool.path, mode).map_err(|error| system("make the folder", error))?;
            }
            Err(error) => return Err(system("look at", error)),
        }
        file::remove_temporary_files(&pool.path).map_err(|error| system("clean up", error))?;
        pool.recover_records().map_err(|error| system("recover the records of", error))?;
        if let Some(pool) = self.pools.get_mut(name) {
            pool.active = true;
        }
        Ok(true)
    }

    pub(crate) fn stop(&mut self, name: &str) -> Result<()> {
        self.get(name)?;
        if let Some(pool) = self.pools.get_mut(name) {
            pool.active = false;
        }
        Ok(())
    }

    /// Forgets the pool; with `delete` its folder goes, if we made it and nothing is in it.
    pub(crate) fn undefine(&mut self, name: &str, delete: bool) -> Result<()> {
        let pool = self.get(name)?.clone();
        if pool.active {
            return Err(Error::new(ErrorCode::OperationInvalid, format!("the storage pool '{name}' is active")));
        }
        let system = |what: &str, error| Error::system(format!("{what} of pool '{name}'"), error);
        if delete && self.made_path(pool.uuid).exists() {
            match std::fs::remove_dir(&pool.path) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
                Err(error) => return Err(system("remove the folder", error)),
            }
        }
        // Records of volumes that stay keep saying whose those are.
        if pool.records.names().map_err(|error| system("read the records", error))?.is_empty() {
            pool.records.clear().map_err(|error| system("remove the records", error))?;
            file::remove_durably(&self.made_path(pool.uuid)).map_err(|error| system("remove the note", error))?;
        }
        file::remove_durably(&self.definition_path(pool.uuid))
            .map_err(|error| system("remove the definition", error))?;
        self.pools.remove(name);
        Ok(())
    }
}

impl Pool {
    pub(crate) fn summary(&self) -> PoolSummary {
        let mut summary = PoolSummary {
            uuid: self.uuid,
            name: self.definition.name.clone(),
            active: self.active,
            path: self.path.clone(),
            capacity_bytes: 0,
            allocation_bytes: 0,
            available_bytes: 0,
        };
        if let Some(stat) = self.active.then(|| rustix::fs::statvfs(&self.path).ok()).flatten() {
            summary.capacity_bytes = stat.f_blocks * stat.f_frsize;
            summary.available_bytes = stat.f_bavail * stat.f_frsize;
            summary.allocation_bytes = stat.f_blocks.saturating_sub(stat.f_bfree) * stat.f_frsize;
        }
        summary
    }
}

/// What no host's driver can carry out, found without a host: the same rules as in a definition.
///
/// # Errors
/// As a definition's.
pub fn check_pool_anywhere(definition: &StoragePool) -> Result<()> {
    let mut definition = definition.clone();
    definition.complete();
    check_alone(&definition)
}

/// What can be said of a completed definition without knowing of other pools.
fn check_alone(definition: &StoragePool) -> Result<()> {
    definition.validate()?;
    check_name(&definition.name, "name")?;
    crate::unsupported::check_pool(definition)?;
    if definition.r#type != Some(PoolType::Dir) {
        let kind = definition.r#type.map(|kind| kind.word()).unwrap_or_default();
        let message = format!("pools of type '{kind}' are not supported: only 'dir' is");
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("type"));
    }
    let Some(path) = definition.target.as_ref().and_then(|target| target.path.as_deref()) else { return Ok(()) };
    let is_elsewhere = Path::new(path).components().any(|part| part == std::path::Component::ParentDir);
    if !path.starts_with('/') || path.trim_end_matches('/').is_empty() || is_elsewhere {
        let message = format!("'{path}' is no folder for a pool: an absolute path below '/' without '..' is expected");
        return Err(Error::new(ErrorCode::XmlError, message).at("target.path"));
    }
    Ok(())
}

/// A name that is also a file's: nothing that leads elsewhere.
pub(crate) fn check_name(name: &str, field: &str) -> Result<()> {
    let is_bad = name.is_empty()
        || name.len() > 200
        || name.starts_with('.')
        || name.chars().any(|c| c == '/' || c.is_control());
    if is_bad {
        let message = format!(
            "'{}' is no name for a file: up to 200 bytes without '/' and control characters, and no '.' first",
            name.escape_debug()
        );
        return Err(Error::new(ErrorCode::XmlError, message).at(field));
    }
    Ok(())
}

fn read(path: &Path) -> std::result::Result<StoragePool, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let definition = ostler_conf::parse::<StoragePool>(&text)
        .and_then(ostler_conf::Parsed::strict)
        .map_err(|error| error.to_string())?;
    let is_named_so =
        definition.uuid.is_some_and(|uuid| path.file_stem().is_some_and(|stem| *stem == *uuid.to_string()));
    if is_named_so { Ok(definition) } else { Err("its uuid is not the one of its file name".to_owned()) }
}
