//! `<domaincheckpoint>`: a moment since when changes of a guest's disks are tracked. libvirt: formatcheckpoint.html.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use crate::moment::{MomentParent, name_problems};
use crate::values::XmlTree;
use crate::{Invalid, Problem, words};

/// A checkpoint: what libvirt's `<domaincheckpoint>` says.
#[element(root = "domaincheckpoint")]
pub struct Checkpoint {
    /// Its name; absent: the time.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A description for people.
    pub description: Option<String>,
    /// The checkpoint before; never asked for.
    pub parent: Option<MomentParent>,
    /// When it was made, in seconds of Unix time; never asked for.
    pub creation_time: Option<i64>,
    /// Its disks; absent: all that can.
    pub disks: Option<CheckpointDisks>,
    /// The guest at the moment; never asked for.
    pub domain: Option<XmlTree>,
}

/// `<disks>`: the disks.
#[element(open)]
pub struct CheckpointDisks {
    /// The disks.
    #[xml(name = "disk")]
    pub disks: Vec<CheckpointDisk>,
}

words! {
    /// Whether changes of a disk are tracked.
    pub enum CheckpointMode {
        /// They are not.
        No = "no",
        /// By a bitmap in the image.
        Bitmap = "bitmap",
    }
}

/// `<disk name='vda' checkpoint='bitmap'/>`: a disk.
#[element]
pub struct CheckpointDisk {
    /// Its target in the guest.
    #[xml(attr)]
    pub name: String,
    /// Whether its changes are tracked.
    #[xml(attr)]
    pub checkpoint: Option<CheckpointMode>,
    /// The bitmap's name; absent: the checkpoint's.
    #[xml(attr)]
    pub bitmap: Option<String>,
    /// Bytes changed since; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub size: Option<u64>,
}

impl Checkpoint {
    /// What may be asked of a new checkpoint: what only one that is there can tell is left out.
    pub fn into_request(self) -> Self {
        Checkpoint { parent: None, creation_time: None, domain: None, ..self }
    }

    /// Fills in when it was made, and the name that follows from it; a bitmap's name follows from that.
    pub fn complete(&mut self, now: i64) {
        let time = *self.creation_time.get_or_insert(now);
        if self.name.is_empty() {
            self.name = time.to_string();
        }
        for disk in self.disks.iter_mut().flat_map(|disks| &mut disks.disks) {
            let mode = *disk.checkpoint.get_or_insert(CheckpointMode::Bitmap);
            if mode == CheckpointMode::Bitmap {
                disk.bitmap.get_or_insert_with(|| self.name.clone());
            }
        }
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = name_problems(&self.name);
        for (index, disk) in self.disks.iter().flat_map(|disks| &disks.disks).enumerate() {
            if disk.bitmap.is_some() && disk.checkpoint == Some(CheckpointMode::No) {
                let message = "a disk that is not tracked has no bitmap";
                problems.push(Problem::new(ErrorCode::XmlError, format!("disks.disks[{index}].bitmap"), message));
            }
        }
        Invalid::check(problems)
    }
}
