//! Storage pools and volumes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use ostler_conf::domain::Owner;
use ostler_conf::storage_pool::PoolTarget;
use ostler_conf::storage_volume::VolumeFormatName;
use ostler_conf::{ErrorCode, StoragePool, StorageVolume};
use ostler_driver::{
    Error, PoolEvent, PoolSummary, Progress, ResolvedVolume, Result, Storage, VolumeFill, VolumeOwner, VolumeSummary,
};
use uuid::Uuid;

use crate::world::{PoolEntry, World};
use crate::{Operation, TestDriver};

/// Bytes in a pool: what libvirt's test pool has.
pub(crate) const POOL_CAPACITY: u64 = 107_374_182_400;
/// What an empty qcow2 image takes.
const QCOW2_HEADER: u64 = 196_608;

/// A file in a pool's folder.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) format: String,
    pub(crate) capacity_bytes: u64,
    pub(crate) allocation_bytes: u64,
    pub(crate) backing: Option<String>,
    /// For whom it was made; none: it is not ours.
    pub(crate) owner: Option<Uuid>,
    /// The object that stood for it then.
    pub(crate) mark: Option<Owner>,
}

/// An image on the web.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
}

#[async_trait]
impl Storage for TestDriver {
    async fn check_pool(&self, definition: &StoragePool) -> Result<StoragePool> {
        self.call(Operation::PoolCheck, &definition.name, |world| check(world, definition)).await
    }

    async fn define_pool(&self, definition: &StoragePool) -> Result<StoragePool> {
        self.call(Operation::PoolDefine, &definition.name, |world| define(world, definition)).await
    }

    async fn undefine_pool(&self, name: &str, delete: bool) -> Result<()> {
        let undefine = |world: &mut World| {
            let pool = world.known_pool(name)?;
            if pool.active {
                return Err(Error::new(ErrorCode::OperationInvalid, format!("the storage pool '{name}' is active")));
            }
            let folder = path(&pool.definition);
            if delete && world.folders.get(&folder).is_some_and(BTreeMap::is_empty) {
                world.folders.remove(&folder);
            }
            world.pools.remove(name);
            world.tell_pool(name, PoolEvent::Undefined);
            Ok(())
        };
        self.call(Operation::PoolUndefine, name, undefine).await
    }

    async fn pools(&self) -> Result<Vec<PoolSummary>> {
        let list = |world: &mut World| Ok(world.pools.values().map(|pool| world.pool_summary(pool)).collect());
        self.call(Operation::PoolList, "", list).await
    }

    async fn pool(&self, name: &str) -> Result<PoolSummary> {
        let find = |world: &mut World| world.known_pool(name).map(|pool| world.pool_summary(pool));
        self.call(Operation::PoolGet, name, find).await
    }

    async fn pool_definition(&self, name: &str) -> Result<StoragePool> {
        let find = |world: &mut World| world.known_pool(name).map(|pool| pool.definition.clone());
        self.call(Operation::PoolDefinition, name, find).await
    }

    async fn start_pool(&self, name: &str) -> Result<()> {
        let start = |world: &mut World| {
            let pool = world.known_pool_mut(name)?;
            if !std::mem::replace(&mut pool.active, true) {
                let folder = path(&pool.definition);
                world.folders.entry(folder).or_default();
                world.tell_pool(name, PoolEvent::Started);
            }
            Ok(())
        };
        self.call(Operation::PoolStart, name, start).await
    }

    async fn stop_pool(&self, name: &str) -> Result<()> {
        let stop = |world: &mut World| {
            if std::mem::replace(&mut world.known_pool_mut(name)?.active, false) {
                world.tell_pool(name, PoolEvent::Stopped);
            }
            Ok(())
        };
        self.call(Operation::PoolStop, name, stop).await
    }

    async fn create_volume(
        &self,
        pool: &str,
        volume: &StorageVolume,
        owner: &VolumeOwner,
        fill: VolumeFill,
        progress: Option<Progress>,
    ) -> Result<VolumeSummary> {
        let create = |world: &mut World| world.create_volume(pool, volume, owner, &fill, progress.as_ref());
        self.call(Operation::VolumeCreate, target(pool, &volume.name), create).await
    }

    async fn adopt_volume(&self, pool: &str, name: &str, owner: &VolumeOwner) -> Result<VolumeSummary> {
        let adopt = |world: &mut World| {
            let folder = world.own_volume(pool, name)?.0;
            if let Some(volume) = world.folders.get_mut(&folder).and_then(|files| files.get_mut(name)) {
                (volume.owner, volume.mark) = (Some(owner.uuid), owner.mark.clone());
            }
            world.own_volume(pool, name).map(|(folder, volume)| volume_summary(&folder, name, volume))
        };
        self.call(Operation::VolumeAdopt, target(pool, name), adopt).await
    }

