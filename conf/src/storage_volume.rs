//! `<volume>`: a disk image in a pool. libvirt: formatstorage.html.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use crate::storage_pool::{Bytes, Permissions};
use crate::{Invalid, Problem, words};

/// A storage volume: what libvirt's `<volume>` says.
#[element(root = "volume")]
pub struct StorageVolume {
    /// What it is; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub r#type: Option<VolumeType>,
    /// The name in the pool. In a manifest it comes from the object's namespace and name.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The pool's own key for it; never in a definition.
    #[serde(skip)]
    pub key: Option<String>,
    /// What a guest sees.
    pub capacity: Option<Bytes>,
    /// What is reserved on the host; absent: for `raw` all, else what the format needs.
    pub allocation: Option<Bytes>,
    /// The image itself.
    #[xml(keep)]
    pub target: Option<VolumeTarget>,
    /// The image below.
    pub backing_store: Option<VolumeBacking>,
}

words! {
    /// What a volume is on the host.
    pub enum VolumeType {
        /// A file.
        File = "file",
        /// A block device.
        Block = "block",
        /// A directory.
        Dir = "dir",
        /// On the network.
        Network = "network",
        /// A directory on the network.
        Netdir = "netdir",
        /// Parallels' image directory.
        Ploop = "ploop",
    }

    /// The format of a volume.
    pub enum VolumeFormatName {
        /// The bytes as they are.
        Raw = "raw",
        /// A directory.
        Dir = "dir",
        /// Bochs.
        Bochs = "bochs",
        /// Compressed loop device.
        Cloop = "cloop",
        /// macOS disk image.
        Dmg = "dmg",
        /// A CD image.
        Iso = "iso",
        /// Hyper-V's first.
        Vpc = "vpc",
        /// VirtualBox's.
        Vdi = "vdi",
        /// Fat16 folder.
        Fat = "fat",
        /// Hyper-V's second.
        Vhdx = "vhdx",
        /// Parallels.
        Ploop = "ploop",
        /// User Mode Linux copy-on-write.
        Cow = "cow",
        /// QEMU's first copy-on-write format.
        Qcow = "qcow",
        /// QEMU's copy-on-write format.
        Qcow2 = "qcow2",
        /// QEMU's enhanced disk.
        Qed = "qed",
        /// VMware's.
        Vmdk = "vmdk",
    }
}

/// `<target>`: the image itself.
#[element]
pub struct VolumeTarget {
    /// Its path; made from pool and name, never in a definition.
    #[serde(skip)]
    pub path: Option<String>,
    /// Its format; absent: `raw`.
    pub format: Option<VolumeFormat>,
    /// Who may use it.
    pub permissions: Option<Permissions>,
    /// The format's version: `0.10` or `1.1` for qcow2.
    pub compat: Option<String>,
    /// The size of a cluster.
    pub cluster_size: Option<Bytes>,
    /// Features of the format.
    pub features: Option<VolumeFeatures>,
}

/// `<format type='qcow2'/>`: a volume's format.
#[element]
pub struct VolumeFormat {
    /// Its name.
    #[xml(attr)]
    pub r#type: VolumeFormatName,
}

/// `<features>`: features of an image's format.
#[element]
pub struct VolumeFeatures {
    /// qcow2: reference counts are written late.
    #[xml(flag, name = "lazy_refcounts")]
    pub lazy_refcounts: bool,
    /// qcow2: clusters have subclusters.
    #[xml(flag, name = "extended_l2")]
    pub extended_l2: bool,
}

/// `<backingStore>`: the image below.
#[element]
pub struct VolumeBacking {
    /// Its path.
    pub path: Option<String>,
    /// Its format.
    pub format: Option<VolumeFormat>,
    /// Who may use it.
    pub permissions: Option<Permissions>,
}

impl StorageVolume {
    /// The format; libvirt's default is `raw`.
    pub fn format(&self) -> VolumeFormatName {
        self.target
            .as_ref()
            .and_then(|target| target.format.as_ref())
            .map_or(VolumeFormatName::Raw, |format| format.r#type)
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push(Problem::new(ErrorCode::XmlError, "name", "a volume needs a name"));
        } else if self.name.contains('/') || matches!(self.name.as_str(), "." | "..") {
            problems.push(Problem::new(ErrorCode::XmlError, "name", format!("'{}' is no name for a file", self.name)));
        }
        let backed = self.backing_store.as_ref().is_some_and(|backing| backing.path.is_some());
        if self.capacity.is_none() && !backed {
            problems.push(Problem::new(ErrorCode::XmlError, "capacity", "a volume needs a capacity"));
        }
        Invalid::check(problems)
    }
}
