//! Defaults of devices of the host.

use std::collections::HashSet;

use crate::domain::{
    Address, DiskBus, Domain, DriveAddress, Hostdev, HostdevMode, HostdevSource, ScsiHostdev, ScsiProtocol,
};
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
    for hostdev in &mut domain.devices.hostdevs {
        if let HostdevSource::Scsi(ScsiHostdev { protocol: Some(ScsiProtocol::Iscsi), name: Some(name), .. }) =
            &mut hostdev.source
            && !name.contains('/')
        {
            name.push_str("/0");
        }
    }
    let is_placeless =
        |hostdev: &Hostdev| matches!(hostdev.source, HostdevSource::Scsi(_)) && hostdev.address.is_none();
    if !domain.devices.hostdevs.iter().any(is_placeless) {
        return;
    }
    let mut taken = taken_units(domain);
    let mut places = (0..).map(|index: u32| (index / UNITS, index % UNITS));
    for hostdev in &mut domain.devices.hostdevs {
        if is_placeless(hostdev) {
            let free = places.find(|place| taken.insert(*place)).expect("there are more places than devices");
            let (controller, unit) = (Some(free.0), Some(free.1));
            hostdev.address = Some(Address::Drive(DriveAddress { controller, bus: Some(0), target: Some(0), unit }));
        }
    }
}

/// The places on SCSI controllers, by controller and unit, that disks and devices of the host have.
fn taken_units(domain: &Domain) -> HashSet<(u32, u32)> {
    let disks = domain.devices.disks.iter().filter(|disk| disk.target.bus == Some(DiskBus::Scsi));
    let disks = disks.map(|disk| &disk.address);
    let all = disks.chain(domain.devices.hostdevs.iter().map(|hostdev| &hostdev.address));
    all.filter_map(|address| match address {
        Some(Address::Drive(address)) => Some((address.controller.unwrap_or(0), address.unit.unwrap_or(0))),
        _ => None,
    })
    .collect()
}
