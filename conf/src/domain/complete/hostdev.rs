//! Defaults of devices of the host.

use crate::domain::{Address, Domain, DriveAddress, HostdevMode, HostdevSource};
use crate::values::YesNo;

/// How many units a SCSI controller has; the eighth is the controller's own.
const UNITS: u32 = 7;

pub(super) fn complete(domain: &mut Domain) {
    for hostdev in &mut domain.devices.hostdevs {
        let mode = match hostdev.source {
            HostdevSource::Storage(_) | HostdevSource::Misc(_) | HostdevSource::Net(_) => HostdevMode::Capabilities,
            HostdevSource::Usb(_)
            | HostdevSource::Pci(_)
            | HostdevSource::Scsi(_)
            | HostdevSource::ScsiHost(_)
            | HostdevSource::Mdev(_) => HostdevMode::Subsystem,
        };
        hostdev.mode.get_or_insert(mode);
        if mode == HostdevMode::Subsystem {
            hostdev.managed.get_or_insert(YesNo(false));
        }
    }
    for at in 0..domain.devices.hostdevs.len() {
        let hostdev = &domain.devices.hostdevs[at];
        if matches!(hostdev.source, HostdevSource::Scsi(_)) && hostdev.address.is_none() {
            domain.devices.hostdevs[at].address = Some(Address::Drive(free_unit(domain)));
        }
    }
}

/// The first place on a SCSI controller that neither a disk nor a device of the host has.
fn free_unit(domain: &Domain) -> DriveAddress {
    let devices = &domain.devices;
    let disks = devices.disks.iter().map(|disk| &disk.address);
    let taken: Vec<&DriveAddress> = disks
        .chain(devices.hostdevs.iter().map(|hostdev| &hostdev.address))
        .filter_map(|address| match address {
            Some(Address::Drive(address)) => Some(address),
            _ => None,
        })
        .collect();
    let place = |index: u32| DriveAddress {
        controller: Some(index / UNITS),
        bus: Some(0),
        target: Some(0),
        unit: Some(index % UNITS),
    };
    let key = |address: &DriveAddress| (address.controller.unwrap_or(0), address.unit.unwrap_or(0));
    (0..)
        .map(place)
        .find(|place| !taken.iter().any(|taken| key(taken) == key(place)))
        .expect("there are more places than devices")
}
