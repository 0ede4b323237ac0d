//! `<source>`: where a pool's data come from.

use ostler_conf_derive::element;
use uuid::Uuid;

use super::PoolAdapter;
use crate::values::{LiveOnly, YesNo};
use crate::words;

/// `<source>`: where a pool's data come from; which parts there are depends on the pool's type.
#[element(open)]
pub struct PoolSource {
    /// The servers.
    #[xml(name = "host")]
    pub hosts: Vec<PoolHost>,
    /// The devices of the host, or the target on the server.
    #[xml(name = "device")]
    pub devices: Vec<PoolDevice>,
    /// The folder on the server.
    pub dir: Option<PoolDir>,
    /// The SCSI host.
    #[xml(keep)]
    pub adapter: Option<PoolAdapter>,
    /// The name of the data at their source.
    pub name: Option<String>,
    /// Who asks, for iSCSI.
    pub initiator: Option<Initiator>,
    /// How the data are laid out.
    pub format: Option<PoolFormat>,
    /// How one proves to be entitled.
    pub auth: Option<Auth>,
    /// The vendor of the storage.
    pub vendor: Option<SourceText>,
    /// The product.
    pub product: Option<SourceText>,
    /// The version of the protocol.
    pub protocol: Option<PoolProtocol>,
}

/// `<host name='localhost' port='6789'/>`: a server.
#[element]
pub struct PoolHost {
    /// Its name or address.
    #[xml(attr)]
    pub name: String,
    /// Its port.
    #[xml(attr)]
    pub port: Option<u32>,
}

/// `<device path='/dev/sda' part_separator='no'/>`: a device of the host, or the target on the server.
#[element]
pub struct PoolDevice {
    /// Its path, or its name.
    #[xml(attr)]
    pub path: String,
    /// Whether partitions are numbered behind a `p`.
    #[xml(attr, name = "part_separator")]
    pub part_separator: Option<YesNo>,
    /// What is free; never in a definition.
    #[xml(name = "freeExtent")]
    #[serde(skip)]
    pub free_extent: Option<LiveOnly>,
}

/// `<dir path='/images'/>`: a folder on the server.
#[element]
pub struct PoolDir {
    /// Its path.
    #[xml(attr)]
    pub path: String,
}

/// `<initiator>`: who asks.
#[element]
pub struct Initiator {
    /// Its name.
    pub iqn: Option<InitiatorName>,
}

/// `<iqn name='iqn.2013-06.com.example:iscsi-initiator'/>`: the name of who asks.
#[element]
pub struct InitiatorName {
    /// The name.
    #[xml(attr)]
    pub name: Option<String>,
}

/// `<format type='nfs'/>`: how the data are laid out.
#[element]
pub struct PoolFormat {
    /// The layout; which there are depends on the pool's type.
    #[xml(attr, code = "ConfigUnsupported")]
    pub r#type: Option<PoolFormatName>,
}

words! {
    /// How the data of a pool are laid out.
    pub enum PoolFormatName {
        /// As found.
        Auto = "auto",
        /// Not known.
        Unknown = "unknown",
        /// ext2.
        Ext2 = "ext2",
        /// ext3.
        Ext3 = "ext3",
        /// ext4.
        Ext4 = "ext4",
        /// UFS.
        Ufs = "ufs",
        /// ISO 9660.
        Iso9660 = "iso9660",
        /// UDF.
        Udf = "udf",
        /// GFS.
        Gfs = "gfs",
        /// GFS2.
        Gfs2 = "gfs2",
        /// VFAT.
        Vfat = "vfat",
        /// HFS+.
        HfsPlus = "hfs+",
        /// XFS.
        Xfs = "xfs",
        /// OCFS2.
        Ocfs2 = "ocfs2",
        /// VMFS.
        Vmfs = "vmfs",
        /// NFS.
        Nfs = "nfs",
        /// GlusterFS.
        Glusterfs = "glusterfs",
        /// SMB.
        Cifs = "cifs",
        /// A partition table of DOS.
        Dos = "dos",
        /// A partition table of DVH.
        Dvh = "dvh",
        /// A partition table of EFI.
        Gpt = "gpt",
        /// A partition table of classic Mac OS.
        Mac = "mac",
        /// A partition table of BSD.
        Bsd = "bsd",
        /// A partition table of PC-98.
        Pc98 = "pc98",
        /// A partition table of SunOS.
        Sun = "sun",
        /// LVM2.
        Lvm2 = "lvm2",
    }

    /// How one proves to be entitled.
    pub enum AuthType {
        /// By CHAP, for iSCSI.
        Chap = "chap",
        /// By CephX.
        Ceph = "ceph",
    }
}

/// `<auth type='chap' username='admin'>`: how one proves to be entitled.
#[element]
pub struct Auth {
    /// The way.
    #[xml(attr, code = "ConfigUnsupported")]
    pub r#type: Option<AuthType>,
    /// The user.
    #[xml(attr, name = "username")]
    pub username: String,
    /// The password.
    #[xml(keep)]
    pub secret: AuthSecret,
}

/// `<secret usage='libvirtiscsi'/>`: a password, by the secret's uuid or usage.
#[element]
pub struct AuthSecret {
    /// The kind of usage.
    #[xml(attr)]
    pub r#type: Option<String>,
    /// The secret's uuid.
    #[xml(attr)]
    pub uuid: Option<Uuid>,
    /// What the secret is for.
    #[xml(attr)]
    pub usage: Option<String>,
}

/// `<vendor name='Acme'/>`: a text.
#[element]
pub struct SourceText {
    /// The text.
    #[xml(attr)]
    pub name: String,
}

/// `<protocol ver='4.1'/>`: the version of a protocol.
#[element]
pub struct PoolProtocol {
    /// The version.
    #[xml(attr)]
    pub ver: String,
}
