//! `<blockjobs>`: what is being done with a guest's images.

use ostler_conf_derive::element;

use crate::domain::{BackingChain, DiskSource, ImageFormatName};
use crate::values::{HexLong, YesNo};
use crate::words;

/// `<blockjobs active='yes'>`: what is being done with a guest's images.
#[element]
pub struct BlockJobs {
    /// Whether anything is.
    #[xml(attr)]
    pub active: YesNo,
    /// What it is.
    #[xml(name = "blockjob")]
    pub jobs: Vec<BlockJob>,
}

/// `<blockjob name='commit-vda-libvirt-1-format' type='commit' state='running'>`: something that is done with an image.
#[element]
pub struct BlockJob {
    /// Its name in QEMU.
    #[xml(attr)]
    pub name: String,
    /// What it is.
    #[xml(attr)]
    pub r#type: BlockJobKind,
    /// How far it is.
    #[xml(attr)]
    pub state: BlockJobState,
    /// How far it will be, once what that means is done.
    #[xml(attr, name = "newstate")]
    pub new_state: Option<BlockJobState>,
    /// What one was whose record is damaged.
    #[xml(attr, name = "brokentype")]
    pub broken_type: Option<BlockJobKind>,
    /// How it was asked for.
    #[xml(attr, name = "jobflags")]
    pub flags: Option<HexLong<1>>,
    /// A copy of the top image only, to one that was not there.
    #[xml(attr, name = "shallownew")]
    pub is_shallow_and_new: Option<YesNo>,
    /// The disk.
    pub disk: Option<BlockJobDisk>,
    /// Images that belong to no disk any more.
    pub chains: Option<JobChains>,
    /// Why it failed.
    #[xml(name = "errmsg")]
    pub error: Option<String>,
    /// The image that stays below.
    pub base: Option<BlockJobNode>,
    /// The topmost image that goes.
    pub top: Option<BlockJobNode>,
    /// The image above that.
    #[xml(name = "topparent")]
    pub top_parent: Option<BlockJobNode>,
    /// Images that are not needed any more are deleted.
    #[xml(flag)]
    pub delete_committed_images: bool,
    /// What is made of an image.
    pub create: Option<BlockJobCreate>,
    /// The image that is made.
    pub src: Option<JobImage>,
    /// The bitmap that tells what is backed up.
    #[xml(attr, name = "name", on = "bitmap")]
    pub bitmap: Option<String>,
    /// Where it is backed up to.
    pub store: Option<JobImage>,
}

words! {
    /// What is done with an image.
    pub enum BlockJobKind {
        Pull = "pull", Copy = "copy", Commit = "commit", ActiveCommit = "active-commit", Backup = "backup", Create = "create",
        SnapshotSave = "snapshot-save", SnapshotDelete = "snapshot-delete", SnapshotLoad = "snapshot-load", Broken = "broken",
    }

    /// How far it is.
    pub enum BlockJobState {
        Completed = "completed", Failed = "failed", Cancelled = "cancelled", Ready = "ready", New = "new",
        Running = "running", Concluded = "concluded", Aborting = "aborting", Pending = "pending", Pivoting = "pivoting",
    }

    /// Which part of an image is made.
    pub enum BlockJobStep { Storage = "storage", }
}

/// `<disk dst='vda' mirror='yes'/>`: the disk that something is done with.
#[element]
pub struct BlockJobDisk {
    /// Its target.
    #[xml(attr)]
    pub dst: String,
    /// Whether it has a copy.
    #[xml(attr)]
    pub mirror: Option<YesNo>,
}

/// `<base node='libvirt-1-storage'/>`: a node.
#[element]
pub struct BlockJobNode {
    /// Its name.
    #[xml(attr)]
    pub node: String,
}

/// `<create mode='storage'/>`: which part of an image is made.
#[element]
pub struct BlockJobCreate {
    /// The part.
    #[xml(attr)]
    pub mode: BlockJobStep,
}

/// `<chains>`: images that belong to no disk any more.
#[element]
pub struct JobChains {
    /// Those of the disk.
    pub disk: Option<JobImage>,
    /// Those of its copy.
    pub mirror: Option<JobImage>,
}

/// `<src type='file' format='qcow2'>`: an image, with those below it.
#[element]
pub struct JobImage {
    /// What holds it.
    #[xml(choice = "type")]
    pub source: Option<DiskSource>,
    /// Its format.
    #[xml(attr)]
    pub format: Option<ImageFormatName>,
    /// The images below.
    #[xml(name = "backingStore", keep)]
    pub backing_chain: Option<BackingChain>,
}
