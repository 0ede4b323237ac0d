//! PCI addresses, and the bridges and ports that they need.
//!
//! Two rounds, as libvirt does it. In the first, devices without an address take the first free place and buses are added
//! where none is left; it only finds out which. In the second, the added buses get their own places first, so that they are
//! numbered and placed without gaps, then the devices.

mod buses;
mod devices;

use ostler_conf::Domain;
use ostler_conf::domain::{Address, Controller, ControllerKind, ControllerModel as Model, PciAddress};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

pub(crate) use buses::Connection;
use buses::{Buses, Place};
pub(crate) use devices::{disk_connection, interface_connection};

use super::{MachineFamily, family};

/// Gives every PCI device without an address one. On PCI Express a `new` definition gets one root port to spare, into which
/// a device can be plugged while the guest runs.
pub(super) fn assign(domain: &mut Domain, new: bool) -> Result<()> {
    let Some(family) = domain.os.r#type.machine.as_deref().and_then(family) else { return Ok(()) };
    devices::visit(domain, &mut |device| {
        if let Some(Address::Pci(address)) = device.address {
            address.domain.get_or_insert_default();
            address.bus.get_or_insert_default();
            address.function.get_or_insert_default();
        }
    });
    fix_built_in(domain, family)?;
    add_missing_buses(domain, family)?;
    complete_bridges(domain);
    let before: Vec<u32> = domain.devices.controllers.iter().filter_map(pci_index).collect();
    let mut trial = domain.clone();
    let mut buses = place_all(&mut trial, family, true)?;
    if new && family == MachineFamily::Q35 {
        buses.ensure_spare_port();
    }
    for (index, model) in buses.added() {
        if !before.contains(&index) {
            let controller = Controller { model: Some(model), ..Controller::new(ControllerKind::Pci, index) };
            super::controller::insert(&mut domain.devices.controllers, controller);
        }
    }
    complete_bridges(domain);
    place_all(domain, family, false)?;
    complete_ports(domain);
    Ok(())
}

/// Whether a device of this sort can be plugged in while the guest runs: into the place that it asks for, else into any.
pub(crate) fn can_plug(live: &Domain, connection: Option<Connection>, address: Option<&Address>) -> bool {
    let family = live.os.r#type.machine.as_deref().and_then(family);
    let (Some(family), Some(connection)) = (family, connection) else { return false };
    // A PC's own slots are told of by ACPI; a root port needs nothing.
    let has_way = match family {
        MachineFamily::Q35 => connection == Connection::Express,
        MachineFamily::I440fx => live.features.as_ref().is_some_and(|features| features.acpi),
    };
    let Ok(mut buses) = place_all(&mut live.clone(), family, false) else { return false };
    has_way
        && match address {
            None => buses.place(connection, "").is_ok(),
            Some(Address::Pci(address)) => {
                buses.fits(connection, address.key().1) && buses.enter(&Some(Address::Pci(address.clone())), "").is_ok()
            }
            Some(_) => false,
        }
}

/// Whether a device at this place can be unplugged while the guest runs.
pub(crate) fn can_unplug(live: &Domain, connection: Option<Connection>, address: Option<&Address>) -> bool {
    let (Some(Address::Pci(address)), Some(connection)) = (address, connection) else { return false };
    let Some(family) = live.os.r#type.machine.as_deref().and_then(family) else { return false };
    Buses::of(live, family, false).fits(connection, address.key().1)
        && (family == MachineFamily::I440fx || connection == Connection::Express)
}

/// One round: what has an address is entered, then what has none gets one.
fn place_all(domain: &mut Domain, family: MachineFamily, extend: bool) -> Result<Buses> {
    let mut buses = Buses::of(domain, family, extend);
    let mut result = Ok(());
    devices::visit(domain, &mut |device| {
        if result.is_ok() {
            result = buses.enter(device.address, &device.path);
        }
    });
    result?;
    let mut result = Ok(());
    devices::visit(domain, &mut |device| {
        if result.is_ok() && device.address.is_none() {
            let place = buses.place(device.connection, &device.path);
            result = place.map(|place| *device.address = Some(Address::Pci(place.into())));
        }
    });
    result?;
    buses.mark_multifunction(domain);
    Ok(buses)
}

