//! How the driver is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ostler_driver::{Cpus, Networks, Result, Security, Storage};

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
    /// For tests of what a crash or an error leaves: see [`FailurePoints`].
    pub failure_points: FailurePoints,
}

/// Where a test can make a start fail: its hook is called with the name of each point that a start has reached. An error
/// that it returns is the start's; a panic is as good as a crash, since no part of a start cleans up by being dropped.
#[derive(Clone, Default)]
pub struct FailurePoints(Option<Arc<Hook>>);

type Hook = dyn Fn(&'static str) -> Result<()> + Send + Sync;

impl FailurePoints {
    /// Calls `hook` at each point.
    pub fn new(hook: impl Fn(&'static str) -> Result<()> + Send + Sync + 'static) -> Self {
        FailurePoints(Some(Arc::new(hook)))
    }

    pub(crate) fn reach(&self, point: &'static str) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook(point))
    }
}

impl std::fmt::Debug for FailurePoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FailurePoints").field(&self.0.is_some()).finish()
    }
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
            quit_timeout: Duration::from_secs(10),
            failure_points: FailurePoints::default(),
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
    /// What their CPUs are.
    pub cpus: Arc<dyn Cpus>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}
