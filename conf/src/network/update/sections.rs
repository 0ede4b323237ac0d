//! What each section's update means: which entry it is about, and which commands there are.

use ostler_util::{ErrorCode, MacAddress};

use super::{UpdateCommand, UpdateSection, refuse};
use crate::network::validate::{dhcp, names};
use crate::network::{
    DhcpHost, DhcpRange, Dns, DnsHost, DnsSrv, DnsTxt, Forward, ForwardInterface, Ip, Network, PortGroup,
};
use crate::values::YesNo;
use crate::{Invalid, Problem};

/// Carries the command out on a list, in which `matching` are the entries that the update is about.
fn apply<T>(
    list: &mut Vec<T>,
    command: UpdateCommand,
    section: UpdateSection,
    entry: T,
    matching: &[usize],
) -> Result<(), Invalid> {
    let invalid = |message: &str| Err(refuse(ErrorCode::OperationInvalid, section, message));
    match (command, matching) {
        (UpdateCommand::AddFirst, []) => list.insert(0, entry),
        (UpdateCommand::AddLast, []) => list.push(entry),
        (UpdateCommand::AddFirst | UpdateCommand::AddLast, _) => return invalid("such an entry is there already"),
        (UpdateCommand::Modify, [index]) => list[*index] = entry,
        (UpdateCommand::Delete, [index]) => {
            list.remove(*index);
        }
        (UpdateCommand::Modify | UpdateCommand::Delete, []) => return invalid("no such entry is there"),
        (UpdateCommand::Modify | UpdateCommand::Delete, _) => {
            return invalid("more than one such entry is there: say more of it");
        }
    }
    Ok(())
}

fn positions<T>(list: &[T], matches: impl Fn(&T) -> bool) -> Vec<usize> {
    list.iter().enumerate().filter(|(_, entry)| matches(entry)).map(|(index, _)| index).collect()
}

fn is_modify_unsupported(command: UpdateCommand, section: UpdateSection) -> Result<(), Invalid> {
    if command != UpdateCommand::Modify {
        return Ok(());
    }
    let message = "such an entry can't be modified, only added or deleted";
    Err(refuse(ErrorCode::OperationUnsupported, section, message))
}

/// The `<ip>` of that number; else the first with address service, else the first of version 4, else the first.
fn find_ip(network: &mut Network, parent: Option<usize>, section: UpdateSection) -> Result<&mut Ip, Invalid> {
    let ips = &network.ips;
    let index = match parent {
        Some(index) => Some(index).filter(|index| *index < ips.len()),
        None => ips
            .iter()
            .position(|ip| ip.dhcp.is_some())
            .or_else(|| ips.iter().position(|ip| ip.address.is_some_and(|address| address.is_ipv4())))
            .or_else(|| (!ips.is_empty()).then_some(0)),
    };
    match index {
        Some(index) => Ok(&mut network.ips[index]),
        None => Err(refuse(ErrorCode::OperationInvalid, section, "the network has no such <ip>")),
    }
}

/// Only one subnet of each family has address service.
fn check_single_dhcp(network: &Network, section: UpdateSection) -> Result<(), Invalid> {
    for ipv4 in [true, false] {
        let serving = network.ips.iter().filter(|ip| ip.dhcp.is_some());
        if serving.filter(|ip| ip.address.is_some_and(|address| address.is_ipv4() == ipv4)).count() > 1 {
            let message = "only one subnet of a family can have dhcp";
            return Err(refuse(ErrorCode::OperationInvalid, section, message));
        }
    }
    Ok(())
}

/// Changes the address service of an `<ip>`; the network stays as it was where that is refused.
fn update_dhcp(
    network: &mut Network,
    parent: Option<usize>,
    section: UpdateSection,
    change: impl FnOnce(&mut Ip) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let mut updated = network.clone();
    let ip = find_ip(&mut updated, parent, section)?;
    change(ip)?;
    ip.dhcp.take_if(|dhcp| dhcp.ranges.is_empty() && dhcp.hosts.is_empty());
    check_single_dhcp(&updated, section)?;
    *network = updated;
    Ok(())
}

