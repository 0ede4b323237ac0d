//! `<privateData>` and its like: what QEMU's driver remembers of a running guest's devices. Only status documents have it.

use ostler_conf_derive::{element, union};

use super::{
    Bandwidth, DirectSource, HostdevNicSource, InterfacePort, NetworkHost, NetworkProtocol, VirtualPort, Vlan,
};
use crate::network::MacTableManager;
use crate::values::{TrueFalse, YesNo};
use crate::words;

/// `<privateData>` of an image: by which names QEMU knows it and what it needs.
#[element]
pub struct SourcePrivate {
    /// Its nodes.
    pub nodenames: Option<NodeNames>,
    /// The object that manages its reservations.
    #[xml(attr, name = "mgralias", on = "reservations")]
    pub reservations: Option<String>,
    /// The path by which the image above names it.
    pub rel_path: Option<String>,
    /// Objects with its secrets.
    pub objects: Option<SourceObjects>,
    /// Descriptors that it is opened by.
    pub fdsets: Option<FdSets>,
    /// Whether an event was asked for by the image's number.
    #[xml(attr, name = "indexUsed", on = "thresholdEvent")]
    pub threshold_event_by_index: Option<YesNo>,
    /// The nbdkit that serves it.
    pub nbdkit: Option<NbdkitProcess>,
}

/// `<nodenames>`: nodes of QEMU's block layer.
#[element]
pub struct NodeNames {
    /// They.
    #[xml(name = "nodename")]
    pub names: Vec<NodeName>,
}

/// `<nodename type='format' name='libvirt-1-format'/>`: a node of QEMU's block layer.
#[element]
pub struct NodeName {
    /// What it does.
    #[xml(attr)]
    pub r#type: NodeKind,
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// The group of limits that it shares.
    #[xml(attr)]
    pub group: Option<String>,
}

words! {
    /// What a node does.
    pub enum NodeKind {
        /// It reaches the bytes.
        Storage = "storage",
        /// It reads the format.
        Format = "format",
        /// It shows a part of the bytes.
        SliceStorage = "slice-storage",
        /// It keeps what was read.
        CopyOnRead = "copyOnRead",
        /// It holds to limits.
        ThrottleFilter = "throttle-filter",
    }

    /// What a secret is for.
    pub enum SourceSecretKind { Auth = "auth", Encryption = "encryption", HttpCookie = "httpcookie", TlsKey = "tlskey", }

    /// What is opened by descriptors.
    pub enum FdSetKind { Storage = "storage", }
}

/// `<objects>`: objects of QEMU that hold secrets.
#[element]
pub struct SourceObjects {
    /// Secrets.
    #[xml(name = "secret")]
    pub secrets: Vec<SourceSecret>,
    /// The certificates.
    #[xml(attr, name = "alias", on = "TLSx509")]
    pub tls: Option<String>,
}

/// `<secret type='auth' alias='virtio-disk0-secret0'/>`: a secret.
#[element]
pub struct SourceSecret {
    /// What it is for.
    #[xml(attr)]
    pub r#type: SourceSecretKind,
    /// QEMU's name of the object.
    #[xml(attr)]
    pub alias: String,
}

/// `<fdsets>`: sets of descriptors.
#[element]
pub struct FdSets {
    /// They.
    #[xml(name = "fdset")]
    pub fdsets: Vec<FdSet>,
}

/// `<fdset type='storage' id='1'/>`: a set of descriptors.
#[element]
pub struct FdSet {
    /// What is opened by it.
    #[xml(attr)]
    pub r#type: FdSetKind,
    /// Its number in QEMU.
    #[xml(attr)]
    pub id: u32,
}

/// `<nbdkit>`: the process that serves an image.
#[element]
pub struct NbdkitProcess {
    /// The file with its number.
    pub pidfile: String,
    /// Its socket.
    pub socketfile: String,
}

