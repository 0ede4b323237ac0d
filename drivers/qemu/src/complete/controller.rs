//! Controllers that the machine has by itself or that other devices need.

use ostler_conf::Domain;
use ostler_conf::domain::{Controller, ControllerKind as Kind, ControllerModel as Model};

use super::{Host, MachineFamily, family};

/// Adds the controllers that the machine has by itself: what other devices need comes behind them.
pub(super) fn complete_before(domain: &mut Domain, host: &Host) {
    let family = domain.os.r#type.machine.as_deref().and_then(family);
    let list = &mut domain.devices.controllers;
    match family {
        Some(MachineFamily::Q35) => {
            ensure(list, Kind::Usb, default_usb(MachineFamily::Q35, host));
            ensure(list, Kind::Sata, None);
            ensure(list, Kind::Pci, Some(Model::PcieRoot));
        }
        Some(MachineFamily::I440fx) => {
            ensure(list, Kind::Usb, default_usb(MachineFamily::I440fx, host));
            ensure(list, Kind::Pci, Some(Model::PciRoot));
        }
        None => {}
    }
}

/// Chooses the models that are not said.
pub(super) fn complete(domain: &mut Domain, host: &Host) {
    let machine = domain.os.r#type.machine.clone().unwrap_or_default();
    for controller in &mut domain.devices.controllers {
        complete_one(controller, &machine, host);
    }
}

fn default_usb(family: MachineFamily, host: &Host) -> Option<Model> {
    match family {
        MachineFamily::Q35 if host.capabilities.has_device("qemu-xhci") => Some(Model::QemuXhci),
        MachineFamily::Q35 if host.capabilities.has_device("nec-usb-xhci") => Some(Model::NecXhci),
        MachineFamily::Q35 | MachineFamily::I440fx => Some(Model::Piix3Uhci),
    }
}

/// The first controller of its kind, if there is none.
fn ensure(list: &mut Vec<Controller>, kind: Kind, model: Option<Model>) {
    if !list.iter().any(|controller| controller.r#type == kind && controller.index.unwrap_or(0) == 0) {
        insert(list, Controller { model, ..Controller::new(kind, 0) });
    }
}

/// Beside those of its kind, by index; a new kind comes last.
pub(super) fn insert(list: &mut Vec<Controller>, controller: Controller) {
    let of_kind = |other: &Controller| other.r#type == controller.r#type;
    if list.iter().any(|other| of_kind(other) && other.index == controller.index) {
        return;
    }
    let behind = list.iter().rposition(|other| of_kind(other) && other.index < controller.index).map(|at| at + 1);
    let before = || list.iter().position(of_kind);
    let at = behind.or_else(before).unwrap_or(list.len());
    list.insert(at, controller);
}

fn complete_one(controller: &mut Controller, machine: &str, host: &Host) {
    match (controller.r#type, controller.model) {
        (Kind::Scsi, None) => {
            controller.model =
                Some(if host.capabilities.has_device("lsi53c895a") { Model::Lsilogic } else { Model::VirtioScsi });
        }
        (Kind::Usb, None) => controller.model = family(machine).and_then(|family| default_usb(family, host)),
        (Kind::Pci, None) => {
            controller.model = match (family(machine), controller.index) {
                (Some(MachineFamily::Q35), Some(0)) => Some(Model::PcieRoot),
                (Some(MachineFamily::I440fx), Some(0)) => Some(Model::PciRoot),
                (Some(MachineFamily::Q35), _) => Some(Model::PcieRootPort),
                (Some(MachineFamily::I440fx), _) => Some(Model::PciBridge),
                (None, _) => None,
            }
        }
        _ => {}
    }
}
