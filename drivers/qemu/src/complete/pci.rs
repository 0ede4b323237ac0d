//! PCI addresses, and the bridges and ports that they need.
//!
//! Two rounds, as libvirt does it. In the first, devices without an address take the first free place and buses are added
//! where none is left; it only finds out which. In the second, the added buses get their own places first, so that they are
//! numbered and placed without gaps, then the devices.

mod buses;
mod chipset;
mod devices;

use std::collections::BTreeMap;

use ostler_conf::Domain;
use ostler_conf::domain::{Address, Controller, ControllerKind, ControllerModel as Model, PciAddress};
use ostler_conf::values::Hex;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

pub(crate) use buses::Connection;
use buses::{Buses, Place, Root};
pub(crate) use devices::{disk_connection, interface_connection};

use super::{Host, MachineFamily, Settings, machine};

/// The most buses.
const MAX_BUS: u32 = 0xff;

/// Gives every PCI device without an address one. Where libvirt manages the buses of PCI Express itself, there is one root port
/// to spare, into which a device can be plugged while the guest runs.
pub(super) fn assign(domain: &mut Domain, host: &Host) -> Result<()> {
    let Some(root) = root(domain) else { return Ok(()) };
    let settings = &host.settings;
    settle_addresses(domain, settings);
    let Some(highest) = highest_bus(domain, settings)? else {
        return refuse_any(domain, settings);
    };
    let highest_controller = domain.devices.controllers.iter().filter_map(pci_index).max();
    let models = models(domain, root, highest);
    let mut trial = domain.clone();
    let mut buses = place_all(&mut trial, host, root, &models, true)?;
    if root == Root::Pcie && highest_controller.unwrap_or(0) == 0 && buses.is_extended() {
        // One more, so that a device can be plugged in.
        let _ = buses.place(Connection::Express, 0, "");
    }
    let named = (0..=highest).zip(&models).map(|(index, model)| (index, *model));
    let added: Vec<(u32, Model)> = named.chain(buses.added()).collect();
    let all: Vec<Model> = added.iter().map(|(_, model)| *model).collect();
    for (index, model) in added {
        let controller = Controller { model: Some(model), ..Controller::new(ControllerKind::Pci, index) };
        super::controller::insert(&mut domain.devices.controllers, controller);
    }
    super::controller::complete_bridges(domain, host);
    place_all(domain, host, root, &all, false)?;
    complete_ports(domain);
    Ok(())
}

/// Visits the addresses of all PCI devices.
pub(super) fn each_address(domain: &mut Domain, settings: &Settings, visitor: &mut dyn FnMut(&mut Option<Address>)) {
    devices::visit(domain, settings, &mut |device| visitor(device.address));
}

/// Whether a device of this sort can be plugged in while the guest runs: into the place that it asks for, else into any.
pub(crate) fn can_plug(live: &Domain, connection: Option<Connection>, address: Option<&Address>) -> bool {
    let Some(connection) = connection else { return false };
    let Some((family, mut buses)) = entered(live) else { return false };
    // A PC's own slots are told of by ACPI; a root port needs nothing.
    let has_way = match family {
        MachineFamily::Q35 => connection == Connection::Express,
        MachineFamily::I440fx => live.features.as_ref().is_some_and(|features| features.acpi),
        _ => false,
    };
    has_way
        && match address {
            None => buses.place(connection, 0, "").is_ok(),
            Some(Address::Pci(address)) => {
                buses.fits(connection, address.key().1) && buses.enter(connection, address, 0, "").is_ok()
            }
            Some(_) => false,
        }
}

/// Whether a device at this place can be unplugged while the guest runs.
pub(crate) fn can_unplug(live: &Domain, connection: Option<Connection>, address: Option<&Address>) -> bool {
    let (Some(Address::Pci(address)), Some(connection)) = (address, connection) else { return false };
    let Some((family, buses)) = entered(live) else { return false };
    buses.fits(connection, address.key().1)
        && (family == MachineFamily::I440fx || (family == MachineFamily::Q35 && connection == Connection::Express))
}

/// The buses of a running guest of x86, with what is on them.
fn entered(live: &Domain) -> Option<(MachineFamily, Buses)> {
    let family = machine(live);
    let root = match family {
        MachineFamily::I440fx => Root::Pci,
        MachineFamily::Q35 => Root::Pcie,
        _ => return None,
    };
    let highest = live.devices.controllers.iter().filter_map(pci_index).max()?;
    let mut buses = Buses::new(root, &models(live, root, highest), false);
    chipset::reserve(family, &mut buses);
    enter_all(&mut live.clone(), &Settings::default(), &mut buses).ok()?;
    Some((family, buses))
}

