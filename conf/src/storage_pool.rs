//! `<pool>`: a place for volumes. libvirt: formatstorage.html.

use ostler_conf_derive::element;
use ostler_util::{ErrorCode, Size};
use uuid::Uuid;

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
    /// Where its data come from.
    #[xml(keep)]
    pub source: Option<PoolSource>,
    /// Where it is on the host.
    pub target: Option<PoolTarget>,
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
}

/// The path as libvirt keeps it: one slash for several, none at the end.
fn single_slashes(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if path.starts_with('/') { format!("/{}", parts.join("/")) } else { parts.join("/") }
}

/// `<source>`: where a pool's data come from; a directory has none.
#[element(open)]
pub struct PoolSource {}

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

/// A file mode: octal digits in XML and YAML alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Octal(pub u32);

impl crate::xml::Value for Octal {
    fn parse(text: &str) -> Result<Self, String> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .map(Octal)
            .ok_or_else(|| "a mode of up to four octal digits".to_owned())
    }
    fn format(&self) -> std::borrow::Cow<'_, str> {
        format!("{:04o}", self.0).into()
    }
}

impl serde::Serialize for Octal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format())
    }
}

impl<'de> serde::Deserialize<'de> for Octal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        crate::xml::Value::parse(&text)
            .map_err(|expected| serde::de::Error::custom(format!("'{text}' is not {expected}")))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Octal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Octal".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 5, "pattern": "^[0-7]{1,5}$" })
    }
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

impl StoragePool {
    fn after_read(&mut self) {
        if let Some(permissions) = self.target.as_mut().and_then(|target| target.permissions.as_mut()) {
            permissions.owner.take_if(|owner| *owner == -1);
            permissions.group.take_if(|group| *group == -1);
        }
        // libvirt always writes them, and a definition never says them.
        for bytes in [&mut self.capacity, &mut self.allocation, &mut self.available] {
            *bytes = Some(Bytes::default());
        }
        if let Some(path) = self.target.as_mut().and_then(|target| target.path.as_mut()) {
            *path = single_slashes(path);
        }
    }

    /// Fills in the driver-independent defaults, as libvirt does. What is set stays.
    pub fn complete(&mut self) {
        self.r#type.get_or_insert(PoolType::Dir);
        self.source.get_or_insert(PoolSource {});
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push(Problem::new(ErrorCode::XmlError, "name", "a pool needs a name"));
        } else if self.name.contains('/') {
            problems.push(Problem::new(
                ErrorCode::XmlError,
                "name",
                format!("the name '{}' can't hold a '/'", self.name),
            ));
        }
        if let Some(path) = self.target.as_ref().and_then(|target| target.path.as_deref())
            && !path.starts_with('/')
        {
            problems.push(Problem::new(ErrorCode::XmlError, "target.path", format!("'{path}' is no absolute path")));
        }
        Invalid::check(problems)
    }
}
