//! The device that the guest sees.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, ControllerKind as Kind, ControllerModel, Disk, DiskBus, DiskCache, DiskDevice, DiskErrorPolicy,
    DiskSource, DriveAddress, GeometryTranslation,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::super::{Props, alias, virtio};
use super::layers::cache_mode;
use crate::probe::{Capabilities, Flag};

/// What a device stands on and is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat<'a> {
    /// The topmost node; none in an empty drive.
    pub(crate) node: Option<String>,
    /// Its place in the boot order.
    pub(crate) boot: Option<u32>,
    /// The parameter of its boot loader.
    pub(crate) loadparm: Option<&'a str>,
    /// Whether virtio disks can pass SCSI commands, and whether they would if nothing was said.
    pub(crate) scsi_passthrough: Option<bool>,
}

/// What an emulator does about SCSI commands to virtio disks; `None`: it has no word for it.
pub(super) fn scsi_passthrough(capabilities: &Capabilities) -> Option<bool> {
    let has_word = capabilities.has(Flag::VirtioBlkPciScsi);
    has_word.then(|| !capabilities.has(Flag::VirtioBlkPciScsiDefaultDisabled))
}

/// The properties of a disk's device.
///
/// # Errors
/// A bus that QEMU's machines have no such disks on; an address of the wrong kind.
pub(crate) fn device(domain: &Domain, disk: &Disk, seat: &Seat<'_>) -> Result<Props> {
    let unsupported = |what: &str| {
        Error::new(ErrorCode::ConfigUnsupported, format!("QEMU has no {what}"))
            .at(format!("devices.disks[{}].target.bus", disk.name))
    };
    let bus = disk.target.bus.ok_or_else(|| unsupported("disk without a bus"))?;
    let is_vhost_user = matches!(disk.source, Some(DiskSource::Vhostuser(_)));
    let props = match bus {
        DiskBus::Virtio => virtio_disk(domain, disk, seat, is_vhost_user)?,
        DiskBus::Usb => Props::driver("usb-storage").address(domain, &disk.address)?.acpi_index(disk.acpi.as_ref()),
        DiskBus::Ide | DiskBus::Sata | DiskBus::Scsi | DiskBus::Fdc => on_controller(domain, disk, bus)?,
        DiskBus::Xen | DiskBus::Uml | DiskBus::Sd | DiskBus::Nvme => {
            return Err(unsupported(&format!("device for a disk on the bus '{bus}'")));
        }
    };
    let driver = disk.driver.as_ref();
    let blockio = disk.blockio.as_ref();
    let geometry = disk.geometry.as_ref();
    let positive = |value: Option<u32>| value.filter(|value| *value > 0);
    let write_cache = cache_mode(disk)
        .map(|mode| if matches!(mode, DiskCache::Writethrough | DiskCache::Directsync) { "off" } else { "on" });
    let product = if matches!(bus, DiskBus::Ide | DiskBus::Sata) { "model" } else { "product" };
    // A stick can be taken out or not; nothing said, it can't.
    let removable = match bus {
        DiskBus::Usb => Some(disk.target.removable.is_some_and(|on| on.0)),
        _ => disk.target.removable.map(|on| on.0),
    };
    let translation = geometry.and_then(|geometry| geometry.trans).map(GeometryTranslation::word);
    let policy = |policy: Option<DiskErrorPolicy>| policy.map(error_policy);
    let chardev = is_vhost_user.then(|| format!("chr-vu-{}", alias(&disk.alias)));
    let wwn = disk.wwn.as_deref().and_then(|wwn| u64::from_str_radix(wwn.trim_start_matches("0x"), 16).ok());
    Ok(props
        .maybe("share-rw", disk.shareable.then_some(true))
        .maybe("drive", seat.node.clone())
        .maybe("chardev", chardev)
        .put("id", alias(&disk.alias))
        .maybe("bootindex", seat.boot.filter(|_| bus != DiskBus::Fdc))
        .maybe("loadparm", seat.loadparm)
        .maybe("logical_block_size", positive(blockio.and_then(|blockio| blockio.logical_block_size)))
        .maybe("physical_block_size", positive(blockio.and_then(|blockio| blockio.physical_block_size)))
        .maybe("discard_granularity", blockio.and_then(|blockio| blockio.discard_granularity))
        .maybe("wwn", wwn)
        .maybe("rotation_rate", positive(disk.target.rotation_rate))
        .maybe("vendor", disk.vendor.as_deref())
        .maybe(product, disk.product.as_deref())
        .maybe("removable", removable)
        .maybe("write-cache", write_cache)
        .maybe("cyls", geometry.map(|geometry| geometry.cyls))
        .maybe("heads", geometry.map(|geometry| geometry.heads))
        .maybe("secs", geometry.map(|geometry| geometry.secs))
        .maybe("bios-chs-trans", translation)
        .maybe("serial", disk.serial.as_deref())
        .maybe("werror", policy(driver.and_then(|driver| driver.error_policy)))
        .maybe("rerror", rerror(disk)))
}

fn error_policy(policy: DiskErrorPolicy) -> &'static str {
    match policy {
        DiskErrorPolicy::Stop => "stop",
        DiskErrorPolicy::Report => "report",
        DiskErrorPolicy::Ignore => "ignore",
        DiskErrorPolicy::Enospace => "enospc",
    }
}

