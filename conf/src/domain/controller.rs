//! `<controller>`

use ostler_conf_derive::element;

use super::{Address, Alias, VirtioOptions};
use crate::values::{Hex, OnOff, ScaledKib};
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
    /// How many interrupts it has.
    #[xml(attr)]
    pub vectors: Option<u32>,
    /// How many grants the Xen bus has.
    #[xml(attr)]
    pub max_grant_frames: Option<u32>,
    /// How many event channels the Xen bus has.
    #[xml(attr)]
    pub max_event_channels: Option<u32>,
    /// How it is done.
    pub driver: Option<ControllerDriver>,
    /// The PCI model's name in the hypervisor.
    #[xml(name = "model")]
    pub model_name: Option<ControllerModelName>,
    /// A PCI controller's settings.
    pub target: Option<ControllerTarget>,
    /// The hole for 64-bit PCI memory.
    pub pcihole64: Option<ScaledKib>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// The first port of the controller that it stands beside.
    pub master: Option<ControllerMaster>,
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
        /// Xen.
        Xenbus = "xenbus",
        /// ISA.
        Isa = "isa",
        /// NVMe.
        Nvme = "nvme",
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
        /// PCI: the upper end of a switch.
        PcieSwitchUpstreamPort = "pcie-switch-upstream-port",
        /// PCI: a lower end of a switch.
        PcieSwitchDownstreamPort = "pcie-switch-downstream-port",
        /// PCI: another root bus.
        PciExpanderBus = "pci-expander-bus",
        /// PCI: another root bus of PCI Express.
        PcieExpanderBus = "pcie-expander-bus",
        /// USB 1.
        Vt82c686bUhci = "vt82c686b-uhci",
        /// USB 1.
        PciOhci = "pci-ohci",
        /// USB: Xen's, version 1.
        Qusb1 = "qusb1",
        /// USB: Xen's, version 2.
        Qusb2 = "qusb2",
        /// SCSI: what fits.
        Auto = "auto",
        /// SCSI: BusLogic.
        Buslogic = "buslogic",
        /// SCSI: LSI's SAS.
        Lsisas1068 = "lsisas1068",
        /// SCSI: LSI's SAS.
        Lsisas1078 = "lsisas1078",
        /// SCSI: VMware's.
        Vmpvscsi = "vmpvscsi",
        /// SCSI: POWER's.
        Ibmvscsi = "ibmvscsi",
        /// SCSI: NCR.
        Ncr53c90 = "ncr53c90",
        /// SCSI: Tekram.
        Dc390 = "dc390",
        /// SCSI: AMD.
        Am53c974 = "am53c974",
        /// virtio.
        Virtio = "virtio",
        /// virtio, old and new.
        VirtioTransitional = "virtio-transitional",
        /// virtio, new only.
        VirtioNonTransitional = "virtio-non-transitional",
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
        /// The upper end of a switch.
        X3130Upstream = "x3130-upstream",
        /// A lower end of a switch.
        Xio3130Downstream = "xio3130-downstream",
        /// Another root bus.
        Pxb = "pxb",
        /// Another root bus of PCI Express.
        PxbPcie = "pxb-pcie",
        /// POWER's.
        SpaprPciHostBridge = "spapr-pci-host-bridge",
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
    pub port: Option<Hex<1, 0xff>>,
    /// The number of another root bus.
    #[xml(attr)]
    pub bus_nr: Option<u32>,
    /// The number of a POWER host bridge.
    #[xml(attr)]
    pub index: Option<u32>,
    /// Whether devices come and go while the guest runs.
    #[xml(attr)]
    pub hotplug: Option<OnOff>,
    /// How much memory is kept for what is plugged in later, in KiB.
    #[xml(attr)]
    pub mem_reserve: Option<u64>,
    /// The guest's NUMA node.
    pub node: Option<u32>,
}

/// `<driver queues='4' iothread='1'/>`: how a controller is done.
#[element]
pub struct ControllerDriver {
    /// How many queues.
    #[xml(attr)]
    pub queues: Option<u32>,
    /// How many commands may wait for one unit.
    #[xml(attr, name = "cmd_per_lun")]
    pub cmd_per_lun: Option<u32>,
    /// How many sectors one transfer may have.
    #[xml(attr, name = "max_sectors")]
    pub max_sectors: Option<u32>,
    /// Whether the guest's notifications are handled apart.
    #[xml(attr)]
    pub ioeventfd: Option<OnOff>,
    /// The I/O thread that it uses.
    #[xml(attr)]
    pub iothread: Option<u32>,
    /// How virtio is spoken.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub virtio: VirtioOptions,
    /// The I/O threads that its queues are spread over.
    pub iothreads: Option<super::DiskIothreads>,
}

/// `<master startport='0'/>`: the controller that one stands beside.
#[element]
pub struct ControllerMaster {
    /// Its first port.
    #[xml(attr)]
    pub startport: u32,
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
            vectors: None,
            max_grant_frames: None,
            max_event_channels: None,
            driver: None,
            model_name: None,
            target: None,
            pcihole64: None,
            alias: None,
            master: None,
            address: None,
        }
    }
}
