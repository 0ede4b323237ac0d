//! `<source>` of a disk: what holds its data.

use ostler_conf_derive::{element, union};
use uuid::Uuid;

use super::{ActualVolume, DeviceSeclabel, ImageFormat, PciAddress, Reconnect, SourcePrivate};
use crate::values::{Confidential, Rare, YesNo};
use crate::words;
use crate::xml::{Reader, Union};

/// What holds a disk's data; `type=` on `<disk>` names it.
#[union]
pub enum DiskSource {
    /// A file on the host. Needs a grant.
    File(FileSource),
    /// A block device of the host. Needs a grant.
    Block(BlockSource),
    /// A directory of the host, shown as a FAT disk. Needs a grant.
    Dir(DirSource),
    /// An image on another machine.
    Network(NetworkDiskSource),
    /// A volume of a storage pool.
    Volume(VolumeSource),
    /// An NVMe namespace of the host. Needs a grant.
    Nvme(NvmeSource),
    /// Another process that speaks vhost-user. Needs a grant.
    Vhostuser(VhostuserSource),
    /// A vDPA device of the host. Needs a grant.
    Vhostvdpa(VhostvdpaSource),
}

/// `<source file='…'/>`: a file on the host.
#[element]
pub struct FileSource {
    /// Its path; absent: an empty drive.
    #[xml(attr)]
    pub file: Option<String>,
    /// The group of file descriptors, handed over beforehand, that it is opened by.
    #[xml(attr)]
    pub fdgroup: Option<String>,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source dev='…'/>`: a block device of the host.
#[element]
pub struct BlockSource {
    /// Its path.
    #[xml(attr)]
    pub dev: Option<String>,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source dir='…'/>`: a directory of the host.
#[element]
pub struct DirSource {
    /// Its path.
    #[xml(attr)]
    pub dir: Option<String>,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source pool='…' volume='…'/>`: a volume of a storage pool.
#[element]
pub struct VolumeSource {
    /// The pool.
    #[xml(attr)]
    pub pool: String,
    /// The volume.
    #[xml(attr)]
    pub volume: String,
    /// How an iSCSI pool's volume is reached.
    #[xml(attr)]
    pub mode: Option<VolumeMode>,
    /// What it turned out to be when the guest was started.
    #[xml(live, choice = "actualType", flatten, in_place)]
    pub actual: Option<ActualVolume>,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source protocol='rbd' name='pool/image'>`: an image on another machine.
#[element]
pub struct NetworkDiskSource {
    /// What is spoken.
    #[xml(attr)]
    pub protocol: NetworkProtocol,
    /// The image there.
    #[xml(attr)]
    pub name: Option<String>,
    /// What stands behind the `?` of its URL.
    #[xml(attr)]
    pub query: Option<String>,
    /// Whether it is encrypted on the way.
    #[xml(attr)]
    pub tls: Option<YesNo>,
    /// Whether the driver's settings and not the definition asked for that.
    #[xml(live, attr)]
    pub tls_from_config: Option<u32>,
    /// The name that the other side's certificate must have.
    #[xml(attr)]
    pub tls_hostname: Option<String>,
    /// The machines.
    #[xml(name = "host")]
    pub hosts: Vec<NetworkHost>,
    /// The snapshot of an RBD image.
    #[xml(attr, name = "name", on = "snapshot")]
    pub snapshot: Option<String>,
    /// Ceph's configuration file.
    #[xml(attr, name = "file", on = "config")]
    pub config: Option<String>,
    /// Who asks, with iSCSI.
    pub initiator: Option<Initiator>,
    /// How certificates are checked.
    pub ssl: Option<Ssl>,
    /// HTTP cookies.
    pub cookies: Option<Cookies>,
    /// How much is read ahead, in bytes.
    #[xml(attr, name = "size", on = "readahead")]
    pub readahead: Option<u64>,
    /// How long an answer may take, in seconds.
    #[xml(attr, name = "seconds", on = "timeout")]
    pub timeout: Option<u64>,
    /// Whether a lost connection is made again.
    pub reconnect: Option<ReconnectDelay>,
    /// The hosts whose SSH keys are known.
    #[xml(attr, name = "path", on = "knownHosts")]
    pub known_hosts: Option<String>,
    /// Who asks, with SSH and NFS.
    pub identity: Option<Identity>,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source type='pci' managed='yes' namespace='1'>`: an NVMe namespace of the host.
#[element]
pub struct NvmeSource {
    /// The bus of the controller.
    #[xml(attr)]
    pub r#type: NvmeSourceKind,
    /// Whether the host's driver is detached at start and attached again.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// The namespace's number.
    #[xml(attr)]
    pub namespace: u64,
    /// The controller's address on the host.
    #[xml(keep)]
    pub address: PciAddress,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source type='unix' path='/tmp/vhost.sock'>`: another process that speaks vhost-user.
#[element]
pub struct VhostuserSource {
    /// The kind of socket.
    #[xml(attr)]
    pub r#type: SocketKind,
    /// Its path.
    #[xml(attr)]
    pub path: String,
    /// Whether a lost connection is made again.
    pub reconnect: Option<Reconnect>,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// `<source dev='/dev/vhost-vdpa-0'/>`: a vDPA device of the host.
#[element]
pub struct VhostvdpaSource {
    /// Its path.
    #[xml(attr)]
    pub dev: String,
    /// What every source may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: SourceCommon,
}

/// What every source may say.
#[element]
pub struct SourceCommon {
    /// What happens when it is missing at start.
    #[xml(attr)]
    pub startup_policy: Option<StartupPolicy>,
    /// The running guest's number for the image; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
    /// The part of it that is used.
    pub slices: Option<Slices>,
    /// Labels of its own.
    #[xml(name = "seclabel")]
    pub seclabels: Vec<DeviceSeclabel>,
    /// Who asks.
    pub auth: Option<Auth>,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
    /// SCSI's persistent reservations.
    pub reservations: Option<Reservations>,
    /// Where a qcow2 image keeps its data.
    pub data_store: Option<DataStore>,
    /// What QEMU's driver remembers of it while the guest runs.
    #[xml(live, default)]
    pub private_data: Rare<SourcePrivate>,
}

/// `<dataStore type='file'>`: where a qcow2 image keeps its data.
#[element]
pub struct DataStore {
    /// Its format.
    pub format: Option<ImageFormat>,
    /// What holds it.
    #[xml(choice = "type")]
    pub source: Option<DataStoreSource>,
}

/// What holds an image's data.
#[union]
pub enum DataStoreSource {
    /// A file on the host. Needs a grant.
    File(DataStoreFile),
    /// A block device of the host. Needs a grant.
    Block(DataStoreBlock),
}

/// `<source file='…'/>`: a file on the host.
#[element]
pub struct DataStoreFile {
    /// Its path.
    #[xml(attr)]
    pub file: String,
    /// The running guest's number for it; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
    /// What QEMU's driver remembers of it while the guest runs.
    #[xml(live, default)]
    pub private_data: Rare<SourcePrivate>,
}

/// `<source dev='…'/>`: a block device of the host.
#[element]
pub struct DataStoreBlock {
    /// Its path.
    #[xml(attr)]
    pub dev: String,
    /// The running guest's number for it; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
    /// What QEMU's driver remembers of it while the guest runs.
    #[xml(live, default)]
    pub private_data: Rare<SourcePrivate>,
}

/// `<host name='…' port='…'/>`: a machine that holds an image.
#[element]
pub struct NetworkHost {
    /// How it is reached; absent: TCP.
    #[xml(attr)]
    pub transport: Option<HostTransport>,
    /// Its name or address.
    #[xml(attr, name = "name")]
    #[serde(rename = "host")]
    pub name: Option<String>,
    /// Its port.
    #[xml(attr)]
    pub port: Option<u16>,
    /// Its unix socket.
    #[xml(attr)]
    pub socket: Option<String>,
}

/// `<auth username='…'>`: who asks.
#[element]
pub struct Auth {
    /// The user's name.
    #[xml(attr)]
    pub username: String,
    /// The password.
    pub secret: Option<AuthSecret>,
}

/// `<secret type='ceph' usage='…'/>`: a password kept as a secret.
#[element]
pub struct AuthSecret {
    /// What it is for.
    #[xml(attr)]
    pub r#type: Option<AuthSecretKind>,
    /// The secret's identity.
    #[xml(attr)]
    pub uuid: Option<Uuid>,
    /// Or what the secret is used for.
    #[xml(attr)]
    pub usage: Option<String>,
}

/// `<encryption format='luks'>`: how an image is encrypted.
#[element]
pub struct Encryption {
    /// The format.
    #[xml(attr)]
    pub format: EncryptionFormat,
    /// Who decrypts.
    #[xml(attr)]
    pub engine: Option<EncryptionEngine>,
    /// The passphrases.
    #[xml(name = "secret")]
    pub secrets: Vec<EncryptionSecret>,
    /// How the image is encrypted, which its own header tells: it is read to be refused.
    #[xml(flag)]
    pub cipher: bool,
}

/// `<secret type='passphrase' uuid='…'/>`: a passphrase kept as a secret.
#[element]
pub struct EncryptionSecret {
    /// What it is.
    #[xml(attr)]
    pub r#type: EncryptionSecretKind,
    /// The secret's identity.
    #[xml(attr)]
    pub uuid: Option<Uuid>,
    /// Or what the secret is used for.
    #[xml(attr)]
    pub usage: Option<String>,
}

/// `<reservations managed='yes'/>`: SCSI's persistent reservations.
#[element]
pub struct Reservations {
    /// Whether the driver runs the helper.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// The helper's socket.
    pub source: Option<ReservationsSource>,
}

/// `<source type='unix' path='…' mode='client'/>`: the reservation helper's socket.
#[element]
pub struct ReservationsSource {
    /// The kind of socket.
    #[xml(attr)]
    pub r#type: SocketKind,
    /// Its path.
    #[xml(attr)]
    pub path: String,
    /// Who connects.
    #[xml(attr)]
    pub mode: SocketMode,
}

/// `<slices>`: the part of a source that is used.
#[element]
pub struct Slices {
    /// The parts; one of type storage is known.
    #[xml(name = "slice")]
    pub slices: Vec<Slice>,
}

/// `<slice type='storage' offset='0' size='1024'/>`: a part of a source.
#[element]
pub struct Slice {
    /// What it is a part of.
    #[xml(attr)]
    pub r#type: SliceKind,
    /// Where it starts, in bytes.
    #[xml(attr)]
    pub offset: u64,
    /// How many bytes it has.
    #[xml(attr)]
    pub size: u64,
}

/// `<initiator><iqn name='…'/></initiator>`: who asks, with iSCSI.
#[element]
pub struct Initiator {
    /// Its qualified name.
    #[xml(attr, name = "name", on = "iqn")]
    pub iqn: String,
}

/// `<ssl verify='no'/>`: how certificates are checked.
#[element]
pub struct Ssl {
    /// Whether they are.
    #[xml(attr)]
    pub verify: YesNo,
}

/// `<cookies>`: HTTP cookies.
#[element]
pub struct Cookies {
    /// They.
    #[xml(name = "cookie")]
    pub cookies: Vec<Cookie>,
}

/// `<cookie name='…'>value</cookie>`: an HTTP cookie.
#[element]
pub struct Cookie {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its value.
    #[xml(flatten)]
    pub value: Confidential,
}

/// `<reconnect delay='10'/>`: when a lost connection is made again.
#[element]
pub struct ReconnectDelay {
    /// After how many seconds.
    #[xml(attr)]
    pub delay: u32,
}

/// `<identity user='…' group='…'/>`: who asks, with SSH and NFS.
#[element]
pub struct Identity {
    /// NFS: the user.
    #[xml(attr)]
    pub user: Option<String>,
    /// NFS: the group.
    #[xml(attr)]
    pub group: Option<String>,
    /// SSH: the user.
    #[xml(attr)]
    pub username: Option<String>,
    /// SSH: the file with the private key.
    #[xml(attr)]
    pub keyfile: Option<String>,
    /// SSH: the agent's socket.
    #[xml(attr)]
    pub agentsock: Option<String>,
}

words! {
    /// What is spoken with another machine.
    pub enum NetworkProtocol {
        Nbd = "nbd", Rbd = "rbd", Sheepdog = "sheepdog", Gluster = "gluster", Iscsi = "iscsi", Http = "http", Https = "https",
        Ftp = "ftp", Ftps = "ftps", Tftp = "tftp", Ssh = "ssh", Vxhs = "vxhs", Nfs = "nfs",
    }

    /// How another machine is reached.
    pub enum HostTransport { Tcp = "tcp", Unix = "unix", Rdma = "rdma", }

    /// How an iSCSI pool's volume is reached.
    pub enum VolumeMode { Host = "host", Direct = "direct", }

    /// What happens when a source is missing at start.
    pub enum StartupPolicy { Mandatory = "mandatory", Requisite = "requisite", Optional = "optional", }

    /// The bus of an NVMe controller.
    pub enum NvmeSourceKind { Pci = "pci", }

    /// The kind of a socket.
    pub enum SocketKind { Unix = "unix", }

    /// Who connects.
    pub enum SocketMode { Client = "client", Server = "server", }

    /// What a password is for.
    pub enum AuthSecretKind { Iscsi = "iscsi", Ceph = "ceph", }

    /// The format of an encryption.
    pub enum EncryptionFormat { Default = "default", Qcow = "qcow", Luks = "luks", Luks2 = "luks2", LuksAny = "luks-any", }

    /// Who decrypts.
    pub enum EncryptionEngine { Qemu = "qemu", Librbd = "librbd", }

    /// What a secret is.
    pub enum EncryptionSecretKind { Passphrase = "passphrase", }

    /// What a slice is a part of.
    pub enum SliceKind { Storage = "storage", }
}

impl NetworkDiskSource {
    /// An image that is reached by this protocol, and nothing more.
    pub fn new(protocol: NetworkProtocol) -> Self {
        NetworkDiskSource {
            protocol,
            name: None,
            query: None,
            tls: None,
            tls_from_config: None,
            tls_hostname: None,
            hosts: Vec::new(),
            snapshot: None,
            config: None,
            initiator: None,
            ssl: None,
            cookies: None,
            readahead: None,
            timeout: None,
            reconnect: None,
            known_hosts: None,
            identity: None,
            common: SourceCommon::default(),
        }
    }
}

impl DiskSource {
    /// Whether a disk of the type `tag` has nothing in it: without `<source>`, whatever the type; and where that names no
    /// volume. It is then a drive without a file.
    pub(super) fn says_nothing(tag: Option<&str>, source: &Reader<'_>) -> bool {
        let names = |attribute| source.attribute(attribute).is_some();
        let is_known = tag.is_some_and(|tag| DiskSource::TAGS.contains(&tag));
        is_known && (!source.is_present() || tag == Some("volume") && !names("pool") && !names("volume"))
    }

