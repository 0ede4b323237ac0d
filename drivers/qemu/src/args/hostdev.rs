//! `<hostdev>`: devices of the host.

use ostler_conf::domain::{
    Address, DiskSource, GuestReset, Hostdev, HostdevSource, NetworkDiskSource, NetworkProtocol, PciHostdev,
    ScsiHostdev, SourceCommon, Teaming, UsbHostdev, VirtioModel,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::block::{Access, Layer, Names};
use super::disk::{layer_objects, on_scsi};
use super::{Args, Props, Setup, address, alias, disk, virtio};
use crate::probe::Flag;

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    super::interface::hostdevs(setup, args)?;
    let mut number = disk::numbers(setup);
    for hostdev in &setup.domain.devices.hostdevs {
        // What sits nowhere is reserved for the guest, and not given to it.
        if matches!(hostdev.address, Some(Address::Unassigned(_))) {
            continue;
        }
        let boot = hostdev.boot.as_ref().map(|boot| boot.order);
        match &hostdev.source {
            HostdevSource::Pci(_) => pci(setup, args, hostdev, boot)?,
            HostdevSource::Usb(source) => usb(setup, args, hostdev, source, boot)?,
            HostdevSource::Scsi(source) => {
                number += 1;
                scsi(setup, args, hostdev, source, number, boot)?;
            }
            HostdevSource::ScsiHost(source) => {
                let vhost = setup.runtime.vhost_scsi.get(alias(&hostdev.alias)).map(i32::to_string);
                let props = virtio::device("vhost-scsi", generation(hostdev), &hostdev.address, None)
                    .maybe("wwpn", source.wwpn.as_deref())
                    .maybe("vhostfd", vhost)
                    .put("id", alias(&hostdev.alias))
                    .address(setup.domain, &hostdev.address)?;
                args.zpci(setup, &hostdev.address, &hostdev.alias);
                args.device(setup, props);
            }
            HostdevSource::Mdev(source) => mediated(setup, args, hostdev, source.uuid, boot)?,
            HostdevSource::Storage(_) | HostdevSource::Misc(_) | HostdevSource::Net(_) => {
                let message = "QEMU's guests can't be given a device as containers are";
                return Err(Error::new(ErrorCode::ConfigUnsupported, message)
                    .at(format!("devices.hostdevs[{}].source", hostdev.name)));
            }
        }
    }
    Ok(())
}

fn generation(hostdev: &Hostdev) -> Option<VirtioModel> {
    match hostdev.model.as_deref() {
        Some("virtio-transitional") => Some(VirtioModel::Transitional),
        Some("virtio-non-transitional") => Some(VirtioModel::NonTransitional),
        _ => None,
    }
}

/// A device with a ROM.
pub(super) trait Rom {
    /// Adds what is said of the ROM.
    fn rom(self, rom: Option<&ostler_conf::domain::Rom>) -> Self;
}

impl Rom for Props {
    fn rom(self, rom: Option<&ostler_conf::domain::Rom>) -> Self {
        let Some(rom) = rom else { return self };
        if rom.enabled.is_some_and(|enabled| !enabled.0) {
            return self.put("romfile", "");
        }
        self.maybe("rombar", rom.bar.map(|on| u8::from(on.0))).maybe("romfile", rom.file.as_deref())
    }
}

