//! `<serial>`, `<parallel>`, `<console>` and `<channel>`: character devices.

use ostler_conf_derive::element;

use super::{Address, Alias, CharSource};
use crate::values::OnOff;
use crate::words;

/// A serial port.
#[element]
pub struct Serial {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// What it is connected to on the host; absent: a pseudo-terminal.
    #[xml(choice = "type", flatten)]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<SerialTarget>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A parallel port.
#[element]
pub struct Parallel {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// What it is connected to on the host; absent: a pseudo-terminal.
    #[xml(choice = "type", flatten)]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<ParallelTarget>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// The guest's console; the first serial port shows up as one.
#[element]
pub struct Console {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// The running guest's pseudo-terminal, as older programs look for it; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub tty: Option<String>,
    /// What it is connected to on the host; absent: a pseudo-terminal.
    #[xml(choice = "type", flatten)]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<ConsoleTarget>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A channel between host and guest, as the guest agent uses it.
#[element]
pub struct Channel {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// What it is connected to on the host; absent: a pseudo-terminal.
    #[xml(choice = "type", flatten)]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<ChannelTarget>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<log file='/var/log/x.log' append='on'/>`: a file that all output is written to as well.
#[element]
pub struct Log {
    /// The file. Needs a grant.
    #[xml(attr)]
    pub file: String,
    /// Whether output is added to what is there.
    #[xml(attr)]
    pub append: Option<OnOff>,
}

/// `<target type='isa-serial' port='0'>`: the serial port that the guest sees.
#[element]
pub struct SerialTarget {
    /// Its kind.
    #[xml(attr)]
    pub r#type: Option<SerialTargetKind>,
    /// Its number.
    #[xml(attr)]
    pub port: Option<u32>,
    /// Its model.
    pub model: Option<SerialTargetModel>,
}

/// `<model name='isa-serial'/>`: the model of a serial port.
#[element]
pub struct SerialTargetModel {
    /// Its name.
    #[xml(attr)]
    pub name: SerialTargetModelName,
}

/// `<target port='0'/>`: the parallel port that the guest sees.
#[element]
pub struct ParallelTarget {
    /// Its number.
    #[xml(attr)]
    pub port: Option<u32>,
}

/// `<target type='serial' port='0'/>`: the console that the guest sees.
#[element]
pub struct ConsoleTarget {
    /// Its kind.
    #[xml(attr)]
    pub r#type: Option<ConsoleTargetKind>,
    /// Its number.
    #[xml(attr)]
    pub port: Option<u32>,
}

/// `<target type='virtio' name='org.qemu.guest_agent.0'/>`: the channel that the guest sees.
#[element]
pub struct ChannelTarget {
    /// Its kind.
    #[xml(attr)]
    pub r#type: ChannelTargetKind,
    /// Its address in the guest's network, with `guestfwd`.
    #[xml(attr)]
    pub address: Option<String>,
    /// Its port at that address, with `guestfwd`.
    #[xml(attr)]
    pub port: Option<u16>,
    /// Its name in the guest.
    #[xml(attr)]
    pub name: Option<String>,
    /// Whether the guest has it open; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub state: Option<ChannelState>,
}

words! {
    /// What kind of serial port the guest sees.
    pub enum SerialTargetKind {
        /// On the ISA bus.
        IsaSerial = "isa-serial",
        /// On USB.
        UsbSerial = "usb-serial",
        /// On PCI.
        PciSerial = "pci-serial",
        /// The one of POWER.
        SpaprVioSerial = "spapr-vio-serial",
        /// The platform's own.
        SystemSerial = "system-serial",
        /// The one of s390.
        SclpSerial = "sclp-serial",
        /// A port for debug output on the ISA bus.
        IsaDebug = "isa-debug",
    }

    /// The model of a serial port.
    pub enum SerialTargetModelName {
        /// On the ISA bus.
        IsaSerial = "isa-serial",
        /// On USB.
        UsbSerial = "usb-serial",
        /// On PCI.
        PciSerial = "pci-serial",
        /// The one of POWER.
        SpaprVty = "spapr-vty",
        /// Arm's.
        Pl011 = "pl011",
        /// The one of s390.
        Sclpconsole = "sclpconsole",
        /// The line mode one of s390.
        Sclplmconsole = "sclplmconsole",
        /// The 16550A.
        A16550 = "16550a",
        /// For debug output.
        IsaDebugcon = "isa-debugcon",
    }

    /// What kind of console the guest sees.
    pub enum ConsoleTargetKind {
        /// A serial port.
        Serial = "serial",
        /// Xen's.
        Xen = "xen",
        /// User Mode Linux's.
        Uml = "uml",
        /// A port of virtio serial.
        Virtio = "virtio",
        /// A container's.
        Lxc = "lxc",
        /// OpenVZ's.
        Openvz = "openvz",
        /// The one of s390.
        Sclp = "sclp",
        /// The line mode one of s390.
        Sclplm = "sclplm",
    }

    /// What kind of channel the guest sees.
    pub enum ChannelTargetKind {
        /// An address and port in the guest's user-mode network.
        Guestfwd = "guestfwd",
        /// A port of virtio serial.
        Virtio = "virtio",
        /// Xen's.
        Xen = "xen",
    }

    /// Whether the guest has a channel open.
    pub enum ChannelState { Connected = "connected", Disconnected = "disconnected", }
}
