//! The driver-independent rules of a network.

pub(super) mod dhcp;
mod forward;
pub(super) mod names;
mod routes;

use std::net::IpAddr;

use ostler_util::ErrorCode;

use super::{Bandwidth, Ip, IpFamily, Network};
use crate::Problem;

/// What a rule adds its problems to.
type Problems = Vec<Problem>;

fn add(problems: &mut Problems, code: ErrorCode, path: impl Into<String>, message: impl Into<String>) {
    problems.push(Problem::new(code, path, message));
}

pub(super) fn problems(network: &Network) -> Problems {
    let mut problems = Problems::new();
    identity(network, &mut problems);
    forward::check(network, &mut problems);
    names::check(network, &mut problems);
    for (index, ip) in network.ips.iter().enumerate() {
        check_ip(ip, &format!("ips[{index}]"), &mut problems);
    }
    routes::check(network, &mut problems);
    for (path, vlan) in [("vlan".to_owned(), network.vlan.as_ref())].into_iter().chain(
        network.portgroups.iter().enumerate().map(|(i, group)| (format!("portgroups[{i}].vlan"), group.vlan.as_ref())),
    ) {
        problems.extend(vlan.into_iter().flat_map(|vlan| vlan.problems(&path)));
    }
    if let Some(bandwidth) = &network.bandwidth {
        check_bandwidth(bandwidth, "bandwidth", &mut problems);
    }
    if let Some(port) = &network.virtualport {
        if port.r#type.is_none() {
            add(&mut problems, ErrorCode::XmlError, "virtualport.type", "a network's virtualport needs a type");
        }
        problems.extend(port.problems("virtualport"));
    }
    for (index, group) in network.portgroups.iter().enumerate() {
        let path = format!("portgroups[{index}]");
        if let Some(bandwidth) = &group.bandwidth {
            check_bandwidth(bandwidth, &format!("{path}.bandwidth"), &mut problems);
        }
        if let Some(port) = &group.virtualport {
            problems.extend(port.problems(&format!("{path}.virtualport")));
        }
    }
    problems
}

fn identity(network: &Network, problems: &mut Problems) {
    if network.name.is_empty() {
        add(problems, ErrorCode::NoName, "name", "a network needs a name");
    } else if network.name.contains('/') {
        add(problems, ErrorCode::XmlDetail, "name", format!("the name '{}' can't hold a '/'", network.name));
    }
    if network.title.as_ref().is_some_and(|title| title.contains('\n')) {
        add(problems, ErrorCode::XmlError, "title", "a title is one line");
    }
    if network.mac.as_ref().is_some_and(|mac| mac.address.is_multicast()) {
        add(problems, ErrorCode::XmlError, "mac.address", "a bridge can't have a multicast address");
    }
}

/// A network promises nothing: only what a guest's interface has can have a floor.
fn check_bandwidth(bandwidth: &Bandwidth, path: &str, problems: &mut Problems) {
    for (name, rate) in [("inbound", &bandwidth.inbound), ("outbound", &bandwidth.outbound)] {
        if rate.as_ref().is_some_and(|rate| rate.floor.is_some()) {
            let message = "only a guest's interface can have a floor";
            add(problems, ErrorCode::ConfigUnsupported, format!("{path}.{name}.floor"), message);
        }
    }
    problems.extend(bandwidth.problems(path));
}

fn check_ip(ip: &Ip, path: &str, problems: &mut Problems) {
    let Some(address) = ip.address else {
        return add(problems, ErrorCode::XmlError, format!("{path}.address"), "an <ip> needs the host's address");
    };
    let unsupported = ErrorCode::ConfigUnsupported;
    let family = if address.is_ipv4() { IpFamily::Ipv4 } else { IpFamily::Ipv6 };
    if ip.family.unwrap_or(IpFamily::Ipv4) != family {
        let message = format!("{address} is of family {family}: say family='{family}'");
        return add(problems, unsupported, format!("{path}.family"), message);
    }
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if ip.prefix.is_some_and(|prefix| prefix > bits) {
        let message = format!("a prefix of this family has {bits} bits at most");
        return add(problems, unsupported, format!("{path}.prefix"), message);
    }
    if ip.prefix.is_some() && ip.netmask.is_some() {
        let message = "prefix and netmask say the same: give one of them";
        add(problems, unsupported, format!("{path}.netmask"), message);
    }
    if matches!((ip.netmask, address), (Some(IpAddr::V6(_)), _) | (Some(_), IpAddr::V6(_))) {
        add(problems, unsupported, format!("{path}.netmask"), "IPv6 has prefixes, no netmasks");
    }
    if let Some(dhcp) = &ip.dhcp {
        dhcp::check(dhcp, ip, address, &format!("{path}.dhcp"), problems);
    }
}
