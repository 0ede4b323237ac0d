//! An open driver.

use std::fmt::Debug;

use async_trait::async_trait;
use ostler_conf::Capabilities;
use serde::Serialize;

use crate::{Domains, Events, Feature, Networks, Result, Security, Storage};

/// An open driver: what it is, what it can do, and its groups of calls.
///
/// Dropping or closing a connection never touches a guest.
#[async_trait]
pub trait Connection: Send + Sync + Debug {
    /// The driver's name, as in `spec.driver`: `qemu`, `test`.
    fn driver(&self) -> &'static str;

    /// The URI that it was opened with.
    fn uri(&self) -> &str;

    /// Exactly what works here; all else returns `NoSupport`.
    fn features(&self) -> &'static [Feature];

    /// What was found out about the host. Probed once and cached.
    async fn host(&self) -> Result<HostFacts>;

    /// What the host is and which guests it can have, in libvirt's form. `None` where the driver can't tell.
    async fn capabilities(&self) -> Result<Option<Capabilities>> {
        Ok(None)
    }

    /// What the driver stands on and whether the host has it, asked anew each time. Cheap: nothing is run.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// What the driver's checks need to know of this host, in the driver's own form, so that they can be asked elsewhere:
    /// a few KB at most, the same while nothing has changed. `None` where a check needs the host itself.
    async fn check_facts(&self) -> Result<Option<serde_json::Value>> {
        Ok(None)
    }

    /// All that happens from now on. A receiver that lags is told so and must query again.
    fn events(&self) -> Events;

    /// Lifecycle of guests.
    fn domains(&self) -> Option<&dyn Domains> {
        None
    }

    /// Virtual networks.
    fn networks(&self) -> Option<&dyn Networks> {
        None
    }

    /// Storage pools and volumes.
    fn storage(&self) -> Option<&dyn Storage> {
        None
    }

    /// Ownership of the files that guests use.
    fn security(&self) -> Option<&dyn Security> {
        None
    }

    /// Ends background tasks. Guests and networks go on.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Something of the host that a driver stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The condition that tells of it, as in `DnsmasqAvailable`.
    pub condition: &'static str,
    /// What it is: a path.
    pub what: String,
    /// What would mend it; absent: it is there.
    pub missing: Option<String>,
}

impl Need {
    /// A file of the host; `remedy`: what would bring it.
    pub fn file(condition: &'static str, path: &std::path::Path, remedy: &str) -> Self {
        let missing = (!path.exists()).then(|| format!("there is no {}: {remedy}", path.display()));
        Need { condition, what: path.display().to_string(), missing }
    }
}

/// What a driver knows of its host.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// The host's name.
    pub hostname: String,
    /// The hypervisor's version, as in `10.0.2`.
    pub hypervisor_version: Option<String>,
    /// CPUs that are online.
    pub cpus: u32,
    /// Physical memory in bytes.
    pub memory_bytes: u64,
    /// What runs a guest's code, best first. KVM is listed only if a probe guest really ran under it.
    pub accelerators: Vec<Accelerator>,
    /// Canonical machine types the default emulator offers.
    pub machines: Vec<String>,
}

/// What runs a guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Accelerator {
    /// The kernel's hardware virtualization.
    Kvm,
    /// QEMU's translator.
    Tcg,
}
