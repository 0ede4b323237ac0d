//! `<network>`: a virtual network. libvirt: formatnetwork.html.

mod complete;
mod validate;

use std::net::IpAddr;

use ostler_conf_derive::element;
use uuid::Uuid;

use crate::domain::{Mac, Metadata, Mtu};
use crate::values::{OnOff, YesNo};
use crate::{Invalid, words};

/// A virtual network: what libvirt's `<network>` says.
#[element(root = "network")]
pub struct Network {
    /// The name on the host. In a manifest it comes from the object's namespace and name.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The identity; chosen once.
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
    #[xml(keep)]
    pub bridge: Option<Bridge>,
    /// The largest packet.
    pub mtu: Option<Mtu>,
    /// The bridge's MAC address; chosen once and kept.
    pub mac: Option<Mac>,
    /// The DNS domain of its guests.
    pub domain: Option<DnsDomain>,
    /// Name service for its guests.
    #[xml(keep)]
    pub dns: Option<Dns>,
    /// The host's addresses on it.
    #[xml(name = "ip")]
    pub ips: Vec<Ip>,
}

words! {
    /// How a network reaches the outside.
    pub enum ForwardMode {
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

    /// Who keeps a bridge's table of MAC addresses.
    pub enum MacTableManager {
        /// The kernel, by learning.
        Kernel = "kernel",
        /// We.
        Libvirt = "libvirt",
    }

    /// An address family.
    pub enum IpFamily {
        /// Version 4.
        Ipv4 = "ipv4",
        /// Version 6.
        Ipv6 = "ipv6",
    }

    /// A unit of a lease's time.
    pub enum LeaseUnit {
        /// Seconds.
        Seconds = "seconds",
        /// Minutes.
        Minutes = "minutes",
        /// Hours.
        Hours = "hours",
    }
}

/// `<forward mode='nat'>`: how the network reaches the outside.
#[element]
pub struct Forward {
    /// The host's device that traffic leaves by; absent: any.
    #[xml(attr)]
    pub dev: Option<String>,
    /// The way; absent: `nat`.
    #[xml(attr)]
    pub mode: Option<ForwardMode>,
    /// Settings of the translation.
    pub nat: Option<Nat>,
    /// The host's devices, the first of which is `dev`.
    #[xml(name = "interface")]
    pub interfaces: Vec<ForwardInterface>,
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
    pub start: IpAddr,
    /// The last.
    #[xml(attr)]
    pub end: IpAddr,
}

/// `<port start='1024' end='65535'/>`: ports that guests appear with.
#[element]
pub struct NatPort {
    /// The first.
    #[xml(attr)]
    pub start: u16,
    /// The last.
    #[xml(attr)]
    pub end: u16,
}

/// `<interface dev='eth0'/>`: a device of the host.
#[element]
pub struct ForwardInterface {
    /// Its name.
    #[xml(attr)]
    pub dev: String,
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

/// `<domain name='example.com' localOnly='yes'/>`: the DNS domain of the guests.
#[element]
pub struct DnsDomain {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Whether questions about it are never passed on.
    #[xml(attr)]
    pub local_only: Option<YesNo>,
}

/// `<dns>`: name service for the guests.
#[element]
pub struct Dns {
    /// Whether there is any.
    #[xml(attr)]
    pub enable: Option<YesNo>,
    /// Whether names without a dot are passed on.
    #[xml(attr)]
    pub forward_plain_names: Option<YesNo>,
    /// Where questions are passed on to.
    #[xml(name = "forwarder")]
    pub forwarders: Vec<DnsForwarder>,
    /// TXT records.
    #[xml(name = "txt")]
    pub txts: Vec<DnsTxt>,
    /// Host records.
    #[xml(name = "host")]
    pub hosts: Vec<DnsHost>,
    /// SRV records.
    #[xml(name = "srv")]
    pub srvs: Vec<DnsSrv>,
}

/// `<forwarder domain='example.com' addr='8.8.8.8'/>`: where questions are passed on to.
#[element]
pub struct DnsForwarder {
    /// For this domain only.
    #[xml(attr)]
    pub domain: Option<String>,
    /// The server; absent: the host's own.
    #[xml(attr)]
    pub addr: Option<IpAddr>,
}

/// `<txt name='example' value='text'/>`: a TXT record.
#[element]
pub struct DnsTxt {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its text.
    #[xml(attr)]
    pub value: Option<String>,
}

/// `<host ip='192.168.122.2'>`: a host record.
#[element]
pub struct DnsHost {
    /// The address.
    #[xml(attr)]
    pub ip: IpAddr,
    /// Its names.
    #[xml(name = "hostname")]
    pub hostnames: Vec<String>,
}

/// `<srv service='ldap' protocol='tcp' …/>`: an SRV record.
#[element]
pub struct DnsSrv {
    /// The service.
    #[xml(attr)]
    pub service: String,
    /// Its protocol.
    #[xml(attr)]
    pub protocol: String,
    /// The domain; absent: the network's.
    #[xml(attr)]
    pub domain: Option<String>,
    /// The host that serves.
    #[xml(attr)]
    pub target: Option<String>,
    /// Its port.
    #[xml(attr)]
    pub port: Option<u16>,
    /// Its priority.
    #[xml(attr)]
    pub priority: Option<u16>,
    /// Its weight.
    #[xml(attr)]
    pub weight: Option<u16>,
}

/// `<ip address='192.168.122.1' netmask='255.255.255.0'>`: an address of the host on the network.
#[element(open)]
pub struct Ip {
    /// The family; absent: version 4.
    #[xml(attr)]
    pub family: Option<IpFamily>,
    /// The address.
    #[xml(attr)]
    pub address: Option<IpAddr>,
    /// The subnet's mask.
    #[xml(attr)]
    pub netmask: Option<IpAddr>,
    /// The subnet's length in bits.
    #[xml(attr)]
    pub prefix: Option<u32>,
    /// Whether questions about the subnet's names are never passed on.
    #[xml(attr)]
    pub local_ptr: Option<YesNo>,
    /// Address service for the guests.
    #[xml(keep)]
    pub dhcp: Option<Dhcp>,
}

/// `<dhcp>`: address service for the guests.
#[element(open)]
pub struct Dhcp {
    /// Addresses to give away.
    #[xml(name = "range")]
    pub ranges: Vec<DhcpRange>,
    /// Guests that always get the same.
    #[xml(name = "host")]
    pub hosts: Vec<DhcpHost>,
}

/// `<range start='192.168.122.2' end='192.168.122.254'/>`: addresses to give away.
#[element]
pub struct DhcpRange {
    /// The first.
    #[xml(attr)]
    pub start: IpAddr,
    /// The last.
    #[xml(attr)]
    pub end: IpAddr,
    /// How long a lease lasts.
    pub lease: Option<DhcpLease>,
}

/// `<lease expiry='24' unit='hours'/>`: how long a lease lasts.
#[element]
pub struct DhcpLease {
    /// The time; 0: for ever.
    #[xml(attr)]
    pub expiry: u32,
    /// Its unit; absent: minutes.
    #[xml(attr)]
    pub unit: Option<LeaseUnit>,
}

/// `<host mac='00:16:3e:77:e2:ed' name='a' ip='192.168.122.10'/>`: a guest that always gets the same address.
#[element]
pub struct DhcpHost {
    /// The guest's interface, on version 4.
    #[xml(attr)]
    pub mac: Option<String>,
    /// The guest's identifier, on version 6.
    #[xml(attr)]
    pub id: Option<String>,
    /// The name it gets.
    #[xml(attr)]
    pub name: Option<String>,
    /// The address it gets.
    #[xml(attr)]
    pub ip: Option<IpAddr>,
    /// How long its lease lasts.
    pub lease: Option<DhcpLease>,
}

impl Ip {
    /// The subnet's length in bits, from prefix, mask, or the address's class.
    pub fn prefix_length(&self) -> u8 {
        if let Some(prefix) = self.prefix {
            return u8::try_from(prefix).unwrap_or(u8::MAX);
        }
        match (self.netmask, self.address) {
            (Some(IpAddr::V4(mask)), _) => u8::try_from(mask.to_bits().leading_ones()).unwrap_or(32),
            (_, Some(IpAddr::V4(address))) => match address.octets()[0] {
                0..128 => 8,
                128..192 => 16,
                192.. => 24,
            },
            _ => 64,
        }
    }
}

impl Network {
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
        self.forward.as_ref().map(|forward| forward.mode.unwrap_or(ForwardMode::Nat))
    }
}