    /// The path on the host, where it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            DiskSource::File(source) => source.file.as_deref(),
            DiskSource::Block(source) => source.dev.as_deref(),
            DiskSource::Dir(source) => source.dir.as_deref(),
            DiskSource::Vhostuser(source) => Some(&source.path),
            DiskSource::Vhostvdpa(source) => Some(&source.dev),
            DiskSource::Network(_) | DiskSource::Volume(_) | DiskSource::Nvme(_) => None,
        }
    }

    /// What every source may say.
    pub fn common(&self) -> &SourceCommon {
        match self {
            DiskSource::File(source) => &source.common,
            DiskSource::Block(source) => &source.common,
            DiskSource::Dir(source) => &source.common,
            DiskSource::Network(source) => &source.common,
            DiskSource::Volume(source) => &source.common,
            DiskSource::Nvme(source) => &source.common,
            DiskSource::Vhostuser(source) => &source.common,
            DiskSource::Vhostvdpa(source) => &source.common,
        }
    }

    /// What every source may say.
    pub fn common_mut(&mut self) -> &mut SourceCommon {
        match self {
            DiskSource::File(source) => &mut source.common,
            DiskSource::Block(source) => &mut source.common,
            DiskSource::Dir(source) => &mut source.common,
            DiskSource::Network(source) => &mut source.common,
            DiskSource::Volume(source) => &mut source.common,
            DiskSource::Nvme(source) => &mut source.common,
            DiskSource::Vhostuser(source) => &mut source.common,
            DiskSource::Vhostvdpa(source) => &mut source.common,
        }
    }
}
