//! `<video>`

use ostler_conf_derive::element;

use super::{AcpiIndex, Address, Alias, VirtioOptions};
use crate::values::{OnOff, YesNo};
use crate::words;

/// A graphics card.
#[element]
pub struct Video {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// How it is done.
    pub driver: Option<VideoDriver>,
    /// What the guest sees.
    pub model: Option<VideoModel>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<driver name='vhostuser'/>`: how a graphics card is done.
#[element]
pub struct VideoDriver {
    /// How virtio is spoken.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub virtio: VirtioOptions,
    /// What does it.
    #[xml(attr)]
    pub name: Option<VideoDriverName>,
    /// bhyve: whether it is a VGA card.
    #[xml(attr)]
    pub vgaconf: Option<VgaConf>,
}

/// `<model type='qxl' ram='65536' heads='1'>`: what the guest sees.
#[element]
pub struct VideoModel {
    /// The card.
    #[xml(attr)]
    pub r#type: VideoKind,
    /// QXL's first memory, in KiB.
    #[xml(attr)]
    pub ram: Option<u64>,
    /// Its memory, in KiB.
    #[xml(attr)]
    pub vram: Option<u64>,
    /// QXL's memory for 64 bits, in KiB.
    #[xml(attr)]
    pub vram64: Option<u64>,
    /// QXL's memory for VGA, in KiB.
    #[xml(attr)]
    pub vgamem: Option<u64>,
    /// How many screens it has.
    #[xml(attr)]
    pub heads: Option<u32>,
    /// It is the first.
    #[xml(attr)]
    pub primary: Option<YesNo>,
    /// Whether resources are shared with the host.
    #[xml(attr)]
    pub blob: Option<OnOff>,
    /// Whether screens tell what they are.
    #[xml(attr)]
    pub edid: Option<OnOff>,
    /// What the host draws.
    pub acceleration: Option<Acceleration>,
    /// The first screen's size.
    pub resolution: Option<Resolution>,
}

/// `<acceleration accel3d='yes'/>`: what the host draws.
#[element]
pub struct Acceleration {
    /// Planes.
    #[xml(attr)]
    pub accel2d: Option<YesNo>,
    /// Spaces.
    #[xml(attr)]
    pub accel3d: Option<YesNo>,
    /// The host's device for it. Needs a grant.
    #[xml(attr)]
    pub rendernode: Option<String>,
}

/// `<resolution x='1280' y='720'/>`: a screen's size.
#[element]
pub struct Resolution {
    /// Its width in pixels.
    #[xml(attr)]
    pub x: u32,
    /// Its height in pixels.
    #[xml(attr)]
    pub y: u32,
}

impl VideoModel {
    /// A card of that kind, and nothing more said.
    pub fn new(kind: VideoKind) -> Self {
        VideoModel {
            r#type: kind,
            ram: None,
            vram: None,
            vram64: None,
            vgamem: None,
            heads: None,
            primary: None,
            blob: None,
            edid: None,
            acceleration: None,
            resolution: None,
        }
    }
}

words! {
    /// A graphics card.
    pub enum VideoKind {
        Vga = "vga", Cirrus = "cirrus", Vmvga = "vmvga", Xen = "xen", Vbox = "vbox", Qxl = "qxl", Parallels = "parallels",
        Virtio = "virtio", Gop = "gop", None = "none", Bochs = "bochs", Ramfb = "ramfb",
    }

    /// What does a graphics card.
    pub enum VideoDriverName { Qemu = "qemu", Vhostuser = "vhostuser", }

    /// Whether a card is a VGA card.
    pub enum VgaConf { Io = "io", On = "on", Off = "off", }
}
