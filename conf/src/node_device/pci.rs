//! PCI devices.

use ostler_conf_derive::{element, union};

use super::{MdevTypes, Vpd};
use crate::host_address::HostPciAddress;
use crate::values::Hex;
use crate::words;

/// A PCI device.
#[element]
pub struct PciDevice {
    /// Its class.
    pub class: Option<Hex<6>>,
    /// Its domain.
    pub domain: u32,
    /// Its bus.
    pub bus: u32,
    /// Its slot.
    pub slot: u32,
    /// Its function.
    pub function: u32,
    /// Its product.
    #[xml(keep)]
    pub product: Option<IdName>,
    /// Its vendor.
    #[xml(keep)]
    pub vendor: Option<IdName>,
    /// What more it can do.
    #[xml(name = "capability")]
    pub capabilities: Vec<PciCapability>,
    /// The devices that must be handed through together.
    pub iommu_group: Option<IommuGroup>,
    /// Where it is near to.
    pub numa: Option<NumaNode>,
    /// Its links.
    #[xml(name = "pci-express", keep)]
    pub pci_express: Option<PciExpress>,
}

/// `<product id='0x71c4'>M56GL</product>`: a number, and the name that goes with it.
#[element]
pub struct IdName {
    /// The number.
    #[xml(attr)]
    pub id: Hex<4>,
    /// The name.
    #[xml(text)]
    pub name: Option<String>,
}

/// What more a PCI device can do; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum PciCapability {
    /// It is a virtual function, of this device.
    #[xml(name = "phys_function")]
    PhysFunction(PhysFunction),
    /// It has virtual functions.
    #[xml(name = "virt_functions")]
    VirtFunctions(VirtFunctions),
    /// It is a bridge of PCI.
    PciBridge(Nothing),
    /// It is a bridge of CardBus.
    CardbusBridge(Nothing),
    /// It makes mediated devices.
    #[xml(name = "mdev_types")]
    MdevTypes(MdevTypes),
    /// It tells of itself.
    Vpd(Vpd),
}

/// Nothing more.
#[element]
pub struct Nothing {}

/// `<capability type='phys_function'>`: the device that a virtual function belongs to.
#[element]
pub struct PhysFunction {
    /// Its address.
    pub address: Option<HostPciAddress>,
}

/// `<capability type='virt_functions' maxCount='7'>`: virtual functions.
#[element]
pub struct VirtFunctions {
    /// How many there can be.
    #[xml(attr)]
    pub max_count: Option<u32>,
    /// Their addresses.
    #[xml(name = "address")]
    pub addresses: Vec<HostPciAddress>,
}

/// `<iommuGroup number='12'>`: devices that must be handed through together.
#[element(open)]
pub struct IommuGroup {
    /// Its number.
    #[xml(attr)]
    pub number: u32,
    /// Their addresses.
    #[xml(name = "address")]
    pub addresses: Vec<HostPciAddress>,
}

/// `<numa node='0'/>`: where a device is near to.
#[element]
pub struct NumaNode {
    /// The node.
    #[xml(attr)]
    pub node: i32,
}

/// `<pci-express>`: a device's links.
#[element]
pub struct PciExpress {
    /// The links.
    #[xml(name = "link")]
    pub links: Vec<PciExpressLink>,
}

words! {
    /// What is told of a link.
    pub enum LinkValidity {
        /// What it can.
        Cap = "cap",
        /// What it does.
        Sta = "sta",
    }
}

/// `<link validity='cap' port='1' speed='2.5' width='1'/>`: a link.
#[element]
pub struct PciExpressLink {
    /// What is told.
    #[xml(attr)]
    pub validity: LinkValidity,
    /// Its number.
    #[xml(attr)]
    pub port: Option<u32>,
    /// Its speed in GT/s.
    #[xml(attr)]
    pub speed: Option<String>,
    /// How many lanes.
    #[xml(attr)]
    pub width: u32,
}

impl PciDevice {
    /// A group without devices is none; capabilities have an order; a device can have functions or be one.
    pub(super) fn settle(&mut self) {
        self.iommu_group.take_if(|group| group.addresses.is_empty());
        self.numa.take_if(|numa| numa.node < 0);
        self.capabilities.sort_by_key(|capability| match capability {
            PciCapability::PhysFunction(_) => 0,
            PciCapability::VirtFunctions(_) => 1,
            PciCapability::PciBridge(_) | PciCapability::CardbusBridge(_) => 2,
            PciCapability::MdevTypes(_) => 3,
            PciCapability::Vpd(_) => 4,
        });
    }
}