/// MAC addresses are the same in any case, and with or without leading zeros.
fn same_mac(a: Option<&String>, b: Option<&String>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => match (a.parse::<MacAddress>(), b.parse::<MacAddress>()) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
        _ => false,
    }
}

pub(super) fn dhcp_host(
    network: &mut Network,
    command: UpdateCommand,
    parent: Option<usize>,
    host: DhcpHost,
) -> Result<(), Invalid> {
    let section = UpdateSection::IpDhcpHost;
    update_dhcp(network, parent, section, |ip| {
        if command == UpdateCommand::Delete {
            if host.mac.is_none() && host.name.is_none() && host.ip.is_none() {
                return Err(refuse(ErrorCode::XmlError, section, "a host is told by its mac, name or ip"));
            }
        } else if let Some(address) = ip.address {
            let mut problems = Vec::new();
            dhcp::check_host(&host, address, section.word(), &mut problems);
            Invalid::check(problems)?;
        }
        let hosts = &mut ip.dhcp.get_or_insert_default().hosts;
        let same_name = |old: &DhcpHost| host.name.is_some() && old.name == host.name;
        let same_ip = |old: &DhcpHost| host.ip.is_some() && old.ip == host.ip;
        let is_same_mac = |old: &DhcpHost| same_mac(old.mac.as_ref(), host.mac.as_ref());
        let mut matching = match command {
            UpdateCommand::Delete => positions(hosts, |old| {
                (host.mac.is_none() || is_same_mac(old))
                    && (host.name.is_none() || same_name(old))
                    && (host.ip.is_none() || same_ip(old))
            }),
            UpdateCommand::Modify => positions(hosts, |old| is_same_mac(old) || same_name(old)),
            UpdateCommand::AddFirst | UpdateCommand::AddLast => {
                positions(hosts, |old| is_same_mac(old) || same_name(old) || same_ip(old))
            }
        };
        // Of several the first counts.
        matching.truncate(1);
        apply(hosts, command, section, host.clone(), &matching)
    })
}

pub(super) fn dhcp_range(
    network: &mut Network,
    command: UpdateCommand,
    parent: Option<usize>,
    range: DhcpRange,
) -> Result<(), Invalid> {
    let section = UpdateSection::IpDhcpRange;
    is_modify_unsupported(command, section)?;
    update_dhcp(network, parent, section, |ip| {
        if let Some(address) = ip.address {
            let mut problems = Vec::new();
            dhcp::check_range(&range, ip, address, section.word(), &mut problems);
            Invalid::check(problems)?;
        }
        let ranges = &mut ip.dhcp.get_or_insert_default().ranges;
        let matching = positions(ranges, |old| old.start == range.start && old.end == range.end);
        apply(ranges, command, section, range, &matching)
    })
}

pub(super) fn forward_interface(
    network: &mut Network,
    command: UpdateCommand,
    interface: ForwardInterface,
) -> Result<(), Invalid> {
    let section = UpdateSection::ForwardInterface;
    is_modify_unsupported(command, section)?;
    let mut forward = network.forward.clone().unwrap_or_default();
    let matching = positions(&forward.interfaces, |old| old.dev == interface.dev);
    apply(&mut forward.interfaces, command, section, interface, &matching)?;
    // The network's device is its first interface.
    forward.dev = forward.interfaces.first().map(|first| first.dev.clone());
    if network.forward.is_some() || forward != Forward::default() {
        network.forward = Some(forward);
    }
    Ok(())
}

pub(super) fn port_group(network: &mut Network, command: UpdateCommand, group: PortGroup) -> Result<(), Invalid> {
    let section = UpdateSection::Portgroup;
    let is_default = |group: &PortGroup| group.default == Some(YesNo(true));
    let rival = network.portgroups.iter().any(|old| is_default(old) && old.name != group.name);
    if command != UpdateCommand::Delete && is_default(&group) && rival {
        return Err(refuse(ErrorCode::OperationInvalid, section, "another group is the default already"));
    }
    let matching = positions(&network.portgroups, |old| old.name == group.name);
    apply(&mut network.portgroups, command, section, group, &matching)
}

