//! Devices that are part of a PC's chipset, and places that others have there by habit.

use ostler_conf::Domain;
use ostler_conf::domain::{Address, ControllerKind, ControllerModel as Model, PciAddress, SoundModel, VideoKind};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::buses::{Buses, Connection, Place};
use super::{devices, given, is_wanted, set};
use crate::complete::MachineFamily;

const fn place(slot: u32, function: u32) -> Place {
    Place { bus: 0, slot, function }
}

/// Takes the places of what no definition names.
pub(super) fn reserve(family: MachineFamily, buses: &mut Buses) {
    let chipset: &[(u32, &[u32])] = match family {
        // ISA bridge, and ACPI of PIIX3.
        MachineFamily::I440fx => &[(1, &[0, 3])],
        // LPC bridge and SMBus of ICH9.
        MachineFamily::Q35 => &[(0x1f, &[0, 3])],
        _ => &[],
    };
    for (slot, functions) in chipset {
        functions.iter().for_each(|function| buses.reserve(place(*slot, *function)));
    }
}

/// Devices that are part of the chipset have their places there.
pub(super) fn fix(domain: &mut Domain, family: MachineFamily) -> Result<()> {
    for controller in &mut domain.devices.controllers {
        let first = controller.index == Some(0);
        let fixed = match (family, controller.r#type, controller.model) {
            (MachineFamily::I440fx, ControllerKind::Ide, _) if first => place(1, 1),
            (MachineFamily::I440fx, ControllerKind::Usb, None | Some(Model::Piix3Uhci)) if first => place(1, 2),
            (MachineFamily::Q35, ControllerKind::Sata, _) if first => place(0x1f, 2),
            _ => continue,
        };
        match given(&controller.address) {
            None if is_wanted(&controller.address) => controller.address = Some(Address::Pci(fixed.into())),
            Some(address) if address.key() == PciAddress::from(fixed).key() => {}
            _ if controller.r#type == ControllerKind::Usb => {}
            _ => {
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

/// Places where some devices are by habit, if nobody else is there.
pub(super) fn prefer(domain: &mut Domain, family: MachineFamily, buses: &mut Buses) -> Result<()> {
    let screen = match family {
        MachineFamily::I440fx => 2,
        MachineFamily::Q35 => 1,
        _ => return Ok(()),
    };
    if family == MachineFamily::Q35 {
        prefer_usb(domain, buses)?;
        prefer_bridge(domain, buses)?;
    }
    let video = domain.devices.videos.first_mut();
    let is_card = |kind: VideoKind| !matches!(kind, VideoKind::None | VideoKind::Ramfb);
    if let Some(video) = video.filter(|video| video.model.as_ref().is_some_and(|model| is_card(model.r#type)))
        && is_wanted(&video.address)
        && !buses.slot_is_taken(0, screen)
    {
        buses.reserve(place(screen, 0));
        set(&mut video.address, place(screen, 0));
    }
    if family == MachineFamily::Q35 {
        let sounds = domain.devices.sounds.iter_mut();
        let sound = sounds.into_iter().find(|sound| sound.model == SoundModel::Ich9 && is_wanted(&sound.address));
        if let Some(sound) = sound
            && !buses.slot_is_taken(0, 0x1b)
        {
            buses.reserve(place(0x1b, 0));
            set(&mut sound.address, place(0x1b, 0));
        }
    }
    Ok(())
}

/// ICH9 has two groups of USB controllers.
fn prefer_usb(domain: &mut Domain, buses: &mut Buses) -> Result<()> {
    let is_usb2 = |controller: &ostler_conf::domain::Controller| {
        controller.r#type == ControllerKind::Usb && controller.model == Some(Model::Ich9Ehci1)
    };
    let numbers: Vec<Option<u32>> = {
        let list = &domain.devices.controllers;
        list.iter().filter(|controller| is_usb2(controller)).map(|controller| controller.index).collect()
    };
    for number in numbers {
        let members = || {
            move |controller: &&mut ostler_conf::domain::Controller| {
                controller.r#type == ControllerKind::Usb && controller.index == number
            }
        };
        let is_open =
            domain.devices.controllers.iter_mut().filter(members()).all(|controller| is_wanted(&controller.address));
        if !is_open {
            continue;
        }
        let Some(slot) = [0x1d, 0x1a].into_iter().find(|slot| !buses.slot_is_taken(0, *slot)) else { return Ok(()) };
        for controller in domain.devices.controllers.iter_mut().filter(members()) {
            let function = match controller.model {
                Some(Model::Ich9Ehci1) => 7,
                Some(Model::Ich9Uhci1) => 0,
                Some(Model::Ich9Uhci2) => 1,
                Some(Model::Ich9Uhci3) => 2,
                _ => continue,
            };
            buses.reserve(place(slot, function));
            set(&mut controller.address, place(slot, function));
        }
    }
    Ok(())
}

/// The bridge to PCI that the chipset's own firmware looks for.
fn prefer_bridge(domain: &mut Domain, buses: &mut Buses) -> Result<()> {
    let bridges = domain.devices.controllers.iter_mut();
    let bridge = bridges
        .into_iter()
        .find(|controller| controller.model == Some(Model::DmiToPciBridge) && is_wanted(&controller.address));
    if let Some(bridge) = bridge
        && !buses.slot_is_taken(0, 0x1e)
        && buses.fits(Connection::Bridge(Model::DmiToPciBridge), 0)
    {
        buses.reserve(place(0x1e, 0));
        set(&mut bridge.address, place(0x1e, 0));
    }
    Ok(())
}
