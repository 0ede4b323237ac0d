//! `<controller>`

use ostler_conf_derive::element;

use super::{Address, Alias};
use crate::values::Hex;
use crate::words;

/// A bus controller. Which kind and which number of that kind is its identity.
#[element]
pub struct Controller {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its kind.
    #[xml(attr)]
    pub r#type: ControllerKind,
    /// Its number among those of its kind; absent: the next.
    #[xml(attr)]
    pub index: Option<u32>,
    /// Its model; absent: the driver's default.
    #[xml(attr)]
    pub model: Option<ControllerModel>,
    /// How many ports it has.
    #[xml(attr)]
    pub ports: Option<u32>,
    /// The PCI model's name in the hypervisor.
    #[xml(name = "model")]
    pub model_name: Option<ControllerModelName>,
    /// A PCI controller's settings.
    pub target: Option<ControllerTarget>,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

words! {
    /// The kind of a controller.
    pub enum ControllerKind {
        /// IDE.
        Ide = "ide",
        /// Floppy.
        Fdc = "fdc",
        /// SCSI.
        Scsi = "scsi",
        /// SATA.
        Sata = "sata",
        /// virtio serial.
        VirtioSerial = "virtio-serial",
        /// Smart cards.
        Ccid = "ccid",
        /// USB.
        Usb = "usb",
        /// PCI.
        Pci = "pci",
    }

    /// The model of a controller.
    pub enum ControllerModel {
        /// PCI: the root bus.
        PciRoot = "pci-root",
        /// PCI: the root bus of PCI Express.
        PcieRoot = "pcie-root",
        /// PCI: a bridge.
        PciBridge = "pci-bridge",
        /// PCI: a bridge from PCI Express to PCI.
        DmiToPciBridge = "dmi-to-pci-bridge",
        /// PCI: a bridge from PCI Express to PCI, hot-pluggable.
        PcieToPciBridge = "pcie-to-pci-bridge",
        /// PCI: a root port.
        PcieRootPort = "pcie-root-port",
        /// USB 1.
        Piix3Uhci = "piix3-uhci",
        /// USB 1.
        Piix4Uhci = "piix4-uhci",
        /// USB 2.
        Ehci = "ehci",
        /// USB 2.
        Ich9Ehci1 = "ich9-ehci1",
        /// USB 1 beside USB 2.
        Ich9Uhci1 = "ich9-uhci1",
        /// USB 1 beside USB 2.
        Ich9Uhci2 = "ich9-uhci2",
        /// USB 1 beside USB 2.
        Ich9Uhci3 = "ich9-uhci3",
        /// USB 3.
        NecXhci = "nec-xhci",
        /// USB 3.
        QemuXhci = "qemu-xhci",
        /// USB: none.
        None = "none",
        /// SCSI: virtio.
        VirtioScsi = "virtio-scsi",
        /// SCSI: LSI.
        Lsilogic = "lsilogic",
        /// IDE.
        Piix3 = "piix3",
        /// IDE.
        Piix4 = "piix4",
        /// IDE.
        Ich6 = "ich6",
    }

    /// The PCI model's name in QEMU.
    pub enum PciModelName {
        /// A root port.
        PcieRootPort = "pcie-root-port",
        /// A root port of Intel's 3420.
        Ioh3420 = "ioh3420",
        /// A bridge.
        PciBridge = "pci-bridge",
        /// A bridge from PCI Express to PCI.
        I82801b11Bridge = "i82801b11-bridge",
        /// A bridge from PCI Express to PCI.
        PciePciBridge = "pcie-pci-bridge",
    }
}

/// `<model name='pcie-root-port'/>`: the PCI model's name in the hypervisor.
#[element]
pub struct ControllerModelName {
    /// The name.
    #[xml(attr)]
    pub name: PciModelName,
}

/// `<target chassis='1' port='0x10'/>`: a PCI controller's settings.
#[element]
pub struct ControllerTarget {
    /// The number of a bridge, 1 to 255.
    #[xml(attr)]
    pub chassis_nr: Option<u32>,
    /// The chassis of a root port.
    #[xml(attr)]
    pub chassis: Option<u32>,
    /// The port of a root port.
    #[xml(attr)]
    pub port: Option<Hex<1>>,
}

impl Controller {
    /// A controller with nothing but its identity.
    pub fn new(kind: ControllerKind, index: u32) -> Self {
        Controller {
            name: String::new(),
            r#type: kind,
            index: Some(index),
            model: None,
            ports: None,
            model_name: None,
            target: None,
            alias: None,
            address: None,
        }
    }
}
