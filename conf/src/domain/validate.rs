//! The driver-independent rules of a domain. Codes are libvirt's for the same mistakes.

mod bus;
mod chardev;
mod devices;
mod disk;
mod display;
mod firmware;
mod hostdev;
mod label;
mod memory;
mod network;
mod tune;

use std::collections::BTreeMap;
use std::fmt::{Arguments, Display};

use ostler_util::ErrorCode as Code;

use super::complete::MAX_IOTHREADS;
use super::{Address, ControllerModel, DiskBus, Domain, Interface, InterfaceBackendKind, InterfaceSource, PciAddress};
use crate::Problem;

/// Problems are collected, so that a user sees them all at once.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    /// `path` is put together only here: nearly all is right with nearly every device.
    fn add(&mut self, code: Code, path: impl Display, message: impl Into<String>) {
        self.0.push(Problem::new(code, path.to_string(), message));
    }
}

pub(super) fn problems(domain: &Domain) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_identity(domain, &mut problems);
    check_resources(domain, &mut problems);
    memory::check(domain, &mut problems);
    firmware::check(domain, &mut problems);
    label::check(&domain.seclabels, &mut problems);
    check_boot_order(domain, &mut problems);
    check_disks(domain, &mut problems);
    for interface in &domain.devices.interfaces {
        check_interface(interface, &mut problems);
    }
    chardev::check(domain, &mut problems);
    if let Some(tune) = &domain.cputune {
        tune::check(tune, domain, &mut problems);
    }
    bus::check(domain, &mut problems);
    hostdev::check(domain, &mut problems);
    display::check(domain, &mut problems);
    devices::check(domain, &mut problems);
    check_addresses(domain, &mut problems);
    check_names(domain, &mut problems);
    problems.0
}

fn check_identity(domain: &Domain, problems: &mut Problems) {
    if domain.name.is_empty() {
        problems.add(Code::NoName, "name", "a domain needs a name");
    } else if domain.name.contains('/') {
        problems.add(Code::XmlError, "name", format!("the name '{}' can't hold a '/'", domain.name));
    } else if domain.name.trim().is_empty() {
        problems.add(Code::XmlError, "name", "the name can't be blanks only");
    }
    if domain.title.as_ref().is_some_and(|title| title.contains('\n')) {
        problems.add(Code::XmlError, "title", "a title has one line");
    }
}

fn check_resources(domain: &Domain, problems: &mut Problems) {
    if domain.memory_kib() == 0 {
        problems.add(Code::XmlError, "memory", "a domain needs memory: give memory.size, as in 512Mi");
    }
    if domain.iothreads.is_some_and(|count| count > MAX_IOTHREADS) {
        problems.add(Code::XmlError, "iothreads", format!("{MAX_IOTHREADS} I/O threads at most"));
    }
    let Some(vcpu) = &domain.vcpu else { return };
    if vcpu.count == 0 {
        problems.add(Code::XmlError, "vcpu.count", "a domain needs one virtual CPU at least");
    }
    if vcpu.current.is_some_and(|current| current > vcpu.count) {
        problems.add(
            Code::ConfigUnsupported,
            "vcpu.current",
            format!("more virtual CPUs at boot than the {} that there are at most", vcpu.count),
        );
    }
    if vcpu.current == Some(0) {
        problems.add(Code::XmlError, "vcpu.current", "a domain boots with one virtual CPU at least");
    }
    let topology = domain.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref());
    if let Some(t) = topology {
        let parts = [t.sockets, t.dies.unwrap_or(1), t.clusters.unwrap_or(1), t.cores, t.threads];
        if parts.contains(&0) {
            problems.add(Code::XmlError, "cpu.topology", "sockets, dies, clusters, cores and threads are 1 at least");
        }
    }
}

fn check_boot_order(domain: &Domain, problems: &mut Problems) {
    let disks = domain.devices.disks.iter().map(|disk| ("disks", &disk.name, &disk.boot));
    let interfaces = domain.devices.interfaces.iter().map(|nic| ("interfaces", &nic.name, &nic.boot));
    let mut seen: BTreeMap<u32, (&str, &str)> = BTreeMap::new();
    for (list, name, boot) in disks.chain(interfaces) {
        let Some(boot) = boot else { continue };
        let path = format_args!("devices.{list}[{name}].boot");
        if boot.order == 0 {
            problems.add(Code::XmlError, format!("{path}.order"), "the boot order counts from 1");
        }
        if !domain.os.boot.is_empty() {
            problems.add(Code::ConfigUnsupported, path, "a device's boot order and os.boot can't be used together");
        }
        if let Some((list, name)) = seen.insert(boot.order, (list, name)) {
            problems.add(
                Code::ConfigUnsupported,
                format!("{path}.order"),
                format!("{} is the order of devices.{list}[{name}].boot already", boot.order),
            );
        }
    }
}

