//! Controllers that other devices need, and the numbers of all.

use std::collections::{HashMap, HashSet};

use super::order;
use crate::domain::{
    Address, ChannelTargetKind, ConsoleTargetKind, Controller, ControllerKind, ControllerMaster, ControllerModel,
    Devices, DiskBus, Domain, DriveAddress, HostdevSource,
};

/// The largest number of a controller that others sit on: those before it are added, and no machine has room for as many.
pub(in crate::domain) const MAX_INDEX: u32 = 1023;

pub(super) fn complete(domain: &mut Domain) {
    let devices = &mut domain.devices;
    devices.controllers.iter_mut().for_each(find_master);
    number_controllers(&mut devices.controllers);
    order::sort_controllers(&mut devices.controllers);
    for (kind, index) in needed(devices) {
        if !devices.controllers.iter().any(|c| c.r#type == kind && c.index == Some(index)) {
            order::insert_controller(&mut devices.controllers, Controller::new(kind, index));
        }
    }
}

/// The port of the USB 2 controller at which a USB 1 one begins.
fn find_master(controller: &mut Controller) {
    let startport = match controller.model {
        Some(ControllerModel::Ich9Uhci1) => 0,
        Some(ControllerModel::Ich9Uhci2) => 2,
        Some(ControllerModel::Ich9Uhci3) => 4,
        _ => return,
    };
    controller.master.get_or_insert(ControllerMaster { startport });
}

/// What other devices sit on, in the order in which libvirt adds it. Disks have all controllers up to the last.
fn needed(devices: &Devices) -> Vec<(ControllerKind, u32)> {
    const DISK_BUSES: &[(DiskBus, ControllerKind)] = &[
        (DiskBus::Scsi, ControllerKind::Scsi),
        (DiskBus::Fdc, ControllerKind::Fdc),
        (DiskBus::Ide, ControllerKind::Ide),
        (DiskBus::Sata, ControllerKind::Sata),
    ];
    let mut needed = Vec::new();
    for (bus, kind) in DISK_BUSES {
        let controllers = devices.disks.iter().filter(|disk| disk.target.bus == Some(*bus)).filter_map(|disk| {
            let Some(Address::Drive(DriveAddress { controller, .. })) = &disk.address else { return None };
            Some(controller.unwrap_or(0))
        });
        needed.extend(controllers.max().into_iter().flat_map(|last| up_to(*kind, last)));
    }
    let of_serial = |address: &Option<Address>| match address {
        Some(Address::VirtioSerial(address)) => address.controller.unwrap_or(0),
        _ => 0,
    };
    let channels = devices
        .channels
        .iter()
        .filter(|channel| channel.target.as_ref().is_some_and(|target| target.r#type == ChannelTargetKind::Virtio));
    let consoles = devices.consoles.iter().filter(|console| {
        console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Virtio))
    });
    let serials = channels.map(|channel| &channel.address).chain(consoles.map(|console| &console.address));
    needed.extend(serials.map(|address| (ControllerKind::VirtioSerial, of_serial(address))));
    needed.extend(devices.smartcards.iter().map(|smartcard| match &smartcard.address {
        Some(Address::Ccid(address)) => (ControllerKind::Ccid, address.controller.unwrap_or(0)),
        _ => (ControllerKind::Ccid, 0),
    }));
    let hostdevs = devices.hostdevs.iter().filter(|hostdev| matches!(hostdev.source, HostdevSource::Scsi(_)));
    let controllers = hostdevs.filter_map(|hostdev| match &hostdev.address {
        Some(Address::Drive(DriveAddress { controller, .. })) => Some(controller.unwrap_or(0)),
        _ => None,
    });
    needed.extend(controllers.max().into_iter().flat_map(|last| up_to(ControllerKind::Scsi, last)));
    needed
}

/// A number that is too large is left for the check to refuse.
fn up_to(kind: ControllerKind, last: u32) -> impl Iterator<Item = (ControllerKind, u32)> {
    (0..=last.min(MAX_INDEX)).map(move |index| (kind, index))
}

/// Gives numbers to those that have none: the first free one of the kind. A USB 1 controller that stands beside a USB 2 one
/// has its number.
pub(in crate::domain) fn number_controllers(controllers: &mut [Controller]) {
    if controllers.iter().all(|controller| controller.index.is_some()) {
        return;
    }
    let mut taken: HashSet<_> = controllers.iter().filter_map(|c| c.index.map(|index| (c.r#type, index))).collect();
    let mut next_free = HashMap::new();
    let mut master = None;
    for controller in controllers {
        let is_companion = matches!(
            controller.model,
            Some(ControllerModel::Ich9Uhci1 | ControllerModel::Ich9Uhci2 | ControllerModel::Ich9Uhci3)
        );
        if controller.index.is_none() {
            let kind = controller.r#type;
            let next = next_free.entry(kind).or_insert(0);
            while taken.contains(&(kind, *next)) {
                *next += 1;
            }
            let index = master.filter(|_| is_companion).unwrap_or(*next);
            taken.insert((kind, index));
            controller.index = Some(index);
        }
        if controller.model == Some(ControllerModel::Ich9Ehci1) {
            master = controller.index;
        }
    }
}
