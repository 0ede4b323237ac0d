//! `<device>`: a device of the host. libvirt: formatnode.html.

mod ccw;
mod mdev;
mod net;
mod pci;
mod scsi;
mod storage;
mod system;
mod usb;
mod vpd;

pub use ccw::{
    ApCard, ApMatrix, ApQueue, CcwAddress, CcwCapability, CcwDevice, CcwGroup, CcwGroupCapability, CcwGroupMember,
    CcwGroupMembers, CcwMember, Css, CssCapability, QethGeneric,
};
pub use mdev::{IommuGroupNumber, MatrixCapability, Mdev, MdevAttribute, MdevType, MdevTypeName, MdevTypes};
pub use net::{NetCapability, NetDevice, NetFeature, NetLink, NetLinkState};
pub use pci::{
    IdName, IommuGroup, NumaNode, PciCapability, PciDevice, PciExpress, PciExpressLink, PhysFunction, VirtFunctions,
};
pub use scsi::{
    FcHost, FcRemotePort, ScsiDevice, ScsiGeneric, ScsiHost, ScsiHostCapability, ScsiTarget, ScsiTargetCapability,
    VportOps,
};
pub use storage::{RemovableMedia, StorageCapability, StorageDevice};
pub use system::{Drm, DrmType, SystemDevice, SystemFirmware, SystemHardware, Vdpa};
pub use usb::{UsbDevice, UsbInterface};
pub use vpd::{Vpd, VpdField, VpdFields};

use ostler_conf_derive::{element, union};
use ostler_util::ErrorCode;

use crate::{Invalid, Problem, words};

/// A device of the host: what libvirt's `<device>` says.
#[element(root = "device", after_read)]
pub struct NodeDevice {
    /// Its name.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its folder in sysfs; never in a definition.
    #[serde(skip)]
    pub path: Option<String>,
    /// Its files in /dev; never in a definition.
    #[xml(name = "devnode")]
    #[serde(skip)]
    pub devnodes: Vec<DevNode>,
    /// The device that it is part of.
    pub parent: Option<Parent>,
    /// The kernel's driver for it; never in a definition.
    #[serde(skip)]
    pub driver: Option<DeviceDriver>,
    /// What it is.
    #[xml(name = "capability")]
    pub capabilities: Vec<Capability>,
}

words! {
    /// What a file in /dev is.
    pub enum DevNodeType {
        /// The device.
        Dev = "dev",
        /// A link to it.
        Link = "link",
    }
}

/// `<devnode type='dev'>/dev/sdb</devnode>`: a file in /dev.
#[element]
pub struct DevNode {
    /// What it is.
    #[xml(attr)]
    pub r#type: DevNodeType,
    /// Its path.
    #[xml(text)]
    pub path: String,
}

/// `<parent>scsi_host5</parent>`: the device that one is part of, or will be made on.
#[element]
pub struct Parent {
    /// By node name, of Fibre Channel.
    #[xml(attr, name = "wwnn")]
    pub wwnn: Option<String>,
    /// By port name, of Fibre Channel.
    #[xml(attr, name = "wwpn")]
    pub wwpn: Option<String>,
    /// By fabric name, of Fibre Channel.
    #[xml(attr, name = "fabric_wwn")]
    pub fabric_wwn: Option<String>,
    /// By name.
    #[xml(text)]
    pub name: Option<String>,
}

/// `<driver>`: the kernel's driver.
#[element]
pub struct DeviceDriver {
    /// Its name.
    pub name: String,
}

/// What a device is; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum Capability {
    /// The host itself.
    System(SystemDevice),
    /// A PCI device.
    Pci(PciDevice),
    /// A USB device.
    #[xml(name = "usb_device")]
    UsbDevice(UsbDevice),
    /// An interface of a USB device.
    Usb(UsbInterface),
    /// A network interface.
    Net(NetDevice),
    /// A SCSI host.
    #[xml(name = "scsi_host")]
    ScsiHost(ScsiHost),
    /// A SCSI target.
    #[xml(name = "scsi_target")]
    ScsiTarget(ScsiTarget),
    /// A SCSI device.
    Scsi(ScsiDevice),
    /// A disk, or a drive for media.
    Storage(StorageDevice),
    /// A file that speaks SCSI to a device.
    #[xml(name = "scsi_generic")]
    ScsiGeneric(ScsiGeneric),
    /// A graphics device.
    Drm(Drm),
    /// A mediated device.
    Mdev(Mdev),
    /// A channel device.
    Ccw(CcwDevice),
    /// A subchannel.
    Css(Css),
    /// A vDPA device.
    Vdpa(Vdpa),
    /// A crypto card.
    #[xml(name = "ap_card")]
    ApCard(ApCard),
    /// A queue of a crypto card.
    #[xml(name = "ap_queue")]
    ApQueue(ApQueue),
    /// What makes mediated devices of crypto cards.
    #[xml(name = "ap_matrix")]
    ApMatrix(ApMatrix),
    /// Channel devices that work as one.
    Ccwgroup(CcwGroup),
}

impl NodeDevice {
    /// Devices stand before links, and capabilities within a capability in libvirt's order.
    fn after_read(&mut self) {
        self.devnodes.sort_by_key(|node| node.r#type);
        for capability in &mut self.capabilities {
            match capability {
                Capability::Pci(pci) => pci.settle(),
                Capability::ScsiHost(host) => host.capabilities.sort_by_key(ScsiHostCapability::order),
                Capability::Mdev(mdev) => mdev.settle(),
                Capability::System(_)
                | Capability::UsbDevice(_)
                | Capability::Usb(_)
                | Capability::Net(_)
                | Capability::ScsiTarget(_)
                | Capability::Scsi(_)
                | Capability::Storage(_)
                | Capability::ScsiGeneric(_)
                | Capability::Drm(_)
                | Capability::Ccw(_)
                | Capability::Css(_)
                | Capability::Vdpa(_)
                | Capability::ApCard(_)
                | Capability::ApQueue(_)
                | Capability::ApMatrix(_)
                | Capability::Ccwgroup(_) => {}
            }
        }
    }

    /// Only what a definition says: where the device is now is left out.
    pub fn into_definition(self) -> Self {
        NodeDevice { path: None, devnodes: Vec::new(), driver: None, ..self }
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        if self.capabilities.is_empty() {
            let message = "a device is something: it needs a capability";
            problems.push(Problem::new(ErrorCode::XmlError, "capabilities", message));
        }
        Invalid::check(problems)
    }
}