fn check_disks(domain: &Domain, problems: &mut Problems) {
    let disks = &domain.devices.disks;
    for (at, disk) in disks.iter().enumerate() {
        if disks[..at].iter().any(|other| other.name == disk.name) {
            let path = format_args!("devices.disks[{}]", disk.name);
            problems.add(Code::XmlError, path, format!("the target '{}' is another disk's already", disk.name));
        }
        disk::check(disk, problems);
    }
}

fn check_interface(interface: &Interface, problems: &mut Problems) {
    let path = format_args!("devices.interfaces[{}]", interface.name);
    if let Some(mac) = &interface.mac
        && mac.address.is_multicast()
    {
        problems.add(
            Code::XmlError,
            format!("{path}.mac.address"),
            format!("{} is a multicast address: the first byte must be even", mac.address),
        );
    }
    let passt = interface.backend.as_ref().is_some_and(|backend| backend.r#type == Some(InterfaceBackendKind::Passt));
    let forwards = passt && matches!(interface.source, InterfaceSource::User(_) | InterfaceSource::Vhostuser(_));
    if !forwards && !interface.port_forwards.is_empty() {
        problems.add(Code::ConfigUnsupported, format!("{path}.portForwards"), "only backend 'passt' forwards ports");
    }
    network::check(interface, path, problems);
    match &interface.source {
        InterfaceSource::Network(source) if source.network.is_empty() => {
            problems.add(Code::XmlError, format!("{path}.source.network.network"), "name the network");
        }
        InterfaceSource::Bridge(source) if source.bridge.is_empty() => {
            problems.add(Code::XmlError, format!("{path}.source.bridge.bridge"), "name the bridge");
        }
        _ => {}
    }
}

fn check_addresses(domain: &Domain, problems: &mut Problems) {
    let mut drives: BTreeMap<(DiskBus, u32, u32, u32, u32), &str> = BTreeMap::new();
    for disk in &domain.devices.disks {
        let path = format_args!("devices.disks[{}].address", disk.name);
        match (&disk.address, disk.target.bus) {
            (Some(Address::Drive(a)), Some(bus)) => {
                let part = |value: Option<u32>| value.unwrap_or(0);
                let key = (bus, part(a.controller), part(a.bus), part(a.target), part(a.unit));
                if let Some(other) = drives.insert(key, &disk.name) {
                    problems.add(Code::ConfigUnsupported, path, format!("the disk '{other}' sits there already"));
                }
            }
            (Some(Address::Pci(address)), _) => check_pci(address, path, problems),
            _ => {}
        }
    }
    for interface in &domain.devices.interfaces {
        if let Some(Address::Pci(address)) = &interface.address {
            check_pci(address, format_args!("devices.interfaces[{}].address", interface.name), problems);
        }
    }
    for controller in &domain.devices.controllers {
        let is_root = matches!(controller.model, Some(ControllerModel::PciRoot | ControllerModel::PcieRoot));
        if let Some(Address::Pci(address)) = controller.address.as_ref().filter(|_| !is_root) {
            check_pci(address, format_args!("devices.controllers[{}].address", controller.name), problems);
        }
    }
}

fn check_pci(address: &PciAddress, path: Arguments<'_>, problems: &mut Problems) {
    let (domain, bus, slot, function) = address.key();
    for (field, value, max) in
        [("domain", domain, 0xffff), ("bus", bus, 0xff), ("slot", slot, 0x1f), ("function", function, 7)]
    {
        if value > max {
            problems.add(
                Code::XmlError,
                format!("{path}.pci.{field}"),
                format!("{value:#x} is too large: {max:#x} at most"),
            );
        }
    }
    if (domain, bus, slot) == (0, 0, 0) && address.slot.is_some() {
        problems.add(
            Code::XmlError,
            path,
            "0000:00:00 is the host bridge's: give another slot, or none for a free one",
        );
    }
}

/// Lists keyed by name hold each name once.
fn check_names(domain: &Domain, problems: &mut Problems) {
    let devices = &domain.devices;
    macro_rules! check {
        ($($list:ident),*) => { $(for (at, device) in devices.$list.iter().enumerate() {
            let name = &device.name;
            if !name.is_empty() && devices.$list[..at].iter().any(|other| other.name == *name) {
                problems.add(
                    Code::XmlError,
                    format_args!(concat!("devices.", stringify!($list), "[{}]"), name),
                    format!("the name '{name}' is another's already"),
                );
            }
        })* };
    }
    check!(
        controllers,
        leases,
        filesystems,
        interfaces,
        smartcards,
        serials,
        parallels,
        consoles,
        channels,
        inputs,
        tpms,
        graphics,
        sounds,
        audios,
        videos,
        hostdevs,
        redirdevs,
        hubs,
        watchdogs,
        rngs,
        panics,
        shmems,
        memories,
        cryptos
    );
}
