//! `<interface>` as a document: a network interface of the host, as it is configured. libvirt: the format that
//! `virsh iface-define` takes.

use std::net::IpAddr;

use ostler_conf_derive::{element, union};
use ostler_util::ErrorCode;

use crate::domain::Mtu;
use crate::network::IpFamily;
use crate::values::{OnOff, YesNo};
use crate::{Invalid, Problem, words};

/// An interface of the host: what libvirt's `<interface>` says.
#[element(root = "interface", open, after_read, deepest = 16)]
pub struct HostInterface {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// When it comes up.
    pub start: Option<InterfaceStart>,
    /// The largest packet.
    pub mtu: Option<Mtu>,
    /// Its addresses, by family.
    #[xml(name = "protocol")]
    pub protocols: Vec<InterfaceProtocol>,
    /// Its cable, as it is now; never in a definition.
    #[serde(skip)]
    pub link: Option<InterfaceLink>,
    /// Its MAC address.
    pub mac: Option<InterfaceMac>,
    /// What it is.
    #[xml(choice = "type", flatten)]
    pub kind: HostInterfaceKind,
}

/// What an interface of the host is; `type=` on `<interface>` names it.
#[union]
pub enum HostInterfaceKind {
    /// A network card.
    Ethernet(EthernetInterface),
    /// A bridge.
    Bridge(BridgeInterface),
    /// Several interfaces as one.
    Bond(BondInterface),
    /// The tagged traffic of another.
    Vlan(VlanInterface),
}

/// A network card has nothing of its own.
#[element]
pub struct EthernetInterface {}

/// What only a bridge has.
#[element]
pub struct BridgeInterface {
    /// Its settings and ports.
    #[xml(keep)]
    pub bridge: HostBridge,
}

/// `<bridge stp='off' delay='0.01'>`: settings and ports.
#[element(open)]
pub struct HostBridge {
    /// Whether it speaks the spanning tree protocol.
    #[xml(attr)]
    pub stp: Option<OnOff>,
    /// Its forward delay in seconds.
    #[xml(attr)]
    pub delay: Option<String>,
    /// Its ports.
    #[xml(name = "interface")]
    pub interfaces: Vec<HostInterface>,
}

/// What only a bond has.
#[element]
pub struct BondInterface {
    /// Its settings and members.
    #[xml(keep)]
    pub bond: Bond,
}

/// `<bond mode='active-backup'>`: settings and members.
#[element(open)]
pub struct Bond {
    /// How its members share.
    #[xml(attr)]
    pub mode: Option<BondMode>,
    /// Members are watched by their cable.
    pub miimon: Option<Miimon>,
    /// Members are watched by asking others.
    pub arpmon: Option<Arpmon>,
    /// Its members.
    #[xml(name = "interface")]
    pub interfaces: Vec<HostInterface>,
}

/// What only a vlan has.
#[element]
pub struct VlanInterface {
    /// Its tag, and below what.
    #[xml(keep)]
    pub vlan: HostVlan,
}

/// `<vlan tag='42'>`: a tag, and below what.
#[element(open)]
pub struct HostVlan {
    /// The tag.
    #[xml(attr)]
    pub tag: String,
    /// The interface that carries it.
    pub interface: VlanDevice,
}

/// `<interface name='eth0'/>`: the interface that carries a vlan.
#[element]
pub struct VlanDevice {
    /// Its name.
    #[xml(attr)]
    pub name: String,
}

/// `<mac address='ab:bb:cc:dd:ee:ff'/>`: a MAC address, written as it was given.
#[element]
pub struct InterfaceMac {
    /// The address.
    #[xml(attr)]
    pub address: String,
}

words! {
    /// When an interface comes up.
    pub enum StartMode {
        /// Not by itself.
        None = "none",
        /// When the host starts.
        Onboot = "onboot",
        /// When it is plugged in.
        Hotplug = "hotplug",
    }

    /// How the members of a bond share.
    pub enum BondMode {
        /// In turns.
        BalanceRr = "balance-rr",
        /// One works, the others wait.
        ActiveBackup = "active-backup",
        /// By a hash of the addresses.
        BalanceXor = "balance-xor",
        /// All send everything.
        Broadcast = "broadcast",
        /// By IEEE 802.3ad.
        Ieee8023ad = "802.3ad",
        /// What goes out is balanced.
        BalanceTlb = "balance-tlb",
        /// What goes out and what comes in is balanced.
        BalanceAlb = "balance-alb",
    }

    /// How a cable is looked at.
    pub enum Carrier {
        /// By asking the driver.
        Ioctl = "ioctl",
        /// By asking the kernel.
        Netif = "netif",
    }

    /// Which answers of others count.
    pub enum ArpValidate {
        /// All, unseen.
        None = "none",
        /// The active member's.
        Active = "active",
        /// The waiting members'.
        Backup = "backup",
        /// All members'.
        All = "all",
    }

    /// How a cable is.
    pub enum InterfaceLinkState {
        /// The kernel does not know.
        Unknown = "unknown",
        /// The device is missing.
        Notpresent = "notpresent",
        /// It is down.
        Down = "down",
        /// What is below it is down.
        Lowerlayerdown = "lowerlayerdown",
        /// It is being tested.
        Testing = "testing",
        /// It waits for something.
        Dormant = "dormant",
        /// It is up.
        Up = "up",
    }
}

