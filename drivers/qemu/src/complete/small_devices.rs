//! Devices that a machine has by itself, and defaults of those with little to say.

use ostler_conf::Domain;
use ostler_conf::domain::{
    CharSource, Hostdev, HostdevSource, Input, InputBus, InputKind, Memballoon, MemballoonModel, Panic, PanicModel,
    RedirdevBus, RngBackend, ShmemModel, SoundModel, VirtioModel, Watchdog, WatchdogAction, WatchdogModel,
};

use ostler_conf::values::OnOff;

use super::machine::{Arch, BuiltIn, arch, built_in};
use super::{Host, MachineFamily, machine};
use crate::probe::Flag;

pub(super) fn complete(domain: &mut Domain, host: &Host) {
    let built_in = built_in(domain, host);
    complete_inputs(domain, &built_in);
    complete_watchdogs(domain, &built_in);
    complete_panics(domain, host, &built_in);
    let devices = &mut domain.devices;
    if built_in.balloon {
        let has_balloon =
            [Flag::VirtioCcw, Flag::VirtioNet, Flag::Balloon].iter().any(|flag| host.capabilities.has(*flag));
        let model = if has_balloon { MemballoonModel::Virtio } else { MemballoonModel::None };
        devices.memballoon.get_or_insert(Memballoon::new(model));
    }
    for rng in &mut devices.rngs {
        if let RngBackend::Random(backend) = &mut rng.backend {
            backend.path.get_or_insert_with(|| "/dev/random".to_owned());
        }
    }
    for shmem in &mut devices.shmems {
        shmem.model.get_or_insert(ShmemModel::Ivshmem);
    }
    if let Some(pstore) = &mut devices.pstore {
        let name = match domain.uuid.filter(|_| host.settings.names_nvram_by_uuid) {
            Some(uuid) => uuid.to_string(),
            None => domain.name.clone(),
        };
        let path = host.settings.nvram_dir.join(format!("{name}_PSTORE.raw"));
        pstore.path.get_or_insert_with(|| path.to_string_lossy().into_owned());
    }
    for hostdev in &mut devices.hostdevs {
        complete_hostdev(hostdev);
    }
    for sound in devices.sounds.iter_mut().filter(|sound| sound.model == SoundModel::Virtio) {
        sound.streams.get_or_insert(VIRTIO_STREAMS);
    }
    for redirdev in &mut devices.redirdevs {
        redirdev.bus.get_or_insert(RedirdevBus::Usb);
        if let CharSource::Dbus(dbus) = &mut redirdev.source {
            dbus.channel.get_or_insert_with(|| "org.qemu.usbredir".to_owned());
        }
    }
    if let Some(vsock) = &mut devices.vsock {
        vsock.model.get_or_insert(VirtioModel::Virtio);
    }
}

/// How many streams virtio sound has in QEMU.
const VIRTIO_STREAMS: u32 = 2;

/// A mediated card shows nothing unless it is asked to.
fn complete_hostdev(hostdev: &mut Hostdev) {
    let is_card = matches!(hostdev.source, HostdevSource::Mdev(_)) && hostdev.model.as_deref() == Some("vfio-pci");
    if is_card {
        hostdev.display.get_or_insert(OnOff(false));
    }
}

/// A PC has a keyboard and a mouse; POWER has them where there is a screen.
fn complete_inputs(domain: &mut Domain, built_in: &BuiltIn) {
    let arch = arch(domain);
    let is_off = domain.features.as_ref().and_then(|features| features.ps2.as_ref()).and_then(|ps2| ps2.state);
    // A microvm has neither unless it is asked for.
    let has_ps2 = is_off.is_none_or(|state| state.0) && machine(domain) != MachineFamily::Microvm;
    let devices = &mut domain.devices;
    for input in devices.inputs.iter_mut().filter(|input| input.r#type != InputKind::Evdev) {
        input.bus.get_or_insert(match (input.r#type, arch) {
            (InputKind::Passthrough | InputKind::Evdev, _) => InputBus::Virtio,
            (InputKind::Mouse | InputKind::Keyboard, Arch::X86) => InputBus::Ps2,
            (_, Arch::S390) => InputBus::Virtio,
            (InputKind::Tablet | InputKind::Mouse | InputKind::Keyboard, _) => InputBus::Usb,
        });
    }
    let added: &[(InputKind, InputBus)] = match arch {
        Arch::X86 if has_ps2 => &[(InputKind::Mouse, InputBus::Ps2), (InputKind::Keyboard, InputBus::Ps2)],
        _ if built_in.usb_inputs && !devices.graphics.is_empty() => {
            &[(InputKind::Keyboard, InputBus::Usb), (InputKind::Mouse, InputBus::Usb)]
        }
        _ => &[],
    };
    for (kind, bus) in added {
        if !devices.inputs.iter().any(|input| input.r#type == *kind && input.bus == Some(*bus)) {
            devices.inputs.push(Input {
                name: String::new(),
                r#type: *kind,
                bus: Some(*bus),
                model: None,
                driver: None,
                source: None,
                alias: None,
                address: None,
            });
        }
    }
}

fn complete_watchdogs(domain: &mut Domain, built_in: &BuiltIn) {
    let watchdogs = &mut domain.devices.watchdogs;
    if built_in.itco && !watchdogs.iter().any(|watchdog| watchdog.model == WatchdogModel::Itco) {
        // It is part of the chipset. There is one action for all of them.
        let action =
            watchdogs.first().map_or(WatchdogAction::Reset, |first| first.action.unwrap_or(WatchdogAction::Reset));
        let (name, action) = (String::new(), Some(action));
        watchdogs.push(Watchdog { name, model: WatchdogModel::Itco, action, alias: None, address: None });
    }
    for watchdog in watchdogs {
        watchdog.action.get_or_insert(WatchdogAction::Reset);
    }
}

fn complete_panics(domain: &mut Domain, host: &Host, built_in: &BuiltIn) {
    let default = match (machine(domain), arch(domain)) {
        (MachineFamily::Pseries, _) => Some(PanicModel::Pseries),
        (_, Arch::S390) => Some(PanicModel::S390),
        (_, Arch::X86) => Some(PanicModel::Isa),
        (MachineFamily::ArmVirt, _) if host.capabilities.has(Flag::PvpanicPci) => Some(PanicModel::Pvpanic),
        _ => None,
    };
    let panics = &mut domain.devices.panics;
    if built_in.panic && panics.is_empty() {
        panics.push(Panic { name: String::new(), model: None, alias: None, acpi: None, address: None });
    }
    for panic in panics {
        panic.model = panic.model.or(default);
    }
}