/// `<privateData>` of a disk.
#[element]
pub struct DiskPrivate {
    /// The device's path in QEMU's object model.
    #[xml(attr, name = "name", on = "qom")]
    pub qom: Option<String>,
    /// Nodes above its images.
    pub nodenames: Option<NodeNames>,
}

/// `<diskSecretsPlacement auth='true'/>`: which secrets stood on the disk and not on its source.
#[element]
pub struct SecretsPlacement {
    /// Who asks.
    #[xml(attr)]
    pub auth: Option<TrueFalse>,
    /// How it is encrypted.
    #[xml(attr)]
    pub enc: Option<TrueFalse>,
}

/// What a volume turned out to be; `actualType=` on `<source>` names it.
#[union]
pub enum ActualVolume {
    /// A file of the host.
    File(ActualFile),
    /// A block device of the host.
    Block(ActualBlock),
    /// A directory of the host.
    Dir(ActualDir),
    /// An image on another machine.
    Network(ActualNetworkImage),
}

/// `<source … file='…'/>`: a file of the host.
#[element]
pub struct ActualFile {
    /// Its path.
    #[xml(attr)]
    pub file: Option<String>,
}

/// `<source … dev='…'/>`: a block device of the host.
#[element]
pub struct ActualBlock {
    /// Its path.
    #[xml(attr)]
    pub dev: Option<String>,
}

/// `<source … dir='…'/>`: a directory of the host.
#[element]
pub struct ActualDir {
    /// Its path.
    #[xml(attr)]
    pub dir: Option<String>,
}

/// `<source … protocol='rbd' name='pool/image'>`: an image on another machine.
#[element]
pub struct ActualNetworkImage {
    /// What is spoken.
    #[xml(attr)]
    pub protocol: NetworkProtocol,
    /// The image there.
    #[xml(attr)]
    pub name: Option<String>,
    /// The machines.
    #[xml(name = "host")]
    pub hosts: Vec<NetworkHost>,
}

/// `<origstates>`: what is done with a device of the host when the guest gives it back.
#[element]
pub struct OriginalStates {
    /// It is taken from the driver that handed it over.
    #[xml(flag)]
    pub unbind: bool,
    /// That driver forgets its identity.
    #[xml(flag, name = "removeslot")]
    pub remove_slot: bool,
    /// The host looks for a driver again.
    #[xml(flag)]
    pub reprobe: bool,
}

/// `<actual type='bridge'>`: what an interface on a network is really connected to.
#[element]
pub struct ActualInterface {
    /// What it is connected to.
    #[xml(choice = "type")]
    pub source: ActualSource,
    /// Whether a device of the host is detached at start and attached again.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// Whether the guest may change what the host lets through.
    #[xml(attr)]
    pub trust_guest_rx_filters: Option<YesNo>,
    /// The number of its traffic class on the bridge.
    #[xml(attr, name = "id", on = "class")]
    pub class: Option<u32>,
    /// VLAN tags.
    pub vlan: Option<Vlan>,
    /// What a switch is told.
    pub virtualport: Option<VirtualPort>,
    /// How fast it may be.
    pub bandwidth: Option<Bandwidth>,
    /// Its port on a bridge.
    pub port: Option<InterfacePort>,
}

/// What an interface is really connected to; `type=` on `<actual>` names it.
#[union]
pub enum ActualSource {
    /// The network's own bridge.
    Network(ActualBridge),
    /// A bridge of the host.
    Bridge(ActualBridge),
    /// A device of the host, shared by macvtap.
    Direct(DirectSource),
    /// A network device of the host handed through.
    Hostdev(HostdevNicSource),
}

/// `<source bridge='virbr0' macTableManager='libvirt'/>`: a bridge.
#[element]
pub struct ActualBridge {
    /// Its name.
    #[xml(attr)]
    pub bridge: Option<String>,
    /// Who keeps its table of MAC addresses.
    #[xml(attr)]
    pub mac_table_manager: Option<MacTableManager>,
}