    async fn delete_volume(&self, pool: &str, name: &str) -> Result<()> {
        self.call(Operation::VolumeDelete, target(pool, name), |world| world.delete_volume(pool, name)).await
    }

    async fn resize_volume(&self, pool: &str, name: &str, capacity_bytes: u64) -> Result<VolumeSummary> {
        let resize = |world: &mut World| world.resize_volume(pool, name, capacity_bytes);
        self.call(Operation::VolumeResize, target(pool, name), resize).await
    }

    async fn volumes(&self, pool: &str) -> Result<Vec<VolumeSummary>> {
        let list = |world: &mut World| {
            let folder = path(&world.active_pool(pool)?.definition);
            let files = world.folders.get(&folder).into_iter().flatten();
            Ok(files.map(|(name, volume)| volume_summary(&folder, name, volume)).collect())
        };
        self.call(Operation::VolumeList, pool, list).await
    }

    async fn volume(&self, pool: &str, name: &str) -> Result<VolumeSummary> {
        let find = |world: &mut World| {
            let (folder, volume) = world.volume(pool, name)?;
            Ok(volume_summary(&folder, name, volume))
        };
        self.call(Operation::VolumeGet, target(pool, name), find).await
    }

    async fn resolve(&self, pool: &str, name: &str) -> Result<ResolvedVolume> {
        self.call(Operation::VolumeResolve, target(pool, name), |world| world.resolve(pool, name)).await
    }
}

fn target(pool: &str, volume: &str) -> String {
    format!("{pool}/{volume}")
}

/// The pool's folder; every completed pool has one.
pub(crate) fn path(pool: &StoragePool) -> PathBuf {
    pool.target.as_ref().and_then(|target| target.path.clone()).unwrap_or_default().into()
}

fn volume_summary(folder: &Path, name: &str, volume: &Volume) -> VolumeSummary {
    VolumeSummary {
        name: name.to_owned(),
        path: folder.join(name),
        format: volume.format.clone(),
        capacity_bytes: volume.capacity_bytes,
        allocation_bytes: volume.allocation_bytes,
        backing: volume.backing.as_ref().map(|backing| folder.join(backing)),
        owner: volume.owner,
        mark: volume.mark.clone(),
    }
}

/// The definition completed, and checked against the other pools.
fn check(world: &World, definition: &StoragePool) -> Result<StoragePool> {
    let mut definition = definition.clone();
    definition.complete();
    (definition.capacity, definition.allocation, definition.available) = (None, None, None);
    definition.validate()?;
    let old = world.pools.get(&definition.name).map(|pool| &pool.definition);
    let uuid = *definition.uuid.get_or_insert_with(|| old.and_then(|old| old.uuid).unwrap_or_else(Uuid::new_v4));
    let refused = |message: String, field: &str| Err(Error::new(ErrorCode::OperationFailed, message).at(field));
    if old.is_some_and(|old| old.uuid != Some(uuid)) {
        return refused(format!("a pool '{}' with another uuid exists already", definition.name), "name");
    }
    let target = definition.target.get_or_insert_with(PoolTarget::default);
    let kept = || old.and_then(|old| old.target.as_ref()?.path.clone());
    target.path = target.path.take().or_else(kept).or_else(|| Some(format!("/pools/{uuid}")));
    let folder = path(&definition);
    for other in world.pools.values().map(|pool| &pool.definition).filter(|other| other.name != definition.name) {
        if other.uuid == Some(uuid) {
            return refused(format!("the uuid {uuid} is that of the pool '{}'", other.name), "uuid");
        }
        if path(other) == folder {
            return refused(
                format!("{} is the folder of the pool '{}' already", folder.display(), other.name),
                "target.path",
            );
        }
    }
    if world.pools.get(&definition.name).is_some_and(|pool| pool.active && path(&pool.definition) != folder) {
        let message = "the pool is active: its folder can't change";
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("target.path"));
    }
    Ok(definition)
}

fn define(world: &mut World, definition: &StoragePool) -> Result<StoragePool> {
    let definition = check(world, definition)?;
    let name = definition.name.clone();
    match world.pools.get_mut(&name) {
        Some(pool) if pool.definition == definition => return Ok(definition),
        Some(pool) => pool.definition = definition.clone(),
        None => {
            let pool = PoolEntry { definition: definition.clone(), active: false, capacity_bytes: POOL_CAPACITY };
            world.pools.insert(name.clone(), pool);
        }
    }
    world.tell_pool(&name, PoolEvent::Defined);
    Ok(definition)
}

