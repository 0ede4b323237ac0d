//! Which drivers there are: the only place that knows them all.

use std::path::PathBuf;
use std::sync::Arc;

use ostler_driver::{Connection, Error, Result};
use ostler_driver_network::NetworkDriver;
use ostler_driver_storage::StorageDriver;
use ostler_util::ErrorCode;

use super::Config;
use super::runtime::Runtime;
use crate::context::Drivers;

/// `runtime`: what the agent brought to this host; its programs go before the host's own.
pub(super) async fn open(config: &Config, runtime: Option<&Runtime>) -> Result<Drivers> {
    let brought = runtime.and_then(|runtime| runtime.program(&format!("qemu-system-{}", std::env::consts::ARCH)));
    let emulator = config.emulator.clone().or(brought);
    let mut network = ostler_driver_network::Config::new(&config.state_dir, &config.run_dir);
    network.cgroup.clone_from(&config.cgroup);
    let programs = [(&mut network.dnsmasq, "dnsmasq"), (&mut network.nft, "nft")];
    for (place, name) in programs {
        if let Some(program) = runtime.and_then(|runtime| runtime.program(name)) {
            *place = program;
        }
    }
    let networks = Arc::new(NetworkDriver::open(network).await?);
    let storage = Arc::new(StorageDriver::open(ostler_driver_storage::Config {
        state_dir: config.state_dir.clone(),
        pools_dir: config.state_dir.join("pools"),
    })?);
    let mut hypervisors = Vec::new();
    for name in &config.drivers {
        hypervisors.push(hypervisor(name, config, emulator.as_ref(), &networks, &storage).await?);
    }
    Ok(Drivers { hypervisors, networks, storage })
}

async fn hypervisor(
    name: &str,
    config: &Config,
    emulator: Option<&PathBuf>,
    networks: &Arc<NetworkDriver>,
    storage: &Arc<StorageDriver>,
) -> Result<Arc<dyn Connection>> {
    match name {
        #[cfg(feature = "qemu")]
        "qemu" => {
            let security = Arc::new(ostler_driver_security::SecurityDriver::open(&config.state_dir)?);
            let services = ostler_driver_qemu::Services {
                networks: networks.clone(),
                storage: storage.clone(),
                security,
                cpus: Arc::new(ostler_driver_cpu::CpuDriver),
            };
            let qemu = ostler_driver_qemu::Config {
                state_dir: config.state_dir.clone(),
                run_dir: config.run_dir.clone(),
                emulator: emulator.cloned(),
                user: config.qemu_user.clone(),
                cgroup: config.cgroup.clone(),
                ..ostler_driver_qemu::Config::default()
            };
            Ok(Arc::new(ostler_driver_qemu::QemuDriver::open(qemu, services).await?))
        }
        other => {
            // Without a hypervisor driver in the build these have no user.
            let _ = (config, emulator, networks, storage);
            Err(Error::new(ErrorCode::NoConnect, format!("this build has no driver '{other}'")))
        }
    }
}
