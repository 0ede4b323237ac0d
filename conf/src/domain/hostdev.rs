//! `<hostdev>`: devices of the host handed to the guest.

use ostler_conf_derive::{element, union};
use uuid::Uuid;

use super::{
    AcpiIndex, Address, Alias, Auth, Boot, HostdevDriver, Initiator, IpAddress, NetworkHost, OriginalStates,
    PciAddress, Rom, Route, Sgio, SourcePrivate, StartupPolicy, Teaming,
};
use crate::values::{AnyBase, Hex, OnOff, Rare, YesNo};
use crate::words;

/// A device of the host handed to the guest. Needs a grant.
#[element]
pub struct Hostdev {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Whether it is handed over whole or as something that a container may use; absent: by its kind.
    #[xml(attr)]
    pub mode: Option<HostdevMode>,
    /// What hands it over.
    pub driver: Option<HostdevDriver>,
    /// The host's device.
    #[xml(choice = "type", in_place)]
    pub source: HostdevSource,
    /// Whether the host's driver is detached at start and attached again.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// Which SCSI commands may be sent.
    #[xml(attr)]
    pub sgio: Option<Sgio>,
    /// Whether raw SCSI commands may be sent.
    #[xml(attr)]
    pub rawio: Option<YesNo>,
    /// What the guest sees: `vfio-pci`, `virtio-transitional`, …
    #[xml(attr)]
    pub model: Option<String>,
    /// Whether a mediated device shows a display.
    #[xml(attr)]
    pub display: Option<OnOff>,
    /// Whether a mediated device shows the firmware's screen.
    #[xml(attr)]
    pub ramfb: Option<OnOff>,
    /// The other half of a pair that survives migration.
    pub teaming: Option<Teaming>,
    /// Addresses in a container.
    #[xml(name = "ip")]
    pub ips: Vec<IpAddress>,
    /// Routes in a container.
    #[xml(name = "route")]
    pub routes: Vec<Route>,
    /// The guest can't write.
    #[xml(flag)]
    pub readonly: bool,
    /// Others may write at the same time.
    #[xml(flag)]
    pub shareable: bool,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its ROM.
    pub rom: Option<Rom>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A device of the host; `type=` on `<hostdev>` names its kind.
#[union]
pub enum HostdevSource {
    /// On USB.
    Usb(UsbHostdev),
    /// On PCI.
    Pci(PciHostdev),
    /// On SCSI.
    Scsi(ScsiHostdev),
    /// A SCSI controller of the kernel's vhost.
    #[xml(name = "scsi_host")]
    ScsiHost(ScsiHostHostdev),
    /// A mediated device.
    Mdev(MdevHostdev),
    /// A block device for a container.
    Storage(StorageHostdev),
    /// A character device for a container.
    Misc(MiscHostdev),
    /// A network device for a container.
    Net(NetHostdev),
}

/// `<source><vendor id='0x1234'/><product id='0xbeef'/></source>`: a device on USB.
#[element]
pub struct UsbHostdev {
    /// What happens when it is missing at start.
    #[xml(attr)]
    pub startup_policy: Option<StartupPolicy>,
    /// Whether the guest may reset it.
    #[xml(attr)]
    pub guest_reset: Option<GuestReset>,
    /// Its vendor.
    #[xml(attr, name = "id", on = "vendor")]
    pub vendor: Option<Hex<4>>,
    /// Its product number.
    #[xml(attr, name = "id", on = "product")]
    pub product: Option<Hex<4>>,
    /// Where it is on the host.
    pub address: Option<UsbHostAddress>,
}

/// `<address bus='14' device='6'/>`: where a USB device is on the host.
#[element]
pub struct UsbHostAddress {
    /// The bus.
    #[xml(attr)]
    pub bus: AnyBase,
    /// The device's number, which changes when it is plugged in again.
    #[xml(attr)]
    pub device: Option<AnyBase>,
    /// The ports on the way, with dots.
    #[xml(attr)]
    pub port: Option<String>,
}

/// `<source><address domain='0x0000' …/></source>`: a device on PCI.
#[element]
pub struct PciHostdev {
    /// Whether the guest may write its whole configuration.
    #[xml(attr)]
    pub write_filtering: Option<YesNo>,
    /// Where it is on the host.
    #[xml(keep)]
    pub address: PciAddress,
    /// What is done with it when the guest gives it back.
    #[xml(live, name = "origstates", keep)]
    pub original_states: Option<OriginalStates>,
}

/// `<source><adapter name='scsi_host0'/><address …/></source>`: a device on SCSI.
#[element]
pub struct ScsiHostdev {
    /// `iscsi` for one on another machine.
    #[xml(attr)]
    pub protocol: Option<ScsiProtocol>,
    /// The target there.
    #[xml(attr)]
    pub name: Option<String>,
    /// The machine.
    #[xml(name = "host")]
    pub hosts: Vec<NetworkHost>,
    /// The host's adapter.
    #[xml(attr, name = "name", on = "adapter")]
    pub adapter: Option<String>,
    /// Where it is on the adapter.
    pub address: Option<ScsiHostAddress>,
    /// What QEMU's driver remembers of it while the guest runs.
    #[xml(live, default)]
    pub private_data: Rare<SourcePrivate>,
    /// Who asks.
    pub auth: Option<Auth>,
    /// Who asks, by qualified name.
    pub initiator: Option<Initiator>,
}

/// `<address bus='0' target='0' unit='0'/>`: where a device is on a SCSI adapter.
#[element]
pub struct ScsiHostAddress {
    /// The bus.
    #[xml(attr)]
    pub bus: u32,
    /// The target.
    #[xml(attr)]
    pub target: u32,
    /// The unit.
    #[xml(attr)]
    pub unit: u64,
}

/// `<source protocol='vhost' wwpn='naa.5123456789abcde0'/>`: a SCSI controller of the kernel's vhost.
#[element]
pub struct ScsiHostHostdev {
    /// How it is reached.
    #[xml(attr)]
    pub protocol: ScsiHostProtocol,
    /// Its world wide port name.
    #[xml(attr)]
    pub wwpn: Option<String>,
}

/// `<source><address uuid='…'/></source>`: a mediated device.
#[element]
pub struct MdevHostdev {
    /// Its identity.
    #[xml(attr, name = "uuid", on = "address", code = "ConfigUnsupported")]
    pub uuid: Uuid,
}

/// `<source><block>/dev/x</block></source>`: a block device for a container.
#[element]
pub struct StorageHostdev {
    /// Its path.
    pub block: String,
}

/// `<source><char>/dev/x</char></source>`: a character device for a container.
#[element]
pub struct MiscHostdev {
    /// Its path.
    #[xml(name = "char")]
    pub r#char: String,
}

/// `<source><interface>eth0</interface></source>`: a network device for a container.
#[element]
pub struct NetHostdev {
    /// Its name.
    pub interface: String,
}

/// Where a device is on the host.
#[union(tag = "type")]
pub enum HostAddress {
    /// On PCI.
    Pci(PciAddress),
    /// On USB.
    Usb(UsbHostAddress),
}

words! {
    /// Whether a device is handed over whole.
    pub enum HostdevMode { Subsystem = "subsystem", Capabilities = "capabilities", }

    /// Whether a guest may reset a device.
    pub enum GuestReset { Off = "off", Uninitialized = "uninitialized", On = "on", }

    /// Where a SCSI device is.
    pub enum ScsiProtocol { Adapter = "adapter", Iscsi = "iscsi", }

    /// How a SCSI controller is reached.
    pub enum ScsiHostProtocol { Vhost = "vhost", }
}