/// Reads fail as writes do where nothing else is said; that the host is full can't befall them.
fn rerror(disk: &Disk) -> Option<&'static str> {
    let driver = disk.driver.as_ref()?;
    let as_writes = driver.error_policy.filter(|policy| *policy != DiskErrorPolicy::Enospace);
    driver.rerror_policy.or(as_writes).map(error_policy)
}

fn virtio_disk(domain: &Domain, disk: &Disk, seat: &Seat<'_>, is_vhost_user: bool) -> Result<Props> {
    let driver = disk.driver.as_ref();
    let base = if is_vhost_user { "vhost-user-blk" } else { "virtio-blk" };
    let is_lun = disk.device() == DiskDevice::Lun;
    let scsi = seat.scsi_passthrough.and_then(|is_default| (is_lun || is_default).then_some(is_lun));
    let iothread = driver.and_then(|driver| driver.iothread).filter(|number| *number > 0);
    let mapping = driver.and_then(|driver| driver.iothreads.as_ref()).map(|threads| {
        let thread = |thread: &ostler_conf::domain::DiskIothread| {
            let mut entry = json!({ "iothread": format!("iothread{}", thread.id) });
            if !thread.queues.is_empty() {
                entry["vqs"] = json!(thread.queues.iter().map(|queue| queue.id).collect::<Vec<u32>>());
            }
            entry
        };
        Value::from(threads.iothreads.iter().map(thread).collect::<Vec<Value>>())
    });
    Ok(virtio::device(base, disk.model, &disk.address, driver.map(|driver| &driver.virtio))
        .maybe("iothread", iothread.map(|number| format!("iothread{number}")))
        .maybe("ioeventfd", driver.and_then(|driver| driver.ioeventfd).map(|on| on.0))
        .maybe("event_idx", driver.and_then(|driver| driver.event_idx).map(|on| on.0))
        .maybe("scsi", scsi)
        .maybe("num-queues", driver.and_then(|driver| driver.queues).filter(|queues| *queues > 0))
        .maybe("queue-size", driver.and_then(|driver| driver.queue_size).filter(|size| *size > 0))
        .maybe("iothread-vq-mapping", mapping)
        .address(domain, &disk.address)?
        .acpi_index(disk.acpi.as_ref()))
}

/// A place on a controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drive {
    pub(super) controller: u32,
    pub(super) bus: u32,
    pub(super) target: u32,
    pub(super) unit: u32,
}

pub(super) fn drive(disk: &Disk) -> Option<Drive> {
    let Some(Address::Drive(DriveAddress { controller, bus, target, unit })) = &disk.address else { return None };
    let part = |value: &Option<u32>| value.unwrap_or(0);
    Some(Drive { controller: part(controller), bus: part(bus), target: part(target), unit: part(unit) })
}

/// The first properties of a disk whose address is a drive's.
fn on_controller(domain: &Domain, disk: &Disk, bus: DiskBus) -> Result<Props> {
    let Some(Drive { controller, bus: line, target, unit }) = drive(disk) else {
        let message = format!("the disk '{}' has no address of type 'drive'", disk.name);
        return Err(Error::new(ErrorCode::InternalError, message).at(format!("devices.disks[{}].address", disk.name)));
    };
    let kind = |hd: &'static str, cd: &'static str| if disk.device() == DiskDevice::Cdrom { cd } else { hd };
    let name_of = |kind| super::super::address::controller(domain, kind, controller);
    Ok(match bus {
        DiskBus::Ide => {
            // A board may have a controller that no definition tells of.
            let name = name_of(Kind::Ide).unwrap_or_else(|_| "ide".to_owned());
            Props::driver(kind("ide-hd", "ide-cd")).put("bus", format!("{name}.{line}")).put("unit", unit)
        }
        DiskBus::Sata => Props::driver(kind("ide-hd", "ide-cd")).put("bus", format!("{}.{unit}", name_of(Kind::Sata)?)),
        DiskBus::Fdc => Props::driver("floppy").put("unit", unit),
        _ => {
            let driver = if disk.device() == DiskDevice::Lun { "scsi-block" } else { kind("scsi-hd", "scsi-cd") };
            let model = crate::alias::scsi_model(&domain.devices.controllers, controller);
            let props = on_scsi(
                Props::driver(driver).put("bus", format!("{}.0", name_of(Kind::Scsi)?)),
                model,
                [line, target, unit],
            );
            if disk.device() == DiskDevice::Lun {
                return Ok(props);
            }
            let identity = disk.serial.clone().unwrap_or_else(|| format!("drive-{}", alias(&disk.alias)));
            props.put("device_id", identity)
        }
    })
}

/// A place on a SCSI bus. The narrow controllers know units only.
pub(crate) fn on_scsi(props: Props, model: Option<ControllerModel>, [line, target, unit]: [u32; 3]) -> Props {
    match model {
        Some(
            ControllerModel::Lsilogic
            | ControllerModel::Buslogic
            | ControllerModel::Ncr53c90
            | ControllerModel::Dc390
            | ControllerModel::Am53c974,
        ) => props.put("scsi-id", unit),
        _ => props.put("channel", line).put("scsi-id", target).put("lun", unit),
    }
}
