//! `<disk>`: the nodes of its image's chain with the objects that they need, and the device on top.

mod device;
mod layers;

use std::collections::BTreeMap;

use ostler_conf::Domain;
use ostler_conf::domain::{Disk, DiskBus, DiskSource, ImageFormatName, VhostuserSource};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::json;

pub(crate) use self::device::{Seat, device, on_scsi};
use self::layers::Facts;
pub(crate) use self::layers::{Stack, layer_objects};
use super::block::{Access, Below, Layer, Names};
use super::platform::Platform;
use super::{Args, Chain, Props, Runtime, Setup, Tls, alias, chardev, options};
use crate::probe::{Capabilities, Flag};

/// Whether a device of s390 can have a parameter for its boot loader of its own.
pub(super) fn has_loadparm(setup: &Setup<'_>) -> bool {
    setup.capabilities.has(Flag::VirtioCcwLoadparm)
}

/// The helper for persistent reservations that all disks of a guest share.
pub(super) fn managed_reservations(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let is_managed = |disk: &Disk| {
        let reservations = disk.source.as_ref().and_then(|source| source.common().reservations.as_ref());
        reservations.is_some_and(|reservations| reservations.managed.is_some_and(|managed| managed.0))
    };
    if setup.domain.devices.disks.iter().any(is_managed) {
        let path = setup.runtime.dir.join("pr-helper0.sock").to_string_lossy().into_owned();
        args.object(Props::object("pr-manager-helper", layers::MANAGED_RESERVATIONS).put("path", path));
    }
    Ok(())
}

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    floppy_controller(setup, args);
    let first_set = args.sets;
    let facts = Facts::new(setup.runtime, setup.capabilities, &setup.settings.nbd_tls);
    let stacks = layers::all(setup.domain, &facts, first_set)?;
    args.sets += stacks.iter().flatten().map(|stack| stack.sets).sum::<u32>();
    for (at, (disk, stack)) in setup.domain.devices.disks.iter().zip(&stacks).enumerate() {
        if layers::is_left_out(disk, setup.runtime) {
            continue;
        }
        // One whose image guests share is plugged in when its own part of it was made, unless that lies over it already.
        let is_shared = disk.transient.as_ref().and_then(|transient| transient.share_backing).is_some_and(|on| on.0);
        if is_shared && !setup.runtime.transient.contains(&disk.name) {
            continue;
        }
        if disk.target.bus == Some(DiskBus::Sd) {
            card(args, disk, stack.as_ref())?;
            continue;
        }
        if let Some(DiskSource::Vhostuser(source)) = &disk.source {
            vhost_user(setup, args, disk, source);
        }
        if let Some(stack) = stack {
            stack.write(setup, args)?;
        }
        let seat = Seat {
            node: stack.as_ref().map(Stack::top),
            boot: setup.boot.disk(at),
            loadparm: disk.boot.as_ref().and_then(|boot| boot.loadparm.as_deref()).filter(|_| has_loadparm(setup)),
            scsi_passthrough: device::scsi_passthrough(setup.capabilities),
        };
        args.zpci(setup, &disk.address, &disk.alias);
        let props = device(setup.domain, disk, &seat)?;
        args.device(setup, props);
    }
    Ok(())
}

/// The nodes of each disk, top first, by its alias.
pub(crate) fn node_names(
    domain: &Domain,
    runtime: &Runtime,
    capabilities: &Capabilities,
) -> Result<BTreeMap<String, Vec<String>>> {
    let stacks = layers::all(domain, &Facts::new(runtime, capabilities, &Tls::default()), 0)?;
    let named = domain.devices.disks.iter().zip(&stacks);
    Ok(named.filter_map(|(disk, stack)| Some((alias(&disk.alias).to_owned(), stack.as_ref()?.names()))).collect())
}

/// The chain of one disk with its first number, for a guest that runs already.
pub(crate) fn stack(disk: &Disk, chain: &Chain, first: usize, capabilities: &Capabilities) -> Stack {
    let runtime = Runtime::default();
    let facts = Facts::new(&runtime, capabilities, &Tls::default());
    layers::of(disk, chain, &mut layers::Numbers { node: first, set: 0 }, &facts)
}

