//! The suite that every driver runs, on this one; with all features, and with none of them.

use std::sync::Arc;

use async_trait::async_trait;
use ostler_conf::{Domain, parse};
use ostler_driver::behaviour::{self, Subject};
use ostler_driver::{Connection, Feature};
use ostler_driver_test::TestDriver;
use tokio::sync::Mutex;

struct Memory {
    control: Mutex<ostler_driver_test::Control>,
}

impl Memory {
    fn new(features: &'static [Feature]) -> Self {
        Memory { control: Mutex::new(TestDriver::with_features(features).control()) }
    }
}

#[async_trait]
impl Subject for Memory {
    async fn open(&self) -> Arc<dyn Connection> {
        Arc::new(self.control.lock().await.restart())
    }

    async fn deafen(&self, uuid: uuid::Uuid) {
        let manners = ostler_driver_test::Manners { ignores_power_button: true };
        self.control.lock().await.set_manners(uuid, manners);
    }

    fn domain(&self, name: &str) -> Domain {
        let text = format!(
            "<domain type='test'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>
             <devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/images/{name}/first.img'/>
             <target dev='vda' bus='virtio'/></disk><console type='pty'/></devices></domain>"
        );
        parse::<Domain>(&text).unwrap().strict().unwrap()
    }
}

#[tokio::test]
async fn every_trial_passes() {
    let report = behaviour::run(&Memory::new(Feature::ALL)).await;
    assert_eq!(report.ran.len(), behaviour::trials().count());
    assert!(report.refused.is_empty());
}

#[tokio::test]
async fn what_is_not_declared_is_refused() {
    let report = behaviour::run(&Memory::new(&[])).await;
    assert_eq!((report.ran, report.refused), (vec![], Feature::ALL.to_vec()));
}
