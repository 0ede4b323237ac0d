//! Controllers that the machine has by itself or that other devices need, and their models.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Controller, ControllerKind as Kind, ControllerModel as Model, ControllerModelName, ControllerTarget, PciModelName,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::machine::{Arch, arch, built_in};
use super::{Host, MachineFamily, machine};
use crate::probe::Flag;

/// Adds the controllers that the machine has by itself: what other devices need comes behind them.
pub(super) fn complete_before(domain: &mut Domain, host: &Host) -> Result<()> {
    let built_in = built_in(domain, host);
    // A machine that gets a USB controller by itself gets a new one, or none.
    let usb = match machine(domain) {
        MachineFamily::Q35 => first(
            host,
            &[
                (Flag::QemuXhci, Model::QemuXhci),
                (Flag::NecUsbXhci, Model::NecXhci),
                (Flag::Ich9UsbEhci1, Model::Ich9Ehci1),
            ],
        ),
        MachineFamily::Other if matches!(arch(domain), Arch::Aarch64 | Arch::Arm) => {
            first(host, &[(Flag::PciOhci, Model::PciOhci)])
        }
        _ => default_usb(domain, host),
    };
    if built_in.usb && (usb.is_some() || machine(domain) != MachineFamily::Q35) {
        ensure(&mut domain.devices.controllers, Kind::Usb, usb);
    }
    let list = &mut domain.devices.controllers;
    if built_in.sata {
        ensure(list, Kind::Sata, None);
    }
    let Some(root) = built_in.root else { return Ok(()) };
    let found = list.iter_mut().find(|controller| controller.r#type == Kind::Pci && controller.index == Some(0));
    match found {
        Some(found) if found.model.is_none_or(|model| model == root) => found.model = Some(root),
        Some(found) => {
            let model = found.model.map_or("none", Model::word);
            let message = format!("the first PCI bus of this machine is of the model '{root}', not '{model}'");
            return Err(
                Error::new(ErrorCode::XmlError, message).at(format!("devices.controllers[{}].model", found.name))
            );
        }
        None => ensure(list, Kind::Pci, Some(root)),
    }
    Ok(())
}

/// Chooses the models that are not said.
pub(super) fn complete(domain: &mut Domain, host: &Host) {
    let (usb, scsi) = (default_usb(domain, host), default_scsi(domain, host));
    let family = machine(domain);
    let of_scsi = domain.devices.controllers.iter().filter(|controller| controller.r#type == Kind::Scsi);
    let known_scsi = of_scsi.filter_map(|controller| controller.model).find(|model| *model != Model::Auto);
    let root = domain.devices.controllers.iter().find(|c| c.r#type == Kind::Pci && c.index == Some(0));
    let root = root.and_then(|controller| controller.model);
    for controller in &mut domain.devices.controllers {
        match (controller.r#type, controller.model) {
            // One that is added is as those that are there.
            (Kind::Scsi, None | Some(Model::Auto)) => controller.model = known_scsi.or(scsi),
            (Kind::Usb, None) if usb == Some(Model::None) && controller.address.is_some() => {}
            (Kind::Usb, None) => controller.model = usb,
            (Kind::Pci, None) => {
                controller.model = match (family, root, controller.index) {
                    (MachineFamily::Pseries, ..) => Some(Model::PciRoot),
                    (_, _, Some(0)) => root,
                    (_, Some(Model::PcieRoot), _) => Some(Model::PcieRootPort),
                    (_, Some(Model::PciRoot), _) => Some(Model::PciBridge),
                    _ => None,
                }
            }
            _ => {}
        }
    }
}

fn first(host: &Host, models: &[(Flag, Model)]) -> Option<Model> {
    models.iter().find(|(flag, _)| host.capabilities.has(*flag)).map(|(_, model)| *model)
}

/// The model of a USB controller that names none.
fn default_usb(domain: &Domain, host: &Host) -> Option<Model> {
    const XHCI: &[(Flag, Model)] = &[(Flag::QemuXhci, Model::QemuXhci), (Flag::NecUsbXhci, Model::NecXhci)];
    const OHCI: &[(Flag, Model)] = &[(Flag::PciOhci, Model::PciOhci)];
    const PIIX3: &[(Flag, Model)] = &[(Flag::Piix3UsbUhci, Model::Piix3Uhci)];
    match (machine(domain), arch(domain)) {
        (_, Arch::S390) => Some(Model::None),
        (_, Arch::Ppc64) if host.is_new => first(host, XHCI).or_else(|| first(host, OHCI)),
        (_, Arch::Ppc64) => first(host, OHCI).or_else(|| first(host, &XHCI[1..])),
        (_, Arch::Aarch64 | Arch::Loongarch) => first(host, XHCI),
        (_, Arch::X86) => first(host, PIIX3),
        _ => first(host, PIIX3).or_else(|| first(host, OHCI)),
    }
}

/// The model of a SCSI controller that names none.
fn default_scsi(domain: &Domain, host: &Host) -> Option<Model> {
    match (machine(domain), arch(domain)) {
        (MachineFamily::Pseries, _) => Some(Model::Ibmvscsi),
        (MachineFamily::ArmVirt | MachineFamily::LoongarchVirt, _) | (_, Arch::S390) => Some(Model::VirtioScsi),
        (_, Arch::Sparc) => first(host, &[(Flag::Ncr53c90, Model::Ncr53c90)]),
        (_, Arch::Aarch64 | Arch::Arm) => first(host, &[(Flag::VirtioScsiPci, Model::VirtioScsi)]),
        _ => first(host, &[(Flag::Lsi, Model::Lsilogic), (Flag::VirtioScsiPci, Model::VirtioScsi)]),
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

/// What bridges are called in QEMU.
const NAMES: &[(Model, PciModelName)] = &[
    (Model::PciBridge, PciModelName::PciBridge),
    (Model::DmiToPciBridge, PciModelName::I82801b11Bridge),
    (Model::PcieToPciBridge, PciModelName::PciePciBridge),
    (Model::PcieSwitchUpstreamPort, PciModelName::X3130Upstream),
    (Model::PcieSwitchDownstreamPort, PciModelName::Xio3130Downstream),
    (Model::PciExpanderBus, PciModelName::Pxb),
    (Model::PcieExpanderBus, PciModelName::PxbPcie),
];

/// What a bridge is called in QEMU, and its number, which follow from its index.
pub(super) fn complete_bridges(domain: &mut Domain, host: &Host) {
    let is_pseries = machine(domain) == MachineFamily::Pseries;
    let mut target_indexes: Vec<u32> = bridges(domain).filter_map(|c| c.target.as_ref()?.index).collect();
    for at in 0..domain.devices.controllers.len() {
        let controller = &domain.devices.controllers[at];
        let (Kind::Pci, Some(index), Some(model)) = (controller.r#type, controller.index, controller.model) else {
            continue;
        };
        let name = match model {
            Model::PcieRootPort if host.capabilities.has(Flag::PcieRootPort) => Some(PciModelName::PcieRootPort),
            Model::PcieRootPort => Some(PciModelName::Ioh3420),
            Model::PciRoot if is_pseries => Some(PciModelName::SpaprPciHostBridge),
            _ => NAMES.iter().find(|(of, _)| *of == model).map(|(_, name)| *name),
        };
        let bus_nr = next_bus_number(domain);
        let controller = &mut domain.devices.controllers[at];
        if let Some(name) = name {
            controller.model_name.get_or_insert(ControllerModelName { name });
        }
        let mut target = controller.target.take().unwrap_or_default();
        match model {
            Model::PcieRootPort | Model::PcieSwitchDownstreamPort => drop(target.chassis.get_or_insert(index)),
            Model::PciBridge => drop(target.chassis_nr.get_or_insert(index)),
            Model::PciExpanderBus | Model::PcieExpanderBus => target.bus_nr = target.bus_nr.or(bus_nr),
            Model::PciRoot if is_pseries && target.index.is_none() => {
                let free = if index == 0 { Some(0) } else { (1..31).find(|index| !target_indexes.contains(index)) };
                target_indexes.extend(free);
                target.index = free;
            }
            _ => {}
        }
        controller.target = Some(target).filter(|target| *target != ControllerTarget::default());
    }
}

fn bridges(domain: &Domain) -> impl Iterator<Item = &Controller> {
    domain.devices.controllers.iter().filter(|controller| controller.r#type == Kind::Pci)
}

/// Expander buses are counted down, with room for one bus behind each.
fn next_bus_number(domain: &Domain) -> Option<u32> {
    let lowest = bridges(domain).filter_map(|controller| controller.target.as_ref()?.bus_nr).min().unwrap_or(256);
    lowest.checked_sub(2).filter(|number| *number > 0)
}