/// Devices that are part of the chipset have their places there.
fn fix_built_in(domain: &mut Domain, family: MachineFamily) -> Result<()> {
    for controller in &mut domain.devices.controllers {
        let first = controller.index == Some(0);
        let place = match (family, controller.r#type, controller.model) {
            (MachineFamily::I440fx, ControllerKind::Ide, _) if first => (1, 1),
            (MachineFamily::I440fx, ControllerKind::Usb, Some(Model::Piix3Uhci))
                if first && controller.address.is_none() =>
            {
                (1, 2)
            }
            (MachineFamily::Q35, ControllerKind::Sata, _) if first => (0x1f, 2),
            _ => continue,
        };
        let fixed = Place { bus: 0, slot: place.0, function: place.1 };
        match &controller.address {
            None => controller.address = Some(Address::Pci(fixed.into())),
            Some(Address::Pci(address)) if address.key() == (0, 0, fixed.slot, fixed.function) => {}
            Some(_) => {
                let message = format!(
                    "the first {} controller is part of the chipset: its PCI address is {fixed}",
                    controller.r#type
                );
                return Err(Error::new(ErrorCode::XmlError, message).at(devices::controller_path(controller)));
            }
        }
    }
    Ok(())
}

/// A bus that an address names, or that comes before a named one, exists.
fn add_missing_buses(domain: &mut Domain, family: MachineFamily) -> Result<()> {
    let mut highest = domain.devices.controllers.iter().filter_map(pci_index).max().unwrap_or(0);
    let mut at_fault = None;
    devices::visit(domain, &mut |device| {
        if let Some(Address::Pci(address)) = device.address {
            let (_, bus, ..) = address.key();
            if bus > highest {
                (highest, at_fault) = (bus, Some(device.path.clone()));
            }
        }
    });
    if highest > 0xff {
        let message = format!("there are 256 PCI buses at most: {highest} is too many");
        return Err(Error::new(ErrorCode::XmlError, message).at(at_fault.unwrap_or_default()));
    }
    let model = match family {
        MachineFamily::I440fx => Model::PciBridge,
        MachineFamily::Q35 => Model::PcieRootPort,
    };
    for index in 1..=highest {
        let controller = Controller { model: Some(model), ..Controller::new(ControllerKind::Pci, index) };
        super::controller::insert(&mut domain.devices.controllers, controller);
    }
    Ok(())
}

/// What a bridge is called in QEMU, and its number, which follow from its index.
fn complete_bridges(domain: &mut Domain) {
    use ostler_conf::domain::{ControllerModelName, ControllerTarget, PciModelName};
    for controller in &mut domain.devices.controllers {
        let Some(index) = pci_index(controller) else { continue };
        let name = match controller.model {
            Some(Model::PcieRootPort) => PciModelName::PcieRootPort,
            Some(Model::PciBridge) => PciModelName::PciBridge,
            Some(Model::PcieToPciBridge) => PciModelName::PciePciBridge,
            Some(Model::DmiToPciBridge) => PciModelName::I82801b11Bridge,
            _ => continue,
        };
        controller.model_name.get_or_insert(ControllerModelName { name });
        let mut target = controller.target.take().unwrap_or_default();
        match controller.model {
            Some(Model::PcieRootPort) => drop(target.chassis.get_or_insert(index)),
            Some(Model::PciBridge) => drop(target.chassis_nr.get_or_insert(index)),
            _ => {}
        }
        controller.target = Some(target).filter(|target| *target != ControllerTarget::default());
    }
}

/// A root port's number follows from its place.
fn complete_ports(domain: &mut Domain) {
    for controller in &mut domain.devices.controllers {
        if controller.model != Some(Model::PcieRootPort) {
            continue;
        }
        if let (Some(Address::Pci(address)), Some(target)) = (&controller.address, &mut controller.target) {
            let (_, _, slot, function) = address.key();
            target.port.get_or_insert(ostler_conf::values::Hex(slot * 8 + function));
        }
    }
}

fn pci_index(controller: &Controller) -> Option<u32> {
    controller.index.filter(|_| controller.r#type == ControllerKind::Pci)
}

impl Buses {
    /// The buses of a definition, with nothing on them but the chipset.
    fn of(domain: &Domain, family: MachineFamily, extend: bool) -> Self {
        let mut buses = Buses::new(family, extend);
        for controller in &domain.devices.controllers {
            if let (Some(index), Some(model)) = (pci_index(controller), controller.model) {
                buses.add(index, model);
            }
        }
        buses
    }
}

impl From<Place> for PciAddress {
    fn from(place: Place) -> PciAddress {
        PciAddress {
            function: Some(ostler_conf::values::Hex(place.function)),
            ..PciAddress::new(place.bus, place.slot)
        }
    }
}
