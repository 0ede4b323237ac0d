//! `<volume>`: a disk image in a pool. libvirt: formatstorage.html.

mod format;
mod shape;

pub use format::VolumeFormatName;
pub(crate) use shape::formats as formats_in;

use ostler_conf_derive::element;
use ostler_util::{ErrorCode, Size};

use crate::encryption::Encryption;
use crate::storage_pool::{Bytes, Permissions, PoolType};
use crate::values::LiveOnly;
use crate::xml::{Element, Reader, Value as _, Writer};
use crate::{Invalid, Problem, words};

/// A storage volume: what libvirt's `<volume>` says.
#[element(root = "volume", after_read)]
pub struct StorageVolume {
    /// What it is; never in a definition.
    #[xml(attr, code = "ConfigUnsupported")]
    #[serde(skip)]
    pub r#type: Option<VolumeType>,
    /// The name in the pool. In a manifest it comes from the object's namespace and name.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The pool's own key for it; never in a definition.
    #[serde(skip)]
    pub key: Option<String>,
    /// What of the host it stands on; never in a definition.
    #[serde(skip)]
    pub source: Option<LiveOnly>,
    /// What a guest sees.
    pub capacity: Option<Bytes>,
    /// What is reserved on the host; absent: for `raw` all, else what the format needs.
    pub allocation: Option<Bytes>,
    /// What it takes on the host; never in a definition.
    #[serde(skip)]
    pub physical: Option<LiveOnly>,
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
    /// When it was used; never in a definition.
    #[serde(skip)]
    pub timestamps: Option<LiveOnly>,
    /// How it is encrypted.
    #[xml(keep)]
    pub encryption: Option<Encryption>,
    /// The format's version: `0.10` or `1.1` for qcow2.
    pub compat: Option<String>,
    /// The size of a cluster.
    pub cluster_size: Option<ClusterSize>,
    /// Features of the format.
    #[xml(keep)]
    pub features: Option<VolumeFeatures>,
    /// Whether the file is not copied on write, where the file system can choose. libvirt reads it and never writes it.
    #[xml(flag)]
    pub nocow: bool,
}

/// `<format type='qcow2'/>`: a volume's format.
#[element]
pub struct VolumeFormat {
    /// Its name.
    #[xml(attr, code = "ConfigUnsupported")]
    pub r#type: Option<VolumeFormatName>,
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

/// `<clusterSize unit='KiB'>64</clusterSize>`: the size of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct ClusterSize(pub Size);

impl Element for ClusterSize {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        crate::xml::read_scaled(reader, "bytes").map(ClusterSize)
    }
    fn attrs(&self, writer: &mut Writer) {
        writer.attr_text("unit", "B");
    }
    fn body(&self, writer: &mut Writer) {
        writer.text(&self.0.bytes().format());
    }
}

impl StorageVolume {
    fn after_read(&mut self) {
        shape::settle(self);
    }

    /// Fills in the driver-independent defaults of a volume in a pool of this type, as libvirt does. What is set stays.
    pub fn complete(&mut self, pool: PoolType) {
        shape::complete(self, pool);
    }

    /// The driver-independent rules of a volume in a pool of this type.
    ///
    /// # Errors
    /// As [`validate`](Self::validate); a format that volumes of such a pool don't have.
    pub fn validate_in(&self, pool: PoolType) -> Result<(), Invalid> {
        self.validate()?;
        Invalid::check(shape::problems(self, pool))
    }

    /// The format; libvirt's default is `raw`.
    pub fn format(&self) -> VolumeFormatName {
        self.target
            .as_ref()
            .and_then(|target| target.format.as_ref())
            .and_then(|format| format.r#type)
            .unwrap_or(VolumeFormatName::Raw)
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
        if let Some(target) = &self.target {
            if target.compat.as_ref().is_some_and(|compat| compat.chars().any(|c| !c.is_ascii_digit() && c != '.')) {
                problems.push(Problem::new(ErrorCode::XmlError, "target.compat", "a version is of digits and dots"));
            }
            let permissions = target.permissions.iter().flat_map(|it| it.problems("target.permissions"));
            problems
                .extend(permissions.chain(target.encryption.iter().flat_map(|it| it.problems("target.encryption"))));
        }
        Invalid::check(problems)
    }
}
