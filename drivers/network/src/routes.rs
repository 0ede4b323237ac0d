//! Which subnets the host reaches already: a guest network must not take them over.

use std::net::{IpAddr, Ipv4Addr};

use ostler_conf::Network;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use crate::bridge::subnets;
use crate::check::bridge_name;

/// Refuses a network whose subnet is routed by another device of the host.
pub(crate) fn check(network: &Network) -> Result<()> {
    // The thread's own network namespace, which is the process's wherever it matters.
    let table = std::fs::read_to_string("/proc/thread-self/net/route")
        .map_err(|error| Error::system("read the host's routes", error))?;
    for (address, prefix) in subnets(network) {
        let IpAddr::V4(address) = address else { continue };
        if let Some((device, route, length)) = find_overlap(&table, address, prefix, bridge_name(network)) {
            let message = format!("the subnet of {address}/{prefix} is routed already: {route}/{length} by {device}");
            return Err(Error::new(ErrorCode::OperationFailed, message).at("ips"));
        }
    }
    Ok(())
}

/// A route of another device that shares addresses with the subnet; default routes share with all and don't count.
fn find_overlap(table: &str, address: Ipv4Addr, prefix: u8, own: &str) -> Option<(String, Ipv4Addr, u32)> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (device, destination, mask) = (*fields.first()?, *fields.get(1)?, *fields.get(7)?);
        let number = |text| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
        let (destination, mask) = (number(destination)?, number(mask)?);
        let subnet_mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let common = mask & subnet_mask;
        let overlaps = mask != 0 && device != own && (destination & common) == (address.to_bits() & common);
        overlaps.then(|| (device.to_owned(), Ipv4Addr::from_bits(destination), mask.leading_ones()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn overlaps_are_found_in_both_directions() {
        let overlap = |address: [u8; 4], prefix, own| {
            find_overlap(TABLE, Ipv4Addr::from(address), prefix, own).map(|(device, _, length)| (device, length))
        };
        assert_eq!(overlap([192, 168, 1, 129], 25, "br0"), Some(("eth0".into(), 24)));
        assert_eq!(overlap([192, 168, 77, 1], 16, "br0"), Some(("eth0".into(), 24)));
        assert_eq!(overlap([192, 168, 2, 1], 24, "br0"), None, "a default route routes everything");
        assert_eq!(overlap([192, 168, 1, 1], 24, "eth0"), None, "its own");
    }
}
