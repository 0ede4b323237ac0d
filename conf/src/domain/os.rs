//! `<os>` and `<features>`: what is booted, on which machine.

use ostler_conf_derive::element;

use crate::values::{OnOff, YesNo};
use crate::words;

/// `<os>`: what is booted.
#[element]
pub struct Os {
    /// The kind of guest and its machine.
    #[xml(default)]
    pub r#type: OsType,
    /// A kernel on the host to boot directly.
    pub kernel: Option<String>,
    /// Its initial RAM disk on the host.
    pub initrd: Option<String>,
    /// Its command line.
    pub cmdline: Option<String>,
    /// Devices to boot from, in order.
    pub boot: Vec<BootEntry>,
    /// The firmware's boot menu.
    pub bootmenu: Option<BootMenu>,
}

/// `<type arch='x86_64' machine='q35'>hvm</type>`: the kind of guest.
#[element]
pub struct OsType {
    /// The guest's architecture; absent: the host's.
    #[xml(attr)]
    pub arch: Option<String>,
    /// The machine type; an alias such as `q35` is replaced by its version once, and stays.
    #[xml(attr)]
    pub machine: Option<String>,
    /// The kind; absent: `hvm`.
    #[xml(text)]
    pub kind: Option<OsKind>,
}

words! {
    /// The kind of a guest.
    pub enum OsKind {
        /// Full virtualization.
        Hvm = "hvm",
        /// Xen's paravirtualization.
        Xen = "xen",
        /// A container's program.
        Exe = "exe",
    }

    /// A kind of device to boot from.
    pub enum BootDevice {
        /// A floppy disk.
        Fd = "fd",
        /// A hard disk.
        Hd = "hd",
        /// A CD-ROM.
        Cdrom = "cdrom",
        /// The network.
        Network = "network",
    }
}

/// `<boot dev='hd'/>`: a device to boot from.
#[element]
pub struct BootEntry {
    /// The kind of device.
    #[xml(attr)]
    pub dev: BootDevice,
}

/// `<bootmenu enable='yes' timeout='3000'/>`: the firmware's boot menu.
#[element]
pub struct BootMenu {
    /// Whether it is shown.
    #[xml(attr)]
    pub enable: Option<YesNo>,
    /// For how long, in milliseconds.
    #[xml(attr)]
    pub timeout: Option<u16>,
}

/// `<features>`: features of the machine.
#[element]
pub struct Features {
    /// ACPI, which shutdown by the power button needs.
    #[xml(flag)]
    pub acpi: bool,
    /// The programmable interrupt controller.
    #[xml(keep)]
    pub apic: Option<Apic>,
    /// Physical address extension.
    #[xml(flag)]
    pub pae: bool,
}

/// `<apic/>`: the interrupt controller.
#[element]
pub struct Apic {
    /// Whether guests end interrupts by a shared flag.
    #[xml(attr)]
    pub eoi: Option<OnOff>,
}
