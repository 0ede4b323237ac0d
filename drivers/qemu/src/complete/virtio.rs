//! On which bus a machine's virtio devices sit, where it is not PCI: channels of s390, or the memory bus.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, CcwAddress, ControllerKind, ControllerModel as Model, DiskBus, FilesystemSource, HostdevSource, InputBus,
    MemballoonModel, MemoryModel, MmioAddress, VideoKind, VirtioModel,
};
use ostler_conf::values::Hex;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::machine::{Arch, arch};
use super::{Host, MachineFamily, machine};
use crate::probe::Flag;

/// The only channel subsystem that virtio devices have.
const CSSID: u32 = 0xfe;

/// Gives virtio devices without an address one on the machine's own bus.
pub(super) fn assign(domain: &mut Domain, host: &Host) -> Result<()> {
    if arch(domain) == Arch::S390 && host.capabilities.has(Flag::VirtioCcw) {
        return assign_ccw(domain);
    }
    // A microvm has nothing else, where no PCI was asked for.
    let mut has_mmio = machine(domain) == MachineFamily::Microvm
        && !domain.devices.controllers.iter().any(|controller| controller.r#type == ControllerKind::Pci);
    visit(domain, &mut |_, address| has_mmio |= matches!(address, Some(Address::VirtioMmio(_))));
    if has_mmio {
        // Where one device is there, so are the others.
        assign_mmio(domain, host);
    }
    Ok(())
}

/// Devices that have found no other bus sit on the memory bus.
pub(super) fn assign_mmio(domain: &mut Domain, host: &Host) {
    let name = domain.os.r#type.machine.as_deref().unwrap_or_default();
    let is_arm = matches!(arch(domain), Arch::Aarch64 | Arch::Arm)
        && (name.starts_with("vexpress-") || machine(domain) == MachineFamily::ArmVirt);
    let is_there = is_arm || matches!(machine(domain), MachineFamily::RiscvVirt | MachineFamily::Microvm);
    if is_there && host.capabilities.has(Flag::VirtioMmio) {
        visit(domain, &mut |_, address| {
            if address.is_none() {
                *address = Some(Address::VirtioMmio(MmioAddress {}));
            }
        });
    }
}

/// Visits virtio devices that may sit there, in the order in which libvirt gives addresses.
fn visit(domain: &mut Domain, visitor: &mut dyn FnMut(&str, &mut Option<Address>)) {
    let devices = &mut domain.devices;
    macro_rules! visit {
        ($list:ident, $is_virtio:expr) => {
            for device in &mut devices.$list {
                if $is_virtio(&*device) {
                    let path = format!(concat!("devices.", stringify!($list), "[{}].address"), device.name);
                    visitor(&path, &mut device.address);
                }
            }
        };
    }
    visit!(disks, |disk: &ostler_conf::domain::Disk| disk.target.bus == Some(DiskBus::Virtio));
    visit!(interfaces, |nic: &ostler_conf::domain::Interface| nic
        .model
        .as_ref()
        .is_some_and(|model| model.r#type.starts_with("virtio")));
    visit!(videos, |video: &ostler_conf::domain::Video| video
        .model
        .as_ref()
        .is_some_and(|model| model.r#type == VideoKind::Virtio));
    visit!(hostdevs, |hostdev: &ostler_conf::domain::Hostdev| match &hostdev.source {
        HostdevSource::ScsiHost(_) => true,
        HostdevSource::Mdev(_) => hostdev.model.as_deref() == Some("vfio-ccw"),
        _ => false,
    });
    visit!(filesystems, |fs: &ostler_conf::domain::Filesystem| matches!(
        fs.source,
        FilesystemSource::Mount(_) | FilesystemSource::Volume(_)
    ));
    for controller in &mut devices.controllers {
        let is_virtio = match controller.r#type {
            ControllerKind::VirtioSerial => true,
            ControllerKind::Scsi => matches!(
                controller.model,
                Some(Model::VirtioScsi | Model::VirtioTransitional | Model::VirtioNonTransitional)
            ),
            _ => false,
        };
        if is_virtio {
            visitor("devices.controllers", &mut controller.address);
        }
    }
    visit!(inputs, |input: &ostler_conf::domain::Input| input.bus == Some(InputBus::Virtio));
    if let Some(balloon) = devices
        .memballoon
        .as_mut()
        .filter(|balloon| !matches!(balloon.model, MemballoonModel::None | MemballoonModel::Xen))
    {
        visitor("devices.memballoon.address", &mut balloon.address);
    }
    visit!(rngs, |rng: &ostler_conf::domain::Rng| rng.model != VirtioModel::Transitional);
    visit!(memories, |memory: &ostler_conf::domain::MemoryDevice| memory.model == MemoryModel::VirtioMem);
    if let Some(vsock) = &mut devices.vsock {
        visitor("devices.vsock.address", &mut vsock.address);
    }
    visit!(cryptos, |_: &ostler_conf::domain::Crypto| true);
}

/// Device numbers are counted from 0, leaving out those that are given.
fn assign_ccw(domain: &mut Domain) -> Result<()> {
    let mut taken: BTreeSet<(u32, u32, u32)> = BTreeSet::new();
    let mut result = Ok(());
    for console in &domain.devices.consoles {
        if let Some(Address::Ccw(CcwAddress { cssid: Some(cssid), ssid, devno: Some(devno) })) = &console.address {
            taken.insert((cssid.0, ssid.map_or(0, |ssid| ssid.0), devno.0));
        }
    }
    visit(domain, &mut |path, address| {
        if let Some(Address::Ccw(CcwAddress { cssid: Some(cssid), ssid, devno: Some(devno) })) = address
            && !taken.insert((cssid.0, ssid.map_or(0, |ssid| ssid.0), devno.0))
        {
            let message = format!("the device number {:#06x} is another device's already", devno.0);
            result = Err(Error::new(ErrorCode::XmlError, message).at(path));
        }
    });
    result?;
    let mut numbers = 0_u32..=0xffff;
    visit(domain, &mut |_, address| {
        let is_open = match address {
            None => true,
            Some(Address::Ccw(address)) => address.devno.is_none(),
            Some(_) => false,
        };
        if is_open && let Some(devno) = numbers.find(|devno| taken.insert((CSSID, 0, *devno))) {
            let (cssid, ssid) = (Some(Hex(CSSID)), Some(Hex(0)));
            *address = Some(Address::Ccw(CcwAddress { cssid, ssid, devno: Some(Hex(devno)) }));
        }
    });
    Ok(())
}
