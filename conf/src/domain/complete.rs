//! The driver-independent defaults of a domain, as libvirt fills them in. What is set stays.

mod address;
mod chardev;
mod controller;
mod disk;
mod display;
mod hostdev;
mod machine;
mod order;
mod sysinfo;
mod tune;

use std::collections::HashSet;

use super::{
    Address, CcidAddress, Clock, ClockBasis, ClockOffset, Coalesce, Devices, Domain, DomainType, Filesystem,
    FilesystemAccess, FilesystemSource, Input, InputBus, InputKind, Interface, InterfaceDriver, InterfaceSource,
    LifecycleAction, OsKind, Rng, RngBackend, Seclabel, SeclabelKind, Smartcard, Vlan,
};
use crate::values::YesNo;

pub(super) use controller::{MAX_INDEX, number_controllers};
pub(super) use disk::target_index;
pub(super) use sysinfo::uuid as told_uuid;
pub(super) use tune::MAX_IOTHREADS;

pub(super) fn complete(domain: &mut Domain) {
    domain.forget_made_names();
    domain.uuid = domain.identity();
    sysinfo::complete(&mut domain.sysinfo);
    machine::complete(domain);
    tune::complete(domain);
    let clock = domain.clock.get_or_insert_with(|| Clock::new(ClockOffset::Utc));
    // A clock that is set off by seconds varies, whatever it is set off from.
    let is_seconds = clock.adjustment.as_ref().is_some_and(|adjustment| adjustment.parse::<i64>().is_ok());
    if is_seconds && matches!(clock.offset, ClockOffset::Utc | ClockOffset::Localtime) {
        clock.basis = Some(if clock.offset == ClockOffset::Utc { ClockBasis::Utc } else { ClockBasis::Localtime });
        clock.offset = ClockOffset::Variable;
    }
    if clock.offset == ClockOffset::Variable {
        clock.adjustment.get_or_insert_with(|| "0".to_owned());
        clock.basis.get_or_insert(ClockBasis::Utc);
    }
    domain.on_poweroff.get_or_insert(LifecycleAction::Destroy);
    domain.on_reboot.get_or_insert(LifecycleAction::Restart);
    domain.on_crash.get_or_insert(LifecycleAction::Destroy);
    order::sort_disks(&mut domain.devices.disks);
    domain.devices.disks.iter_mut().for_each(disk::complete);
    domain.devices.filesystems.iter_mut().for_each(complete_filesystem);
    complete_inputs(domain);
    complete_random(&mut domain.devices.rngs);
    complete_boot(&mut domain.devices);
    complete_smartcards(&mut domain.devices.smartcards);
    domain.devices.interfaces.iter_mut().for_each(complete_interface);
    display::complete(domain);
    chardev::complete(domain);
    hostdev::complete(domain);
    address::complete(domain);
    controller::complete(domain);
    if !chooses_panic_model(domain.r#type) {
        domain.devices.panics.retain(|panic| panic.model.is_some() || panic.address.is_some());
    }
    domain.seclabels.iter_mut().for_each(complete_seclabel);
    domain.seclabels.retain(|label| *label != Seclabel { model: label.model.clone(), ..Seclabel::default() });
    domain.label_devices();
}

/// Whether the guest's driver gives a panic device without a model one; else it is none.
const fn chooses_panic_model(r#type: Option<DomainType>) -> bool {
    matches!(r#type, None | Some(DomainType::Kvm | DomainType::Qemu | DomainType::Hvf))
}

/// Files are labelled where the label is made, and are not where it is given.
fn complete_seclabel(label: &mut Seclabel) {
    match label.r#type {
        Some(SeclabelKind::Dynamic) => {
            label.relabel.get_or_insert(YesNo(true));
        }
        Some(SeclabelKind::Static) => {
            label.relabel.get_or_insert(YesNo(false));
        }
        Some(SeclabelKind::None) | None => {}
    }
}

