//! Ports of USB controllers and hubs.

use std::collections::{BTreeMap, BTreeSet};

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Controller, ControllerKind, ControllerModel as Model, DiskBus, Filesystem, FilesystemDriverKind,
    HostdevSource, Hub, HubKind, InputBus, Interface, SerialTargetKind, SoundModel, UsbAddress,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::Host;

/// How many ports a hub has.
const HUB_PORTS: u32 = 8;

/// A place: a bus, and the ports on the way, from the controller.
type Place = (u32, Vec<u32>);

/// As [`assign`], for a new definition. What was defined when ports were QEMU's own choice is left to it.
pub(super) fn complete(domain: &mut Domain, host: &Host) -> Result<()> {
    let mut is_open_somewhere = false;
    visit(domain, &mut |_, address, _| is_open_somewhere |= is_open(address));
    if is_open_somewhere && !host.is_new { Ok(()) } else { assign(domain) }
}

/// Gives every USB device without an address the first free port; a hub is added where ports are short.
///
/// # Errors
/// A place that is not there, or is another's; no port is free.
pub(crate) fn assign(domain: &mut Domain) -> Result<()> {
    let mut buses: BTreeMap<u32, u32> = BTreeMap::new();
    for (index, ports) in domain.devices.controllers.iter().filter_map(ports) {
        let of = buses.entry(index).or_insert(0);
        *of = ports.max(*of);
    }
    let mut open = 0;
    visit(domain, &mut |_, address, _| {
        open += usize::from(is_open(address));
    });
    let mut ports = Ports::enter(domain, buses)?;
    if open > 0 {
        add_hubs(domain, &mut ports, open);
    }
    let mut result = Ok(());
    visit(domain, &mut |path, address, is_hub| {
        if result.is_err() || !is_open(address) {
            return;
        }
        let wanted = match address {
            Some(Address::Usb(address)) => address.bus,
            _ => None,
        };
        match ports.take(wanted, is_hub) {
            Some(place) => *address = Some(Address::Usb(write(&place))),
            None => result = Err(Error::new(ErrorCode::InternalError, "no USB port is free").at(path)),
        }
    });
    result
}

fn is_open(address: &Option<Address>) -> bool {
    matches!(address, None | Some(Address::Usb(UsbAddress { port: None, .. })))
}

fn read(address: &UsbAddress) -> Option<Place> {
    let port = address.port.as_ref()?;
    let path: Option<Vec<u32>> = port.split('.').map(|part| part.parse().ok()).collect();
    Some((address.bus.unwrap_or(0), path?))
}

fn write((bus, path): &Place) -> UsbAddress {
    let path: Vec<String> = path.iter().map(u32::to_string).collect();
    UsbAddress { bus: Some(*bus), port: Some(path.join(".")) }
}

/// Which ports there are, and which are taken.
struct Ports {
    /// How many ports there are at each place that has some: a controller's place is its bus alone.
    hubs: BTreeMap<Place, u32>,
    taken: BTreeSet<Place>,
}

impl Ports {
    /// What has an address is entered, hubs first.
    fn enter(domain: &mut Domain, buses: BTreeMap<u32, u32>) -> Result<Ports> {
        let hubs = buses.into_iter().map(|(bus, ports)| ((bus, Vec::new()), ports)).collect();
        let mut found = Ports { hubs, taken: BTreeSet::new() };
        let mut given: Vec<(bool, Place, String)> = Vec::new();
        visit(domain, &mut |path, address, is_hub| {
            if let Some(Address::Usb(address)) = address
                && let Some(place) = read(address)
            {
                given.push((!is_hub, place, path));
            }
        });
        given.sort_by_key(|(is_device, (_, path), _)| (*is_device, path.len()));
        for (is_device, place, path) in given {
            let shown = write(&place).port.unwrap_or_default();
            let wrong = |message: String| Err(Error::new(ErrorCode::XmlError, message).at(path.clone()));
            let (bus, ports) = &place;
            let (last, way) = ports.split_last().map_or((0, &[][..]), |(last, way)| (*last, way));
            match found.hubs.get(&(*bus, way.to_vec())) {
                None if way.is_empty() => return wrong(format!("there is no USB bus {bus}")),
                None => return wrong(format!("there is no hub on the way to port {shown} of USB bus {bus}")),
                Some(ports) if last == 0 || last > *ports => {
                    return wrong(format!("USB bus {bus} has no port {shown}"));
                }
                Some(_) => {}
            }
            if !found.taken.insert(place.clone()) {
                return wrong(format!("port {shown} of USB bus {bus} is another device's already"));
            }
            if !is_device {
                found.hubs.insert(place, HUB_PORTS);
            }
        }
        Ok(found)
    }

