//! Input, audio, watchdogs, the balloon and random numbers.

use ostler_conf::Domain;
use ostler_conf::domain::{
    AudioKind, Input, InputBus, InputKind, MemballoonModel, RngBackend, WatchdogAction as Action,
    WatchdogModel as Model,
};
use ostler_driver::Result;
use serde_json::json;

use super::{Args, address, alias, object};

pub(super) fn all(domain: &Domain, args: &mut Args) -> Result<()> {
    let devices = &domain.devices;
    for input in &devices.inputs {
        // PS/2 is part of the machine.
        let Some(driver) = input_driver(input) else { continue };
        let mut members = vec![("driver", json!(driver)), ("id", json!(alias(&input.alias)))];
        members.extend(address::members(domain, &input.address)?);
        args.device(&object(members));
    }
    for audio in &devices.audios {
        if let AudioKind::None(_) = audio.kind {
            args.json("-audiodev", &json!({ "id": format!("audio{}", audio.id), "driver": "none" }));
        }
    }
    watchdogs(domain, args)?;
    if let Some(balloon) = devices.memballoon.as_ref().filter(|balloon| balloon.model == MemballoonModel::Virtio) {
        let mut members = vec![("driver", json!("virtio-balloon-pci")), ("id", json!(alias(&balloon.alias)))];
        members.extend(address::members(domain, &balloon.address)?);
        args.device(&object(members));
    }
    for rng in &devices.rngs {
        let name = alias(&rng.alias);
        let RngBackend::Random(backend) = &rng.backend else { continue };
        let path = backend.path.as_deref().unwrap_or("/dev/random");
        args.json("-object", &json!({ "qom-type": "rng-random", "id": format!("obj{name}"), "filename": path }));
        let mut members =
            vec![("driver", json!("virtio-rng-pci")), ("rng", json!(format!("obj{name}"))), ("id", json!(name))];
        members.extend(address::members(domain, &rng.address)?);
        args.device(&object(members));
    }
    Ok(())
}

/// QEMU's name of an input device that is not part of the machine.
pub(crate) fn input_driver(input: &Input) -> Option<&'static str> {
    Some(match (input.bus?, input.r#type) {
        (InputBus::Ps2 | InputBus::Xen | InputBus::Parallels | InputBus::None, _)
        | (_, InputKind::Passthrough | InputKind::Evdev) => return None,
        (InputBus::Usb, InputKind::Mouse) => "usb-mouse",
        (InputBus::Usb, InputKind::Tablet) => "usb-tablet",
        (InputBus::Usb, InputKind::Keyboard) => "usb-kbd",
        (InputBus::Virtio, InputKind::Mouse) => "virtio-mouse-pci",
        (InputBus::Virtio, InputKind::Tablet) => "virtio-tablet-pci",
        (InputBus::Virtio, InputKind::Keyboard) => "virtio-keyboard-pci",
    })
}

fn watchdogs(domain: &Domain, args: &mut Args) -> Result<()> {
    let list = &domain.devices.watchdogs;
    for watchdog in list {
        match watchdog.model {
            Model::Itco => args.option("-global", "ICH9-LPC.noreboot=off"),
            Model::I6300esb | Model::Ib700 | Model::Diag288 => {
                let mut members = vec![("driver", json!(watchdog.model.word())), ("id", json!(alias(&watchdog.alias)))];
                members.extend(address::members(domain, &watchdog.address)?);
                args.device(&object(members));
            }
        }
    }
    // There is one action for all of them; `check` refuses two.
    if let Some(first) = list.first() {
        let action = first.action.unwrap_or(Action::Reset);
        args.option("-watchdog-action", if action == Action::Dump { "pause" } else { action.word() });
    }
    Ok(())
}
