//! `<forward>`: how a network reaches the outside.

use std::net::Ipv4Addr;

use ostler_conf_derive::{element, union};

use crate::host_address::HostPciAddress;
use crate::values::YesNo;
use crate::words;

words! {
    /// How a network reaches the outside.
    pub enum ForwardMode {
        /// Not at all: the same as no `<forward>`.
        None = "none",
        /// With address translation.
        Nat = "nat",
        /// Routed.
        Route = "route",
        /// Routed, without rules of ours.
        Open = "open",
        /// By a bridge that is there.
        Bridge = "bridge",
        /// By macvtap, private.
        Private = "private",
        /// By macvtap, through the switch.
        Vepa = "vepa",
        /// By macvtap, one device a guest.
        Passthrough = "passthrough",
        /// By handing devices through.
        Hostdev = "hostdev",
    }

    /// How macvtap devices of one device of the host reach each other.
    pub enum DirectMode {
        /// Through the switch.
        Vepa = "vepa",
        /// Not at all.
        Private = "private",
        /// On the host.
        Bridge = "bridge",
        /// There is one only.
        Passthrough = "passthrough",
    }

    /// The host's driver for a device that is handed through.
    pub enum HostdevDriverName {
        /// The old one of KVM.
        Kvm = "kvm",
        /// VFIO.
        Vfio = "vfio",
        /// Xen's.
        Xen = "xen",
    }
}

/// `<forward mode='nat'>`: how the network reaches the outside.
#[element]
pub struct Forward {
    /// The host's device that traffic leaves by; absent: any.
    #[xml(attr)]
    pub dev: Option<String>,
    /// The way; absent: `nat`.
    #[xml(attr, code = "ConfigUnsupported")]
    pub mode: Option<ForwardMode>,
    /// With `hostdev`: whether a device is taken from the host's driver and given back.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// With `hostdev`: the host's driver meanwhile.
    pub driver: Option<HostdevDriver>,
    /// Settings of the translation.
    pub nat: Option<Nat>,
    /// The host's device whose virtual functions guests get.
    #[xml(name = "pf")]
    pub pfs: Vec<ForwardInterface>,
    /// The host's devices, the first of which is `dev`.
    #[xml(name = "interface")]
    pub interfaces: Vec<ForwardInterface>,
    /// The host's devices, by address.
    #[xml(name = "address")]
    pub addresses: Vec<ForwardAddress>,
}

/// `<driver name='vfio' model='…'/>`: the host's driver for a device that is handed through.
#[element]
pub struct HostdevDriver {
    /// Its kind.
    #[xml(attr)]
    pub name: Option<HostdevDriverName>,
    /// The kernel module; absent: the best one for the device.
    #[xml(attr)]
    pub model: Option<String>,
}

/// `<nat>`: settings of the address translation.
#[element]
pub struct Nat {
    /// Whether IPv6 is translated as well.
    #[xml(attr)]
    pub ipv6: Option<YesNo>,
    /// The addresses that guests appear with.
    pub address: Option<NatAddress>,
    /// The ports that guests appear with.
    pub port: Option<NatPort>,
}

/// `<address start='1.2.3.4' end='1.2.3.10'/>`: addresses that guests appear with.
#[element]
pub struct NatAddress {
    /// The first.
    #[xml(attr)]
    pub start: Ipv4Addr,
    /// The last.
    #[xml(attr)]
    pub end: Ipv4Addr,
}

/// `<port start='1024' end='65535'/>`: ports that guests appear with.
#[element]
pub struct NatPort {
    /// The first.
    #[xml(attr, code = "XmlDetail")]
    pub start: u16,
    /// The last.
    #[xml(attr, code = "XmlDetail")]
    pub end: u16,
}

/// `<interface dev='eth0'/>`: a device of the host.
#[element(root = "interface")]
pub struct ForwardInterface {
    /// Its name.
    #[xml(attr)]
    pub dev: String,
    /// How many guests use it now; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub connections: Option<u32>,
}

/// `<address type='pci' …/>`: a device of the host, by address; `type=` names the bus.
#[union(tag = "type")]
pub enum ForwardAddress {
    /// On a PCI bus.
    Pci(HostPciAddress),
}

impl ForwardInterface {
    /// A device of that name.
    pub fn new(dev: impl Into<String>) -> Self {
        ForwardInterface { dev: dev.into(), connections: None }
    }
}
