//! The names by which a running QEMU knows its devices, as libvirt makes them.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Alias, ConsoleTargetKind, Controller, ControllerKind as Kind, ControllerModel as Model, Disk, DiskBus,
    DriveAddress, InterfaceSource, MemballoonModel, MemoryDevice, MemoryModel,
};

use crate::complete::{MachineFamily, family};

/// Gives every device without an alias one.
pub(crate) fn assign(domain: &mut Domain) {
    let machine = domain.os.r#type.machine.as_deref().and_then(family);
    let is_sparc = domain.os.r#type.arch.as_deref() == Some("sparc");
    let has_buses = has_many_buses(domain);
    let devices = &mut domain.devices;
    for controller in &mut devices.controllers {
        if controller.alias.is_none() {
            controller.alias = named(controller_alias(controller, machine, is_sparc, has_buses));
        }
    }
    let controllers = devices.controllers.clone();
    for disk in &mut devices.disks {
        if disk.alias.is_none() {
            disk.alias = named(disk_alias(disk, &controllers));
        }
    }
    macro_rules! number {
        ($($list:ident: $prefix:literal),*) => { $(
            for at in 0..devices.$list.len() {
                if devices.$list[at].alias.is_none() {
                    let taken = |name: &str| {
                        devices.$list.iter().any(|device| device.alias.as_ref().is_some_and(|alias| alias.name == name))
                    };
                    let name = (at..).map(|number| format!(concat!($prefix, "{}"), number)).find(|name| !taken(name));
                    devices.$list[at].alias = name.map(|name| Alias { name });
                }
            }
        )* };
    }
    assign_interfaces(devices);
    assign_hostdevs(devices);
    number!(filesystems: "fs", sounds: "sound", redirdevs: "redir", videos: "video", serials: "serial");
    number!(parallels: "parallel", channels: "channel", hubs: "hub", shmems: "shmem", smartcards: "smartcard");
    number!(tpms: "tpm", inputs: "input", watchdogs: "watchdog", rngs: "rng", panics: "panic", cryptos: "crypto");
    let serial = devices.serials.first().and_then(|serial| serial.alias.clone());
    for (at, console) in devices.consoles.iter_mut().enumerate() {
        let is_serial = console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Serial));
        let own = || named(format!("console{at}"));
        if console.alias.is_none() {
            console.alias = if is_serial { serial.clone().or_else(own) } else { own() };
        }
    }
    assign_memories(&mut devices.memories);
    if let Some(balloon) = devices.memballoon.as_mut().filter(|balloon| balloon.model != MemballoonModel::None) {
        balloon.alias.get_or_insert_with(|| Alias { name: "balloon0".into() });
    }
    macro_rules! single {
        ($($device:ident: $name:literal),*) => { $(if let Some(device) = &mut devices.$device {
            device.alias.get_or_insert_with(|| Alias { name: $name.into() });
        })* };
    }
    single!(nvram: "nvram", vsock: "vsock0", iommu: "iommu0", pstore: "pstore0");
}

#[allow(clippy::unnecessary_wraps, reason = "an alias is optional wherever it stands")]
fn named(name: String) -> Option<Alias> {
    Some(Alias { name })
}

/// An interface that is a device of the host counts as one.
fn assign_interfaces(devices: &mut ostler_conf::domain::Devices) {
    let names = devices.interfaces.iter().map(|interface| &interface.alias);
    let names = names.chain(devices.hostdevs.iter().map(|hostdev| &hostdev.alias)).flatten();
    let mut taken: std::collections::BTreeSet<String> = names.map(|alias| alias.name.clone()).collect();
    for (at, interface) in devices.interfaces.iter_mut().enumerate() {
        if interface.alias.is_none() {
            let (prefix, first) =
                if matches!(interface.source, InterfaceSource::Hostdev(_)) { ("hostdev", 0) } else { ("net", at) };
            let name = (first..).map(|number| format!("{prefix}{number}")).find(|name| !taken.contains(name));
            let name = name.unwrap_or_default();
            taken.insert(name.clone());
            interface.alias = named(name);
        }
    }
}

