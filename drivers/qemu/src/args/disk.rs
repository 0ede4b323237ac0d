//! `<disk>`: the nodes of its image's chain, and the device on top.

use std::collections::BTreeMap;

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, ControllerModel, Disk, DiskBus, DiskCache, DiskDetectZeroes, DiskDevice, DiskDiscard, DiskErrorPolicy,
    DiskIo, DriveAddress, Tray,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::{Args, Chain, Image, Runtime, Setup, address, alias, object};
use crate::complete::{MachineFamily, family};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Setup { domain, runtime, boot, .. } = setup;
    let first = first_numbers(domain, runtime);
    for (at, disk) in domain.devices.disks.iter().enumerate() {
        let nodes = chain(disk, runtime).map(|chain| nodes(disk, chain, first[at])).unwrap_or_default();
        for node in nodes.iter().rev() {
            args.json("-blockdev", node);
        }
        let top = nodes.first().and_then(|node| node["node-name"].as_str());
        let device = device(domain, disk, top, boot.disk(at))?;
        args.device(setup, device.into());
    }
    Ok(())
}

/// The nodes of each disk, top first, by its alias.
pub(crate) fn node_names(domain: &Domain, runtime: &Runtime) -> BTreeMap<String, Vec<String>> {
    let first = first_numbers(domain, runtime);
    let names = |(disk, first): (&Disk, &usize)| {
        let nodes = nodes(disk, chain(disk, runtime)?, *first);
        let names = nodes.iter().filter_map(|node| node["node-name"].as_str().map(str::to_owned)).collect();
        Some((alias(&disk.alias).to_owned(), names))
    };
    domain.devices.disks.iter().zip(&first).filter_map(names).collect()
}

/// An open tray holds nothing.
fn chain<'a>(disk: &Disk, runtime: &'a Runtime) -> Option<&'a Chain> {
    runtime.images.get(&disk.name).filter(|_| disk.target.tray != Some(Tray::Open))
}

/// Nodes are numbered from the last disk to the first, each chain from its top. An empty drive takes a number as well.
fn first_numbers(domain: &Domain, runtime: &Runtime) -> Vec<usize> {
    let mut next = 1;
    let mut first: Vec<usize> = domain
        .devices
        .disks
        .iter()
        .rev()
        .map(|disk| {
            let number = next;
            next += chain(disk, runtime).map_or(1, |chain| chain.images.len());
            number
        })
        .collect();
    first.reverse();
    first
}

/// The nodes of a chain, top first: for each image its format's, and below that its storage's.
pub(crate) fn nodes(disk: &Disk, chain: &Chain, first: usize) -> Vec<Value> {
    let mut nodes = Vec::new();
    for (depth, image) in chain.images.iter().enumerate() {
        let number = first + depth;
        let read_only = depth > 0 || disk.readonly;
        let has_format = image.format != "raw";
        if has_format {
            let below = chain.images.get(depth + 1).map(|below| {
                json!(format!("libvirt-{}-{}", number + 1, if below.format == "raw" { "storage" } else { "format" }))
            });
            let mut node = format_node(disk, image, number, read_only, depth == 0);
            if can_have_backing(&image.format) && (below.is_some() || chain.is_whole) {
                node["backing"] = below.unwrap_or(Value::Null);
            }
            nodes.push(node);
        }
        nodes.push(storage_node(disk, image, number, read_only, depth == 0, has_format));
    }
    nodes
}

fn format_node(disk: &Disk, image: &Image, number: usize, read_only: bool, is_top: bool) -> Value {
    let mut members = vec![("node-name", json!(format!("libvirt-{number}-format"))), ("read-only", json!(read_only))];
    if is_top {
        members.extend([("discard", discard(disk)), ("detect-zeroes", detect_zeroes(disk))]);
    }
    members.extend([
        ("cache", cache(disk)),
        ("driver", json!(image.format)),
        ("file", json!(format!("libvirt-{number}-storage"))),
    ]);
    object(members)
}

