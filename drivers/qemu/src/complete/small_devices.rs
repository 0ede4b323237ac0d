//! Devices that every guest has, and defaults of those with little to say.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Audio, AudioKind, Input, InputBus, InputKind, Memballoon, MemballoonModel, PlainAudio, RngBackend, Watchdog,
    WatchdogAction, WatchdogModel,
};

use super::{Host, MachineFamily, family};

pub(super) fn complete(domain: &mut Domain, host: &Host) {
    let machine = domain.os.r#type.machine.as_deref().and_then(family);
    let devices = &mut domain.devices;
    for input in &mut devices.inputs {
        input.bus.get_or_insert(match input.r#type {
            InputKind::Tablet => InputBus::Usb,
            InputKind::Mouse | InputKind::Keyboard => InputBus::Ps2,
            InputKind::Passthrough => InputBus::Virtio,
            InputKind::Evdev => InputBus::None,
        });
    }
    for kind in [InputKind::Mouse, InputKind::Keyboard] {
        if !devices.inputs.iter().any(|input| input.r#type == kind && input.bus == Some(InputBus::Ps2)) {
            devices.inputs.push(Input {
                name: String::new(),
                r#type: kind,
                bus: Some(InputBus::Ps2),
                model: None,
                driver: None,
                source: None,
                alias: None,
                address: None,
            });
        }
    }
    if devices.audios.is_empty() {
        devices.audios.push(Audio { name: String::new(), id: 1, kind: AudioKind::None(PlainAudio::default()) });
    }
    if machine == Some(MachineFamily::Q35)
        && !devices.watchdogs.iter().any(|watchdog| watchdog.model == WatchdogModel::Itco)
    {
        // It is part of the chipset. There is one action for all of them.
        let action = devices
            .watchdogs
            .first()
            .map_or(WatchdogAction::Reset, |first| first.action.unwrap_or(WatchdogAction::Reset));
        let (name, action) = (String::new(), Some(action));
        devices.watchdogs.push(Watchdog { name, model: WatchdogModel::Itco, action, alias: None, address: None });
    }
    for watchdog in &mut devices.watchdogs {
        watchdog.action.get_or_insert(WatchdogAction::Reset);
    }
    let has_balloon = host.capabilities.has_device("virtio-balloon-pci");
    let model = if has_balloon { MemballoonModel::Virtio } else { MemballoonModel::None };
    devices.memballoon.get_or_insert(Memballoon::new(model));
    for rng in &mut devices.rngs {
        if let RngBackend::Random(backend) = &mut rng.backend {
            backend.path.get_or_insert_with(|| "/dev/random".to_owned());
        }
    }
}
