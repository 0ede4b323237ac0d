//! `<job>`: what is being done with a guest, and takes its time.

use ostler_conf_derive::element;
use serde::{Deserialize, Serialize};

use super::JobImage;
use crate::Problem;
use crate::domain::DiskSource;
use crate::values::{HexLong, YesNo};
use crate::words;
use crate::xml::{Element, Reader, Writer, read_choice};

/// `<job type='none' async='migration out' phase='perform3' flags='0x0' asyncStarted='0'>`: what is being done.
#[element]
pub struct Job {
    /// What one caller does.
    #[xml(attr)]
    pub r#type: JobKind,
    /// What goes on beside it.
    #[xml(attr)]
    pub r#async: Option<AsyncJobKind>,
    /// How far a migration is.
    #[xml(attr)]
    pub phase: Option<JobPhase>,
    /// How it was asked for.
    #[xml(attr)]
    pub flags: Option<HexLong<1>>,
    /// When it began, in milliseconds since 1970.
    #[xml(attr)]
    pub async_started: Option<u64>,
    /// Disks that move as well.
    #[xml(name = "disk")]
    pub disks: Vec<JobDisk>,
    /// Bitmaps that were made for it.
    #[xml(name = "tempBlockDirtyBitmaps")]
    pub bitmaps: Option<TemporaryBitmaps>,
    /// The migration's parameters as they were before.
    #[xml(name = "migParams")]
    pub parameters: Option<MigrationParameters>,
}

words! {
    /// What one caller does.
    pub enum JobKind {
        None = "none", Query = "query", Destroy = "destroy", Suspend = "suspend", Modify = "modify", Abort = "abort",
        MigrationOperation = "migration operation", ModifyMigrationSafe = "modify migration safe", AsyncNested = "async nested",
    }

    /// What goes on for long.
    pub enum AsyncJobKind {
        None = "none", MigrationOut = "migration out", MigrationIn = "migration in", Save = "save", Dump = "dump",
        Snapshot = "snapshot", Start = "start", Backup = "backup",
    }

    /// How far a migration is.
    pub enum JobPhase {
        None = "none", Perform2 = "perform2", Begin3 = "begin3", Perform3 = "perform3", Perform3Done = "perform3_done",
        Confirm3Cancelled = "confirm3_cancelled", Confirm3 = "confirm3", Prepare = "prepare", Finish2 = "finish2",
        Finish3 = "finish3", PostcopyFailed = "postcopy_failed", BeginResume = "begin_resume",
        PerformResume = "perform_resume", ConfirmResume = "confirm_resume", PrepareResume = "prepare_resume",
        FinishResume = "finish_resume",
    }
}

/// `<disk dev='vda' migrating='yes'>`: a disk that moves, or does not.
#[element]
pub struct JobDisk {
    /// Its target.
    #[xml(attr)]
    pub dev: String,
    /// Whether it moves.
    #[xml(attr)]
    pub migrating: YesNo,
    /// Where it moves to.
    pub migration_source: Option<MigrationSource>,
}

/// `<migrationSource type='network' format='raw'>`: where a disk moves to. Older ones say of the element itself what belongs to
/// its `<source>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct MigrationSource(pub JobImage);

impl Element for MigrationSource {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        if reader.child("source").is_some() {
            return JobImage::read(reader).map(MigrationSource);
        }
        let source: Option<DiskSource> = read_choice(reader, "type", reader.attr_text("type"), reader)?;
        Ok(MigrationSource(JobImage { source, format: reader.attr("format")?, backing_chain: None }))
    }

    fn attrs(&self, writer: &mut Writer) {
        self.0.attrs(writer);
    }

    fn body(&self, writer: &mut Writer) {
        self.0.body(writer);
    }
}

/// `<tempBlockDirtyBitmaps>`: bitmaps that were made for a migration.
#[element]
pub struct TemporaryBitmaps {
    /// They.
    #[xml(name = "bitmap")]
    pub bitmaps: Vec<TemporaryBitmap>,
}

/// `<bitmap name='x' nodename='libvirt-1-format'/>`: a bitmap that was made for a migration.
#[element]
pub struct TemporaryBitmap {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// The node that has it.
    #[xml(attr, name = "nodename")]
    pub node: String,
}

/// `<migParams>`: a migration's parameters.
#[element]
pub struct MigrationParameters {
    /// They.
    #[xml(name = "param")]
    pub parameters: Vec<MigrationParameter>,
}

/// `<param name='downtime-limit' value='300'/>`: a migration's parameter.
#[element]
pub struct MigrationParameter {
    /// Its name in QEMU.
    #[xml(attr)]
    pub name: String,
    /// Its value.
    #[xml(attr)]
    pub value: String,
}