/// What the machine's buses begin with; none: it has no PCI.
fn root(domain: &Domain) -> Option<Root> {
    let family = machine(domain);
    let arch = domain.os.r#type.arch.as_deref().unwrap_or_default();
    let name = domain.os.r#type.machine.as_deref().unwrap_or_default();
    // On these, PCI is a part of some machines only.
    let is_bare = matches!(arch, "aarch64" | "armv7l" | "armv6l" | "riscv64" | "riscv32" | "loongarch64");
    let has = |model| domain.devices.controllers.iter().any(|c| pci_index(c) == Some(0) && c.model == Some(model));
    match family {
        MachineFamily::Pseries => Some(Root::Many),
        _ if is_bare && family == MachineFamily::Other && name != "versatilepb" => None,
        _ if has(Model::PcieRoot) => Some(Root::Pcie),
        _ if has(Model::PciRoot) => Some(Root::Pci),
        _ => (!is_bare).then_some(Root::Pci),
    }
}

/// An address that says nothing of a place is none yet; parts that are left out are zero.
fn settle_addresses(domain: &mut Domain, settings: &Settings) {
    devices::visit(domain, settings, &mut |device| {
        if let Some(Address::Pci(address)) = device.address {
            if is_open(address) {
                return;
            }
            address.domain.get_or_insert_default();
            address.bus.get_or_insert_default();
            address.function.get_or_insert_default();
        }
    });
}

/// Whether an address leaves the place open.
fn is_open(address: &PciAddress) -> bool {
    address.slot.is_none() && address.bus.is_none() && address.domain.is_none() && address.function.is_none()
}

/// Whether a device needs a place.
fn is_wanted(address: &Option<Address>) -> bool {
    match address {
        None => true,
        Some(Address::Pci(address)) => is_open(address),
        Some(_) => false,
    }
}

/// The place that a device has.
fn given(address: &Option<Address>) -> Option<&PciAddress> {
    match address {
        Some(Address::Pci(address)) if !is_open(address) => Some(address),
        _ => None,
    }
}

/// The highest bus that a controller or an address names; none: the machine has no bus.
fn highest_bus(domain: &mut Domain, settings: &Settings) -> Result<Option<u32>> {
    let of_controllers = domain.devices.controllers.iter().filter_map(pci_index).max();
    let Some(mut highest) = of_controllers else { return Ok(None) };
    let mut at_fault = None;
    devices::visit(domain, settings, &mut |device| {
        if let Some(address) = given(device.address) {
            let (_, bus, ..) = address.key();
            if bus > highest {
                (highest, at_fault) = (bus, Some(device.path.clone()));
            }
        }
    });
    if highest > MAX_BUS {
        let message = format!("there are 256 PCI buses at most: {highest} is too many");
        return Err(Error::new(ErrorCode::XmlError, message).at(at_fault.unwrap_or_default()));
    }
    Ok(Some(highest))
}

/// A machine without buses has no PCI devices.
fn refuse_any(domain: &mut Domain, settings: &Settings) -> Result<()> {
    let mut first = None;
    devices::visit(domain, settings, &mut |device| {
        if is_wanted(device.address) || given(device.address).is_some() {
            first.get_or_insert(device.path);
        }
    });
    match first {
        Some(path) => Err(Error::new(ErrorCode::XmlError, "the machine has no PCI bus").at(path)),
        None => Ok(()),
    }
}

/// The model of each bus; one that is only named in an address is what the machine adds itself.
fn models(domain: &Domain, root: Root, highest: u32) -> Vec<Model> {
    let default = match root {
        Root::Pci => Model::PciBridge,
        Root::Pcie => Model::PcieRootPort,
        Root::Many => Model::PciRoot,
    };
    let first = match root {
        Root::Pcie => Model::PcieRoot,
        Root::Pci | Root::Many => Model::PciRoot,
    };
    let of = |index| {
        let controller = domain.devices.controllers.iter().find(|controller| pci_index(controller) == Some(index));
        controller.and_then(|controller| controller.model).unwrap_or(if index == 0 { first } else { default })
    };
    (0..=highest).map(of).collect()
}

