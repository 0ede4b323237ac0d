//! The driver-independent rules of a network.

use std::net::IpAddr;

use ostler_util::ErrorCode;

use super::{Dhcp, ForwardMode, Ip, IpFamily, Network};
use crate::Problem;

pub(super) fn problems(network: &Network) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |code, path: &str, message: String| problems.push(Problem::new(code, path, message));
    if network.name.is_empty() {
        add(ErrorCode::NoName, "name", "a network needs a name".into());
    } else if network.name.contains('/') {
        add(ErrorCode::XmlError, "name", format!("the name '{}' can't hold a '/'", network.name));
    }
    if let Some(name) = network.bridge.as_ref().and_then(|bridge| bridge.name.as_deref())
        && (name.is_empty() || name.len() > 15 || name.contains(['/', ' ', '%']) || matches!(name, "." | ".."))
    {
        add(
            ErrorCode::XmlError,
            "bridge.name",
            format!("'{name}' is no name for a bridge: 1 to 15 bytes without '/', '%' and blanks"),
        );
    }
    let uses_foreign_bridge = matches!(
        network.forward_mode(),
        Some(
            ForwardMode::Bridge
                | ForwardMode::Private
                | ForwardMode::Vepa
                | ForwardMode::Passthrough
                | ForwardMode::Hostdev
        )
    );
    if uses_foreign_bridge && !network.ips.is_empty() {
        add(
            ErrorCode::ConfigUnsupported,
            "ips",
            "a network with this forward mode has no addresses of the host".into(),
        );
    }
    if network.forward_mode() == Some(ForwardMode::Route) && network.ips.is_empty() {
        add(ErrorCode::XmlError, "ips", "a routed network needs an address of the host".into());
    }
    for (index, ip) in network.ips.iter().enumerate() {
        problems.extend(ip_problems(ip, &format!("ips[{index}]")));
    }
    problems
}

fn ip_problems(ip: &Ip, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: String, message: String| problems.push(Problem::new(ErrorCode::XmlError, path, message));
    let Some(address) = ip.address else {
        add(format!("{path}.address"), "an <ip> needs the host's address".into());
        return problems;
    };
    let family = if address.is_ipv4() { IpFamily::Ipv4 } else { IpFamily::Ipv6 };
    if ip.family.unwrap_or(IpFamily::Ipv4) != family {
        add(format!("{path}.family"), format!("{address} is of family {family}: say family='{family}'"));
        return problems;
    }
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if ip.prefix.is_some_and(|prefix| prefix > bits) {
        add(format!("{path}.prefix"), format!("a prefix of this family has {bits} bits at most"));
        return problems;
    }
    if ip.prefix.is_some() && ip.netmask.is_some() {
        add(format!("{path}.netmask"), "prefix and netmask say the same: give one of them".into());
    }
    match ip.netmask {
        Some(IpAddr::V6(_)) => add(format!("{path}.netmask"), "IPv6 has prefixes, no netmasks".into()),
        Some(IpAddr::V4(_)) if address.is_ipv6() => {
            add(format!("{path}.netmask"), "IPv6 has prefixes, no netmasks".into())
        }
        Some(IpAddr::V4(mask)) if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() != 32 => {
            add(format!("{path}.netmask"), format!("{mask} is no netmask: its ones must come first"));
        }
        _ => {}
    }
    if let Some(dhcp) = &ip.dhcp {
        problems.extend(dhcp_problems(dhcp, address, ip.prefix_length(), &format!("{path}.dhcp")));
    }
    problems
}

fn dhcp_problems(dhcp: &Dhcp, host: IpAddr, prefix: u8, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |code, path: String, message: String| problems.push(Problem::new(code, path, message));
    for (index, range) in dhcp.ranges.iter().enumerate() {
        let path = format!("{path}.ranges[{index}]");
        for (field, address) in [("start", range.start), ("end", range.end)] {
            if subnet(address, prefix) != subnet(host, prefix) {
                add(
                    ErrorCode::InternalError,
                    format!("{path}.{field}"),
                    format!("{address} is outside of the subnet of {host}/{prefix}"),
                );
            }
        }
        if range.start.is_ipv4() == range.end.is_ipv4() && range.start > range.end {
            add(
                ErrorCode::InternalError,
                path.clone(),
                format!("the range's start {} is behind its end {}", range.start, range.end),
            );
        }
        if range.lease.as_ref().is_some_and(|lease| lease.expiry == 1 && lease.unit == Some(super::LeaseUnit::Seconds))
        {
            add(ErrorCode::XmlError, format!("{path}.lease"), "a lease lasts 2 minutes at least".into());
        }
    }
    for (index, entry) in dhcp.hosts.iter().enumerate() {
        let path = format!("{path}.hosts[{index}]");
        if host.is_ipv4() {
            if entry.mac.is_none() && entry.name.is_none() {
                add(ErrorCode::XmlError, path.clone(), "a host on version 4 is told by its mac or its name".into());
            }
            if let Some(mac) = &entry.mac {
                match mac.parse::<ostler_util::MacAddress>() {
                    Ok(address) if address.is_multicast() => {
                        add(ErrorCode::XmlError, format!("{path}.mac"), format!("{mac} is a multicast address"));
                    }
                    Ok(_) => {}
                    Err(error) => add(ErrorCode::XmlError, format!("{path}.mac"), error.to_string()),
                }
            }
        } else if entry.mac.is_some() {
            add(ErrorCode::XmlError, format!("{path}.mac"), "a host on version 6 is told by its id or its name".into());
        }
        if entry.ip.is_none() && host.is_ipv4() && entry.name.is_none() {
            add(ErrorCode::XmlError, format!("{path}.ip"), "a host needs an address or a name".into());
        }
    }
    problems
}

/// The address's subnet, as family and leading bits.
fn subnet(address: IpAddr, prefix: u8) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => (true, u128::from(u64::from(address.to_bits()) >> 32_u8.saturating_sub(prefix))),
        IpAddr::V6(address) => {
            (false, address.to_bits().checked_shr(u32::from(128_u8.saturating_sub(prefix))).unwrap_or(0))
        }
    }
}
