//! `<interface>`

use ostler_conf_derive::{element, union};
use ostler_util::MacAddress;
use uuid::Uuid;

use super::{
    AcpiIndex, ActualInterface, Address, Alias, Bandwidth, Boot, Coalesce, DirectMode, FilterRef, HostAddress,
    IpAddress, Reconnect, Rom, Route, Teaming, VirtioOptions, VirtualPort, Vlan,
};
use crate::values::{OnOff, Rare, YesNo};
use crate::words;

/// A network interface.
#[element]
pub struct Interface {
    /// A label for people and for lists; it changes nothing in the guest. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Whether a device of the host is detached at start and attached again.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// Whether the guest may change what the host lets through.
    #[xml(attr)]
    pub trust_guest_rx_filters: Option<YesNo>,
    /// Its MAC address; chosen once and kept.
    pub mac: Option<Mac>,
    /// What it is connected to.
    #[xml(choice = "type")]
    pub source: InterfaceSource,
    /// What it is really connected to, where that is a network.
    #[xml(live, default)]
    pub actual: Rare<ActualInterface>,
    /// VLAN tags.
    pub vlan: Option<Vlan>,
    /// What a switch is told.
    pub virtualport: Option<VirtualPort>,
    /// How fast it may be.
    pub bandwidth: Option<Bandwidth>,
    /// Its port on a bridge.
    pub port: Option<InterfacePort>,
    /// Addresses in the guest.
    #[xml(name = "ip")]
    pub ips: Vec<IpAddress>,
    /// Routes in the guest.
    #[xml(name = "route")]
    pub routes: Vec<Route>,
    /// Ports of the host that lead into the guest.
    #[xml(name = "portForward")]
    pub port_forwards: Vec<PortForward>,
    /// The program that sets the host's device up. Needs a grant.
    #[xml(attr, name = "path", on = "script")]
    pub script: Option<String>,
    /// The program that takes the host's device down. Needs a grant.
    #[xml(attr, name = "path", on = "downscript")]
    pub downscript: Option<String>,
    /// The Xen domain behind it.
    #[xml(attr, name = "name", on = "backenddomain")]
    pub backend_domain: Option<String>,
    /// Its device on the host.
    pub target: Option<InterfaceTarget>,
    /// Its device in a container.
    pub guest: Option<InterfaceGuest>,
    /// What the guest sees.
    pub model: Option<InterfaceModel>,
    /// How it is done.
    pub driver: Option<InterfaceDriver>,
    /// What does it.
    pub backend: Option<InterfaceBackend>,
    /// The filter that it obeys.
    pub filterref: Option<FilterRef>,
    /// Whether the cable is plugged in.
    pub link: Option<Link>,
    /// How much may wait to be sent, in bytes.
    #[xml(on = "tune")]
    pub sndbuf: Option<u64>,
    /// The largest packet.
    pub mtu: Option<Mtu>,
    /// How many interrupts become one.
    #[xml(keep)]
    pub coalesce: Option<Coalesce>,
    /// The other half of a pair that survives migration.
    pub teaming: Option<Teaming>,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its ROM.
    pub rom: Option<Rom>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<mac address='52:54:00:…'/>`: a MAC address.
#[element]
pub struct Mac {
    /// The address.
    #[xml(attr)]
    pub address: MacAddress,
    /// ESX: whether it was made or given.
    #[xml(attr)]
    pub r#type: Option<MacKind>,
    /// ESX: whether it must be in VMware's range.
    #[xml(attr)]
    pub check: Option<YesNo>,
}

impl Mac {
    /// The address, without more words.
    pub fn new(address: MacAddress) -> Self {
        Mac { address, r#type: None, check: None }
    }
}

/// What an interface is connected to; `type=` on `<interface>` names it.
#[union]
pub enum InterfaceSource {
    /// QEMU's own user-mode network, or passt.
    User(UserSource),
    /// A device of the host, without more. Needs a grant.
    Ethernet(EthernetSource),
    /// Another process that speaks vhost-user. Needs a grant.
    Vhostuser(VhostuserNicSource),
    /// A TCP connection that the hypervisor waits for.
    Server(SocketSource),
    /// A TCP connection that the hypervisor makes.
    Client(SocketSource),
    /// A multicast group.
    Mcast(SocketSource),
    /// A virtual network.
    Network(NetworkSource),
    /// A bridge of the host. Needs a grant.
    Bridge(BridgeSource),
    /// A network of the hypervisor's own.
    Internal(InternalSource),
    /// A device of the host, shared by macvtap. Needs a grant.
    Direct(DirectSource),
    /// A network device of the host handed through. Needs a grant.
    Hostdev(HostdevNicSource),
    /// UDP packets.
    Udp(UdpSource),
    /// A vDPA device of the host. Needs a grant.
    Vdpa(VdpaSource),
    /// Nothing.
    Null(PlainSource),
    /// A distributed switch of VMware's.
    Vds(VdsSource),
}

/// `<source network='default'/>`: a virtual network.
#[element]
pub struct NetworkSource {
    /// Its name.
    #[xml(attr)]
    pub network: String,
    /// The running guest's port; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub portid: Option<Uuid>,
    /// Its group of ports.
    #[xml(attr)]
    pub portgroup: Option<String>,
    /// The running guest's bridge; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub bridge: Option<String>,
}

/// `<source bridge='br0'/>`: a bridge of the host.
#[element]
pub struct BridgeSource {
    /// Its name.
    #[xml(attr)]
    pub bridge: String,
}

/// User-mode network: no device on the host.
#[element]
pub struct UserSource {
    /// The host's device that passt looks at.
    #[xml(attr)]
    pub dev: Option<String>,
}

/// `<source dev='eth0'><ip …/></source>`: a device of the host.
#[element]
pub struct EthernetSource {
    /// Its name.
    #[xml(attr)]
    pub dev: Option<String>,
    /// Its addresses on the host.
    #[xml(name = "ip")]
    pub ips: Vec<IpAddress>,
    /// Its routes on the host.
    #[xml(name = "route")]
    pub routes: Vec<Route>,
}

/// `<source type='unix' path='/tmp/vhost.sock' mode='client'/>`: another process that speaks vhost-user.
#[element]
pub struct VhostuserNicSource {
    /// The kind of socket.
    #[xml(attr)]
    pub r#type: Option<super::SocketKind>,
    /// Its path.
    #[xml(attr)]
    pub path: Option<String>,
    /// Who connects.
    #[xml(attr)]
    pub mode: Option<super::SocketMode>,
    /// The host's device that passt looks at.
    #[xml(attr)]
    pub dev: Option<String>,
    /// Whether a lost connection is made again.
    pub reconnect: Option<Reconnect>,
}

/// `<source address='127.0.0.1' port='5558'/>`: one end of a connection.
#[element]
pub struct SocketSource {
    /// The address.
    #[xml(attr)]
    pub address: Option<String>,
    /// The port.
    #[xml(attr)]
    pub port: u16,
}

/// `<source address='127.0.0.1' port='1234'><local …/></source>`: UDP packets.
#[element]
pub struct UdpSource {
    /// Where they go to.
    #[xml(attr)]
    pub address: Option<String>,
    /// The port there.
    #[xml(attr)]
    pub port: u16,
    /// Where they come in.
    pub local: Option<SocketSource>,
}

/// `<source name='x'/>`: a network of the hypervisor's own.
#[element]
pub struct InternalSource {
    /// Its name.
    #[xml(attr)]
    pub name: String,
}

/// `<source dev='eth0' mode='vepa'/>`: a device of the host, shared by macvtap.
#[element]
pub struct DirectSource {
    /// Its name.
    #[xml(attr)]
    pub dev: Option<String>,
    /// How it is shared.
    #[xml(attr)]
    pub mode: Option<DirectMode>,
}

/// `<source><address type='pci' …/></source>`: a network device of the host handed through.
#[element]
pub struct HostdevNicSource {
    /// Where it is on the host.
    pub address: HostAddress,
}

/// `<source dev='/dev/vhost-vdpa-0'/>`: a vDPA device of the host.
#[element]
pub struct VdpaSource {
    /// Its path.
    #[xml(attr)]
    pub dev: String,
}

/// Nothing to say.
#[element]
pub struct PlainSource {}

/// `<source switchid='…' portid='5' …/>`: a distributed switch of VMware's.
#[element]
pub struct VdsSource {
    /// The switch.
    #[xml(attr)]
    pub switchid: Uuid,
    /// The port.
    #[xml(attr)]
    pub portid: Option<u64>,
    /// The group of ports.
    #[xml(attr)]
    pub portgroupid: Option<String>,
    /// The connection.
    #[xml(attr)]
    pub connectionid: Option<u64>,
}

/// `<target dev='vnet0'/>`: the interface's device on the host.
#[element]
pub struct InterfaceTarget {
    /// Its name, 15 bytes at most.
    #[xml(attr)]
    pub dev: Option<String>,
    /// Whether it is made and removed with the guest.
    #[xml(attr)]
    pub managed: Option<YesNo>,
}

/// `<guest dev='eth1'/>`: the interface's device in a container.
#[element]
pub struct InterfaceGuest {
    /// Its name.
    #[xml(attr)]
    pub dev: Option<String>,
    /// The running container's device; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub actual: Option<String>,
}

/// `<model type='virtio'/>`: what the guest sees.
#[element]
pub struct InterfaceModel {
    /// The hypervisor's name for it: `virtio`, `e1000e`, …
    #[xml(attr)]
    pub r#type: String,
}

/// `<driver name='vhost' queues='4'>`: how an interface is done.
#[element]
pub struct InterfaceDriver {
    /// What moves packets.
    #[xml(attr)]
    pub name: Option<InterfaceDriverName>,
    /// How packets are sent.
    #[xml(attr)]
    pub txmode: Option<TxMode>,
    /// Whether the guest's notifications are handled apart.
    #[xml(attr)]
    pub ioeventfd: Option<OnOff>,
    /// Whether interrupts are limited by the guest.
    #[xml(attr, name = "event_idx")]
    pub event_idx: Option<OnOff>,
    /// How many queues.
    #[xml(attr)]
    pub queues: Option<u32>,
    /// How long the queue of what comes in is.
    #[xml(attr, name = "rx_queue_size")]
    pub rx_queue_size: Option<u32>,
    /// How long the queue of what goes out is.
    #[xml(attr, name = "tx_queue_size")]
    pub tx_queue_size: Option<u32>,
    /// Whether packets are spread by their contents.
    #[xml(attr)]
    pub rss: Option<OnOff>,
    /// Whether the guest is told what they were spread by.
    #[xml(attr, name = "rss_hash_report")]
    pub rss_hash_report: Option<OnOff>,
    /// How virtio is spoken.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub virtio: VirtioOptions,
    /// What the host takes over from the guest.
    pub host: Option<HostOffloads>,
    /// What the guest may take.
    pub guest: Option<GuestOffloads>,
    /// The driver of a device handed through, in the host's kernel.
    #[xml(attr)]
    pub model: Option<String>,
}

/// `<host csum='off' gso='off'/>`: what the host takes over from the guest.
#[element]
pub struct HostOffloads {
    /// Checksums.
    #[xml(attr)]
    pub csum: Option<OnOff>,
    /// Segmentation.
    #[xml(attr)]
    pub gso: Option<OnOff>,
    /// Segmentation of TCP over IPv4.
    #[xml(attr)]
    pub tso4: Option<OnOff>,
    /// Segmentation of TCP over IPv6.
    #[xml(attr)]
    pub tso6: Option<OnOff>,
    /// Congestion notification.
    #[xml(attr)]
    pub ecn: Option<OnOff>,
    /// Fragmentation of UDP.
    #[xml(attr)]
    pub ufo: Option<OnOff>,
    /// Buffers put together.
    #[xml(attr, name = "mrg_rxbuf")]
    pub mrg_rxbuf: Option<OnOff>,
}

/// `<guest csum='off'/>`: what the guest may take.
#[element]
pub struct GuestOffloads {
    /// Unchecked checksums.
    #[xml(attr)]
    pub csum: Option<OnOff>,
    /// Large segments of TCP over IPv4.
    #[xml(attr)]
    pub tso4: Option<OnOff>,
    /// Large segments of TCP over IPv6.
    #[xml(attr)]
    pub tso6: Option<OnOff>,
    /// Congestion notification.
    #[xml(attr)]
    pub ecn: Option<OnOff>,
    /// Large datagrams of UDP.
    #[xml(attr)]
    pub ufo: Option<OnOff>,
}

/// `<backend type='passt' logFile='/x.log'/>`: what does an interface.
#[element]
pub struct InterfaceBackend {
    /// The program.
    #[xml(attr)]
    pub r#type: Option<InterfaceBackendKind>,
    /// Where the program is. Needs a grant.
    #[xml(attr)]
    pub path: Option<String>,
    /// The host's tap device file.
    #[xml(attr)]
    pub tap: Option<String>,
    /// The host's vhost device file.
    #[xml(attr)]
    pub vhost: Option<String>,
    /// Where the program writes its log. Needs a grant.
    #[xml(attr)]
    pub log_file: Option<String>,
    /// The name that passt gives the guest by DHCP.
    #[xml(attr)]
    pub hostname: Option<String>,
    /// The full name that passt gives the guest by DHCP.
    #[xml(attr)]
    pub fqdn: Option<String>,
}

/// `<portForward proto='tcp'>`: ports of the host that lead into the guest.
#[element]
pub struct PortForward {
    /// The protocol.
    #[xml(attr)]
    pub proto: ForwardProtocol,
    /// The host's address that counts.
    #[xml(attr)]
    pub address: Option<std::net::IpAddr>,
    /// The host's device that counts.
    #[xml(attr)]
    pub dev: Option<String>,
    /// The ports; none given: all.
    #[xml(name = "range")]
    pub ranges: Vec<PortRange>,
}

/// `<range start='2022' to='22'/>`: ports that lead into the guest.
#[element]
pub struct PortRange {
    /// The first.
    #[xml(attr)]
    pub start: u16,
    /// The last.
    #[xml(attr)]
    pub end: Option<u16>,
    /// The guest's first.
    #[xml(attr)]
    pub to: Option<u16>,
    /// They are left out.
    #[xml(attr)]
    pub exclude: Option<YesNo>,
}

words! {
    /// Whether a cable is plugged in.
    pub enum LinkState {
        /// It is.
        Up = "up",
        /// It is not.
        Down = "down",
    }

    /// Whether a MAC address was made or given.
    pub enum MacKind { Generated = "generated", Static = "static", }

    /// What moves packets.
    pub enum InterfaceDriverName { Qemu = "qemu", Vhost = "vhost", Kvm = "kvm", Vfio = "vfio", Xen = "xen", }

    /// How packets are sent.
    pub enum TxMode { Iothread = "iothread", Timer = "timer", }

    /// The program that does an interface.
    pub enum InterfaceBackendKind { Default = "default", Passt = "passt", }

    /// A protocol whose ports lead into the guest.
    pub enum ForwardProtocol { Tcp = "tcp", Udp = "udp", }
}

/// `<link state='down'/>`: the cable.
#[element]
pub struct Link {
    /// Whether it is plugged in.
    #[xml(attr)]
    pub state: LinkState,
}

/// `<mtu size='1400'/>`: the largest packet.
#[element]
pub struct Mtu {
    /// In bytes.
    #[xml(attr)]
    pub size: u32,
}

/// `<port isolated='yes'/>`: an interface's port on a bridge.
#[element]
pub struct InterfacePort {
    /// Whether it reaches no other isolated port.
    #[xml(attr)]
    pub isolated: Option<YesNo>,
}

impl Interface {
    /// An interface without more words.
    pub fn new(name: String, source: InterfaceSource) -> Self {
        Interface {
            name,
            managed: None,
            trust_guest_rx_filters: None,
            mac: None,
            source,
            actual: Rare::default(),
            vlan: None,
            virtualport: None,
            bandwidth: None,
            port: None,
            ips: Vec::new(),
            routes: Vec::new(),
            port_forwards: Vec::new(),
            script: None,
            downscript: None,
            backend_domain: None,
            target: None,
            guest: None,
            model: None,
            driver: None,
            backend: None,
            filterref: None,
            link: None,
            sndbuf: None,
            mtu: None,
            coalesce: None,
            teaming: None,
            boot: None,
            alias: None,
            rom: None,
            acpi: None,
            address: None,
        }
    }
}

impl NetworkSource {
    /// A network, whole.
    pub fn new(network: String) -> Self {
        NetworkSource { network, portid: None, portgroup: None, bridge: None }
    }
}
