//! Storage pools and volumes.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ostler_conf::domain::Owner;
use ostler_conf::{StoragePool, StorageVolume};
use serde::Serialize;
use uuid::Uuid;

use crate::Result;

/// Told of bytes done and of the total where it is known. Called a few times a second at most.
pub type Progress = Arc<dyn Fn(u64, Option<u64>) + Send + Sync>;

/// Pools and volumes of a host, by their names on the host. Every call may be repeated after a crash and then converges.
///
/// Images are sacred: creating never replaces a file, and a file without our mark is never formatted, shrunk or deleted.
#[async_trait]
pub trait Storage: Send + Sync {
    /// What [`define_pool`](Self::define_pool) would store: completed and checked. Changes nothing.
    async fn check_pool(&self, definition: &StoragePool) -> Result<StoragePool>;

    /// Checks, then stores durably; returns what was stored.
    ///
    /// # Errors
    /// `XmlError`, `ConfigUnsupported`, `OperationFailed` (name held by another uuid, or target path by another pool).
    async fn define_pool(&self, definition: &StoragePool) -> Result<StoragePool>;

    /// Forgets the pool's definition and, with `delete`, removes its directory if we made it and it is empty.
    /// `OperationInvalid` while active.
    async fn undefine_pool(&self, name: &str, delete: bool) -> Result<()>;

    /// All pools, by name.
    async fn pools(&self) -> Result<Vec<PoolSummary>>;

    /// One pool. `NoStoragePool` if there is none.
    async fn pool(&self, name: &str) -> Result<PoolSummary>;

    /// The stored definition.
    async fn pool_definition(&self, name: &str) -> Result<StoragePool>;

    /// Builds what is missing (the directory) and makes the pool usable.
    async fn start_pool(&self, name: &str) -> Result<()>;

    /// Makes the pool unusable; nothing in it changes.
    async fn stop_pool(&self, name: &str) -> Result<()>;

    /// Makes a volume. One that we made before for the same `owner` is left as it is; half-made ones are finished.
    /// Filling from a URL resumes and verifies its checksum before the volume appears.
    ///
    /// # Errors
    /// `StorageVolExist` if a file of that name exists that is not ours; `NoStorageVol` for a missing backing volume;
    /// `OperationFailed` for a wrong checksum; `SystemError` (disk full), with nothing left.
    async fn create_volume(
        &self,
        pool: &str,
        volume: &StorageVolume,
        owner: &VolumeOwner,
        fill: VolumeFill,
        progress: Option<Progress>,
    ) -> Result<VolumeSummary>;

    /// Hands a volume that we made, with what is in it, to another owner.
    ///
    /// # Errors
    /// `NoStorageVol`; `OperationDenied` for a file without our mark.
    async fn adopt_volume(&self, pool: &str, name: &str, owner: &VolumeOwner) -> Result<VolumeSummary>;

    /// Deletes a volume that we made.
    ///
    /// # Errors
    /// `NoStorageVol`; `ResourceBusy` while a process has the image open or another volume stands on it, naming it;
    /// `OperationDenied` for a file without our mark.
    async fn delete_volume(&self, pool: &str, name: &str) -> Result<()>;

    /// Makes a volume larger. `ResourceBusy` while in use; `InvalidArg` for a smaller size.
    async fn resize_volume(&self, pool: &str, name: &str, capacity_bytes: u64) -> Result<VolumeSummary>;

    /// All volumes of an active pool, by name.
    async fn volumes(&self, pool: &str) -> Result<Vec<VolumeSummary>>;

    /// One volume.
    async fn volume(&self, pool: &str, name: &str) -> Result<VolumeSummary>;

    /// A volume as a guest uses it.
    async fn resolve(&self, pool: &str, name: &str) -> Result<ResolvedVolume>;
}

/// For whom a volume is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeOwner {
    /// Who: for the same one, a volume is made once.
    pub uuid: Uuid,
    /// The object that stands for it, as far as that is known; goes with the image.
    pub mark: Option<Owner>,
}

impl From<Uuid> for VolumeOwner {
    fn from(uuid: Uuid) -> Self {
        VolumeOwner { uuid, mark: None }
    }
}

/// What a new volume is filled with, once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VolumeFill {
    /// Nothing.
    #[default]
    Empty,
    /// It stands on this volume of the same pool, which stays as it is.
    Backing {
        /// The volume's name in the pool.
        volume: String,
    },
    /// An image from the web, taken as it is into a volume of the same format.
    Http {
        /// Its address, http or https.
        url: String,
        /// The SHA-256 of its bytes, in 64 hexadecimal digits.
        sha256: String,
    },
}

/// A pool in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSummary {
    /// Its identity.
    pub uuid: Uuid,
    /// Its name on the host.
    pub name: String,
    /// Whether it is usable.
    pub active: bool,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes in all, while active.
    pub capacity_bytes: u64,
    /// Bytes used.
    pub allocation_bytes: u64,
    /// Bytes free.
    pub available_bytes: u64,
}

/// A volume in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSummary {
    /// Its name in the pool.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// `raw`, `qcow2`, …
    pub format: String,
    /// What a guest sees, in bytes.
    pub capacity_bytes: u64,
    /// What it takes on the host, in bytes.
    pub allocation_bytes: u64,
    /// The image it stands on.
    pub backing: Option<PathBuf>,
    /// For whom we made it; absent: not ours.
    pub owner: Option<Uuid>,
    /// The object that stood for it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Owner>,
}

/// A volume as a guest uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedVolume {
    /// Its file.
    pub path: PathBuf,
    /// Its format, as recorded when it was made; never guessed from what a guest could write.
    pub format: String,
    /// The chain below it, top first, each with its recorded format.
    pub backing: Vec<(PathBuf, String)>,
}
