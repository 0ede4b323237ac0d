//! `<route>`: the way to another network, of a host or in a guest. libvirt: formatnetwork.html#static-routes.

use std::net::IpAddr;

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use super::IpFamily;
use super::ip::prefix_length;
use crate::Problem;

/// `<route address='192.168.222.0' prefix='24' gateway='192.168.122.10'/>`: the way to another network.
#[element]
pub struct Route {
    /// The family; absent: version 4.
    #[xml(attr)]
    pub family: Option<IpFamily>,
    /// The network.
    #[xml(attr)]
    pub address: IpAddr,
    /// Its mask.
    #[xml(attr)]
    pub netmask: Option<IpAddr>,
    /// Its length in bits.
    #[xml(attr)]
    pub prefix: Option<u32>,
    /// The host on this network that leads there.
    #[xml(attr)]
    pub gateway: IpAddr,
    /// The lower, the sooner it is chosen; 1 at least.
    #[xml(attr)]
    pub metric: Option<u32>,
}

impl Route {
    /// The driver-independent rules; `path` is where it stands.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check(&mut |field, message| {
            problems.push(Problem::new(ErrorCode::XmlError, format!("{path}.{field}"), message));
        });
        problems
    }

    fn check(&self, add: &mut dyn FnMut(&str, String)) {
        let family = self.family.unwrap_or(IpFamily::Ipv4);
        for (field, address) in [("address", self.address), ("gateway", self.gateway)] {
            if address.is_ipv4() != (family == IpFamily::Ipv4) {
                return add(field, format!("{address} is not of family {family}"));
            }
        }
        if self.metric == Some(0) {
            add("metric", "a metric is 1 at least".into());
        }
        if self.netmask.is_some() && family == IpFamily::Ipv6 {
            return add("netmask", "IPv6 has prefixes, no netmasks".into());
        }
        if self.netmask.is_some() && self.prefix.is_some() {
            return add("netmask", "prefix and netmask say the same: give one of them".into());
        }
        let bits: u32 = if family == IpFamily::Ipv4 { 32 } else { 128 };
        if self.prefix.is_some_and(|prefix| prefix > bits) {
            return add("prefix", format!("a prefix of this family has {bits} bits at most"));
        }
        // Without prefix and mask the route leads to everything, or to the address's class for version 4.
        let length = self.prefix_length();
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let host_bits = 1_u128.checked_shl(bits - length).map_or(u128::MAX, |size| size - 1);
        if number(self.address) & host_bits != 0 {
            add("address", format!("{} is no network: it has bits behind the first {length}", self.address));
        }
    }

    fn prefix_length(&self) -> u32 {
        match (self.prefix, self.netmask) {
            (None, None) if self.address.is_unspecified() || self.address.is_ipv6() => 0,
            _ => u32::from(prefix_length(Some(self.address), self.netmask, self.prefix).unwrap_or(0)),
        }
    }
}
