//! What devices share.

use ostler_conf_derive::element;

use crate::values::{OnOff, YesNo};
use crate::words;

/// `<alias name='net0'/>`: a device's name in the hypervisor.
#[element]
pub struct Alias {
    /// The name; users' own start with `ua-`.
    #[xml(attr)]
    pub name: String,
}

/// `<boot order='1'/>`: a device's place in the boot order.
#[element]
pub struct Boot {
    /// The place, from 1.
    #[xml(attr)]
    pub order: u32,
    /// The entry of the boot menu that s390 guests load.
    #[xml(attr)]
    pub loadparm: Option<String>,
}

/// `<acpi index='1'/>`: a device's place in ACPI's numbering.
#[element]
pub struct AcpiIndex {
    /// The number, from 1.
    #[xml(attr)]
    pub index: u32,
}

/// `<rom bar='on' file='/x.rom'/>`: a PCI device's ROM.
#[element]
pub struct Rom {
    /// Whether the guest has one at all.
    #[xml(attr)]
    pub enabled: Option<YesNo>,
    /// Whether it is visible in the guest's memory map.
    #[xml(attr)]
    pub bar: Option<OnOff>,
    /// The file that holds it. Needs a grant.
    #[xml(attr)]
    pub file: Option<String>,
}

/// What a virtio device's `<driver>` may say.
#[element]
pub struct VirtioOptions {
    /// Whether it goes through the virtual IOMMU.
    #[xml(attr)]
    pub iommu: Option<OnOff>,
    /// Whether address translations are cached.
    #[xml(attr)]
    pub ats: Option<OnOff>,
    /// Whether packed rings are used.
    #[xml(attr)]
    pub packed: Option<OnOff>,
    /// Whether each queue's doorbell has a page of its own.
    #[xml(attr, name = "page_per_vq")]
    pub page_per_vq: Option<OnOff>,
}

/// `<audio id='1'/>`: the host's side of a device's sound.
#[element]
pub struct AudioRef {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
}

words! {
    /// Which generation of virtio a device speaks.
    pub enum VirtioModel { Virtio = "virtio", Transitional = "virtio-transitional", NonTransitional = "virtio-non-transitional", }
}
