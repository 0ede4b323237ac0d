//! The suite that every driver runs, with real QEMU.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::{IDLE, Lab};
use ostler_conf::Domain;
use ostler_driver::behaviour::{self, Subject};
use ostler_driver::{Connection, Feature};

struct Place(Lab);

#[async_trait]
impl Subject for Place {
    async fn open(&self) -> Arc<dyn Connection> {
        Arc::new(self.0.open().await)
    }

    /// A guest that halts with its interrupts off hears nothing.
    fn domain(&self, name: &str) -> Domain {
        let first = self.0.disk(&format!("{name}.img"));
        self.0.disk("second.img");
        let devices = format!(
            "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk><console type='pty'/>",
            first.display()
        );
        let mut domain = self.0.guest(name, IDLE, &devices);
        domain.uuid = None;
        domain
    }
}

#[test]
fn every_trial_of_domains_passes() {
    Lab::run("behaviour", |lab| async move {
        let report = behaviour::run(&Place(lab)).await;
        let of_domains = |feature: &Feature| feature.name().starts_with("Domain");
        let wanted = behaviour::trials().filter(|trial| trial.features.iter().all(of_domains));
        assert_eq!(report.ran.len(), wanted.count());
    });
}