    /// The first free port.
    fn take(&mut self, bus: Option<u32>, is_hub: bool) -> Option<Place> {
        let hubs = self.hubs.iter().filter(|((of, _), _)| bus.is_none_or(|wanted| wanted == *of));
        let mut places = hubs.flat_map(|((bus, way), ports)| {
            (1..=*ports).map(move |port| (*bus, way.iter().copied().chain([port]).collect::<Vec<u32>>()))
        });
        let place = places.find(|place| !self.taken.contains(place))?;
        self.taken.insert(place.clone());
        if is_hub {
            self.hubs.insert(place.clone(), HUB_PORTS);
        }
        Some(place)
    }

    fn free(&self) -> usize {
        let all: u32 = self.hubs.values().sum();
        (all as usize).saturating_sub(self.taken.len())
    }
}

/// As many hubs as are needed for `open` devices, each of which takes a port itself.
fn add_hubs(domain: &mut Domain, ports: &mut Ports, open: usize) {
    let of_hubs = domain.devices.hubs.iter().filter(|hub| is_open(&hub.address)).count();
    let mut free = ports.free() + of_hubs * HUB_PORTS as usize;
    while free < open {
        let Some(place) = ports.take(None, true) else { return };
        let address = Some(Address::Usb(write(&place)));
        domain.devices.hubs.push(Hub { name: String::new(), r#type: HubKind::Usb, alias: None, address });
        free += HUB_PORTS as usize - 1;
    }
}

/// Visits the devices on USB buses, in the order in which libvirt gives ports; the last argument tells hubs.
fn visit(domain: &mut Domain, visitor: &mut dyn FnMut(String, &mut Option<Address>, bool)) {
    let devices = &mut domain.devices;
    for hub in &mut devices.hubs {
        visitor(format!("devices.hubs[{}].address", hub.name), &mut hub.address, true);
    }
    for hostdev in devices.hostdevs.iter_mut().filter(|hostdev| matches!(hostdev.source, HostdevSource::Usb(_))) {
        visitor(format!("devices.hostdevs[{}].address", hostdev.name), &mut hostdev.address, false);
    }
    for disk in devices.disks.iter_mut().filter(|disk| disk.target.bus == Some(DiskBus::Usb)) {
        visitor(format!("devices.disks[{}].address", disk.name), &mut disk.address, false);
    }
    let is_usb_net =
        |interface: &&mut Interface| interface.model.as_ref().is_some_and(|model| model.r#type == "usb-net");
    for interface in devices.interfaces.iter_mut().filter(is_usb_net) {
        visitor(format!("devices.interfaces[{}].address", interface.name), &mut interface.address, false);
    }
    for controller in devices.controllers.iter_mut().filter(|c| c.r#type == ControllerKind::Ccid) {
        visitor("devices.controllers".to_owned(), &mut controller.address, false);
    }
    for sound in devices.sounds.iter_mut().filter(|sound| sound.model == SoundModel::Usb) {
        visitor(format!("devices.sounds[{}].address", sound.name), &mut sound.address, false);
    }
    for input in devices.inputs.iter_mut().filter(|input| input.bus == Some(InputBus::Usb)) {
        visitor(format!("devices.inputs[{}].address", input.name), &mut input.address, false);
    }
    for serial in &mut devices.serials {
        if serial.target.as_ref().is_some_and(|target| target.r#type == Some(SerialTargetKind::UsbSerial)) {
            visitor(format!("devices.serials[{}].address", serial.name), &mut serial.address, false);
        }
    }
    let is_mtp = |filesystem: &&mut Filesystem| {
        filesystem.driver.as_ref().and_then(|driver| driver.r#type) == Some(FilesystemDriverKind::Mtp)
    };
    for filesystem in devices.filesystems.iter_mut().filter(is_mtp) {
        visitor(format!("devices.filesystems[{}].address", filesystem.name), &mut filesystem.address, false);
    }
    for redirdev in &mut devices.redirdevs {
        visitor(format!("devices.redirdevs[{}].address", redirdev.name), &mut redirdev.address, false);
    }
}

/// A USB controller's bus and how many ports it has in QEMU.
fn ports(controller: &Controller) -> Option<(u32, u32)> {
    if controller.r#type != ControllerKind::Usb {
        return None;
    }
    let ports = match controller.model? {
        Model::Piix3Uhci | Model::Piix4Uhci | Model::Ich9Uhci1 | Model::Ich9Uhci2 | Model::Ich9Uhci3 => 2,
        Model::Vt82c686bUhci => 2,
        Model::PciOhci => 3,
        Model::Ehci | Model::Ich9Ehci1 => 6,
        Model::NecXhci | Model::QemuXhci => controller.ports.unwrap_or(4),
        _ => return None,
    };
    Some((controller.index?, ports))
}
