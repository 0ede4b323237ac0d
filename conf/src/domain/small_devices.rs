//! Devices with little to say: input, audio, watchdog, balloon, random numbers; and what devices share.

use ostler_conf_derive::{element, union};

use super::Address;
use crate::words;

/// `<alias name='net0'/>`: a device's name in the hypervisor.
#[element]
pub struct Alias {
    /// The name.
    #[xml(attr)]
    pub name: String,
}

/// `<boot order='1'/>`: a device's place in the boot order.
#[element]
pub struct Boot {
    /// The place, from 1.
    #[xml(attr)]
    pub order: u32,
}

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
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// The host's side of the guest's sound.
#[element]
pub struct Audio {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its number, from 1.
    #[xml(attr)]
    pub id: u32,
    /// Where the sound goes.
    #[xml(attr)]
    pub r#type: AudioKind,
}

/// A watchdog.
#[element]
pub struct Watchdog {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model.
    #[xml(attr)]
    pub model: WatchdogModel,
    /// What it does when the guest hangs; absent: reset.
    #[xml(attr)]
    pub action: Option<WatchdogAction>,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// The memory balloon, with which the guest gives memory back.
#[element]
pub struct Memballoon {
    /// Its model; `none`: the guest has none.
    #[xml(attr)]
    pub model: MemballoonModel,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A source of random numbers.
#[element]
pub struct Rng {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model.
    #[xml(attr)]
    pub model: RngModel,
    /// Where the numbers come from.
    pub backend: RngBackend,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<backend model='random'>/dev/urandom</backend>`: where random numbers come from.
#[union(tag = "model")]
pub enum RngBackend {
    /// A device of the host.
    Random(RandomBackend),
}

/// A device of the host.
#[element]
pub struct RandomBackend {
    /// Its path; absent: `/dev/urandom`.
    #[xml(text)]
    pub path: Option<String>,
}

words! {
    /// The kind of an input device.
    pub enum InputKind {
        /// A mouse.
        Mouse = "mouse",
        /// A tablet with absolute positions.
        Tablet = "tablet",
        /// A keyboard.
        Keyboard = "keyboard",
    }

    /// The bus of an input device.
    pub enum InputBus {
        /// PS/2.
        Ps2 = "ps2",
        /// USB.
        Usb = "usb",
        /// virtio.
        Virtio = "virtio",
    }

    /// Where a guest's sound goes.
    pub enum AudioKind {
        /// Nowhere.
        None = "none",
    }

    /// The model of a watchdog.
    pub enum WatchdogModel {
        /// Intel's 6300ESB, on PCI.
        I6300esb = "i6300esb",
        /// On the ISA bus.
        Ib700 = "ib700",
        /// The one of q35's chipset.
        Itco = "itco",
    }

    /// What a watchdog does.
    pub enum WatchdogAction {
        /// The guest is reset.
        Reset = "reset",
        /// The guest is asked to shut down.
        Shutdown = "shutdown",
        /// The guest ends.
        Poweroff = "poweroff",
        /// The guest is paused.
        Pause = "pause",
        /// Its memory is dumped.
        Dump = "dump",
        /// Nothing.
        None = "none",
        /// A non-maskable interrupt.
        InjectNmi = "inject-nmi",
    }

    /// The model of a memory balloon.
    pub enum MemballoonModel {
        /// virtio.
        Virtio = "virtio",
        /// Xen's.
        Xen = "xen",
        /// None.
        None = "none",
    }

    /// The model of a source of random numbers.
    pub enum RngModel {
        /// virtio.
        Virtio = "virtio",
    }
}
