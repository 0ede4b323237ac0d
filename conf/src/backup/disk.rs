//! A disk of a backup.

use ostler_conf_derive::element;

use crate::domain::SourcePrivate;
use crate::encryption::Encryption;
use crate::values::{Rare, XmlTree, YesNo};
use crate::words;

/// `<disks>`: the disks.
#[element(open)]
pub struct BackupDisks {
    /// The disks.
    #[xml(name = "disk")]
    pub disks: Vec<BackupDisk>,
}

words! {
    /// How much of a disk is kept.
    pub enum BackupDiskMode {
        /// All.
        Full = "full",
        /// What changed.
        Incremental = "incremental",
    }

    /// What a backup's image is.
    pub enum BackupDiskType {
        /// A file.
        File = "file",
        /// A block device.
        Block = "block",
    }
}

/// `<disk name='vda' backup='yes' type='file'>`: a disk.
#[element]
pub struct BackupDisk {
    /// Its target in the guest.
    #[xml(attr)]
    pub name: String,
    /// Whether it is part of the backup.
    #[xml(attr)]
    pub backup: Option<YesNo>,
    /// How far it is; never asked for.
    #[xml(attr)]
    #[serde(skip)]
    pub state: Option<String>,
    /// What the image is.
    #[xml(attr)]
    pub r#type: Option<BackupDiskType>,
    /// How much is kept.
    #[xml(attr, name = "backupmode")]
    pub backupmode: Option<BackupDiskMode>,
    /// Only what changed since this checkpoint.
    #[xml(attr)]
    pub incremental: Option<String>,
    /// With `pull`: the name under which it is fetched.
    #[xml(attr, name = "exportname")]
    pub exportname: Option<String>,
    /// With `pull`: the name under which what changed is fetched.
    #[xml(attr, name = "exportbitmap")]
    pub exportbitmap: Option<String>,
    /// The hypervisor's number of the image; never asked for.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
    /// The image's format.
    pub driver: Option<BackupDriver>,
    /// With `push`: the image.
    pub target: Option<BackupImage>,
    /// With `pull`: where what the guest writes meanwhile is put aside.
    pub scratch: Option<BackupImage>,
}

/// `<driver type='qcow2'/>`: an image's format.
#[element]
pub struct BackupDriver {
    /// The format.
    #[xml(attr)]
    pub r#type: Option<String>,
}

/// `<target file='/backup/vda.qcow2'>`: an image.
#[element]
pub struct BackupImage {
    /// The file.
    #[xml(attr)]
    pub file: Option<String>,
    /// The block device.
    #[xml(attr)]
    pub dev: Option<String>,
    /// Security labels of its own.
    #[xml(name = "seclabel")]
    pub seclabels: Vec<XmlTree>,
    /// How it is encrypted.
    #[xml(keep)]
    pub encryption: Option<Encryption>,
    /// What QEMU's driver remembers of it while the backup goes on.
    #[xml(live, default)]
    pub private_data: Rare<SourcePrivate>,
}