fn can_have_backing(format: &str) -> bool {
    matches!(format, "qcow2" | "qcow" | "qed" | "vmdk")
}

fn storage_node(disk: &Disk, image: &Image, number: usize, read_only: bool, is_top: bool, has_format: bool) -> Value {
    let driver = disk.driver.as_ref();
    let aio = driver.and_then(|driver| driver.io).map(|io| match io {
        DiskIo::Native => "native",
        DiskIo::Threads => "threads",
        DiskIo::IoUring => "io_uring",
    });
    let kind = match (image.is_block, disk.device()) {
        (true, DiskDevice::Cdrom) if image.path.starts_with("/dev/cdrom") || image.path.starts_with("/dev/sr0") => {
            "host_cdrom"
        }
        (true, _) => "host_device",
        (false, _) => "file",
    };
    let mut members = vec![
        ("driver", json!(kind)),
        ("filename", json!(image.path.to_string_lossy())),
        ("aio", json!(aio)),
        ("node-name", json!(format!("libvirt-{number}-storage"))),
    ];
    if has_format {
        members.extend([("auto-read-only", json!(true)), ("discard", json!("unmap"))]);
    } else {
        members.push(("read-only", json!(read_only)));
        if is_top {
            members.extend([("discard", discard(disk)), ("detect-zeroes", detect_zeroes(disk))]);
        }
    }
    members.push(("cache", cache(disk)));
    object(members)
}

fn discard(disk: &Disk) -> Value {
    json!(disk.driver.as_ref().and_then(|driver| driver.discard).map(DiskDiscard::word))
}

fn detect_zeroes(disk: &Disk) -> Value {
    let wanted = disk.driver.as_ref().and_then(|driver| driver.detect_zeroes);
    let discards = disk.driver.as_ref().and_then(|driver| driver.discard) == Some(DiskDiscard::Unmap);
    // Zeroes can be discarded only where discards reach the image.
    json!(wanted.map(|wanted| if wanted == DiskDetectZeroes::Unmap && !discards { "on" } else { wanted.word() }))
}

/// An image that others write to must not be cached on this host.
fn cache_mode(disk: &Disk) -> Option<DiskCache> {
    let given = disk.driver.as_ref().and_then(|driver| driver.cache).filter(|cache| *cache != DiskCache::Default);
    given.or(if disk.shareable && !disk.readonly { Some(DiskCache::None) } else { None })
}

fn cache(disk: &Disk) -> Value {
    let Some(mode) = cache_mode(disk) else { return Value::Null };
    let direct = matches!(mode, DiskCache::None | DiskCache::Directsync);
    json!({ "direct": direct, "no-flush": mode == DiskCache::Unsafe })
}

