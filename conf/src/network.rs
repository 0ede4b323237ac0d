//! `<network>`: a virtual network. libvirt: formatnetwork.html.

mod bandwidth;
mod complete;
mod dns;
mod dnsmasq;
mod forward;
mod ip;
mod port_group;
mod route;
pub mod update;
mod validate;
mod virtual_port;
mod vlan;

pub use bandwidth::{Bandwidth, Rate};
pub use dns::{Dns, DnsDomain, DnsForwarder, DnsHost, DnsSrv, DnsTxt};
pub use dnsmasq::{DnsmasqOption, DnsmasqOptions};
pub use forward::{
    DirectMode, Forward, ForwardAddress, ForwardInterface, ForwardMode, HostdevDriver, HostdevDriverName, Nat,
    NatAddress, NatPort,
};
pub use ip::{Bootp, Dhcp, DhcpHost, DhcpLease, DhcpRange, Ip, IpFamily, LeaseUnit, Tftp};
pub use port_group::PortGroup;
pub use route::Route;
pub use virtual_port::{VirtualPort, VirtualPortParameters, VirtualPortType};
pub use vlan::{NativeMode, Vlan, VlanTag};

use ostler_conf_derive::element;
use uuid::Uuid;

use crate::domain::{Mac, Metadata, Mtu};
use crate::values::{OnOff, YesNo};
use crate::{Invalid, words};

/// A virtual network: what libvirt's `<network>` says.
#[element(root = "network", after_read)]
pub struct Network {
    /// How many guests use it now; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub connections: Option<u32>,
    /// On a network without IPv6 addresses: whether guests reach each other by IPv6.
    #[xml(attr)]
    pub ipv6: Option<YesNo>,
    /// Whether guests choose what they receive.
    #[xml(attr)]
    pub trust_guest_rx_filters: Option<YesNo>,
    /// The name on the host. In a manifest it comes from the object's namespace and name.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The identity; chosen once.
    #[xml(code = "InternalError")]
    pub uuid: Option<Uuid>,
    /// A title for people, on one line.
    pub title: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// Other programs' XML, kept as it is, and our own mark.
    pub metadata: Option<Metadata>,
    /// How it reaches the outside; absent: not at all.
    #[xml(keep)]
    pub forward: Option<Forward>,
    /// Its bridge on the host.
    pub bridge: Option<Bridge>,
    /// The largest packet.
    pub mtu: Option<Mtu>,
    /// The bridge's MAC address; chosen once and kept.
    pub mac: Option<Mac>,
    /// The DNS domain of its guests.
    pub domain: Option<DnsDomain>,
    /// Name service for its guests.
    pub dns: Option<Dns>,
    /// The tags of its traffic.
    pub vlan: Option<Vlan>,
    /// Limits of its traffic.
    pub bandwidth: Option<Bandwidth>,
    /// How its guests are kept apart.
    pub port: Option<PortOptions>,
    /// The host's addresses on it.
    #[xml(name = "ip")]
    pub ips: Vec<Ip>,
    /// The ways to other networks.
    #[xml(name = "route")]
    pub routes: Vec<Route>,
    /// How a switch is told of its guests.
    pub virtualport: Option<VirtualPort>,
    /// Settings that some of its guests share.
    #[xml(name = "portgroup")]
    pub portgroups: Vec<PortGroup>,
    /// Lines handed to dnsmasq as they are; need a grant.
    #[xml(name = "dnsmasq:options", bind)]
    pub dnsmasq_options: Option<DnsmasqOptions>,
}

words! {
    /// Who keeps a bridge's table of MAC addresses.
    pub enum MacTableManager {
        /// The kernel, by learning.
        Kernel = "kernel",
        /// We.
        Libvirt = "libvirt",
    }
}

/// `<bridge name='virbr0' stp='on' delay='0'/>`: the network's bridge on the host.
#[element]
pub struct Bridge {
    /// Its name, 15 bytes at most; absent: made from the network's uuid.
    #[xml(attr)]
    pub name: Option<String>,
    /// The firewall zone.
    #[xml(attr)]
    pub zone: Option<String>,
    /// Whether it speaks the spanning tree protocol.
    #[xml(attr)]
    pub stp: Option<OnOff>,
    /// Its forward delay in seconds.
    #[xml(attr)]
    pub delay: Option<u32>,
    /// Who keeps its table of MAC addresses.
    #[xml(attr)]
    pub mac_table_manager: Option<MacTableManager>,
}

/// `<port isolated='yes'/>`: how guests are kept apart.
#[element]
pub struct PortOptions {
    /// Whether they can't reach other such guests.
    #[xml(attr)]
    pub isolated: Option<YesNo>,
}

impl Network {
    fn after_read(&mut self) {
        complete::settle(self);
    }

    /// Fills in the driver-independent defaults, as libvirt does. What is set stays.
    pub fn complete(&mut self) {
        complete::complete(self);
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
    }

    /// How it reaches the outside; `None`: not at all.
    pub fn forward_mode(&self) -> Option<ForwardMode> {
        let mode = self.forward.as_ref().map(|forward| forward.mode.unwrap_or(ForwardMode::Nat));
        mode.filter(|mode| *mode != ForwardMode::None)
    }

    /// Whether it has a bridge of its own, rather than using something of the host's.
    pub fn has_own_bridge(&self) -> bool {
        matches!(self.forward_mode(), None | Some(ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open))
    }
}
