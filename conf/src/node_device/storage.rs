//! Disks, and drives for media.

use ostler_conf_derive::{element, union};

use super::pci::Nothing;

/// A disk, or a drive for media.
#[element]
pub struct StorageDevice {
    /// Its file.
    pub block: String,
    /// How it is reached.
    pub bus: Option<String>,
    /// What it is.
    #[xml(name = "drive_type")]
    pub drive_type: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its vendor.
    pub vendor: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// The size of a block.
    #[xml(name = "logical_block_size")]
    pub logical_block_size: Option<u64>,
    /// How many blocks.
    #[xml(name = "num_blocks")]
    pub num_blocks: Option<u64>,
    /// What more it is.
    #[xml(name = "capability")]
    pub capabilities: Vec<StorageCapability>,
}

/// What more a storage device is; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum StorageCapability {
    /// A drive for media.
    Removable(RemovableMedia),
    /// It can be taken out while the host runs.
    Hotpluggable(Nothing),
}

/// `<capability type='removable'>`: a drive's medium.
#[element(open)]
pub struct RemovableMedia {
    /// 1 if there is one.
    #[xml(name = "media_available")]
    pub media_available: Option<u64>,
    /// Its size in bytes.
    #[xml(name = "media_size")]
    pub media_size: Option<u64>,
    /// Its label.
    #[xml(name = "media_label")]
    pub media_label: Option<String>,
    /// The size of a block.
    #[xml(name = "logical_block_size")]
    pub logical_block_size: Option<u64>,
    /// How many blocks.
    #[xml(name = "num_blocks")]
    pub num_blocks: Option<u64>,
}
