//! The suite that every driver runs, with real bridges, rules and dnsmasq in a network namespace of its own.

use std::sync::Arc;

use async_trait::async_trait;
use ostler_conf::Domain;
use ostler_driver::behaviour::{self, Subject};
use ostler_driver::{Connection, Feature};
use ostler_driver_network::{Config, NetworkDriver};
use ostler_util::namespace;

struct Place(tempfile::TempDir);

#[async_trait]
impl Subject for Place {
    async fn open(&self) -> Arc<dyn Connection> {
        let config = Config::new(self.0.path().join("state"), self.0.path().join("run"));
        Arc::new(NetworkDriver::open(config).await.unwrap())
    }

    fn domain(&self, _: &str) -> Domain {
        unreachable!("a network driver has no domains")
    }
}

#[test]
fn every_trial_of_networks_passes() {
    let thread = std::thread::spawn(|| {
        namespace::isolate_network().expect("this test needs root, for network namespaces");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let report = behaviour::run(&Place(directory)).await;
            let of_networks = [Feature::Network, Feature::NetworkLeases, Feature::NetworkPorts];
            let wanted = behaviour::trials().filter(|trial| trial.features.iter().all(|f| of_networks.contains(f)));
            assert_eq!(report.ran.len(), wanted.count());
        });
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
