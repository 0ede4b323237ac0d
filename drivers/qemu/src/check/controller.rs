//! Rules of controllers.

use ostler_conf::Domain;
use ostler_conf::domain::{Controller, ControllerKind as Kind, ControllerModel as Model, PciModelName};

use super::Problems;
use crate::complete::{Host, MachineFamily, machine};
use crate::probe::Flag;

/// What each model needs of the emulator.
const MODELS: &[(Kind, Model, Flag)] = &[
    (Kind::Usb, Model::Piix3Uhci, Flag::Piix3UsbUhci),
    (Kind::Usb, Model::Piix4Uhci, Flag::Piix4UsbUhci),
    (Kind::Usb, Model::Ehci, Flag::UsbEhci),
    (Kind::Usb, Model::Ich9Ehci1, Flag::Ich9UsbEhci1),
    (Kind::Usb, Model::Ich9Uhci1, Flag::Ich9UsbEhci1),
    (Kind::Usb, Model::Ich9Uhci2, Flag::Ich9UsbEhci1),
    (Kind::Usb, Model::Ich9Uhci3, Flag::Ich9UsbEhci1),
    (Kind::Usb, Model::Vt82c686bUhci, Flag::Vt82c686bUsbUhci),
    (Kind::Usb, Model::PciOhci, Flag::PciOhci),
    (Kind::Usb, Model::NecXhci, Flag::NecUsbXhci),
    (Kind::Usb, Model::QemuXhci, Flag::QemuXhci),
    (Kind::Scsi, Model::Lsilogic, Flag::Lsi),
    (Kind::Scsi, Model::Lsisas1068, Flag::Mptsas1068),
    (Kind::Scsi, Model::Lsisas1078, Flag::Megasas),
    (Kind::Scsi, Model::Vmpvscsi, Flag::Pvscsi),
    (Kind::Scsi, Model::Ncr53c90, Flag::Ncr53c90),
    (Kind::Scsi, Model::Dc390, Flag::Dc390),
    (Kind::Scsi, Model::Am53c974, Flag::Am53c974),
];

/// What each bridge needs of the emulator.
const BRIDGES: &[(PciModelName, Flag)] = &[
    (PciModelName::PciePciBridge, Flag::PciePciBridge),
    (PciModelName::PcieRootPort, Flag::PcieRootPort),
    (PciModelName::Ioh3420, Flag::Ioh3420),
    (PciModelName::X3130Upstream, Flag::X3130Upstream),
    (PciModelName::Xio3130Downstream, Flag::Xio3130Downstream),
    (PciModelName::Pxb, Flag::Pxb),
    (PciModelName::PxbPcie, Flag::PxbPcie),
];

/// The most ports that a USB 3 controller has.
const XHCI_PORTS: u32 = 15;

pub(super) fn check(domain: &Domain, host: &Host, problems: &mut Problems) {
    for controller in &domain.devices.controllers {
        check_one(controller, domain, host, problems);
    }
}

/// USB controllers that this emulator lacks may be there when the guest is started.
pub(super) fn check_usb(domain: &Domain, host: &Host, problems: &mut Problems) {
    for controller in &domain.devices.controllers {
        check_model(controller, Kind::Usb, host, problems);
    }
}

fn check_model(controller: &Controller, kind: Kind, host: &Host, problems: &mut Problems) {
    let model = controller.model.filter(|_| controller.r#type == kind);
    let needed = MODELS.iter().find(|(of_kind, of, _)| *of_kind == kind && Some(*of) == model);
    if let Some((kind, of, flag)) = needed {
        problems.unless(
            host.capabilities.has(*flag),
            format!("devices.controllers[{}].model", controller.name),
            format!("the emulator has no {kind} controller '{of}'"),
        );
    }
}

fn check_one(controller: &Controller, domain: &Domain, host: &Host, problems: &mut Problems) {
    let at = |field: &str| format!("devices.controllers[{}].{field}", controller.name);
    let has = |flag: Flag| host.capabilities.has(flag);
    let model = controller.model;
    check_model(controller, Kind::Scsi, host, problems);
    if let Some(name) = controller.model_name.as_ref().map(|model| model.name) {
        let needed = BRIDGES.iter().find(|(of, _)| *of == name);
        problems.unless(
            needed.is_none_or(|(_, flag)| has(*flag)),
            at("modelName"),
            format!("the emulator has no '{name}'"),
        );
    }
    let is_xhci = matches!(model, Some(Model::QemuXhci | Model::NecXhci));
    problems.unless(
        !is_xhci || controller.ports.is_none_or(|ports| ports <= XHCI_PORTS),
        at("ports"),
        format!("a controller of this model has {XHCI_PORTS} ports at most"),
    );
    let first = controller.index == Some(0);
    let family = machine(domain);
    match (controller.r#type, model) {
        (Kind::Ide, _) => {
            let is_built_in = match family {
                MachineFamily::I440fx | MachineFamily::Isapc => first,
                MachineFamily::Q35 | MachineFamily::Microvm | MachineFamily::ArmVirt => false,
                _ => true,
            };
            problems.unless(is_built_in, at("type"), "this machine has no such IDE controller: take sata");
        }
        (Kind::Sata, _) => problems.unless(has(Flag::Ich9Ahci), at("type"), "the emulator has no SATA controller"),
        (Kind::Scsi, Some(Model::Buslogic)) | (Kind::Scsi, Some(Model::Virtio)) => {
            problems.unsupported(at("model"), "QEMU has no such SCSI controller");
        }
        (Kind::Usb, Some(Model::Qusb1 | Model::Qusb2)) | (Kind::Xenbus | Kind::Isa | Kind::Nvme, _) => {
            problems.unsupported(at("type"), "QEMU has no such controller");
        }
        _ => {}
    }
}
