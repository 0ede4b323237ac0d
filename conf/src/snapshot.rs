//! `<domainsnapshot>`: a moment of a guest to return to. libvirt: formatsnapshot.html.

mod align;
mod disk;
mod validate;

pub use disk::{SnapshotDisk, SnapshotDiskDriver, SnapshotDiskType, SnapshotDisks};

use ostler_conf_derive::element;

use crate::moment::MomentParent;
use crate::values::XmlTree;
use crate::{Invalid, words};

/// A snapshot: what libvirt's `<domainsnapshot>` says.
#[element(root = "domainsnapshot", after_read)]
pub struct Snapshot {
    /// Its name; absent: the time.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A description for people.
    pub description: Option<String>,
    /// What the guest did at the moment; never asked for.
    pub state: Option<SnapshotState>,
    /// The snapshot before; never asked for.
    pub parent: Option<MomentParent>,
    /// When it was made, in seconds of Unix time; never asked for.
    pub creation_time: Option<i64>,
    /// The guest's memory.
    #[xml(keep)]
    pub memory: Option<SnapshotMemory>,
    /// Its disks; absent: all.
    pub disks: Option<SnapshotDisks>,
    /// What external disks were before the guest returned here; never asked for.
    pub revert_disks: Option<SnapshotDisks>,
    /// The guest at the moment; never asked for.
    pub domain: Option<XmlTree>,
    /// The guest's definition for its next start, where that was another; never asked for.
    pub inactive_domain: Option<XmlTree>,
    /// What the hypervisor keeps for itself; never asked for.
    #[serde(skip)]
    pub cookie: Option<XmlTree>,
    /// Whether it is the current one; libvirt's own files only.
    #[serde(skip)]
    pub active: Option<i32>,
}

words! {
    /// What a guest did at a moment.
    pub enum SnapshotState {
        /// Nothing is known.
        Nostate = "nostate",
        /// It ran.
        Running = "running",
        /// It waited for something.
        Blocked = "blocked",
        /// It was paused.
        Paused = "paused",
        /// It was shutting down.
        Shutdown = "shutdown",
        /// It was off.
        Shutoff = "shutoff",
        /// It had crashed.
        Crashed = "crashed",
        /// It slept.
        Pmsuspended = "pmsuspended",
        /// It ran, and only its disks were kept.
        DiskSnapshot = "disk-snapshot",
    }

    /// Where something is kept.
    pub enum SnapshotLocation {
        /// Nowhere.
        No = "no",
        /// In the image itself.
        Internal = "internal",
        /// In a file of its own.
        External = "external",
        /// By someone else.
        Manual = "manual",
    }
}

/// `<memory snapshot='external' file='/images/web.mem'/>`: a guest's memory.
#[element]
pub struct SnapshotMemory {
    /// Where it is kept.
    #[xml(attr)]
    pub snapshot: Option<SnapshotLocation>,
    /// The file of its own.
    #[xml(attr)]
    pub file: Option<String>,
}

impl SnapshotState {
    /// Whether there was no memory to keep.
    pub const fn is_offline(self) -> bool {
        matches!(self, SnapshotState::Shutoff | SnapshotState::DiskSnapshot)
    }
}

impl Snapshot {
    fn after_read(&mut self) {
        if let Some(disks) = &mut self.disks {
            disks.disks.iter_mut().for_each(SnapshotDisk::settle);
        }
        if let Some(disks) = &mut self.revert_disks {
            disks.disks.iter_mut().for_each(SnapshotDisk::settle);
        }
        // A file says where.
        if let Some(memory) = &mut self.memory
            && memory.file.is_some()
        {
            memory.snapshot.get_or_insert(SnapshotLocation::External);
        }
    }

    /// What may be asked of a new snapshot: what only one that is there can tell is left out.
    pub fn into_request(self) -> Self {
        Snapshot {
            state: None,
            parent: None,
            creation_time: None,
            revert_disks: None,
            domain: None,
            inactive_domain: None,
            cookie: None,
            active: None,
            ..self
        }
    }

    /// Fills in when it was made, and the name that follows from it.
    pub fn complete(&mut self, now: i64) {
        let time = *self.creation_time.get_or_insert(now);
        if self.name.is_empty() {
            self.name = time.to_string();
        }
    }

    /// Fills in what one that is there must have kept: memory and disks of a guest with these disks.
    pub fn complete_kept(&mut self, disks: &[&str]) {
        align::complete(self, disks);
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
    }

    /// The rules of one that is there and told anew.
    ///
    /// # Errors
    /// As [`validate`](Self::validate); what one that is there must tell.
    pub fn validate_kept(&self) -> Result<(), Invalid> {
        self.validate()?;
        Invalid::check(validate::kept_problems(self))
    }
}