/// `<start mode='onboot'/>`: when an interface comes up.
#[element]
pub struct InterfaceStart {
    /// When.
    #[xml(attr)]
    pub mode: Option<StartMode>,
}

/// `<link speed='1000' state='up'/>`: a cable.
#[element]
pub struct InterfaceLink {
    /// Its speed in Mbit/s.
    #[xml(attr)]
    pub speed: Option<u32>,
    /// How it is.
    #[xml(attr)]
    pub state: Option<InterfaceLinkState>,
}

/// `<protocol family='ipv4'>`: the addresses of one family.
#[element(open)]
pub struct InterfaceProtocol {
    /// The family.
    #[xml(attr)]
    pub family: IpFamily,
    /// Whether it takes what routers announce.
    #[xml(flag)]
    pub autoconf: bool,
    /// Whether it asks a server.
    #[xml(keep)]
    pub dhcp: Option<InterfaceDhcp>,
    /// Its own addresses.
    #[xml(name = "ip")]
    pub ips: Vec<InterfaceIp>,
    /// The way to everywhere else.
    pub route: Option<InterfaceRoute>,
}

/// `<dhcp peerdns='no'/>`: it asks a server.
#[element]
pub struct InterfaceDhcp {
    /// Whether it takes the name servers as well.
    #[xml(attr, name = "peerdns")]
    pub peerdns: Option<YesNo>,
}

/// `<ip address='192.168.0.5' prefix='24'/>`: an address.
#[element]
pub struct InterfaceIp {
    /// The address.
    #[xml(attr)]
    pub address: IpAddr,
    /// Its subnet's length in bits.
    #[xml(attr)]
    pub prefix: Option<u32>,
}

/// `<route gateway='192.168.0.1'/>`: the way to everywhere else.
#[element]
pub struct InterfaceRoute {
    /// By this address.
    #[xml(attr)]
    pub gateway: IpAddr,
}

/// `<miimon freq='100' updelay='10' carrier='ioctl'/>`: members are watched by their cable.
#[element]
pub struct Miimon {
    /// Every so many milliseconds.
    #[xml(attr)]
    pub freq: u32,
    /// Milliseconds after which one that is up again counts.
    #[xml(attr, name = "downdelay")]
    pub downdelay: Option<u32>,
    /// Milliseconds after which one that is down no longer counts.
    #[xml(attr, name = "updelay")]
    pub updelay: Option<u32>,
    /// How the cable is looked at.
    #[xml(attr)]
    pub carrier: Option<Carrier>,
}

/// `<arpmon interval='100' target='192.168.0.1'/>`: members are watched by asking others.
#[element]
pub struct Arpmon {
    /// Every so many milliseconds.
    #[xml(attr)]
    pub interval: u32,
    /// Whom.
    #[xml(attr)]
    pub target: IpAddr,
    /// Which answers count.
    #[xml(attr)]
    pub validate: Option<ArpValidate>,
}

impl HostInterface {
    /// What says nothing of an interface of its kind is dropped.
    fn after_read(&mut self) {
        self.start.take_if(|start| start.mode.is_none());
        self.mtu.take_if(|mtu| mtu.size == 0);
        match &mut self.kind {
            HostInterfaceKind::Ethernet(_) => {}
            HostInterfaceKind::Vlan(_) => self.mac = None,
            HostInterfaceKind::Bridge(kind) => {
                (self.mac, self.link) = (None, None);
                kind.bridge.interfaces.iter_mut().for_each(Self::settle_part);
            }
            HostInterfaceKind::Bond(kind) => {
                self.mac = None;
                // Members are watched in one way.
                kind.bond.arpmon.take_if(|_| kind.bond.miimon.is_some());
                kind.bond.interfaces.iter_mut().for_each(Self::settle_part);
            }
        }
    }

    /// A part of another comes up with it, and has no addresses of its own.
    fn settle_part(&mut self) {
        (self.start, self.mtu) = (None, None);
        self.protocols.clear();
        self.after_read();
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        self.collect_problems("", &mut problems);
        Invalid::check(problems)
    }

    fn collect_problems(&self, path: &str, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: &str| {
            problems.push(Problem::new(ErrorCode::XmlError, format!("{path}{field}"), message));
        };
        if self.name.is_empty() {
            add("name", "an interface needs a name");
        }
        match &self.kind {
            HostInterfaceKind::Ethernet(_) | HostInterfaceKind::Vlan(_) => {}
            HostInterfaceKind::Bridge(kind) => {
                for (index, port) in kind.bridge.interfaces.iter().enumerate() {
                    if matches!(port.kind, HostInterfaceKind::Bridge(_)) {
                        add(&format!("bridge.interfaces[{index}]"), "a bridge is no port of a bridge");
                    }
                }
                for (index, port) in kind.bridge.interfaces.iter().enumerate() {
                    port.collect_problems(&format!("{path}bridge.interfaces[{index}]."), problems);
                }
            }
            HostInterfaceKind::Bond(kind) => {
                for (index, member) in kind.bond.interfaces.iter().enumerate() {
                    if !matches!(member.kind, HostInterfaceKind::Ethernet(_)) {
                        add(&format!("bond.interfaces[{index}]"), "a member of a bond is a network card");
                    }
                }
                if kind.bond.miimon.is_some() && kind.bond.arpmon.is_some() {
                    add("bond.arpmon", "the members are watched in one way: by miimon or by arpmon");
                }
            }
        }
    }
}
