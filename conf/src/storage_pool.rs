//! `<pool>`: a place for volumes. libvirt: formatstorage.html.

mod adapter;
mod options;
mod shape;
mod source;
mod validate;

pub use adapter::{FcAdapter, ParentAddress, PoolAdapter, ScsiAdapter};
pub use options::{FsMountOptions, FsOption, RbdConfigOptions, RbdOption};
pub(crate) use shape::formats_of;
pub use source::{
    Auth, AuthSecret, AuthType, Initiator, InitiatorName, PoolDevice, PoolDir, PoolFormat, PoolFormatName, PoolHost,
    PoolProtocol, PoolSource, SourceText,
};

use ostler_conf_derive::element;
use ostler_util::Size;
use uuid::Uuid;

use crate::values::{Octal, YesNo};
use crate::xml::{Element, Reader, Value as _, Writer};
use crate::{Invalid, Problem, words};

/// A storage pool: what libvirt's `<pool>` says.
#[element(root = "pool", after_read)]
pub struct StoragePool {
    /// What it stands on; absent in a manifest: a directory.
    #[xml(attr)]
    pub r#type: Option<PoolType>,
    /// The name on the host. In a manifest it comes from the object's namespace and name.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The identity; chosen once.
    pub uuid: Option<Uuid>,
    /// All bytes; never in a definition.
    #[serde(skip)]
    pub capacity: Option<Bytes>,
    /// Bytes used; never in a definition.
    #[serde(skip)]
    pub allocation: Option<Bytes>,
    /// Bytes free; never in a definition.
    #[serde(skip)]
    pub available: Option<Bytes>,
    /// Features of the pool itself.
    pub features: Option<PoolFeatures>,
    /// Where its data come from.
    #[xml(keep)]
    pub source: Option<PoolSource>,
    /// Where it is on the host.
    pub target: Option<PoolTarget>,
    /// How its volumes are looked at.
    #[xml(keep)]
    pub refresh: Option<PoolRefresh>,
    /// With `fs` and `netfs`: options of the mount; need a grant.
    #[xml(name = "fs:mount_opts", bind)]
    pub fs_mount_options: Option<FsMountOptions>,
    /// With `rbd`: options of Ceph's client; need a grant.
    #[xml(name = "rbd:config_opts", bind)]
    pub rbd_config_options: Option<RbdConfigOptions>,
}

words! {
    /// What a pool stands on.
    pub enum PoolType {
        /// A directory.
        Dir = "dir",
        /// A file system on a device.
        Fs = "fs",
        /// A network file system.
        Netfs = "netfs",
        /// A volume group.
        Logical = "logical",
        /// A disk with partitions.
        Disk = "disk",
        /// An iSCSI target.
        Iscsi = "iscsi",
        /// An iSCSI target, in user space.
        IscsiDirect = "iscsi-direct",
        /// A SCSI host.
        Scsi = "scsi",
        /// Multipath devices.
        Mpath = "mpath",
        /// Ceph block devices.
        Rbd = "rbd",
        /// Sheepdog.
        Sheepdog = "sheepdog",
        /// Gluster.
        Gluster = "gluster",
        /// ZFS.
        Zfs = "zfs",
        /// Virtuozzo storage.
        Vstorage = "vstorage",
    }

    /// How much of a volume counts as allocated.
    pub enum RefreshAllocation {
        /// What is used, as looked up.
        Default = "default",
        /// All of it, which is quicker.
        Capacity = "capacity",
    }
}

/// `<features>`: features of the pool itself.
#[element]
pub struct PoolFeatures {
    /// Whether its files are copied on write, where the file system can choose.
    pub cow: Option<PoolCow>,
}

/// `<cow state='no'/>`: whether files are copied on write.
#[element]
pub struct PoolCow {
    /// Whether they are.
    #[xml(attr)]
    pub state: YesNo,
}

/// `<refresh>`: how volumes are looked at.
#[element]
pub struct PoolRefresh {
    /// How each volume is.
    pub volume: Option<RefreshVolume>,
}

/// `<volume allocation='capacity'/>`: how a volume is looked at.
#[element]
pub struct RefreshVolume {
    /// How much of it counts as allocated.
    #[xml(attr, code = "ConfigUnsupported")]
    pub allocation: Option<RefreshAllocation>,
}

/// `<target>`: where a pool or volume is on the host.
#[element]
pub struct PoolTarget {
    /// Its path; absent: below the driver's own folder. Needs a grant.
    pub path: Option<String>,
    /// Who may use it.
    pub permissions: Option<Permissions>,
}

/// `<permissions>`: who may use a file or folder.
#[element]
pub struct Permissions {
    /// The mode, in octal digits.
    pub mode: Option<Octal>,
    /// The owner's number; -1, which libvirt writes for "as it is", is the same as none.
    pub owner: Option<i64>,
    /// The group's number.
    pub group: Option<i64>,
    /// The SELinux label.
    pub label: Option<String>,
}

/// A size that XML has as `unit='bytes'` and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Bytes(pub Size);

impl Element for Bytes {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        crate::xml::read_scaled(reader, "bytes").map(Bytes)
    }
    fn attrs(&self, writer: &mut Writer) {
        writer.attr_text("unit", "bytes");
    }
    fn body(&self, writer: &mut Writer) {
        writer.text(&self.0.bytes().format());
    }
}

impl Permissions {
    /// "As it is" is the same as none, said as -1 or as the largest number.
    pub(crate) fn settle(&mut self) {
        for id in [&mut self.owner, &mut self.group] {
            id.take_if(|id| *id == -1 || *id == i64::from(u32::MAX));
        }
    }

    /// The driver-independent rules; `path` is where it stands.
    pub(crate) fn problems(&self, path: &str) -> Vec<Problem> {
        let ids = [("owner", self.owner), ("group", self.group)].into_iter();
        let wrong = ids.filter(|(_, id)| id.is_some_and(|id| u32::try_from(id).is_err()));
        wrong
            .map(|(name, _)| {
                let message = format!("a number from 0 to {} is expected", u32::MAX - 1);
                Problem::new(ostler_util::ErrorCode::XmlError, format!("{path}.{name}"), message)
            })
            .collect()
    }
}

impl StoragePool {
    fn after_read(&mut self) {
        shape::settle(self);
    }

    /// Fills in the driver-independent defaults, as libvirt does. What is set stays.
    pub fn complete(&mut self) {
        shape::complete(self);
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
    }
}