/// The device that the guest sees.
pub(crate) fn device(domain: &Domain, disk: &Disk, node: Option<&str>, boot: Option<u32>) -> Result<Value> {
    let unsupported = |what: &str| {
        Error::new(ErrorCode::ConfigUnsupported, format!("QEMU has no {what}"))
            .at(format!("devices.disks[{}].target.bus", disk.name))
    };
    let bus = disk.target.bus.ok_or_else(|| unsupported("disk without a bus"))?;
    let driver = disk.driver.as_ref();
    let mut members = Vec::new();
    match bus {
        DiskBus::Virtio => {
            members.push(("driver", json!("virtio-blk-pci")));
            members.push(("num-queues", json!(driver.and_then(|driver| driver.queues))));
            members.extend(address::members(domain, &disk.address)?);
        }
        DiskBus::Usb => {
            members.push(("driver", json!("usb-storage")));
            members.extend(address::members(domain, &disk.address)?);
        }
        DiskBus::Ide | DiskBus::Sata | DiskBus::Scsi | DiskBus::Fdc => members.extend(drive(domain, disk, bus)?),
        DiskBus::Xen | DiskBus::Uml | DiskBus::Sd | DiskBus::Nvme => {
            return Err(unsupported(&format!("disk on the bus '{bus}'")));
        }
    }
    let write_cache = cache_mode(disk)
        .map(|mode| if matches!(mode, DiskCache::Writethrough | DiskCache::Directsync) { "off" } else { "on" });
    let policy = |policy: Option<DiskErrorPolicy>| json!(policy.map(error_policy));
    members.extend([
        ("share-rw", json!(disk.shareable.then_some(true))),
        ("drive", json!(node)),
        ("id", json!(alias(&disk.alias))),
        ("removable", json!(disk.target.removable.map(|on| on.0))),
        ("bootindex", json!(boot)),
        ("wwn", json!(disk.wwn.as_deref().and_then(|wwn| u64::from_str_radix(wwn, 16).ok()))),
        ("rotation_rate", json!(disk.target.rotation_rate)),
        ("write-cache", json!(write_cache)),
        ("serial", json!(disk.serial)),
        ("werror", policy(driver.and_then(|driver| driver.error_policy))),
        ("rerror", policy(driver.and_then(|driver| driver.rerror_policy))),
    ]);
    Ok(object(members))
}

const fn error_policy(policy: DiskErrorPolicy) -> &'static str {
    match policy {
        DiskErrorPolicy::Stop => "stop",
        DiskErrorPolicy::Report => "report",
        DiskErrorPolicy::Ignore => "ignore",
        DiskErrorPolicy::Enospace => "enospc",
    }
}

/// The members of a device on a bus whose address is a drive's.
fn drive(domain: &Domain, disk: &Disk, bus: DiskBus) -> Result<Vec<(&'static str, Value)>> {
    let Some(Address::Drive(DriveAddress { controller, bus: line, target, unit })) = &disk.address else {
        let message = format!("the disk '{}' has no address of type 'drive'", disk.name);
        return Err(Error::new(ErrorCode::InternalError, message).at(format!("devices.disks[{}].address", disk.name)));
    };
    let part = |value: &Option<u32>| value.unwrap_or(0);
    let (controller, line, target, unit) = (part(controller), part(line), part(target), part(unit));
    let kind = |hd: &'static str, cd: &'static str| json!(if disk.device() == DiskDevice::Cdrom { cd } else { hd });
    let is_q35 = domain.os.r#type.machine.as_deref().and_then(family) == Some(MachineFamily::Q35);
    Ok(match bus {
        DiskBus::Ide => {
            vec![("driver", kind("ide-hd", "ide-cd")), ("bus", json!(format!("ide.{line}"))), ("unit", json!(unit))]
        }
        DiskBus::Sata => {
            let name = if controller == 0 && is_q35 { "ide".to_owned() } else { format!("sata{controller}") };
            vec![("driver", kind("ide-hd", "ide-cd")), ("bus", json!(format!("{name}.{unit}")))]
        }
        DiskBus::Fdc => vec![("driver", json!("floppy")), ("unit", json!(unit))],
        _ => {
            let driver =
                if disk.device() == DiskDevice::Lun { json!("scsi-block") } else { kind("scsi-hd", "scsi-cd") };
            let mut members = vec![("driver", driver), ("bus", json!(format!("scsi{controller}.0")))];
            let is_lsi =
                crate::alias::scsi_model(&domain.devices.controllers, controller) == Some(ControllerModel::Lsilogic);
            if is_lsi {
                members.push(("scsi-id", json!(unit)));
            } else {
                members.extend([("channel", json!(line)), ("scsi-id", json!(target)), ("lun", json!(unit))]);
            }
            if disk.device() != DiskDevice::Lun {
                let identity = disk.serial.clone().unwrap_or_else(|| format!("drive-{}", alias(&disk.alias)));
                members.push(("device_id", json!(identity)));
            }
            members
        }
    })
}
