//! Which drivers there are: the only place that knows them all.

use std::sync::Arc;

use ostler_driver::{Connection, Error, Result};
use ostler_driver_network::NetworkDriver;
use ostler_driver_storage::StorageDriver;
use ostler_util::ErrorCode;

use super::Config;
use crate::context::Drivers;

pub(super) async fn open(config: &Config) -> Result<Drivers> {
    let networks =
        Arc::new(NetworkDriver::open(ostler_driver_network::Config::new(&config.state_dir, &config.run_dir)).await?);
    let storage = Arc::new(StorageDriver::open(ostler_driver_storage::Config {
        state_dir: config.state_dir.clone(),
        pools_dir: config.state_dir.join("pools"),
    })?);
    let mut hypervisors = Vec::new();
    for name in &config.drivers {
        hypervisors.push(hypervisor(name, config, &networks, &storage).await?);
    }
    Ok(Drivers { hypervisors, networks, storage })
}

async fn hypervisor(
    name: &str,
    config: &Config,
    networks: &Arc<NetworkDriver>,
    storage: &Arc<StorageDriver>,
) -> Result<Arc<dyn Connection>> {
    match name {
        #[cfg(feature = "qemu")]
        "qemu" => {
            let security = Arc::new(ostler_driver_security::SecurityDriver::open(&config.state_dir)?);
            let services =
                ostler_driver_qemu::Services { networks: networks.clone(), storage: storage.clone(), security };
            let qemu = ostler_driver_qemu::Config {
                state_dir: config.state_dir.clone(),
                run_dir: config.run_dir.clone(),
                emulator: config.emulator.clone(),
                user: config.qemu_user.clone(),
                ..ostler_driver_qemu::Config::default()
            };
            Ok(Arc::new(ostler_driver_qemu::QemuDriver::open(qemu, services).await?))
        }
        other => {
            // Without a hypervisor driver in the build these have no user.
            let _ = (config, networks, storage);
            Err(Error::new(ErrorCode::NoConnect, format!("this build has no driver '{other}'")))
        }
    }
}
