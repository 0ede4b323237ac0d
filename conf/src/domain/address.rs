//! `<address>`: where a device sits in the virtual machine.

use ostler_conf_derive::{element, union};

use crate::values::{Hex, HexLong, OnOff};

/// `<address type='pci' …/>`: where a device sits; what was assigned once stays.
#[union(tag = "type")]
pub enum Address {
    /// On a PCI bus.
    Pci(PciAddress),
    /// On a disk controller.
    Drive(DriveAddress),
    /// On a virtio serial controller.
    VirtioSerial(VirtioSerialAddress),
    /// On a smart card controller.
    Ccid(CcidAddress),
    /// On a USB bus.
    Usb(UsbAddress),
    /// On POWER's virtual I/O bus.
    SpaprVio(SpaprVioAddress),
    /// On s390's virtio bus of old.
    #[xml(name = "virtio-s390")]
    VirtioS390(PlainAddress),
    /// On s390's channel subsystem.
    Ccw(CcwAddress),
    /// On the ISA bus.
    Isa(IsaAddress),
    /// In a memory slot.
    Dimm(DimmAddress),
    /// On the virtio memory-mapped bus.
    VirtioMmio(MmioAddress),
    /// Nowhere: known, but not given to the guest.
    Unassigned(UnassignedAddress),
}

/// `<address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>`
#[element]
pub struct PciAddress {
    /// The domain; PCI's, not a guest.
    #[xml(attr)]
    pub domain: Option<Hex<4>>,
    /// The bus: the index of the PCI controller.
    #[xml(attr)]
    pub bus: Option<Hex<2>>,
    /// The slot, 0 to 0x1f.
    #[xml(attr)]
    pub slot: Option<Hex<2>>,
    /// The function, 0 to 7.
    #[xml(attr)]
    pub function: Option<Hex<1>>,
    /// Whether other functions share the slot.
    #[xml(attr)]
    pub multifunction: Option<OnOff>,
    /// The identity that s390 guests see.
    pub zpci: Option<ZpciAddress>,
}

/// `<zpci uid='0x0001' fid='0x00000000'/>`: a PCI device's identity in s390 guests.
#[element]
pub struct ZpciAddress {
    /// The user-defined identifier.
    #[xml(attr)]
    pub uid: Option<Hex<4>>,
    /// The function identifier.
    #[xml(attr)]
    pub fid: Option<HexLong<8>>,
}

/// `<address type='spapr-vio' reg='0x00003000'/>`
#[element]
pub struct SpaprVioAddress {
    /// The register.
    #[xml(attr)]
    pub reg: Option<HexLong<8>>,
}

/// `<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0001'/>`
#[element]
pub struct CcwAddress {
    /// The channel subsystem.
    #[xml(attr)]
    pub cssid: Option<Hex<1, 0xff>>,
    /// The subchannel set.
    #[xml(attr)]
    pub ssid: Option<Hex<1>>,
    /// The device number.
    #[xml(attr)]
    pub devno: Option<Hex<4>>,
}

/// `<address type='dimm' slot='0' base='0x100000000'/>`
#[element]
pub struct DimmAddress {
    /// The slot.
    #[xml(attr)]
    pub slot: Option<u32>,
    /// Where it starts in the guest's memory.
    #[xml(attr)]
    pub base: Option<HexLong<1>>,
}

/// Nothing to say.
#[element]
pub struct PlainAddress {}

/// `<address type='drive' controller='0' bus='0' target='0' unit='0'/>`
#[element]
pub struct DriveAddress {
    /// The controller's index.
    #[xml(attr)]
    pub controller: Option<u32>,
    /// The bus of the controller.
    #[xml(attr)]
    pub bus: Option<u32>,
    /// The target on the bus.
    #[xml(attr)]
    pub target: Option<u32>,
    /// The unit of the target.
    #[xml(attr)]
    pub unit: Option<u32>,
}

/// `<address type='virtio-serial' controller='0' bus='0' port='1'/>`
#[element]
pub struct VirtioSerialAddress {
    /// The controller's index.
    #[xml(attr)]
    pub controller: Option<u32>,
    /// The bus of the controller.
    #[xml(attr)]
    pub bus: Option<u32>,
    /// The port on the bus.
    #[xml(attr)]
    pub port: Option<u32>,
}

/// `<address type='ccid' controller='0' slot='0'/>`
#[element]
pub struct CcidAddress {
    /// The controller's index.
    #[xml(attr)]
    pub controller: Option<u32>,
    /// The slot.
    #[xml(attr)]
    pub slot: Option<u32>,
}

/// `<address type='usb' bus='0' port='1.2'/>`
#[element]
pub struct UsbAddress {
    /// The bus: the index of the USB controller.
    #[xml(attr)]
    pub bus: Option<u32>,
    /// The ports on the way, with dots.
    #[xml(attr)]
    pub port: Option<String>,
}

/// `<address type='isa' iobase='0x505' irq='0x1'/>`
#[element]
pub struct IsaAddress {
    /// The first I/O port.
    #[xml(attr)]
    pub iobase: Option<Hex<1, 0xffff>>,
    /// The interrupt.
    #[xml(attr)]
    pub irq: Option<Hex<1>>,
}

/// `<address type='virtio-mmio'/>`
#[element]
pub struct MmioAddress {}

/// `<address type='unassigned'/>`
#[element]
pub struct UnassignedAddress {}

impl PciAddress {
    /// An address in domain 0 with function 0.
    pub const fn new(bus: u32, slot: u32) -> Self {
        PciAddress {
            domain: Some(Hex(0)),
            bus: Some(Hex(bus)),
            slot: Some(Hex(slot)),
            function: Some(Hex(0)),
            multifunction: None,
            zpci: None,
        }
    }

    /// What is not given is 0.
    pub(crate) fn fill_in(&mut self) {
        self.domain.get_or_insert(Hex(0));
        self.bus.get_or_insert(Hex(0));
        self.slot.get_or_insert(Hex(0));
        self.function.get_or_insert(Hex(0));
    }

    /// Domain, bus, slot and function; what is not given is 0.
    pub fn key(&self) -> (u32, u32, u32, u32) {
        let number = |value: Option<u32>| value.unwrap_or(0);
        (
            number(self.domain.map(|h| h.0)),
            number(self.bus.map(|h| h.0)),
            number(self.slot.map(|h| h.0)),
            number(self.function.map(|h| h.0)),
        )
    }
}
