//! Where the driver keeps what it knows, and what it runs.

use std::path::PathBuf;

use uuid::Uuid;

/// The driver's folders and programs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Durable state: definitions and leases, below `network/`.
    pub state_dir: PathBuf,
    /// State of this boot, below `network/`.
    pub run_dir: PathBuf,
    /// The program that gives addresses and names.
    pub dnsmasq: PathBuf,
    /// The program that changes the packet filter.
    pub nft: PathBuf,
    /// As whom dnsmasq runs.
    pub dnsmasq_user: String,
    /// The control group, in every hierarchy, below which each network has its own.
    pub cgroup: String,
}

impl Config {
    /// The usual programs, with these folders.
    pub fn new(state_dir: impl Into<PathBuf>, run_dir: impl Into<PathBuf>) -> Self {
        Config {
            state_dir: state_dir.into(),
            run_dir: run_dir.into(),
            dnsmasq: "/usr/sbin/dnsmasq".into(),
            nft: "/usr/sbin/nft".into(),
            dnsmasq_user: "ostler-dnsmasq".into(),
            cgroup: "ostler".into(),
        }
    }

    pub(crate) fn definitions(&self) -> PathBuf {
        self.state_dir.join("network")
    }

    pub(crate) fn definition(&self, uuid: Uuid) -> PathBuf {
        self.definitions().join(format!("{uuid}.xml"))
    }

    /// Leases outlive a reboot, so that guests keep their addresses.
    pub(crate) fn leases(&self, uuid: Uuid) -> PathBuf {
        self.definitions().join(format!("{uuid}.leases"))
    }

    /// What a network has in this boot.
    pub(crate) fn run(&self, uuid: Uuid) -> PathBuf {
        self.run_dir.join("network").join(uuid.to_string())
    }

    pub(crate) fn ports(&self) -> PathBuf {
        self.run_dir.join("network").join("ports")
    }
}
