//! `<domainbackup>`: a backup of a running guest's disks. libvirt: formatbackup.html.

mod align;
mod disk;
mod validate;

pub use align::BackupCandidate;
pub use disk::{BackupDisk, BackupDiskMode, BackupDiskType, BackupDisks, BackupDriver, BackupImage};

use ostler_conf_derive::{element, union};

use crate::values::{XmlTree, YesNo};
use crate::{Invalid, words};

/// A backup: what libvirt's `<domainbackup>` says.
#[element(root = "domainbackup")]
pub struct Backup {
    /// Who moves the data; absent: `push`.
    #[xml(attr)]
    pub mode: Option<BackupMode>,
    /// Only what changed since this checkpoint; absent: all.
    pub incremental: Option<String>,
    /// With `pull`: where the data can be fetched.
    #[xml(keep)]
    pub server: Option<BackupServer>,
    /// The disks; absent: all.
    pub disks: Option<BackupDisks>,
    /// What the hypervisor keeps for itself; never asked for.
    #[serde(skip)]
    pub private_data: Option<XmlTree>,
}

words! {
    /// Who moves a backup's data.
    pub enum BackupMode {
        /// The hypervisor, to an image.
        Push = "push",
        /// Someone else fetches them.
        Pull = "pull",
    }
}

/// Where data can be fetched; `transport=` on `<server>` says how, absent: `tcp`.
#[union(tag = "transport", absent = "tcp")]
pub enum BackupServer {
    /// By the network.
    Tcp(BackupServerTcp),
    /// By a socket on the host.
    Unix(BackupServerUnix),
    /// By a socket that is handed over.
    Fd(BackupServerFd),
}

/// `<server transport='tcp' name='localhost' port='10809'/>`: by the network.
#[element]
pub struct BackupServerTcp {
    /// Whether it is encrypted.
    #[xml(attr)]
    pub tls: Option<YesNo>,
    /// The address that is listened on.
    #[xml(attr)]
    pub name: Option<String>,
    /// The port.
    #[xml(attr)]
    pub port: Option<u32>,
}

/// `<server transport='unix' socket='/run/backup.sock'/>`: by a socket on the host.
#[element]
pub struct BackupServerUnix {
    /// Whether it is encrypted.
    #[xml(attr)]
    pub tls: Option<YesNo>,
    /// The socket's path.
    #[xml(attr)]
    pub socket: String,
}

/// `<server transport='fd' fdgroup='nbd'/>`: by a socket that is handed over.
#[element]
pub struct BackupServerFd {
    /// Whether it is encrypted.
    #[xml(attr)]
    pub tls: Option<YesNo>,
    /// The name under which it was handed over.
    #[xml(attr, name = "fdgroup")]
    pub fdgroup: String,
}

impl Backup {
    /// What may be asked of a new backup: what only one that runs can tell is left out.
    pub fn into_request(mut self) -> Self {
        for disk in self.disks.iter_mut().flat_map(|disks| &mut disks.disks) {
            (disk.state, disk.index) = (None, None);
        }
        Backup { private_data: None, ..self }
    }

    /// Fills in what follows from the guest's disks. With `push`, an image that is not named is put beside the disk's own,
    /// with `suffix` behind its name.
    pub fn complete(&mut self, disks: &[BackupCandidate], suffix: &str) {
        align::complete(self, disks, suffix);
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
    }
}
