//! Ports of USB controllers.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, ControllerKind, ControllerModel as Model, DiskBus, InputBus, SerialTargetKind, UsbAddress,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

/// Gives every USB device without an address the first free port.
pub(super) fn assign(domain: &mut Domain) -> Result<()> {
    let buses: Vec<(u32, u32)> = domain.devices.controllers.iter().filter_map(ports).collect();
    let mut taken: Vec<(u32, String)> = Vec::new();
    let devices = &mut domain.devices;
    let serials = devices.serials.iter_mut().filter(|serial| {
        serial.target.as_ref().is_some_and(|target| target.r#type == Some(SerialTargetKind::UsbSerial))
    });
    // The order in which libvirt gives ports.
    let disks = devices.disks.iter_mut().filter(|disk| disk.target.bus == Some(DiskBus::Usb));
    let mut list: Vec<(String, &mut Option<Address>)> = Vec::new();
    list.extend(disks.map(|disk| (format!("devices.disks[{}]", disk.name), &mut disk.address)));
    let inputs = devices.inputs.iter_mut().filter(|input| input.bus == Some(InputBus::Usb));
    list.extend(inputs.map(|input| (format!("devices.inputs[{}]", input.name), &mut input.address)));
    list.extend(serials.map(|serial| (format!("devices.serials[{}]", serial.name), &mut serial.address)));
    for (path, address) in &list {
        if let Some(Address::Usb(UsbAddress { bus, port: Some(port) })) = address {
            let place = (bus.unwrap_or(0), port.clone());
            if taken.contains(&place) {
                let message = format!("port {port} of USB bus {} is another device's already", place.0);
                return Err(Error::new(ErrorCode::XmlError, message).at(format!("{path}.address")));
            }
            taken.push(place);
        }
    }
    for (path, address) in list {
        let wanted_bus = match address {
            Some(Address::Usb(UsbAddress { port: Some(_), .. })) => continue,
            Some(Address::Usb(UsbAddress { bus, port: None })) => *bus,
            Some(_) => {
                return Err(Error::new(ErrorCode::XmlError, "a USB device has an address of type 'usb'")
                    .at(format!("{path}.address")));
            }
            None => None,
        };
        let places = buses.iter().filter(|(bus, _)| wanted_bus.is_none_or(|wanted| wanted == *bus));
        let mut places = places.flat_map(|(bus, ports)| (1..=*ports).map(move |port| (*bus, port.to_string())));
        let Some((bus, port)) = places.find(|place| !taken.contains(place)) else {
            return Err(Error::new(ErrorCode::InternalError, "no USB port is free").at(format!("{path}.address")));
        };
        taken.push((bus, port.clone()));
        *address = Some(Address::Usb(UsbAddress { bus: Some(bus), port: Some(port) }));
    }
    Ok(())
}

/// A USB controller's bus and how many ports it has in QEMU.
fn ports(controller: &ostler_conf::domain::Controller) -> Option<(u32, u32)> {
    if controller.r#type != ControllerKind::Usb {
        return None;
    }
    let ports = match controller.model? {
        Model::Piix3Uhci | Model::Piix4Uhci | Model::Ich9Uhci1 | Model::Ich9Uhci2 | Model::Ich9Uhci3 => 2,
        Model::Ehci | Model::Ich9Ehci1 => 6,
        Model::NecXhci | Model::QemuXhci => controller.ports.unwrap_or(4),
        _ => return None,
    };
    Some((controller.index?, ports))
}
