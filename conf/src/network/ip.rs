//! `<ip>` and `<route>`: the host's addresses on a network, address service, and the ways to other networks.

use std::net::IpAddr;

use ostler_conf_derive::element;

use crate::values::YesNo;
use crate::words;

words! {
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
    /// Files for machines that boot from the network.
    pub tftp: Option<Tftp>,
    /// Address service for the guests.
    #[xml(keep)]
    pub dhcp: Option<Dhcp>,
}

/// `<tftp root='/var/lib/tftp'/>`: files for machines that boot from the network.
#[element]
pub struct Tftp {
    /// Their folder on the host. Needs a grant.
    #[xml(attr)]
    pub root: Option<String>,
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
    /// What a machine boots that boots from the network.
    pub bootp: Option<Bootp>,
}

/// `<range start='192.168.122.2' end='192.168.122.254'/>`: addresses to give away.
#[element(root = "range")]
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
    pub expiry: u64,
    /// Its unit; absent: minutes.
    #[xml(attr)]
    pub unit: Option<LeaseUnit>,
}

/// `<host mac='00:16:3e:77:e2:ed' name='a' ip='192.168.122.10'/>`: a guest that always gets the same address.
#[element(root = "host")]
pub struct DhcpHost {
    /// The guest's identifier, on version 6.
    #[xml(attr)]
    pub id: Option<String>,
    /// The guest's interface, on version 4.
    #[xml(attr)]
    pub mac: Option<String>,
    /// The name it gets.
    #[xml(attr)]
    pub name: Option<String>,
    /// The address it gets.
    #[xml(attr)]
    pub ip: Option<IpAddr>,
    /// How long its lease lasts.
    pub lease: Option<DhcpLease>,
}

/// `<bootp file='pxeboot.img' server='10.20.30.40'/>`: what a machine boots that boots from the network.
#[element]
pub struct Bootp {
    /// The file.
    #[xml(attr)]
    pub file: String,
    /// The server; absent: the network's own.
    #[xml(attr)]
    pub server: Option<IpAddr>,
}

/// The length in bits of a subnet, from prefix, mask, or the address's class; `None`: the mask's ones don't come first.
pub(super) fn prefix_length(address: Option<IpAddr>, netmask: Option<IpAddr>, prefix: Option<u32>) -> Option<u8> {
    if let Some(prefix) = prefix {
        return Some(u8::try_from(prefix).unwrap_or(u8::MAX));
    }
    match (netmask, address) {
        (Some(IpAddr::V4(mask)), _) => {
            let (ones, zeros) = (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros());
            u8::try_from(ones).ok().filter(|_| ones + zeros == 32 || zeros == 32)
        }
        (_, Some(IpAddr::V4(address))) => match address.octets()[0] {
            0..128 => Some(8),
            128..192 => Some(16),
            192.. => Some(24),
        },
        _ => Some(64),
    }
}

impl Ip {
    /// The subnet's length in bits, from prefix, mask, or the address's class.
    pub fn prefix_length(&self) -> u8 {
        prefix_length(self.address, self.netmask, self.prefix).unwrap_or(32)
    }
}