impl World {
    fn known_pool(&self, name: &str) -> Result<&PoolEntry> {
        self.pools.get(name).ok_or_else(|| no_pool(name))
    }

    pub(crate) fn known_pool_mut(&mut self, name: &str) -> Result<&mut PoolEntry> {
        self.pools.get_mut(name).ok_or_else(|| no_pool(name))
    }

    fn active_pool(&self, name: &str) -> Result<&PoolEntry> {
        let pool = self.known_pool(name)?;
        let inactive = || Error::new(ErrorCode::OperationInvalid, format!("the storage pool '{name}' is not active"));
        pool.active.then_some(pool).ok_or_else(inactive)
    }

    fn allocated(&self, pool: &PoolEntry) -> u64 {
        let files = self.folders.get(&path(&pool.definition)).into_iter().flatten();
        files.map(|(_, volume)| volume.allocation_bytes).sum()
    }

    fn pool_summary(&self, pool: &PoolEntry) -> PoolSummary {
        let capacity = if pool.active { pool.capacity_bytes } else { 0 };
        let allocation = self.allocated(pool).min(capacity);
        PoolSummary {
            uuid: pool.definition.uuid.unwrap_or_default(),
            name: pool.definition.name.clone(),
            active: pool.active,
            path: path(&pool.definition),
            capacity_bytes: capacity,
            allocation_bytes: allocation,
            available_bytes: capacity - allocation,
        }
    }

    /// The folder that a volume is in, and the volume.
    fn volume(&self, pool: &str, name: &str) -> Result<(PathBuf, &Volume)> {
        let folder = path(&self.active_pool(pool)?.definition);
        let found = self.folders.get(&folder).and_then(|files| files.get(name));
        let missing = || Error::new(ErrorCode::NoStorageVol, format!("no volume '{name}' in pool '{pool}'"));
        found.map(|volume| (folder, volume)).ok_or_else(missing)
    }

    /// A volume that we made.
    fn own_volume(&self, pool: &str, name: &str) -> Result<(PathBuf, &Volume)> {
        let (folder, volume) = self.volume(pool, name)?;
        if volume.owner.is_none() {
            let message = format!("{} was not made by Ostler and is left alone", folder.join(name).display());
            return Err(Error::new(ErrorCode::OperationDenied, message));
        }
        Ok((folder, volume))
    }

    /// A volume as a guest uses it.
    pub(crate) fn resolve(&self, pool: &str, name: &str) -> Result<ResolvedVolume> {
        let (folder, volume) = self.volume(pool, name)?;
        let mut backing = Vec::new();
        let mut next = volume.backing.clone();
        while let Some(below) = next {
            let (_, volume) = self.volume(pool, &below)?;
            backing.push((folder.join(&below), volume.format.clone()));
            next = volume.backing.clone();
        }
        Ok(ResolvedVolume { path: folder.join(name), format: volume.format.clone(), backing })
    }

    fn create_volume(
        &mut self,
        pool: &str,
        volume: &StorageVolume,
        owner: &VolumeOwner,
        fill: &VolumeFill,
        progress: Option<&Progress>,
    ) -> Result<VolumeSummary> {
        let entry = self.active_pool(pool)?;
        let (folder, free) = (path(&entry.definition), entry.capacity_bytes.saturating_sub(self.allocated(entry)));
        let name = volume.name.clone();
        check_volume(volume, fill)?;
        if let Some(found) = self.folders.get(&folder).and_then(|files| files.get(&name)) {
            if found.owner == Some(owner.uuid) {
                let found = Volume { mark: owner.mark.clone().or_else(|| found.mark.clone()), ..found.clone() };
                let summary = volume_summary(&folder, &name, &found);
                self.folders.entry(folder).or_default().insert(name, found);
                return Ok(summary);
            }
            let message =
                format!("{} exists and was not made for this volume: it is left alone", folder.join(&name).display());
            return Err(Error::new(ErrorCode::StorageVolExist, message).at("name"));
        }
        let made = self.make(pool, volume, owner, fill)?;
        if made.allocation_bytes > free {
            let message =
                format!("write volume '{name}' in {}: No space left on device (os error 28)", folder.display());
            return Err(Error::new(ErrorCode::SystemError, message));
        }
        if let (VolumeFill::Http { .. }, Some(progress)) = (fill, progress) {
            for part in 0..=4 {
                progress(
                    made.allocation_bytes / 4 * part + if part == 4 { made.allocation_bytes % 4 } else { 0 },
                    Some(made.allocation_bytes),
                );
            }
        }
        let summary = volume_summary(&folder, &name, &made);
        self.folders.entry(folder).or_default().insert(name, made);
        self.tell_pool(pool, PoolEvent::Refreshed);
        Ok(summary)
    }