/// A device on PCI.
pub(super) fn pci(setup: &Setup<'_>, args: &mut Args, hostdev: &Hostdev, boot: Option<u32>) -> Result<()> {
    let HostdevSource::Pci(PciHostdev { address: host, .. }) = &hostdev.source else { return Ok(()) };
    let (domain, bus, slot, function) = host.key();
    let has_screen = hostdev.ramfb.is_some_and(|on| on.0);
    let pair = match &hostdev.teaming {
        Some(Teaming::Transient(half)) => Some(half.persistent.as_str()),
        Some(Teaming::Persistent(_)) | None => None,
    };
    let props = Props::driver(if has_screen { "vfio-pci-nohotplug" } else { "vfio-pci" })
        .put("host", format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"))
        .put("id", alias(&hostdev.alias))
        .maybe("bootindex", boot)
        .maybe("failover_pair_id", pair)
        .maybe("display", hostdev.display.map(|on| super::on_off(on.0)))
        .maybe("ramfb", has_screen.then_some(true))
        .address(setup.domain, &hostdev.address)?
        .acpi_index(hostdev.acpi.as_ref())
        .rom(hostdev.rom.as_ref());
    args.zpci(setup, &hostdev.address, &hostdev.alias);
    args.device(setup, props);
    Ok(())
}

fn usb(setup: &Setup<'_>, args: &mut Args, hostdev: &Hostdev, source: &UsbHostdev, boot: Option<u32>) -> Result<()> {
    let named = source.address.as_ref().and_then(|address| Some((address.bus.0, address.device?.0)));
    let place = setup.runtime.usb.get(alias(&hostdev.alias)).copied().or(named);
    let path = place.map(|(bus, device)| format!("/dev/bus/usb/{bus:03}/{device:03}"));
    let resets = match source.guest_reset {
        None => (None, None),
        Some(GuestReset::Off) => (Some(false), None),
        Some(GuestReset::Uninitialized) => (Some(true), Some(false)),
        Some(GuestReset::On) => (Some(true), Some(true)),
    };
    let all = resets.1.filter(|_| setup.capabilities.has(Flag::UsbHostGuestResetsAll));
    let props = Props::driver("usb-host")
        .maybe("hostdevice", path)
        .put("id", alias(&hostdev.alias))
        .maybe("guest-reset", resets.0)
        .maybe("guest-resets-all", all)
        .maybe("bootindex", boot)
        .address(setup.domain, &hostdev.address)?;
    args.device(setup, props);
    Ok(())
}

fn scsi(
    setup: &Setup<'_>,
    args: &mut Args,
    hostdev: &Hostdev,
    source: &ScsiHostdev,
    number: usize,
    boot: Option<u32>,
) -> Result<()> {
    let storage = format!("libvirt-{number}-backend");
    let common = SourceCommon { auth: source.auth.clone(), ..SourceCommon::default() };
    let is_iscsi = source.adapter.is_none();
    let held = if is_iscsi {
        DiskSource::Network(NetworkDiskSource {
            name: source.name.clone(),
            hosts: source.hosts.clone(),
            initiator: source.initiator.clone(),
            common,
            ..NetworkDiskSource::new(NetworkProtocol::Iscsi)
        })
    } else {
        let generic = setup.runtime.scsi_generic.get(alias(&hostdev.alias)).ok_or_else(|| {
            let message = format!("the SCSI device of '{}' was not found", hostdev.name);
            Error::new(ErrorCode::InternalError, message).at(format!("devices.hostdevs[{}].source", hostdev.name))
        })?;
        DiskSource::Block(ostler_conf::domain::BlockSource { dev: Some(format!("/dev/{generic}")), common })
    };
    let names = Names { auth: source.auth.as_ref().map(|_| format!("{storage}-secret0")), storage, ..Names::default() };
    let layer = Layer {
        source: held,
        format: ostler_conf::domain::ImageFormatName::Raw,
        access: Access { read_only: hostdev.readonly, ..Access::default() },
        names,
        data: None,
    };
    layer_objects(setup, args, &layer)?;
    args.json("-blockdev", &layer.storage_node()?);
    let Some(Address::Drive(drive)) = &hostdev.address else {
        let message = format!("the device '{}' has no address of type 'drive'", hostdev.name);
        return Err(Error::new(ErrorCode::InternalError, message));
    };
    let part = |value: Option<u32>| value.unwrap_or(0);
    let controllers = &setup.domain.devices.controllers;
    let model = crate::alias::scsi_model(controllers, part(drive.controller));
    let bus = address::controller(setup.domain, ostler_conf::domain::ControllerKind::Scsi, part(drive.controller))?;
    let props = Props::driver("scsi-generic")
        .put("drive", layer.top())
        .put("id", alias(&hostdev.alias))
        .maybe("bootindex", boot)
        .put("bus", format!("{bus}.0"));
    args.device(setup, on_scsi(props, model, [part(drive.bus), part(drive.target), part(drive.unit)]));
    Ok(())
}

/// A mediated device; its model says what the guest sees.
fn mediated(setup: &Setup<'_>, args: &mut Args, hostdev: &Hostdev, uuid: uuid::Uuid, boot: Option<u32>) -> Result<()> {
    let has_screen = hostdev.ramfb.is_some_and(|on| on.0);
    let driver = match hostdev.model.as_deref() {
        Some("vfio-pci") | None if has_screen => "vfio-pci-nohotplug",
        None => "vfio-pci",
        Some(model) => model,
    };
    let props = Props::driver(driver)
        .put("id", alias(&hostdev.alias))
        .put("sysfsdev", format!("/sys/bus/mdev/devices/{uuid}"))
        .maybe("display", hostdev.display.map(|on| super::on_off(on.0)))
        .maybe("ramfb", has_screen.then_some(true))
        .maybe("bootindex", boot)
        .address(setup.domain, &hostdev.address)?
        .acpi_index(hostdev.acpi.as_ref());
    args.zpci(setup, &hostdev.address, &hostdev.alias);
    args.device(setup, props);
    Ok(())
}
