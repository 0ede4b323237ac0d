//! `<controller>`: buses before what sits on them.

use ostler_conf::Domain;
use ostler_conf::domain::{Controller, ControllerKind as Kind, ControllerModel as Model, PciModelName};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::{Args, address, alias, object};
use crate::complete::{MachineFamily, family};

/// libvirt's order of kinds.
const ORDER: &[Kind] = &[Kind::Pci, Kind::Usb, Kind::Scsi, Kind::Ide, Kind::Sata, Kind::VirtioSerial, Kind::Ccid];

pub(super) fn all(domain: &Domain, args: &mut Args) -> Result<()> {
    for kind in ORDER {
        for controller in domain.devices.controllers.iter().filter(|controller| controller.r#type == *kind) {
            if !is_built_in(controller, domain) {
                args.device(&device(controller, domain)?);
            }
        }
    }
    Ok(())
}

fn is_built_in(controller: &Controller, domain: &Domain) -> bool {
    let machine = domain.os.r#type.machine.as_deref().and_then(family);
    match controller.r#type {
        Kind::Pci => address::is_root(controller.model),
        Kind::Usb => controller.model == Some(Model::None),
        Kind::Ide => controller.index == Some(0) && machine == Some(MachineFamily::I440fx),
        Kind::Sata => controller.index == Some(0) && machine == Some(MachineFamily::Q35),
        Kind::Fdc => true,
        Kind::Scsi | Kind::VirtioSerial | Kind::Ccid | Kind::Xenbus | Kind::Isa | Kind::Nvme => false,
    }
}

fn device(controller: &Controller, domain: &Domain) -> Result<Value> {
    let driver = driver(controller).ok_or_else(|| {
        let model = controller.model.map_or("without a model", Model::word);
        let message = format!("QEMU has no {} controller {model}", controller.r#type);
        Error::new(ErrorCode::ConfigUnsupported, message).at(format!("devices.controllers[{}].model", controller.name))
    })?;
    let target = controller.target.as_ref();
    let is_xhci = controller.r#type == Kind::Usb;
    let ports = controller.ports.filter(|_| is_xhci);
    let mut members = vec![
        ("driver", json!(driver)),
        ("port", json!(target.and_then(|target| target.port).map(|port| port.0))),
        ("chassis", json!(target.and_then(|target| target.chassis))),
        ("chassis_nr", json!(target.and_then(|target| target.chassis_nr))),
        ("p2", json!(ports)),
        ("p3", json!(ports)),
        ("id", json!(alias(&controller.alias))),
    ];
    if controller.r#type == Kind::VirtioSerial {
        members.push(("max_ports", json!(controller.ports)));
    }
    members.extend(address::members(domain, &controller.address)?);
    Ok(object(members))
}

/// QEMU's name of a controller.
pub(crate) fn driver(controller: &Controller) -> Option<&'static str> {
    Some(match (controller.r#type, controller.model) {
        (Kind::Pci, Some(_)) => match controller.model_name.as_ref()?.name {
            PciModelName::PcieRootPort => "pcie-root-port",
            PciModelName::Ioh3420 => "ioh3420",
            PciModelName::PciBridge => "pci-bridge",
            PciModelName::I82801b11Bridge => "i82801b11-bridge",
            PciModelName::PciePciBridge => "pcie-pci-bridge",
            PciModelName::X3130Upstream => "x3130-upstream",
            PciModelName::Xio3130Downstream => "xio3130-downstream",
            PciModelName::Pxb => "pxb",
            PciModelName::PxbPcie => "pxb-pcie",
            PciModelName::SpaprPciHostBridge => "spapr-pci-host-bridge",
        },
        (Kind::Usb, Some(Model::Piix3Uhci)) => "piix3-usb-uhci",
        (Kind::Usb, Some(Model::Piix4Uhci)) => "piix4-usb-uhci",
        (Kind::Usb, Some(Model::Ehci)) => "usb-ehci",
        (Kind::Usb, Some(Model::NecXhci)) => "nec-usb-xhci",
        (Kind::Usb, Some(Model::QemuXhci)) => "qemu-xhci",
        (Kind::Scsi, Some(Model::VirtioScsi)) => "virtio-scsi-pci",
        (Kind::Scsi, Some(Model::Lsilogic)) => "lsi",
        (Kind::Sata, _) => "ahci",
        (Kind::VirtioSerial, _) => "virtio-serial-pci",
        _ => return None,
    })
}
