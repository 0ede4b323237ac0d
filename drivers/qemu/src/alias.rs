//! The names by which a running QEMU knows its devices, as libvirt makes them.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Alias, ConsoleTargetKind, Controller, ControllerKind as Kind, ControllerModel as Model, Disk, DiskBus,
    DriveAddress, MemballoonModel,
};

use crate::complete::{MachineFamily, family};

/// Gives every device without an alias one.
pub(crate) fn assign(domain: &mut Domain) {
    let machine = domain.os.r#type.machine.as_deref().and_then(family);
    let devices = &mut domain.devices;
    for controller in &mut devices.controllers {
        if controller.alias.is_none() {
            controller.alias = Some(Alias { name: controller_alias(controller, machine) });
        }
    }
    let controllers = devices.controllers.clone();
    for disk in &mut devices.disks {
        if disk.alias.is_none() {
            disk.alias = Some(Alias { name: disk_alias(disk, &controllers) });
        }
    }
    macro_rules! number {
        ($($list:ident: $prefix:literal),*) => { $(
            for at in 0..devices.$list.len() {
                if devices.$list[at].alias.is_none() {
                    let taken = |name: &str| devices.$list.iter().any(|device| device.alias.as_ref().is_some_and(|alias| alias.name == name));
                    let name = (at..).map(|number| format!(concat!($prefix, "{}"), number)).find(|name| !taken(name));
                    devices.$list[at].alias = name.map(|name| Alias { name });
                }
            }
        )* };
    }
    number!(interfaces: "net", serials: "serial", channels: "channel", inputs: "input", watchdogs: "watchdog", rngs: "rng");
    let serial = devices.serials.first().and_then(|serial| serial.alias.clone());
    for (at, console) in devices.consoles.iter_mut().enumerate() {
        let is_serial = console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Serial));
        let own = || Some(Alias { name: format!("console{at}") });
        if console.alias.is_none() {
            console.alias = if is_serial { serial.clone().or_else(own) } else { own() };
        }
    }
    if let Some(balloon) = devices.memballoon.as_mut().filter(|balloon| balloon.model != MemballoonModel::None) {
        balloon.alias.get_or_insert_with(|| Alias { name: "balloon0".into() });
    }
}

fn controller_alias(controller: &Controller, machine: Option<MachineFamily>) -> String {
    let index = controller.index.unwrap_or(0);
    match (controller.r#type, controller.model) {
        (Kind::Pci, Some(Model::PcieRoot)) => format!("pcie.{index}"),
        (Kind::Pci, _) => format!("pci.{index}"),
        (Kind::Usb, _) if index == 0 => "usb".into(),
        (Kind::Sata, _) if index == 0 && machine == Some(MachineFamily::Q35) => "ide".into(),
        (Kind::Ide, _) if index == 0 && machine == Some(MachineFamily::I440fx) => "ide".into(),
        (kind, _) => format!("{kind}{index}"),
    }
}

fn disk_alias(disk: &Disk, controllers: &[Controller]) -> String {
    let number = target_number(&disk.name);
    let (Some(bus), Some(Address::Drive(drive))) = (disk.target.bus, &disk.address) else {
        return match disk.target.bus {
            Some(DiskBus::Usb) => format!("usb-disk{number}"),
            _ => format!("virtio-disk{number}"),
        };
    };
    let DriveAddress { controller, bus: line, target, unit } = drive;
    let part = |value: &Option<u32>| value.unwrap_or(0);
    let (controller, line, target, unit) = (part(controller), part(line), part(target), part(unit));
    let has_targets = bus == DiskBus::Scsi && scsi_model(controllers, controller) != Some(Model::Lsilogic);
    if has_targets {
        format!("{bus}{controller}-{line}-{target}-{unit}")
    } else {
        format!("{bus}{controller}-{line}-{unit}")
    }
}

/// The model of the SCSI controller with this index.
pub(crate) fn scsi_model(controllers: &[Controller], index: u32) -> Option<Model> {
    controllers
        .iter()
        .find(|other| other.r#type == Kind::Scsi && other.index == Some(index))
        .and_then(|other| other.model)
}

/// `vda` → 0, `vdz` → 25, `vdaa` → 26.
fn target_number(name: &str) -> u32 {
    const PREFIXES: &[&str] = &["fd", "hd", "vd", "sd", "xvd", "ubd"];
    let letters = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or_default();
    let digit = |letter: u8| u32::from(letter.saturating_sub(b'a')) + 1;
    letters.bytes().fold(0_u32, |number, letter| number.wrapping_mul(26).wrapping_add(digit(letter))).saturating_sub(1)
}
