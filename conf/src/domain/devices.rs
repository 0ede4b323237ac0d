//! `<devices>`

use ostler_conf_derive::element;

use super::{
    Audio, Channel, Console, Controller, Crypto, Disk, Filesystem, Graphics, Hostdev, Hub, Input, Interface, Iommu,
    Lease, Memballoon, MemoryDevice, NvramDevice, Panic, Parallel, Pstore, Redirdev, Redirfilter, Rng, Serial, Shmem,
    Smartcard, Sound, Tpm, Video, Vsock, Watchdog,
};

/// The devices of a guest. Rules compare each with each, so there is a most; no machine has room for as many.
#[element(open, most = 4096)]
pub struct Devices {
    /// The hypervisor's program; absent: the driver's choice. Needs a grant.
    pub emulator: Option<String>,
    /// Disks, by target.
    #[xml(name = "disk")]
    pub disks: Vec<Disk>,
    /// Bus controllers.
    #[xml(name = "controller")]
    pub controllers: Vec<Controller>,
    /// Leases that the guest holds while it runs.
    #[xml(name = "lease")]
    pub leases: Vec<Lease>,
    /// Directories of the host that the guest mounts.
    #[xml(name = "filesystem")]
    pub filesystems: Vec<Filesystem>,
    /// Network interfaces.
    #[xml(name = "interface")]
    pub interfaces: Vec<Interface>,
    /// Smart card readers.
    #[xml(name = "smartcard")]
    pub smartcards: Vec<Smartcard>,
    /// Serial ports.
    #[xml(name = "serial")]
    pub serials: Vec<Serial>,
    /// Parallel ports.
    #[xml(name = "parallel")]
    pub parallels: Vec<Parallel>,
    /// Consoles.
    #[xml(name = "console")]
    pub consoles: Vec<Console>,
    /// Channels between host and guest.
    #[xml(name = "channel")]
    pub channels: Vec<Channel>,
    /// Input devices.
    #[xml(name = "input")]
    pub inputs: Vec<Input>,
    /// Trusted platform modules.
    #[xml(name = "tpm")]
    pub tpms: Vec<Tpm>,
    /// Ways to see the screen.
    #[xml(name = "graphics")]
    pub graphics: Vec<Graphics>,
    /// Sound cards.
    #[xml(name = "sound")]
    pub sounds: Vec<Sound>,
    /// The host's side of sound.
    #[xml(name = "audio")]
    pub audios: Vec<Audio>,
    /// Graphics cards.
    #[xml(name = "video")]
    pub videos: Vec<Video>,
    /// Devices of the host handed to the guest.
    #[xml(name = "hostdev")]
    pub hostdevs: Vec<Hostdev>,
    /// USB devices of whoever watches the screen.
    #[xml(name = "redirdev")]
    pub redirdevs: Vec<Redirdev>,
    /// Which of these may be redirected.
    pub redirfilter: Option<Redirfilter>,
    /// Hubs with more ports.
    #[xml(name = "hub")]
    pub hubs: Vec<Hub>,
    /// Watchdogs.
    #[xml(name = "watchdog")]
    pub watchdogs: Vec<Watchdog>,
    /// The memory balloon.
    pub memballoon: Option<Memballoon>,
    /// Sources of random numbers.
    #[xml(name = "rng")]
    pub rngs: Vec<Rng>,
    /// The non-volatile memory of POWER guests.
    #[xml(keep)]
    pub nvram: Option<NvramDevice>,
    /// Devices by which the guest says that it panicked.
    #[xml(name = "panic")]
    pub panics: Vec<Panic>,
    /// Memory shared between guests.
    #[xml(name = "shmem")]
    pub shmems: Vec<Shmem>,
    /// Memory that comes and goes.
    #[xml(name = "memory")]
    pub memories: Vec<MemoryDevice>,
    /// The guest's IOMMU.
    pub iommu: Option<Iommu>,
    /// A socket between host and guest.
    #[xml(keep)]
    pub vsock: Option<Vsock>,
    /// Devices that compute ciphers.
    #[xml(name = "crypto")]
    pub cryptos: Vec<Crypto>,
    /// A place where the guest leaves its last words.
    pub pstore: Option<Pstore>,
}
