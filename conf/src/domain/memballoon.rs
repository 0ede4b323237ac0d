//! `<memballoon>`

use ostler_conf_derive::element;

use super::{Address, Alias, VirtioOptions};
use crate::values::OnOff;
use crate::words;

/// The memory balloon, with which the guest gives memory back.
#[element]
pub struct Memballoon {
    /// Its model; `none`: the guest has none.
    #[xml(attr)]
    pub model: MemballoonModel,
    /// Whether it shrinks before the guest runs out of memory.
    #[xml(attr)]
    pub autodeflate: Option<OnOff>,
    /// Whether the guest tells which pages are free.
    #[xml(attr)]
    pub free_page_reporting: Option<OnOff>,
    /// How often statistics are asked for.
    pub stats: Option<MemballoonStats>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
    /// How virtio is spoken.
    pub driver: Option<VirtioOptions>,
}

/// `<stats period='10'/>`: how often statistics are asked for.
#[element]
pub struct MemballoonStats {
    /// The time between, in seconds.
    #[xml(attr)]
    pub period: u32,
}

words! {
    /// The model of a memory balloon.
    pub enum MemballoonModel {
        /// virtio.
        Virtio = "virtio",
        /// Xen's.
        Xen = "xen",
        /// None.
        None = "none",
        /// virtio, old and new.
        VirtioTransitional = "virtio-transitional",
        /// virtio, new only.
        VirtioNonTransitional = "virtio-non-transitional",
    }
}

impl Memballoon {
    /// A balloon without more words.
    pub fn new(model: MemballoonModel) -> Self {
        Memballoon {
            model,
            autodeflate: None,
            free_page_reporting: None,
            stats: None,
            alias: None,
            address: None,
            driver: None,
        }
    }
}
