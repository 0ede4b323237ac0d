//! The rules of the ways to other networks.

use std::net::IpAddr;

use ostler_util::ErrorCode;

use super::{Problems, add};
use crate::network::{Ip, Network};

pub(super) fn check(network: &Network, problems: &mut Problems) {
    for (index, route) in network.routes.iter().enumerate() {
        let path = format!("routes[{index}]");
        let wrong = route.problems(&path);
        let is_sound = wrong.is_empty();
        problems.extend(wrong);
        if is_sound && !network.ips.iter().any(|ip| holds(ip, route.gateway)) {
            let message = format!("{} is on none of this network's subnets", route.gateway);
            add(problems, ErrorCode::ConfigUnsupported, format!("{path}.gateway"), message);
        }
    }
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
