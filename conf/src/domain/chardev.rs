//! `<serial>`, `<console>` and `<channel>`: character devices.

use ostler_conf_derive::{element, union};

use super::{Address, Alias};
use crate::values::OnOff;
use crate::words;

/// A serial port.
#[element]
pub struct Serial {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// What it is connected to on the host; absent: a pseudo-terminal.
    #[xml(choice = "type")]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<SerialTarget>,
    /// The hypervisor's name for the running device; never in a definition.
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
    #[xml(choice = "type")]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<ConsoleTarget>,
    /// The hypervisor's name for the running device; never in a definition.
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
    #[xml(choice = "type")]
    pub source: Option<CharSource>,
    /// A file that all output is written to as well.
    pub log: Option<Log>,
    /// What the guest sees.
    pub target: Option<ChannelTarget>,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// What a character device is connected to on the host; `type=` names it.
#[union]
pub enum CharSource {
    /// Nothing.
    Null(CharSourcePlain),
    /// A pseudo-terminal that the hypervisor makes.
    Pty(CharSourcePath),
    /// A file that output is written to.
    File(CharSourceFile),
    /// A unix socket.
    Unix(CharSourceUnix),
}

/// Nothing to say.
#[element]
pub struct CharSourcePlain {}

/// `<source path='/dev/pts/3'/>`
#[element]
pub struct CharSourcePath {
    /// The running guest's pseudo-terminal; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub path: Option<String>,
}

/// `<source path='/var/log/x.log' append='on'/>`
#[element]
pub struct CharSourceFile {
    /// The file.
    #[xml(attr)]
    pub path: String,
    /// Whether output is added to what is there.
    #[xml(attr)]
    pub append: Option<OnOff>,
}

/// `<source mode='bind' path='/run/x.sock'/>`
#[element]
pub struct CharSourceUnix {
    /// Whether the hypervisor listens or connects.
    #[xml(attr)]
    pub mode: Option<CharSourceUnixMode>,
    /// The socket; absent: one below the driver's own folder.
    #[xml(attr)]
    pub path: Option<String>,
}

words! {
    /// Who listens on a unix socket.
    pub enum CharSourceUnixMode {
        /// The hypervisor.
        Bind = "bind",
        /// The other side.
        Connect = "connect",
    }

    /// What kind of serial port the guest sees.
    pub enum SerialTargetKind {
        /// On the ISA bus.
        IsaSerial = "isa-serial",
        /// On USB.
        UsbSerial = "usb-serial",
        /// On PCI.
        PciSerial = "pci-serial",
        /// The platform's own.
        SystemSerial = "system-serial",
    }

    /// The model of a serial port.
    pub enum SerialTargetModelName {
        /// On the ISA bus.
        IsaSerial = "isa-serial",
        /// On USB.
        UsbSerial = "usb-serial",
        /// On PCI.
        PciSerial = "pci-serial",
        /// Arm's.
        Pl011 = "pl011",
        /// The 16550A.
        A16550 = "16550a",
    }

    /// What kind of console the guest sees.
    pub enum ConsoleTargetKind {
        /// A serial port.
        Serial = "serial",
        /// A port of virtio serial.
        Virtio = "virtio",
    }

    /// What kind of channel the guest sees.
    pub enum ChannelTargetKind {
        /// A port of virtio serial.
        Virtio = "virtio",
    }
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
    /// Its name in the guest.
    #[xml(attr)]
    pub name: Option<String>,
}
