//! The driver's calls: each runs on a thread that may wait for the disk.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ostler_conf::{StoragePool, StorageVolume};
use ostler_driver::{
    Connection, Error, Event, Events, Feature, HostFacts, PoolEvent, PoolSummary, Progress, ResolvedVolume, Result,
    Storage, VolumeFill, VolumeOwner, VolumeSummary,
};
use ostler_util::ErrorCode;
use tokio::sync::broadcast;

use crate::config::Config;
use crate::pools::{Pool, Pools};
use crate::volumes::Made;

const FEATURES: &[Feature] = &[Feature::StoragePool, Feature::StorageVolume, Feature::StorageVolumeResize];

/// The storage driver.
#[derive(Clone, Debug)]
pub struct StorageDriver {
    pools: Arc<Mutex<Pools>>,
    events: broadcast::Sender<Event>,
}

impl StorageDriver {
    /// Opens the driver and reads its pools' definitions; none is active until it is started.
    ///
    /// # Errors
    /// A state folder that can't be made or read.
    pub fn open(config: Config) -> Result<Self> {
        let directory = config.state_dir.display().to_string();
        let pools =
            Pools::load(config).map_err(|error| Error::system(format!("open the state in {directory}"), error))?;
        Ok(StorageDriver { pools: Arc::new(Mutex::new(pools)), events: broadcast::channel(1024).0 })
    }

    fn lock(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn tell(&self, name: &str, event: PoolEvent) {
        // Nobody needs to listen.
        let _ = self.events.send(Event::Pool { name: name.to_owned(), event });
    }

    /// Runs what waits for the disk on a thread of its own.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        let driver = self.clone();
        tokio::task::spawn_blocking(move || work(&driver)).await.map_err(|error| {
            Error::new(ErrorCode::InternalError, "a storage task ended unexpectedly").with_source(error)
        })?
    }

    /// The same with an active pool, whose list is not locked meanwhile.
    async fn with_pool<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Pool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pool = self.lock().active(name)?.clone();
        self.blocking(move |_| work(&pool)).await
    }
}

#[async_trait]
impl Connection for StorageDriver {
    fn driver(&self) -> &'static str {
        "storage"
    }

    fn uri(&self) -> &str {
        "storage:///system"
    }

    fn features(&self) -> &'static [Feature] {
        FEATURES
    }

    async fn host(&self) -> Result<HostFacts> {
        Ok(HostFacts::default())
    }

    fn events(&self) -> Events {
        self.events.subscribe()
    }

    fn storage(&self) -> Option<&dyn Storage> {
        Some(self)
    }
}

#[async_trait]
impl Storage for StorageDriver {
    async fn check_pool(&self, definition: &StoragePool) -> Result<StoragePool> {
        self.lock().check(definition)
    }

    async fn define_pool(&self, definition: &StoragePool) -> Result<StoragePool> {
        let definition = definition.clone();
        let (definition, changed) = self.blocking(move |driver| driver.lock().define(definition)).await?;
        if changed {
            self.tell(&definition.name, PoolEvent::Defined);
        }
        Ok(definition)
    }

    async fn undefine_pool(&self, name: &str, delete: bool) -> Result<()> {
        let owned = name.to_owned();
        self.blocking(move |driver| driver.lock().undefine(&owned, delete)).await?;
        self.tell(name, PoolEvent::Undefined);
        Ok(())
    }

    async fn pools(&self) -> Result<Vec<PoolSummary>> {
        Ok(self.lock().all().map(Pool::summary).collect())
    }

    async fn pool(&self, name: &str) -> Result<PoolSummary> {
        self.lock().get(name).map(Pool::summary)
    }

    async fn pool_definition(&self, name: &str) -> Result<StoragePool> {
        self.lock().get(name).map(|pool| pool.definition.clone())
    }

    async fn start_pool(&self, name: &str) -> Result<()> {
        let owned = name.to_owned();
        if self.blocking(move |driver| driver.lock().start(&owned)).await? {
            self.tell(name, PoolEvent::Started);
        }
        Ok(())
    }

    async fn stop_pool(&self, name: &str) -> Result<()> {
        self.lock().stop(name)?;
        self.tell(name, PoolEvent::Stopped);
        Ok(())
    }

    async fn create_volume(
        &self,
        pool: &str,
        volume: &StorageVolume,
        owner: &VolumeOwner,
        fill: VolumeFill,
        progress: Option<Progress>,
    ) -> Result<VolumeSummary> {
        let (volume, owner) = (volume.clone(), owner.clone());
        match self.with_pool(pool, move |pool| pool.create(&volume, &owner, &fill, progress.as_ref())).await? {
            Made::Before(summary) => Ok(summary),
            Made::Now(summary) => {
                self.tell(pool, PoolEvent::Refreshed);
                Ok(summary)
            }
        }
    }

    async fn adopt_volume(&self, pool: &str, name: &str, owner: &VolumeOwner) -> Result<VolumeSummary> {
        let (name, owner) = (name.to_owned(), owner.clone());
        self.with_pool(pool, move |pool| pool.adopt(&name, &owner)).await
    }

    async fn delete_volume(&self, pool: &str, name: &str) -> Result<()> {
        let owned = name.to_owned();
        self.with_pool(pool, move |pool| pool.delete(&owned)).await?;
        self.tell(pool, PoolEvent::Refreshed);
        Ok(())
    }

    async fn resize_volume(&self, pool: &str, name: &str, capacity_bytes: u64) -> Result<VolumeSummary> {
        let owned = name.to_owned();
        let summary = self.with_pool(pool, move |pool| pool.resize(&owned, capacity_bytes)).await?;
        self.tell(pool, PoolEvent::Refreshed);
        Ok(summary)
    }

    async fn volumes(&self, pool: &str) -> Result<Vec<VolumeSummary>> {
        self.with_pool(pool, Pool::list).await
    }

    async fn volume(&self, pool: &str, name: &str) -> Result<VolumeSummary> {
        let name = name.to_owned();
        self.with_pool(pool, move |pool| pool.get_volume(&name)).await
    }

    async fn resolve(&self, pool: &str, name: &str) -> Result<ResolvedVolume> {
        let name = name.to_owned();
        self.with_pool(pool, move |pool| pool.resolve(&name)).await
    }
}