/// Devices of the host are numbered after the interfaces that are some.
fn assign_hostdevs(devices: &mut ostler_conf::domain::Devices) {
    let names = devices.interfaces.iter().map(|interface| &interface.alias);
    let names = names.chain(devices.hostdevs.iter().map(|hostdev| &hostdev.alias)).flatten();
    let mut taken: std::collections::BTreeSet<String> = names.map(|alias| alias.name.clone()).collect();
    for hostdev in devices.hostdevs.iter_mut().filter(|hostdev| hostdev.alias.is_none()) {
        let name = (0..).map(|number: u32| format!("hostdev{number}")).find(|name| !taken.contains(name));
        let name = name.unwrap_or_default();
        taken.insert(name.clone());
        hostdev.alias = named(name);
    }
}

/// Memory in a slot is named by it, other memory by its place among those of its model.
fn assign_memories(memories: &mut [MemoryDevice]) {
    let mut taken: std::collections::BTreeSet<String> =
        memories.iter().filter_map(|memory| memory.alias.as_ref()).map(|alias| alias.name.clone()).collect();
    for memory in memories.iter_mut().filter(|memory| memory.alias.is_none()) {
        let prefix = match memory.model {
            MemoryModel::Dimm => "dimm",
            MemoryModel::Nvdimm => "nvdimm",
            MemoryModel::VirtioPmem => "virtiopmem",
            MemoryModel::VirtioMem => "virtiomem",
            MemoryModel::SgxEpc => "epc",
        };
        let slot = match &memory.address {
            Some(Address::Dimm(place)) => place.slot,
            _ => None,
        };
        let name = match slot {
            Some(slot) => format!("{prefix}{slot}"),
            None => {
                let free = (0..).map(|number: u32| format!("{prefix}{number}")).find(|name| !taken.contains(name));
                free.unwrap_or_default()
            }
        };
        taken.insert(name.clone());
        memory.alias = named(name);
    }
}

/// Whether QEMU counts the machine's PCI buses; where there can be no more than one it has no number.
fn has_many_buses(domain: &Domain) -> bool {
    let os = &domain.os.r#type;
    let machine = os.machine.as_deref().unwrap_or_default();
    match os.arch.as_deref().unwrap_or_default() {
        "x86_64" | "i686" | "ppc" | "ppc64" | "ppc64le" | "s390x" => true,
        _ => machine == "virt" || machine.starts_with("virt-"),
    }
}

fn controller_alias(
    controller: &Controller,
    machine: Option<MachineFamily>,
    is_sparc: bool,
    has_buses: bool,
) -> String {
    let index = controller.index.unwrap_or(0);
    match (controller.r#type, controller.model) {
        (Kind::Pci, Some(Model::PcieRoot)) => format!("pcie.{index}"),
        (Kind::Pci, Some(Model::PciRoot)) if !has_buses => "pci".into(),
        (Kind::Pci, _) => format!("pci.{index}"),
        (Kind::Usb, _) if index == 0 => "usb".into(),
        (Kind::Sata, _) if index == 0 && machine == Some(MachineFamily::Q35) => "ide".into(),
        (Kind::Ide, _) if index == 0 && machine == Some(MachineFamily::I440fx) => "ide".into(),
        (Kind::Scsi, Some(Model::Ncr53c90)) if index == 0 && is_sparc => "scsi".into(),
        (kind, _) => format!("{kind}{index}"),
    }
}

fn disk_alias(disk: &Disk, controllers: &[Controller]) -> String {
    let number = target_number(&disk.name);
    let (Some(bus), Some(Address::Drive(drive))) = (disk.target.bus, &disk.address) else {
        return match disk.target.bus {
            Some(DiskBus::Usb) => format!("usb-disk{number}"),
            Some(DiskBus::Xen) => format!("xenblk-disk{number}"),
            Some(DiskBus::Sd) => format!("sd-disk{number}"),
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
pub(crate) fn target_number(name: &str) -> u32 {
    const PREFIXES: &[&str] = &["fd", "hd", "vd", "sd", "xvd", "ubd"];
    let letters = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or_default();
    let digit = |letter: u8| u32::from(letter.saturating_sub(b'a')) + 1;
    letters.bytes().fold(0_u32, |number, letter| number.wrapping_mul(26).wrapping_add(digit(letter))).saturating_sub(1)
}
