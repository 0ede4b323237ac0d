//! Changes of a running guest, on it and on its stored definition.

use ostler_conf::domain::{Disk, DiskBus, DiskDevice, Interface};
use ostler_conf::{Domain, ErrorCode};
use ostler_driver::{Change, DomainEvent, Error, Result};
use uuid::Uuid;

use crate::complete::{absent, complete};
use crate::world::World;

/// Whether [`change`] can do it on this running guest: what sits on a bus that takes devices while it runs.
pub(crate) fn can_change(live: &Domain, change: &Change) -> bool {
    let is_pluggable = |disk: &Disk| {
        let bus = disk.target.bus.or_else(|| bus_of(disk));
        disk.device() == DiskDevice::Disk && matches!(bus, Some(DiskBus::Virtio | DiskBus::Scsi | DiskBus::Usb))
    };
    match change {
        Change::AttachDisk(disk) => is_pluggable(disk),
        Change::DetachDisk(name) => live.devices.disks.iter().find(|disk| disk.name == *name).is_none_or(is_pluggable),
        Change::AttachInterface(_) | Change::DetachInterface(_) | Change::Labels(_) => true,
    }
}

/// The bus that the disk will get.
fn bus_of(disk: &Disk) -> Option<DiskBus> {
    let mut shell = Domain::default();
    shell.devices.disks.push(disk.clone());
    shell.complete();
    shell.devices.disks[0].target.bus
}

/// Carries out one change. What is refused, or can't be had now, changes nothing.
pub(crate) fn change(world: &mut World, uuid: Uuid, change: &Change) -> Result<()> {
    let entry = world.domain(uuid)?;
    let live = &entry.guest()?.live;
    // The running definition is what the change must fit; checked like any other, in the form in which it is stored.
    let mut wanted = live.clone();
    apply(&mut wanted, change)?;
    let completed = complete(&wanted, Some(live))?;
    if !can_change(live, change) {
        return Err(Error::new(ErrorCode::OperationUnsupported, "the guest must be restarted for this change"));
    }
    let stored = entry.definition.as_ref().map(|stored| apply_stored(stored, change, &completed)).transpose()?;
    let mut new_live = plugged(live, &completed);
    if let Some((code, missing)) = absent(world, &added(live, &completed)).into_iter().next() {
        return Err(Error::new(code, missing.message).at(missing.field));
    }
    take_and_give(world, uuid, &mut new_live, change)?;

    let entry = world.domain_mut(uuid)?;
    entry.guest_mut()?.live = new_live;
    if let Some(stored) = stored
        && entry.definition.as_ref() != Some(&stored)
    {
        entry.definition = Some(stored);
        world.tell(uuid, DomainEvent::Defined);
    }
    Ok(())
}

/// The change on a definition in which all else stays.
fn apply(domain: &mut Domain, change: &Change) -> Result<()> {
    let missing = |what: String| Error::new(ErrorCode::DeviceMissing, what);
    let devices = &mut domain.devices;
    match change {
        Change::AttachDisk(disk) => devices.disks.push(disk.clone()),
        Change::DetachDisk(name) => {
            let at = devices.disks.iter().position(|disk| disk.name == *name);
            devices.disks.remove(at.ok_or_else(|| missing(format!("the guest has no disk {name}")))?);
        }
        Change::AttachInterface(interface) => {
            let taken = |mac| devices.interfaces.iter().any(|other| other.mac.as_ref() == Some(mac));
            if let Some(mac) = interface.mac.as_ref().filter(|mac| taken(mac)) {
                let message = format!("the guest has an interface {} already", mac.address);
                return Err(Error::new(ErrorCode::OperationFailed, message));
            }
            devices.interfaces.push(interface.clone());
        }
        Change::DetachInterface(mac) => {
            let is_it = |interface: &Interface| interface.mac.as_ref().is_some_and(|own| own.address == *mac);
            let at = devices.interfaces.iter().position(is_it);
            devices.interfaces.remove(at.ok_or_else(|| missing(format!("the guest has no interface {mac}")))?);
        }
        Change::Labels(labels) => label(domain, labels),
    }
    Ok(())
}

/// The same on the stored definition, which may know the device already, or no more. A new one is as it became.
fn apply_stored(stored: &Domain, change: &Change, completed: &Domain) -> Result<Domain> {
    let mut new = stored.clone();
    let devices = &mut new.devices;
    match change {
        Change::AttachDisk(disk) => {
            let became = completed.devices.disks.iter().find(|other| other.name == disk.name);
            devices.disks.retain(|other| other.name != disk.name);
            devices.disks.extend(became.cloned());
        }
        Change::DetachDisk(name) => devices.disks.retain(|disk| disk.name != *name),
        Change::AttachInterface(_) => {
            let became = completed.devices.interfaces.last().cloned();
            devices.interfaces.retain(|other| became.as_ref().is_none_or(|new| new.mac != other.mac));
            devices.interfaces.extend(became);
        }
        Change::DetachInterface(mac) => {
            devices.interfaces.retain(|interface| interface.mac.as_ref().is_none_or(|own| own.address != *mac));
        }
        Change::Labels(labels) => label(&mut new, labels),
    }
    complete(&new, Some(stored))
}

/// Takes over what only people read.
fn label(domain: &mut Domain, labels: &Domain) {
    domain.title.clone_from(&labels.title);
    domain.description.clone_from(&labels.description);
    domain.metadata.clone_from(&labels.metadata);
}

/// What `completed` has and `live` has not.
fn added(live: &Domain, completed: &Domain) -> Domain {
    let mut added = Domain::default();
    let disks =
        completed.devices.disks.iter().filter(|disk| !live.devices.disks.iter().any(|old| old.name == disk.name));
    added.devices.disks.extend(disks.cloned());
    let is_new = |interface: &&Interface| !live.devices.interfaces.iter().any(|old| old.mac == interface.mac);
    added.devices.interfaces.extend(completed.devices.interfaces.iter().filter(is_new).cloned());
    added
}

/// The completed definition with what only the running guest has.
fn plugged(live: &Domain, completed: &Domain) -> Domain {
    let mut new = completed.clone();
    new.id = live.id;
    for interface in &mut new.devices.interfaces {
        if let Some(old) = live.devices.interfaces.iter().find(|old| old.mac == interface.mac) {
            interface.clone_from(old);
        }
    }
    new
}

/// Claims and ports come and go with their devices.
fn take_and_give(world: &mut World, uuid: Uuid, live: &mut Domain, change: &Change) -> Result<()> {
    let name = live.name.clone();
    match change {
        Change::AttachDisk(disk) => {
            let disks: Vec<_> = live.devices.disks.iter().filter(|other| other.name == disk.name).cloned().collect();
            world.claim_disks(uuid, &disks)
        }
        Change::DetachDisk(_) => {
            world.claims.retain(|(_, owner, _)| *owner != uuid);
            world.claim_disks(uuid, &live.devices.disks)
        }
        Change::AttachInterface(_) => {
            let Some(interface) = live.devices.interfaces.last_mut() else { return Ok(()) };
            world.plug(uuid, &name, interface)?;
            world.get_leases(uuid);
            Ok(())
        }
        Change::DetachInterface(mac) => {
            world.ports.retain(|port| port.owner != uuid || port.mac != *mac);
            Ok(())
        }
        Change::Labels(_) => Ok(()),
    }
}