/// One round: what has an address is entered, then what has none gets one.
fn place_all(domain: &mut Domain, host: &Host, root: Root, models: &[Model], extend: bool) -> Result<Buses> {
    let mut buses = Buses::new(root, models, extend);
    let family = machine(domain);
    chipset::fix(domain, family)?;
    chipset::reserve(family, &mut buses);
    enter_all(domain, &host.settings, &mut buses)?;
    chipset::prefer(domain, family, &mut buses)?;
    if extend && root == Root::Pci && buses.has_room_for_bridge() {
        // Room for a bridge is kept as long as there is any.
        buses.place(Connection::Conventional, 0, "")?;
    }
    let mut result = Ok(());
    let mut companions = companions(domain);
    devices::visit(domain, &host.settings, &mut |device| {
        if result.is_err() || !is_wanted(device.address) {
            return;
        }
        let place = match device.companion {
            Some((index, model)) => place_companion(&mut buses, &mut companions, index, model, &device.path),
            None => buses.place(device.connection, device.group, &device.path),
        };
        result = place.map(|place| set(device.address, place));
    });
    result?;
    if !extend {
        devices::visit(domain, &host.settings, &mut |device| {
            if let Some(Address::Pci(address)) = device.address {
                buses.mark_multifunction(address);
            }
        });
    }
    Ok(buses)
}

fn enter_all(domain: &mut Domain, settings: &Settings, buses: &mut Buses) -> Result<()> {
    let mut result = Ok(());
    devices::visit(domain, settings, &mut |device| {
        if let (true, Some(address)) = (result.is_ok(), given(device.address)) {
            result = buses.enter(device.connection, address, device.group, &device.path);
        }
    });
    result
}

fn set(address: &mut Option<Address>, place: Place) {
    let (old_multifunction, zpci) = match address.take() {
        Some(Address::Pci(old)) => (old.multifunction, old.zpci),
        _ => (None, None),
    };
    *address = Some(Address::Pci(PciAddress { multifunction: old_multifunction, zpci, ..place.into() }));
}

/// Where USB controllers that stand beside each other are, by their number.
fn companions(domain: &Domain) -> BTreeMap<u32, (u32, u32)> {
    let usb = domain.devices.controllers.iter().filter(|controller| controller.r#type == ControllerKind::Usb);
    usb.filter_map(|controller| {
        let (_, bus, slot, _) = given(&controller.address)?.key();
        Some((controller.index?, (bus, slot)))
    })
    .collect()
}

fn place_companion(
    buses: &mut Buses,
    companions: &mut BTreeMap<u32, (u32, u32)>,
    index: u32,
    model: Model,
    path: &str,
) -> Result<Place> {
    let function = match model {
        Model::Ich9Uhci1 => 0,
        Model::Ich9Uhci2 => 1,
        Model::Ich9Uhci3 => 2,
        _ => 7,
    };
    if let Some((bus, slot)) = companions.get(&index) {
        let place = Place { bus: *bus, slot: *slot, function };
        buses.enter(Connection::Conventional, &place.into(), 0, path)?;
        return Ok(place);
    }
    let first = buses.place(Connection::Conventional, 0, path)?;
    companions.insert(index, (first.bus, first.slot));
    if function != 0 {
        buses.release(first);
        let place = Place { function, ..first };
        buses.enter(Connection::Conventional, &place.into(), 0, path)?;
        return Ok(place);
    }
    Ok(first)
}

/// A port's number follows from its place.
fn complete_ports(domain: &mut Domain) {
    for controller in &mut domain.devices.controllers {
        if !matches!(controller.model, Some(Model::PcieRootPort | Model::PcieSwitchDownstreamPort)) {
            continue;
        }
        if let Some((_, _, slot, function)) = given(&controller.address).map(PciAddress::key) {
            let is_root_port = controller.model == Some(Model::PcieRootPort);
            let target = controller.target.get_or_insert_default();
            target.port.get_or_insert(Hex(if is_root_port { slot * 8 + function } else { slot }));
        }
    }
}

pub(super) fn pci_index(controller: &Controller) -> Option<u32> {
    controller.index.filter(|_| controller.r#type == ControllerKind::Pci)
}

impl From<Place> for PciAddress {
    fn from(place: Place) -> PciAddress {
        PciAddress { function: Some(Hex(place.function)), ..PciAddress::new(place.bus, place.slot) }
    }
}
