//! `<input>`: keyboards, mice, tablets.

use ostler_conf::domain::{Input, InputBus, InputGrab, InputKind, VirtioModel};
use ostler_driver::Result;

use super::{Args, Props, Setup, address, alias, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for input in &setup.domain.devices.inputs {
        let name = alias(&input.alias);
        let source = input.source.as_ref();
        if input.r#type == InputKind::Evdev {
            let source = source.cloned().unwrap_or_default();
            args.object(
                Props::object("input-linux", name)
                    .maybe("evdev", source.dev)
                    .maybe("repeat", source.repeat.map(|on| on.0))
                    .maybe("grab_all", source.grab.map(|grab| grab == InputGrab::All))
                    .maybe("grab-toggle", source.grab_toggle.map(|keys| keys.word())),
            );
            continue;
        }
        let props = match (input.bus, virtio_base(input.r#type)) {
            (Some(InputBus::Virtio), Some(base)) => {
                virtio::device(base, input.model, &input.address, input.driver.as_ref())
            }
            (Some(InputBus::Usb), _) => match driver(input) {
                Some(driver) => Props::driver(driver),
                None => continue,
            },
            // What is on PS/2 is part of the machine.
            _ => continue,
        };
        let host = source.and_then(|source| source.evdev.clone()).filter(|_| input.r#type == InputKind::Passthrough);
        let props = props.put("id", name).maybe("evdev", host).address(setup.domain, &input.address)?;
        if let Some(zpci) = address::zpci(setup.domain, &input.address, &input.alias) {
            args.device(setup, zpci);
        }
        args.device(setup, props);
    }
    Ok(())
}

const fn virtio_base(kind: InputKind) -> Option<&'static str> {
    Some(match kind {
        InputKind::Mouse => "virtio-mouse",
        InputKind::Tablet => "virtio-tablet",
        InputKind::Keyboard => "virtio-keyboard",
        InputKind::Passthrough => "virtio-input-host",
        InputKind::Evdev => return None,
    })
}

/// QEMU's name of an input device that is not part of the machine.
pub(crate) fn driver(input: &Input) -> Option<&'static str> {
    Some(match (input.bus?, input.r#type) {
        (InputBus::Ps2 | InputBus::Xen | InputBus::Parallels | InputBus::None, _) | (_, InputKind::Evdev) => {
            return None;
        }
        (InputBus::Usb, InputKind::Mouse) => "usb-mouse",
        (InputBus::Usb, InputKind::Tablet) => "usb-tablet",
        (InputBus::Usb, InputKind::Keyboard) => "usb-kbd",
        (InputBus::Usb, InputKind::Passthrough) => return None,
        (InputBus::Virtio, InputKind::Mouse) => "virtio-mouse-pci",
        (InputBus::Virtio, InputKind::Tablet) => "virtio-tablet-pci",
        (InputBus::Virtio, InputKind::Keyboard) => "virtio-keyboard-pci",
        (InputBus::Virtio, InputKind::Passthrough) => match input.model {
            Some(VirtioModel::Transitional) => "virtio-input-host-pci-transitional",
            Some(VirtioModel::NonTransitional) => "virtio-input-host-pci-non-transitional",
            _ => "virtio-input-host-pci",
        },
    })
}