/// How many nodes' numbers all disks take.
pub(super) fn numbers(setup: &Setup<'_>) -> usize {
    layers::count(setup.domain, &Facts::new(setup.runtime, setup.capabilities, &setup.settings.nbd_tls))
}

/// An image of the guest's flash memory.
#[derive(Debug)]
pub(super) struct Flash {
    /// Its number.
    pub(super) at: usize,
    /// What holds it.
    pub(super) source: DiskSource,
    /// Its format.
    pub(super) format: ImageFormatName,
    /// The guest can't write.
    pub(super) read_only: bool,
}

/// Writes the nodes of an image of flash memory.
pub(super) fn flash(setup: &Setup<'_>, args: &mut Args, flash: Flash, is_program: bool) -> Result<()> {
    let Flash { at, source, format, read_only } = flash;
    let storage = format!("libvirt-pflash{at}-storage");
    let names = Names {
        auth: source.common().auth.as_ref().map(|_| format!("{storage}-auth-secret0")),
        format: flash_has_format(setup, format, is_program).then(|| format!("libvirt-pflash{at}-format")),
        storage,
        ..Names::default()
    };
    let access = Access { read_only, gluster_debug: layers::GLUSTER_DEBUG, ..Access::default() };
    let layer = Layer { source, format, access, names, data: None };
    layer_objects(setup, args, &layer)?;
    layer.nodes(&Below::Nothing)?.iter().for_each(|node| args.json("-blockdev", node));
    Ok(())
}

/// Whether an image of flash memory has a node of its format; that of the firmware itself has one at any rate.
pub(super) fn flash_has_format(setup: &Setup<'_>, format: ImageFormatName, is_program: bool) -> bool {
    is_program || format != ImageFormatName::Raw || !setup.capabilities.has(Flag::BlockjobBackingMaskProtocol)
}

/// The floppy controller: where the machine has none of its own it is a device, and it knows the boot order of its drives.
fn floppy_controller(setup: &Setup<'_>, args: &mut Args) {
    let drives =
        setup.domain.devices.disks.iter().enumerate().filter(|(_, disk)| disk.target.bus == Some(DiskBus::Fdc));
    let drives: Vec<(usize, &Disk)> = drives.collect();
    if drives.is_empty() {
        return;
    }
    let boots = drives.iter().filter_map(|(at, disk)| {
        let letter = if device::drive(disk).is_some_and(|drive| drive.unit == 1) { 'B' } else { 'A' };
        Some((format!("bootindex{letter}"), setup.boot.disk(*at)?))
    });
    if Platform::of(setup.domain) == Platform::Q35 {
        let props = boots.fold(Props::driver("isa-fdc"), |props, (name, index)| props.put(&name, index));
        args.device(setup, props);
    } else {
        for (name, index) in boots {
            args.option("-global", format!("isa-fdc.{name}={index}"));
        }
    }
}

/// A memory card, which QEMU takes in its older notation only.
fn card(args: &mut Args, disk: &Disk, stack: Option<&Stack>) -> Result<()> {
    let Some(layer) = stack.and_then(|stack| stack.layers.first()) else {
        return Err(Error::new(ErrorCode::ConfigUnsupported, "an SD card without an image can't be given to QEMU")
            .at(format!("devices.disks[{}].source", disk.name)));
    };
    let file = match layer.source.path() {
        Some(path) => json!({ "file": path }),
        None => json!({ "file": layer.drive_place()? }),
    };
    let index = crate::alias::target_number(&disk.name);
    let mut value = file;
    value["format"] = json!(layer.format.word());
    value["if"] = json!("sd");
    value["index"] = json!(index);
    if disk.readonly {
        value["readonly"] = json!(true);
    }
    args.option("-drive", options(&value, ""));
    Ok(())
}

/// A program that does the whole disk: QEMU only knows its socket.
fn vhost_user(setup: &Setup<'_>, args: &mut Args, disk: &Disk, source: &VhostuserSource) {
    let reconnect = source.reconnect.as_ref().and_then(super::interface::reconnect_seconds);
    let backend = chardev::Backend::connecting(&source.path).reconnect(setup, reconnect);
    chardev::write(setup, args, &format!("chr-vu-{}", alias(&disk.alias)), backend);
}
