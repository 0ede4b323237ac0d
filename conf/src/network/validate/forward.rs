//! The rules of how a network reaches the outside.

use std::collections::HashSet;

use ostler_util::ErrorCode;

use super::{Problems, add};
use crate::network::{Forward, ForwardAddress, ForwardMode, Network};

pub(super) fn check(network: &Network, problems: &mut Problems) {
    check_bridge(network, problems);
    let (Some(forward), Some(mode)) = (&network.forward, network.forward_mode()) else { return };
    let xml = ErrorCode::XmlError;
    check_devices(forward, problems);
    if forward.nat.is_some() && mode != ForwardMode::Nat {
        add(problems, xml, "forward.nat", format!("forward mode '{mode}' translates nothing: 'nat' does"));
    }
    let ranges = forward.nat.iter().filter_map(|nat| nat.address.as_ref());
    for range in ranges.filter(|range| range.start > range.end) {
        let message = format!("the range's start {} is behind its end {}", range.start, range.end);
        add(problems, ErrorCode::InternalError, "forward.nat.address", message);
    }
    let ports = forward.nat.iter().filter_map(|nat| nat.port.as_ref());
    for range in ports.filter(|range| range.start > range.end) {
        let message = format!("the range's start {} is behind its end {}", range.start, range.end);
        add(problems, ErrorCode::XmlDetail, "forward.nat.port", message);
    }
    match mode {
        ForwardMode::Nat | ForwardMode::Route => {
            if network.ips.is_empty() {
                add(problems, xml, "ips", format!("with forward mode '{mode}' a network needs an address of the host"));
            }
            if forward.interfaces.len() > 1 {
                add(problems, xml, "forward.interfaces", format!("forward mode '{mode}' leaves by one device"));
            }
        }
        ForwardMode::Open if forward.dev.is_some() || !forward.interfaces.is_empty() => {
            add(problems, xml, "forward.dev", "forward mode 'open' has no rules, so it can't be bound to a device");
        }
        ForwardMode::Bridge
            if network.bridge.as_ref().is_some_and(|bridge| bridge.name.is_some())
                && (forward.dev.is_some()
                    || !forward.interfaces.is_empty()
                    || !forward.addresses.is_empty()
                    || !forward.pfs.is_empty()) =>
        {
            add(problems, xml, "forward", "forward mode 'bridge' has a bridge or devices, not both");
        }
        ForwardMode::None
        | ForwardMode::Open
        | ForwardMode::Bridge
        | ForwardMode::Private
        | ForwardMode::Vepa
        | ForwardMode::Passthrough
        | ForwardMode::Hostdev => {}
    }
}

/// Only a bridge of our own has settings; of a mode without any bridge not even a name.
fn check_bridge(network: &Network, problems: &mut Problems) {
    let Some(mode) = network.forward_mode().filter(|_| !network.has_own_bridge()) else { return };
    let xml = ErrorCode::XmlError;
    if let Some(bridge) = &network.bridge {
        if mode != ForwardMode::Bridge && bridge.name.is_some() {
            add(problems, xml, "bridge.name", format!("forward mode '{mode}' has no bridge"));
        }
        for (name, given) in
            [("stp", bridge.stp.is_some()), ("delay", bridge.delay.is_some()), ("zone", bridge.zone.is_some())]
        {
            if given {
                let message = format!("the bridge of forward mode '{mode}' is the host's, and has no {name} of ours");
                add(problems, xml, format!("bridge.{name}"), message);
            }
        }
    }
    if network.mtu.is_some() {
        add(problems, xml, "mtu", format!("the bridge of forward mode '{mode}' is the host's, and has its own mtu"));
    }
}

fn check_devices(forward: &Forward, problems: &mut Problems) {
    let xml = ErrorCode::XmlError;
    if let (Some(dev), Some(first)) = (&forward.dev, forward.interfaces.first())
        && *dev != first.dev
    {
        add(problems, xml, "forward.dev", format!("'{dev}' is not the first interface, '{}'", first.dev));
    }
    if forward.pfs.len() > 1 {
        add(problems, xml, "forward.pfs", "only one device gives its virtual functions");
    }
    let mut names = HashSet::new();
    for (index, interface) in forward.interfaces.iter().enumerate() {
        if !names.insert(&interface.dev) {
            add(problems, xml, format!("forward.interfaces[{index}]"), format!("'{}' is there twice", interface.dev));
        }
    }
    let mut addresses = HashSet::new();
    for (index, ForwardAddress::Pci(address)) in forward.addresses.iter().enumerate() {
        if !addresses.insert(*address) {
            add(problems, xml, format!("forward.addresses[{index}]"), format!("{address} is there twice"));
        }
    }
}
