//! Rules of devices of the host.

use std::collections::BTreeMap;
use std::fmt::Arguments;

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{Address, Domain, DriveAddress, Hostdev, HostdevSource};

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let hostdevs = &domain.devices.hostdevs;
    for (at, hostdev) in hostdevs.iter().enumerate() {
        let path = format_args!("devices.hostdevs[{}]", hostdev.name);
        if hostdevs[..at].iter().any(|other| is_same(&other.source, &hostdev.source)) {
            problems.add(Code::XmlError, path, "the guest has this device already");
        }
        check_one(hostdev, path, problems);
    }
    if hostdevs.iter().filter(|hostdev| hostdev.ramfb.is_some_and(|ramfb| ramfb.0)).count() > 1 {
        problems.add(
            Code::ConfigUnsupported,
            "devices.hostdevs",
            "one device only shows the screen before its driver runs",
        );
    }
    check_units(domain, problems);
}

/// What the host's device is, whatever else is said of it.
fn is_same(one: &HostdevSource, other: &HostdevSource) -> bool {
    match (one, other) {
        (HostdevSource::Pci(one), HostdevSource::Pci(other)) => one.address.key() == other.address.key(),
        (HostdevSource::Usb(one), HostdevSource::Usb(other)) => {
            (&one.vendor, &one.product, &one.address) == (&other.vendor, &other.product, &other.address)
        }
        (HostdevSource::Scsi(one), HostdevSource::Scsi(other)) => {
            (&one.adapter, &one.address, &one.name, &one.hosts)
                == (&other.adapter, &other.address, &other.name, &other.hosts)
        }
        (HostdevSource::Mdev(one), HostdevSource::Mdev(other)) => one.uuid == other.uuid,
        (HostdevSource::ScsiHost(one), HostdevSource::ScsiHost(other)) => one.wwpn == other.wwpn,
        _ => false,
    }
}

fn check_one(hostdev: &Hostdev, path: Arguments<'_>, problems: &mut Problems) {
    let is_scsi = matches!(hostdev.source, HostdevSource::Scsi(_));
    if !is_scsi && hostdev.rawio.is_some() {
        problems.add(Code::XmlError, format!("{path}.rawio"), "only a SCSI device takes raw commands");
    }
    if !is_scsi && hostdev.sgio.is_some() {
        problems.add(Code::XmlError, format!("{path}.sgio"), "only a SCSI device's commands are filtered");
    }
    match &hostdev.source {
        HostdevSource::Usb(usb) if usb.address.is_none() && (usb.vendor.is_none() || usb.product.is_none()) => {
            problems.add(Code::InternalError, format!("{path}.source.usb"), "give vendor and product, or an address");
        }
        HostdevSource::Mdev(_) => {
            let expected = match (hostdev.model.as_deref(), &hostdev.address) {
                (_, None) => true,
                (Some("vfio-pci"), Some(address)) => matches!(address, Address::Pci(_) | Address::Unassigned(_)),
                (Some("vfio-ccw"), Some(address)) => matches!(address, Address::Ccw(_) | Address::Unassigned(_)),
                (_, Some(_)) => true,
            };
            if !expected {
                problems.add(Code::XmlError, format!("{path}.address"), "a device of this model has no such address");
            }
        }
        _ => {}
    }
}

/// Two SCSI devices, and a disk and a SCSI device, have places of their own.
fn check_units(domain: &Domain, problems: &mut Problems) {
    let mut taken: BTreeMap<(u32, u32, u32, u32), (&str, &str)> = BTreeMap::new();
    let key = |address: &DriveAddress| {
        let part = |value: Option<u32>| value.unwrap_or(0);
        (part(address.controller), part(address.bus), part(address.target), part(address.unit))
    };
    for disk in domain.devices.disks.iter().filter(|disk| disk.target.bus == Some(crate::domain::DiskBus::Scsi)) {
        if let Some(Address::Drive(address)) = &disk.address {
            taken.insert(key(address), ("disk", &disk.name));
        }
    }
    for hostdev in domain.devices.hostdevs.iter().filter(|hostdev| matches!(hostdev.source, HostdevSource::Scsi(_))) {
        let Some(Address::Drive(address)) = &hostdev.address else { continue };
        if let Some((what, name)) = taken.insert(key(address), ("device", &hostdev.name)) {
            problems.add(
                Code::ConfigUnsupported,
                format!("devices.hostdevs[{}].address", hostdev.name),
                format!("the {what} '{name}' sits there already"),
            );
        }
    }
}
