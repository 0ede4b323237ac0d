//! The suite that every driver runs, with real files.

use std::sync::Arc;

use async_trait::async_trait;
use ostler_conf::Domain;
use ostler_driver::behaviour::{self, Subject};
use ostler_driver::{Connection, Feature};
use ostler_driver_storage::{Config, StorageDriver};

struct Place(tempfile::TempDir);

#[async_trait]
impl Subject for Place {
    async fn open(&self) -> Arc<dyn Connection> {
        let config = Config { state_dir: self.0.path().join("state"), pools_dir: self.0.path().join("pools") };
        Arc::new(StorageDriver::open(config).unwrap())
    }

    fn domain(&self, _: &str) -> Domain {
        unreachable!("a storage driver has no domains")
    }
}

#[tokio::test]
async fn every_trial_of_storage_passes() {
    let report = behaviour::run(&Place(tempfile::tempdir().unwrap())).await;
    let of_storage = [Feature::StoragePool, Feature::StorageVolume, Feature::StorageVolumeResize];
    let wanted = behaviour::trials().filter(|trial| trial.features.iter().all(|f| of_storage.contains(f)));
    assert_eq!(report.ran.len(), wanted.count());
}
