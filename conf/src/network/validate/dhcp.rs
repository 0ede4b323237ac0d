//! The rules of address service.

use std::net::IpAddr;

use ostler_util::{ErrorCode, MacAddress};

use super::{Problems, add};
use crate::network::ip::prefix_length;
use crate::network::{Dhcp, DhcpHost, DhcpLease, DhcpRange, Ip, LeaseUnit};

/// The shortest lease, in seconds: dnsmasq's own limit.
const MIN_LEASE: u64 = 120;

/// The most addresses of a range.
const MAX_RANGE: u128 = 65535;

pub(super) fn check(dhcp: &Dhcp, ip: &Ip, host: IpAddr, path: &str, problems: &mut Problems) {
    for (index, range) in dhcp.ranges.iter().enumerate() {
        let path = format!("{path}.ranges[{index}]");
        check_range(range, ip, host, &path, problems);
        check_lease(range.lease.as_ref(), &path, problems);
    }
    for (index, entry) in dhcp.hosts.iter().enumerate() {
        let path = format!("{path}.hosts[{index}]");
        check_host(entry, host, &path, problems);
        check_lease(entry.lease.as_ref(), &path, problems);
    }
}

pub(in crate::network) fn check_range(range: &DhcpRange, ip: &Ip, host: IpAddr, path: &str, problems: &mut Problems) {
    let internal = ErrorCode::InternalError;
    let (start, end) = (range.start, range.end);
    if start.is_ipv4() != end.is_ipv4() || start.is_ipv4() != host.is_ipv4() {
        let message = format!("{start} and {end} are not both of the family of {host}");
        return add(problems, internal, path, message);
    }
    if start > end {
        return add(problems, internal, path, format!("the range's start {start} is behind its end {end}"));
    }
    if number(end) - number(start) > MAX_RANGE {
        return add(problems, internal, path, format!("a range has {MAX_RANGE} addresses at most"));
    }
    let Some(prefix) = prefix_length(ip.address, ip.netmask, ip.prefix) else {
        return add(problems, internal, path, "the subnet's mask is none: its ones must come first");
    };
    for (field, address) in [("start", start), ("end", end)] {
        if subnet(address, prefix) != subnet(host, prefix) {
            let message = format!("{address} is outside of the subnet of {host}/{prefix}");
            add(problems, internal, format!("{path}.{field}"), message);
        }
    }
    let bits = if host.is_ipv4() { 32_u32 } else { return };
    let host_bits = (1_u128 << bits.saturating_sub(u32::from(prefix))) - 1;
    if number(start) & host_bits == 0 {
        add(problems, internal, format!("{path}.start"), format!("{start} is the address of the subnet itself"));
    }
    if number(end) & host_bits == host_bits {
        add(problems, internal, format!("{path}.end"), format!("{end} is the address of all in the subnet"));
    }
}

fn check_lease(lease: Option<&DhcpLease>, path: &str, problems: &mut Problems) {
    let Some(lease) = lease else { return };
    let factor = match lease.unit.unwrap_or(LeaseUnit::Minutes) {
        LeaseUnit::Seconds => 1,
        LeaseUnit::Minutes => 60,
        LeaseUnit::Hours => 3600,
    };
    if lease.expiry > 0 && lease.expiry.saturating_mul(factor) < MIN_LEASE {
        let message = "a lease lasts 2 minutes at least";
        add(problems, ErrorCode::ConfigUnsupported, format!("{path}.lease.expiry"), message);
    }
}

pub(in crate::network) fn check_host(entry: &DhcpHost, host: IpAddr, path: &str, problems: &mut Problems) {
    let mut add = |field: &str, message: String| add(problems, ErrorCode::XmlError, format!("{path}{field}"), message);
    if let Some(mac) = &entry.mac {
        match mac.parse::<MacAddress>() {
            Ok(_) if host.is_ipv6() => add(".mac", "a host on version 6 is told by its id or its name".into()),
            Ok(address) if address.is_multicast() => add(".mac", format!("{mac} is a multicast address")),
            Ok(_) => {}
            Err(error) => add(".mac", error.to_string()),
        }
    }
    if let Some(id) = &entry.id
        && let Some(wrong) = id.chars().find(|c| !c.is_ascii_hexdigit() && *c != ':')
    {
        add(".id", format!("'{wrong}' is no part of an id: hexadecimal digits and colons are"));
    }
    match (host.is_ipv4(), entry.mac.is_some(), entry.id.is_some(), entry.name.is_some()) {
        (true, false, _, false) => add("", "a host on version 4 is told by its mac or its name".into()),
        (false, _, false, false) => add("", "a host on version 6 is told by its id or its name".into()),
        _ => {}
    }
    if entry.ip.is_none() {
        add(".ip", "a host needs the address that it gets".into());
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address's subnet: its leading bits.
fn subnet(address: IpAddr, prefix: u8) -> u128 {
    let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
    number(address).checked_shr(bits.saturating_sub(u32::from(prefix))).unwrap_or(0)
}
