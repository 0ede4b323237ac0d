//! The driver-independent defaults of a network.

use super::{Bridge, Forward, ForwardInterface, ForwardMode, LeaseUnit, Network};
use crate::values::{OnOff, YesNo};

/// What says nothing is dropped, and what says the same twice is said once, as libvirt does when it reads.
pub(super) fn settle(network: &mut Network) {
    network.connections = None;
    network.ipv6.take_if(|ipv6| !ipv6.0);
    network.forward.take_if(|forward| forward.mode == Some(ForwardMode::None));
    network.mtu.take_if(|mtu| mtu.size == 0);
    if let Some(forward) = &mut network.forward {
        settle_forward(forward);
    }
    if let Some(bandwidth) = &mut network.bandwidth {
        bandwidth.class_id = None;
    }
    for srv in network.dns.iter_mut().flat_map(|dns| &mut dns.srvs) {
        srv.priority.take_if(|priority| *priority == 0);
        srv.weight.take_if(|weight| *weight == 0);
    }
    for ip in &mut network.ips {
        ip.prefix.take_if(|prefix| *prefix == 0);
        ip.tftp.take_if(|tftp| tftp.root.as_ref().is_none_or(String::is_empty));
        // Without addresses to give away, address service is none.
        ip.dhcp.take_if(|dhcp| dhcp.ranges.is_empty() && dhcp.hosts.is_empty());
        let Some(dhcp) = &mut ip.dhcp else { continue };
        let leases = dhcp.ranges.iter_mut().map(|range| &mut range.lease);
        for lease in leases.chain(dhcp.hosts.iter_mut().map(|host| &mut host.lease)).flatten() {
            lease.unit = (lease.expiry > 0).then(|| lease.unit.unwrap_or(LeaseUnit::Minutes));
        }
    }
    for group in &mut network.portgroups {
        group.default.take_if(|default| !default.0);
    }
}

/// Devices by name make those by address void, and both that of virtual functions. The settings of a translation that say
/// nothing are none.
fn settle_forward(forward: &mut Forward) {
    forward.dev.take_if(|dev| dev.is_empty());
    for interface in forward.interfaces.iter_mut().chain(&mut forward.pfs) {
        interface.connections = None;
    }
    if forward.dev.is_some() || !forward.interfaces.is_empty() {
        forward.addresses.clear();
    }
    if forward.dev.is_some() || !forward.interfaces.is_empty() || !forward.addresses.is_empty() {
        forward.pfs.clear();
    }
    forward.nat.take_if(|nat| nat.ipv6.is_none() && nat.address.is_none() && nat.port.is_none());
}

pub(super) fn complete(network: &mut Network) {
    if let Some(forward) = &mut network.forward {
        complete_forward(forward);
    }
    if network.has_own_bridge() {
        let bridge = network.bridge.get_or_insert_with(Bridge::default);
        bridge.stp.get_or_insert(OnOff(true));
        bridge.delay.get_or_insert(0);
    }
    for vlan in network.vlan.iter_mut().chain(network.portgroups.iter_mut().filter_map(|group| group.vlan.as_mut())) {
        vlan.complete();
    }
}

/// The device and the first interface are one thing said twice. Only devices that are handed through are managed.
fn complete_forward(forward: &mut Forward) {
    let mode = *forward.mode.get_or_insert(ForwardMode::Nat);
    match (&forward.dev, forward.interfaces.first()) {
        (Some(dev), None) => forward.interfaces.push(ForwardInterface::new(dev.clone())),
        (None, Some(first)) => forward.dev = Some(first.dev.clone()),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if mode == ForwardMode::Hostdev {
        forward.managed.get_or_insert(YesNo(false));
    } else {
        forward.managed = None;
    }
}
