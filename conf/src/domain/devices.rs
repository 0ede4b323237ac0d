//! `<devices>`

use ostler_conf_derive::element;

use super::{Audio, Channel, Console, Controller, Disk, Input, Interface, Memballoon, Rng, Serial, Watchdog};

/// The devices of a guest.
#[element]
pub struct Devices {
    /// The hypervisor's program; absent: the driver's choice. Needs a grant.
    pub emulator: Option<String>,
    /// Disks, by target.
    #[xml(name = "disk")]
    pub disks: Vec<Disk>,
    /// Bus controllers.
    #[xml(name = "controller")]
    pub controllers: Vec<Controller>,
    /// Network interfaces.
    #[xml(name = "interface")]
    pub interfaces: Vec<Interface>,
    /// Serial ports.
    #[xml(name = "serial")]
    pub serials: Vec<Serial>,
    /// Consoles.
    #[xml(name = "console")]
    pub consoles: Vec<Console>,
    /// Channels between host and guest.
    #[xml(name = "channel")]
    pub channels: Vec<Channel>,
    /// Input devices.
    #[xml(name = "input")]
    pub inputs: Vec<Input>,
    /// The host's side of sound.
    #[xml(name = "audio")]
    pub audios: Vec<Audio>,
    /// Watchdogs.
    #[xml(name = "watchdog")]
    pub watchdogs: Vec<Watchdog>,
    /// The memory balloon.
    pub memballoon: Option<Memballoon>,
    /// Sources of random numbers.
    #[xml(name = "rng")]
    pub rngs: Vec<Rng>,
}
