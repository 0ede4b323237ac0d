//! How the driver is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ostler_driver::{Networks, Security, Storage};

/// Where the driver keeps its state, and what it runs as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// Durable state; definitions are in `qemu/` below it.
    pub state_dir: PathBuf,
    /// State of this boot; running guests are in `qemu/` below it.
    pub run_dir: PathBuf,
    /// The emulator of a definition that names none; absent: found by the guest's architecture.
    pub emulator: Option<PathBuf>,
    /// The user that guests run as; made if it is missing.
    pub user: String,
    /// The control group, in every hierarchy, below which each guest has its own.
    pub cgroup: String,
    /// How long QEMU may take to answer a command before its monitor counts as silent.
    pub monitor_timeout: Duration,
    /// How long QEMU may take to end by itself when a guest is destroyed, before it is killed.
    pub quit_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            state_dir: "/var/lib/ostler".into(),
            run_dir: "/run/ostler".into(),
            emulator: None,
            user: "ostler-qemu".into(),
            cgroup: "ostler".into(),
            monitor_timeout: Duration::from_secs(20),
            quit_timeout: Duration::from_secs(5),
        }
    }
}

/// The secondary drivers that guests stand on.
#[derive(Clone)]
pub struct Services {
    /// Their networks.
    pub networks: Arc<dyn Networks>,
    /// Their volumes.
    pub storage: Arc<dyn Storage>,
    /// Who owns their files.
    pub security: Arc<dyn Security>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}
