//! The names by which a running QEMU knows its devices, as libvirt makes them.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Alias, ConsoleTargetKind, Controller, ControllerKind as Kind, ControllerModel as Model, Disk, DiskBus,
    DriveAddress, InterfaceSource, MemballoonModel, MemoryDevice, MemoryModel,
};

use crate::complete::{MachineFamily, family};

/// Gives every device without an alias one.
pub(crate) fn assign(domain: &mut Domain) {
    let names: Vec<String> = domain.devices.controllers.iter().map(|it| own_name(domain, it)).collect();
    let devices = &mut domain.devices;
    for (controller, name) in devices.controllers.iter_mut().zip(names) {
        controller.alias.get_or_insert(Alias { name });
    }
    let controllers = devices.controllers.clone();
    for disk in &mut devices.disks {
        if disk.alias.is_none() {
            disk.alias = named(disk_alias(disk, &controllers));
        }
    }
    // Some are counted on from the highest number that is taken, the others by their place.
    macro_rules! count_on {
        ($($list:ident: $prefix:literal),*) => { $(for at in 0..devices.$list.len() {
            if devices.$list[at].alias.is_none() {
                devices.$list[at].alias = named(next($prefix, devices.$list.iter().map(|device| &device.alias)));
            }
        })* };
    }
    macro_rules! number {
        ($($list:ident: $prefix:literal),*) => { $(for (at, device) in devices.$list.iter_mut().enumerate() {
            device.alias.get_or_insert_with(|| Alias { name: format!(concat!($prefix, "{}"), at) });
        })* };
    }
    assign_interfaces(devices);
    assign_hostdevs(devices);
    count_on!(filesystems: "fs", redirdevs: "redir", serials: "serial", parallels: "parallel", channels: "channel");
    count_on!(inputs: "input", rngs: "rng");
    number!(sounds: "sound", videos: "video", hubs: "hub", shmems: "shmem", smartcards: "smartcard", tpms: "tpm");
    number!(watchdogs: "watchdog", panics: "panic", cryptos: "crypto");
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

/// The name after the highest of those with this beginning.
fn next<'a>(prefix: &str, taken: impl Iterator<Item = &'a Option<Alias>>) -> String {
    let number = |alias: &Alias| alias.name.strip_prefix(prefix)?.parse::<u32>().ok();
    let highest = taken.flatten().filter_map(number).max();
    format!("{prefix}{}", highest.map_or(0, |highest| highest.saturating_add(1)))
}

/// An interface that is a device of the host counts as one.
fn assign_interfaces(devices: &mut ostler_conf::domain::Devices) {
    for at in 0..devices.interfaces.len() {
        if devices.interfaces[at].alias.is_none() {
            let interfaces = devices.interfaces.iter().map(|interface| &interface.alias);
            let name = match devices.interfaces[at].source {
                InterfaceSource::Hostdev(_) => {
                    next("hostdev", interfaces.chain(devices.hostdevs.iter().map(|hostdev| &hostdev.alias)))
                }
                _ => next("net", interfaces),
            };
            devices.interfaces[at].alias = named(name);
        }
    }
}

/// Devices of the host are counted on from interfaces that are some.
fn assign_hostdevs(devices: &mut ostler_conf::domain::Devices) {
    for at in 0..devices.hostdevs.len() {
        if devices.hostdevs[at].alias.is_none() {
            let interfaces = devices.interfaces.iter().map(|interface| &interface.alias);
            let name = next("hostdev", interfaces.chain(devices.hostdevs.iter().map(|hostdev| &hostdev.alias)));
            devices.hostdevs[at].alias = named(name);
        }
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

/// The name of a controller that has none of its users'.
pub(crate) fn own_name(domain: &Domain, controller: &Controller) -> String {
    let machine = domain.os.r#type.machine.as_deref().and_then(family);
    let is_sparc = domain.os.r#type.arch.as_deref() == Some("sparc");
    let index = controller.index.unwrap_or(0);
    match (controller.r#type, controller.model) {
        (Kind::Pci, Some(Model::PcieRoot)) => format!("pcie.{index}"),
        (Kind::Pci, Some(Model::PciRoot)) if !has_many_buses(domain) => "pci".into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complete::tests::domain;

    #[test]
    fn some_are_counted_on_and_others_by_their_place() {
        let mut domain = domain(
            "<domain type='qemu'><name>a</name><memory>1</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
                <controller type='pci' index='0' model='pcie-root'/>
                <interface type='user'><alias name='net4'/></interface><interface type='user'/>
                <sound model='ac97'><alias name='ua-s'/></sound><sound model='ac97'/>
                <rng model='virtio'><backend model='builtin'/><alias name='ua-r'/></rng>
                <rng model='virtio'><backend model='builtin'/></rng>
            </devices></domain>",
        );
        assign(&mut domain);
        let name = |alias: &Option<Alias>| alias.as_ref().map(|alias| alias.name.clone()).unwrap_or_default();
        assert_eq!(name(&domain.devices.controllers[0].alias), "pcie.0");
        assert_eq!(name(&domain.devices.interfaces[1].alias), "net5");
        assert_eq!(name(&domain.devices.sounds[1].alias), "sound1");
        assert_eq!(name(&domain.devices.rngs[1].alias), "rng0");
    }
}