/// Changes name service; without an entry left there is none, unless it says something else.
fn update_dns(network: &mut Network, change: impl FnOnce(&mut Dns) -> Result<(), Invalid>) -> Result<(), Invalid> {
    let mut dns = network.dns.clone().unwrap_or_default();
    change(&mut dns)?;
    if network.dns.is_some() || dns != Dns::default() {
        network.dns = Some(dns);
    }
    Ok(())
}

fn check(collect: impl FnOnce(&mut Vec<Problem>)) -> Result<(), Invalid> {
    let mut problems = Vec::new();
    collect(&mut problems);
    Invalid::check(problems)
}

pub(super) fn dns_host(network: &mut Network, command: UpdateCommand, host: DnsHost) -> Result<(), Invalid> {
    let section = UpdateSection::DnsHost;
    if command == UpdateCommand::Delete {
        if host.ip.is_none() && host.hostnames.is_empty() {
            return Err(refuse(ErrorCode::XmlDetail, section, "a host record is told by its address or a name"));
        }
    } else {
        check(|problems| names::check_host(&host, section.word(), problems))?;
    }
    update_dns(network, |dns| {
        let same_ip = |old: &DnsHost| host.ip.is_some() && old.ip == host.ip;
        let shares_name = |old: &DnsHost| old.hostnames.iter().any(|name| host.hostnames.contains(name));
        let matching = match command {
            UpdateCommand::Delete => positions(&dns.hosts, |old| same_ip(old) || shares_name(old)),
            UpdateCommand::Modify | UpdateCommand::AddFirst | UpdateCommand::AddLast => positions(&dns.hosts, same_ip),
        };
        apply(&mut dns.hosts, command, section, host.clone(), &matching)
    })
}

pub(super) fn dns_txt(network: &mut Network, command: UpdateCommand, txt: DnsTxt) -> Result<(), Invalid> {
    let section = UpdateSection::DnsTxt;
    match command {
        UpdateCommand::Delete => {}
        UpdateCommand::Modify if txt.value.is_none() => {
            return Err(refuse(ErrorCode::OperationInvalid, section, "a TXT record needs a text"));
        }
        UpdateCommand::Modify | UpdateCommand::AddFirst | UpdateCommand::AddLast => {
            check(|problems| names::check_txt(&txt, section.word(), problems))?;
        }
    }
    update_dns(network, |dns| {
        let matching = positions(&dns.txts, |old| old.name == txt.name);
        apply(&mut dns.txts, command, section, txt, &matching)
    })
}

pub(super) fn dns_srv(network: &mut Network, command: UpdateCommand, srv: DnsSrv) -> Result<(), Invalid> {
    let section = UpdateSection::DnsSrv;
    is_modify_unsupported(command, section)?;
    if command != UpdateCommand::Delete {
        check(|problems| names::check_srv(&srv, section.word(), problems))?;
    }
    /// What the update does not say matches all.
    fn fits<T: PartialEq>(asked: Option<&T>, old: Option<&T>) -> bool {
        asked.is_none() || asked == old
    }
    update_dns(network, |dns| {
        let matching = positions(&dns.srvs, |old| {
            let DnsSrv { service, protocol, domain, target, port, priority, weight } = &srv;
            fits(service.as_ref(), old.service.as_ref())
                && fits(protocol.as_ref(), old.protocol.as_ref())
                && fits(domain.as_ref(), old.domain.as_ref())
                && fits(target.as_ref(), old.target.as_ref())
                && fits(port.as_ref(), old.port.as_ref())
                && fits(priority.as_ref(), old.priority.as_ref())
                && fits(weight.as_ref(), old.weight.as_ref())
        });
        apply(&mut dns.srvs, command, section, srv.clone(), &matching)
    })
}