/// Files have the guest's own owners.
fn complete_filesystem(filesystem: &mut Filesystem) {
    for mode in [&mut filesystem.fmode, &mut filesystem.dmode].into_iter().flatten() {
        *mode = format!("{mode:0>4}");
    }
    // Who serves it elsewhere chooses that.
    let is_elsewhere = matches!(&filesystem.source, FilesystemSource::Mount(mount) if mount.socket.is_some());
    if !is_elsewhere {
        filesystem.accessmode.get_or_insert(FilesystemAccess::Passthrough);
    }
}

/// The host's own source.
fn complete_random(rngs: &mut [Rng]) {
    for rng in rngs {
        if let RngBackend::Random(random) = &mut rng.backend {
            random.path.get_or_insert_with(|| "/dev/random".to_owned());
        }
    }
}

/// s390 knows the entries of its boot menu in capitals.
fn complete_boot(devices: &mut Devices) {
    let boots = devices.disks.iter_mut().map(|disk| &mut disk.boot);
    let boots = boots.chain(devices.interfaces.iter_mut().map(|interface| &mut interface.boot));
    for boot in boots.chain(devices.hostdevs.iter_mut().map(|hostdev| &mut hostdev.boot)).flatten() {
        if let Some(loadparm) = &mut boot.loadparm {
            loadparm.make_ascii_uppercase();
        }
    }
}

/// Slot by slot in the first reader.
fn complete_smartcards(smartcards: &mut [Smartcard]) {
    let mut taken: HashSet<Option<u32>> = smartcards
        .iter()
        .filter_map(|card| match &card.address {
            Some(Address::Ccid(address)) if address.controller == Some(0) => Some(address.slot),
            _ => None,
        })
        .collect();
    let mut slots = 0..;
    for card in smartcards.iter_mut().filter(|card| card.address.is_none()) {
        let slot = slots.find(|slot| taken.insert(Some(*slot)));
        card.address = Some(Address::Ccid(CcidAddress { controller: Some(0), slot }));
    }
}

/// No address is one of zeros only.
fn complete_interface(interface: &mut Interface) {
    interface.mac.take_if(|mac| mac.address.0 == [0; 6]);
    if let Some(driver) = &mut interface.driver {
        // There is always one.
        driver.queues.take_if(|queues| *queues <= 1);
    }
    interface.driver.take_if(|driver| *driver == InterfaceDriver::default());
    // Interrupts are held back until there are some.
    let is_empty =
        |coalesce: &Coalesce| coalesce.rx.as_ref().is_none_or(|rx| rx.frames.is_none_or(|frames| frames == 0));
    interface.coalesce.take_if(|coalesce| is_empty(coalesce));
    // Only a tap on the host has packets to filter.
    let is_filtered = matches!(
        interface.source,
        InterfaceSource::Ethernet(_) | InterfaceSource::Network(_) | InterfaceSource::Bridge(_)
    );
    interface.filterref.take_if(|_| !is_filtered);
    interface.vlan.iter_mut().for_each(Vlan::complete);
}

/// The bus that an input device of the machine sits on.
fn complete_inputs(domain: &mut Domain) {
    let kind = domain.os.r#type.kind;
    let is_x86 = matches!(domain.os.r#type.arch.as_deref(), None | Some("i686" | "x86_64"));
    let bus = |input: &Input| match (input.r#type, kind) {
        (InputKind::Passthrough, _) => Some(InputBus::Virtio),
        (InputKind::Evdev, _) => None,
        (_, Some(OsKind::Xen | OsKind::Xenpvh)) => Some(InputBus::Xen),
        (InputKind::Mouse | InputKind::Keyboard, Some(OsKind::Hvm)) if is_x86 => Some(InputBus::Ps2),
        (_, Some(OsKind::Hvm)) => Some(InputBus::Usb),
        _ => None,
    };
    for input in &mut domain.devices.inputs {
        if input.bus.is_none() {
            input.bus = bus(input);
        }
    }
}
