//! A disk of a snapshot.

use ostler_conf_derive::element;

use super::SnapshotLocation;
use crate::values::XmlTree;
use crate::words;

/// `<disks>`: the disks.
#[element(open)]
pub struct SnapshotDisks {
    /// The disks.
    #[xml(name = "disk")]
    pub disks: Vec<SnapshotDisk>,
}

/// `<disk name='vda' snapshot='external'>`: a disk.
#[element]
pub struct SnapshotDisk {
    /// Its target in the guest, or its path on the host.
    #[xml(attr)]
    pub name: String,
    /// Where it is kept.
    #[xml(attr)]
    pub snapshot: Option<SnapshotLocation>,
    /// How a running guest's disk is deleted or kept with it.
    #[xml(attr, name = "snapshotDeleteInProgress")]
    #[serde(skip)]
    pub delete_in_progress: Option<crate::values::YesNo>,
    /// With `external`: what the new image is.
    #[xml(attr)]
    pub r#type: Option<SnapshotDiskType>,
    /// With `external`: the new image's format.
    pub driver: Option<SnapshotDiskDriver>,
    /// With `external`: the new image.
    pub source: Option<XmlTree>,
}

words! {
    /// What an image is.
    pub enum SnapshotDiskType {
        /// A file.
        File = "file",
        /// A block device.
        Block = "block",
        /// On the network.
        Network = "network",
    }
}

/// `<driver type='qcow2'/>`: an image's format.
#[element]
pub struct SnapshotDiskDriver {
    /// The format.
    #[xml(attr)]
    pub r#type: Option<String>,
    /// How much of its tables is held in memory.
    #[xml(name = "metadata_cache")]
    pub metadata_cache: Option<XmlTree>,
}

impl SnapshotDisk {
    /// An image of its own is external, and a file if nothing else is said.
    pub(super) fn settle(&mut self) {
        self.source.take_if(|source| *source == XmlTree::default());
        if self.source.is_some() || self.driver.as_ref().is_some_and(|driver| driver.r#type.is_some()) {
            self.snapshot.get_or_insert(SnapshotLocation::External);
        }
        if self.snapshot == Some(SnapshotLocation::External) {
            self.r#type.get_or_insert(SnapshotDiskType::File);
        } else {
            self.r#type = None;
        }
    }
}
