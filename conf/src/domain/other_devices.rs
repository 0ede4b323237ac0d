//! Devices with little to say.

use ostler_conf_derive::{element, union};

use super::{AcpiIndex, Address, Alias, VirtioModel, VirtioOptions};
use crate::values::{OnOff, ScaledKib, ScaledM, YesNo};
use crate::words;

/// A hub with more ports.
#[element]
pub struct Hub {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its bus.
    #[xml(attr)]
    pub r#type: HubKind,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A device by which the guest says that it panicked.
#[element]
pub struct Panic {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model; absent: the machine's.
    #[xml(attr)]
    pub model: Option<PanicModel>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A socket between host and guest.
#[element]
pub struct Vsock {
    /// Which virtio it speaks.
    #[xml(attr)]
    pub model: Option<VirtioModel>,
    /// The guest's number.
    pub cid: Option<VsockCid>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
    /// How virtio is spoken.
    pub driver: Option<VirtioOptions>,
}

/// `<cid auto='no' address='3'/>`: a guest's number.
#[element]
pub struct VsockCid {
    /// Whether it is chosen at start.
    #[xml(attr)]
    pub auto: Option<YesNo>,
    /// The number, from 3.
    #[xml(attr)]
    pub address: Option<u32>,
}

/// Memory shared between guests.
#[element]
pub struct Shmem {
    /// The memory's name.
    #[xml(attr)]
    pub name: String,
    /// What happens to it at migration.
    #[xml(attr)]
    pub role: Option<ShmemRole>,
    /// What the guest sees.
    #[xml(attr, name = "type", on = "model")]
    pub model: Option<ShmemModel>,
    /// How much it is.
    pub size: Option<ScaledM>,
    /// The socket of the server that hands it out.
    #[xml(attr, name = "path", on = "server")]
    pub server: Option<String>,
    /// Its interrupts.
    #[xml(keep)]
    pub msi: Option<ShmemMsi>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<msi vectors='32' ioeventfd='on'/>`: interrupts of shared memory.
#[element]
pub struct ShmemMsi {
    /// Whether they are on.
    #[xml(attr)]
    pub enabled: Option<YesNo>,
    /// How many.
    #[xml(attr)]
    pub vectors: Option<u32>,
    /// Whether the guest's notifications are handled apart.
    #[xml(attr)]
    pub ioeventfd: Option<OnOff>,
}

/// The guest's IOMMU.
#[element]
pub struct Iommu {
    /// Its model.
    #[xml(attr)]
    pub model: IommuModel,
    /// How it is done.
    pub driver: Option<IommuDriver>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<driver intremap='on'/>`: how an IOMMU is done.
#[element]
pub struct IommuDriver {
    /// Whether interrupts are remapped.
    #[xml(attr)]
    pub intremap: Option<OnOff>,
    /// Whether the guest must tell of every change.
    #[xml(attr, name = "caching_mode")]
    pub caching_mode: Option<OnOff>,
    /// Whether interrupts have long numbers.
    #[xml(attr)]
    pub eim: Option<OnOff>,
    /// Whether translations are cached.
    #[xml(attr)]
    pub iotlb: Option<OnOff>,
    /// How many bits an address has.
    #[xml(attr, name = "aw_bits")]
    pub aw_bits: Option<u32>,
    /// Whether memory accesses are translated.
    #[xml(attr, name = "dma_translation")]
    pub dma_translation: Option<OnOff>,
}

/// The non-volatile memory of POWER guests.
#[element]
pub struct NvramDevice {
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A device that computes ciphers.
#[element]
pub struct Crypto {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model.
    #[xml(attr)]
    pub model: CryptoModel,
    /// Its kind.
    #[xml(attr)]
    pub r#type: CryptoKind,
    /// What computes.
    pub backend: CryptoBackend,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
    /// How virtio is spoken.
    pub driver: Option<VirtioOptions>,
}

/// `<backend model='builtin' queues='1'/>`: what computes ciphers.
#[union(tag = "model")]
pub enum CryptoBackend {
    /// The hypervisor.
    Builtin(CryptoQueues),
    /// The kernel.
    Lkcf(CryptoQueues),
}

/// How many queues there are.
#[element]
pub struct CryptoQueues {
    /// So many.
    #[xml(attr)]
    pub queues: Option<u32>,
}

/// A place where a guest leaves its last words.
#[element]
pub struct Pstore {
    /// What the guest sees.
    #[xml(attr)]
    pub backend: PstoreBackend,
    /// The file.
    pub path: Option<String>,
    /// How much it holds.
    pub size: Option<ScaledKib>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// A lease that the guest holds while it runs.
#[element]
pub struct Lease {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// The space that it is in.
    pub lockspace: Option<String>,
    /// Its key there.
    pub key: String,
    /// Where the space is.
    pub target: LeaseTarget,
}

/// `<target path='/x' offset='1024'/>`: where a lock space is.
#[element]
pub struct LeaseTarget {
    /// Its file. Needs a grant.
    #[xml(attr)]
    pub path: String,
    /// Where it starts in the file.
    #[xml(attr)]
    pub offset: Option<u64>,
}

words! {
    /// The bus of a hub.
    pub enum HubKind { Usb = "usb", }

    /// By what a guest says that it panicked.
    pub enum PanicModel { Isa = "isa", Pseries = "pseries", Hyperv = "hyperv", S390 = "s390", Pvpanic = "pvpanic", }

    /// What a guest sees as shared memory.
    pub enum ShmemModel { Ivshmem = "ivshmem", Plain = "ivshmem-plain", Doorbell = "ivshmem-doorbell", }

    /// What happens to shared memory at migration.
    pub enum ShmemRole { Master = "master", Peer = "peer", }

    /// The model of an IOMMU.
    pub enum IommuModel { Intel = "intel", Smmuv3 = "smmuv3", Virtio = "virtio", }

    /// The model of a device that computes ciphers.
    pub enum CryptoModel { Virtio = "virtio", }

    /// The kind of a device that computes ciphers.
    pub enum CryptoKind { Qemu = "qemu", }

    /// Where a guest leaves its last words.
    pub enum PstoreBackend { AcpiErst = "acpi-erst", }
}
