//! `<input>`

use ostler_conf_derive::element;

use super::{Address, Alias, VirtioModel, VirtioOptions};
use crate::values::OnOff;
use crate::words;

/// An input device.
#[element]
pub struct Input {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its kind.
    #[xml(attr)]
    pub r#type: InputKind,
    /// Its bus.
    #[xml(attr)]
    pub bus: Option<InputBus>,
    /// Which virtio it speaks.
    #[xml(attr)]
    pub model: Option<VirtioModel>,
    /// How virtio is spoken.
    pub driver: Option<VirtioOptions>,
    /// The host's device behind it.
    pub source: Option<InputSource>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<source evdev='/dev/input/event1'/>`: the host's device behind an input. Needs a grant.
#[element]
pub struct InputSource {
    /// The device handed to the guest's evdev.
    #[xml(attr)]
    pub dev: Option<String>,
    /// The device handed to a virtio input.
    #[xml(attr)]
    pub evdev: Option<String>,
    /// Whether all of the host's input devices go with it.
    #[xml(attr)]
    pub grab: Option<InputGrab>,
    /// The keys that switch between host and guest.
    #[xml(attr)]
    pub grab_toggle: Option<InputGrabToggle>,
    /// Whether held keys repeat.
    #[xml(attr)]
    pub repeat: Option<OnOff>,
}

words! {
    /// The kind of an input device.
    pub enum InputKind { Mouse = "mouse", Tablet = "tablet", Keyboard = "keyboard", Passthrough = "passthrough", Evdev = "evdev", }

    /// The bus of an input device.
    pub enum InputBus { Ps2 = "ps2", Usb = "usb", Xen = "xen", Parallels = "parallels", Virtio = "virtio", None = "none", }

    /// Which of the host's input devices go with one.
    pub enum InputGrab { All = "all", }

    /// Keys that switch between host and guest.
    pub enum InputGrabToggle {
        CtrlCtrl = "ctrl-ctrl", AltAlt = "alt-alt", ShiftShift = "shift-shift", MetaMeta = "meta-meta", Scrolllock = "scrolllock",
        CtrlScrolllock = "ctrl-scrolllock",
    }
}
