//! The rules of the ways to other networks.

use std::net::IpAddr;

use ostler_util::ErrorCode;

use super::{Problems, add};
use crate::network::ip::prefix_length;
use crate::network::{Ip, IpFamily, Network, Route};

pub(super) fn check(network: &Network, problems: &mut Problems) {
    for (index, route) in network.routes.iter().enumerate() {
        let path = format!("routes[{index}]");
        let before = problems.len();
        check_route(route, &path, problems);
        if problems.len() == before && !network.ips.iter().any(|ip| holds(ip, route.gateway)) {
            let message = format!("{} is on none of this network's subnets", route.gateway);
            add(problems, ErrorCode::ConfigUnsupported, format!("{path}.gateway"), message);
        }
    }
}

fn check_route(route: &Route, path: &str, problems: &mut Problems) {
    let mut add = |field: &str, message: String| add(problems, ErrorCode::XmlError, format!("{path}.{field}"), message);
    let family = route.family.unwrap_or(IpFamily::Ipv4);
    for (field, address) in [("address", route.address), ("gateway", route.gateway)] {
        if address.is_ipv4() != (family == IpFamily::Ipv4) {
            return add(field, format!("{address} is not of family {family}"));
        }
    }
    if route.metric == Some(0) {
        add("metric", "a metric is 1 at least".into());
    }
    if route.netmask.is_some() && family == IpFamily::Ipv6 {
        return add("netmask", "IPv6 has prefixes, no netmasks".into());
    }
    if route.netmask.is_some() && route.prefix.is_some() {
        return add("netmask", "prefix and netmask say the same: give one of them".into());
    }
    let bits: u32 = if family == IpFamily::Ipv4 { 32 } else { 128 };
    if route.prefix.is_some_and(|prefix| prefix > bits) {
        return add("prefix", format!("a prefix of this family has {bits} bits at most"));
    }
    // Without prefix and mask the route leads to everything, or to the address's class for version 4.
    let length = prefix_of(route);
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let host_bits = 1_u128.checked_shl(bits - length).map_or(u128::MAX, |size| size - 1);
    if number(route.address) & host_bits != 0 {
        add("address", format!("{} is no network: it has bits behind the first {length}", route.address));
    }
}

fn prefix_of(route: &Route) -> u32 {
    match (route.prefix, route.netmask) {
        (None, None) if number_is_zero(route.address) => 0,
        (None, None) if route.address.is_ipv6() => 0,
        _ => u32::from(prefix_length(Some(route.address), route.netmask, route.prefix).unwrap_or(0)),
    }
}

fn number_is_zero(address: IpAddr) -> bool {
    address.is_unspecified()
}

/// Whether an address is on the subnet.
fn holds(ip: &Ip, address: IpAddr) -> bool {
    let prefix = u32::from(ip.prefix_length());
    match (ip.address, address) {
        (Some(IpAddr::V4(own)), IpAddr::V4(address)) => {
            (own.to_bits() ^ address.to_bits()).checked_shr(32_u32.saturating_sub(prefix)).unwrap_or(0) == 0
        }
        (Some(IpAddr::V6(own)), IpAddr::V6(address)) => {
            (own.to_bits() ^ address.to_bits()).checked_shr(128_u32.saturating_sub(prefix)).unwrap_or(0) == 0
        }
        _ => false,
    }
}