    /// The new volume.
    fn make(&self, pool: &str, volume: &StorageVolume, owner: &VolumeOwner, fill: &VolumeFill) -> Result<Volume> {
        let wanted = volume.capacity.map(|capacity| capacity.0.bytes());
        let format = volume.format();
        let empty = if format == VolumeFormatName::Qcow2 { QCOW2_HEADER } else { 0 };
        let (capacity_bytes, allocation_bytes, backing) = match fill {
            VolumeFill::Empty => {
                let capacity = wanted.unwrap_or_default();
                let reserved = volume.allocation.map_or(0, |allocation| allocation.0.bytes()).min(capacity);
                (capacity, reserved.max(empty), None)
            }
            VolumeFill::Backing { volume: below } => {
                let base = self.own_volume(pool, below)?.1.capacity_bytes;
                if wanted.is_some_and(|wanted| wanted < base) {
                    let message = format!("a volume that stands on one of {base} bytes can't be smaller");
                    return Err(Error::new(ErrorCode::InvalidArg, message).at("capacity"));
                }
                (wanted.unwrap_or(base), empty, Some(below.clone()))
            }
            VolumeFill::Http { url, sha256 } => {
                let image = self.images.get(url);
                let image =
                    image.ok_or_else(|| Error::new(ErrorCode::HttpError, format!("fetch {url}: 404 Not Found")))?;
                if !image.sha256.eq_ignore_ascii_case(sha256) {
                    let message = format!("the image at {url} has the SHA-256 {}, not {sha256}", image.sha256);
                    return Err(Error::new(ErrorCode::OperationFailed, message));
                }
                (image.size_bytes, image.size_bytes, None)
            }
        };
        let (format, owner, mark) = (format.word().to_owned(), Some(owner.uuid), owner.mark.clone());
        Ok(Volume { format, capacity_bytes, allocation_bytes, backing, owner, mark })
    }

    fn delete_volume(&mut self, pool: &str, name: &str) -> Result<()> {
        let (folder, _) = self.own_volume(pool, name)?;
        let files = self.folders.get(&folder).into_iter().flatten();
        if let Some((other, _)) = files.clone().find(|(_, other)| other.backing.as_deref() == Some(name)) {
            return Err(busy(name, &format!("'{other}' stands on it")));
        }
        if let Some(user) = self.user_of(&folder.join(name)) {
            return Err(busy(name, &format!("{user} has it open")));
        }
        if let Some(files) = self.folders.get_mut(&folder) {
            files.remove(name);
        }
        self.tell_pool(pool, PoolEvent::Refreshed);
        Ok(())
    }

    fn resize_volume(&mut self, pool: &str, name: &str, capacity_bytes: u64) -> Result<VolumeSummary> {
        let (folder, volume) = self.own_volume(pool, name)?;
        if let Some(user) = self.user_of(&folder.join(name)) {
            return Err(busy(name, &format!("{user} has it open")));
        }
        if capacity_bytes < volume.capacity_bytes {
            let message = format!("the volume '{name}' has {} bytes: it is never made smaller", volume.capacity_bytes);
            return Err(Error::new(ErrorCode::InvalidArg, message).at("capacity"));
        }
        let mut volume = volume.clone();
        volume.capacity_bytes = capacity_bytes;
        let summary = volume_summary(&folder, name, &volume);
        self.folders.entry(folder).or_default().insert(name.to_owned(), volume);
        self.tell_pool(pool, PoolEvent::Refreshed);
        Ok(summary)
    }
}

fn check_volume(volume: &StorageVolume, fill: &VolumeFill) -> Result<()> {
    let mut checked = volume.clone();
    // What fills a volume can also say how large it is.
    if !matches!(fill, VolumeFill::Empty) {
        checked.capacity.get_or_insert_default();
    }
    checked.validate()?;
    let format = volume.format();
    if !matches!(format, VolumeFormatName::Raw | VolumeFormatName::Qcow2) {
        let message = format!("volumes of format '{format}' are not supported: 'raw' and 'qcow2' are");
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("target.format.type"));
    }
    if matches!(fill, VolumeFill::Backing { .. }) && format == VolumeFormatName::Raw {
        let message = "a raw volume can't stand on another: use qcow2";
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("target.format.type"));
    }
    Ok(())
}

fn busy(name: &str, why: &str) -> Error {
    Error::new(ErrorCode::ResourceBusy, format!("the volume '{name}' is in use: {why}"))
}

fn no_pool(name: &str) -> Error {
    Error::new(ErrorCode::NoStoragePool, format!("no storage pool '{name}'"))
}
