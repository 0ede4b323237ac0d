//! What of a backup follows from the guest's disks.

use super::{Backup, BackupDisk, BackupDiskMode, BackupDiskType, BackupDisks, BackupImage, BackupMode};
use crate::values::YesNo;

/// A disk of the guest: what a backup needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupCandidate {
    /// Its target in the guest.
    pub name: String,
    /// The file of its image, where it is one.
    pub file: Option<String>,
}

/// Disks that are not named are left out, unless none is named: then all are kept.
pub(super) fn complete(backup: &mut Backup, candidates: &[BackupCandidate], suffix: &str) {
    let mode = *backup.mode.get_or_insert(BackupMode::Push);
    let by_default = backup.disks.is_none();
    let disks = &mut backup.disks.get_or_insert_with(BackupDisks::default).disks;
    for candidate in candidates {
        if !disks.iter().any(|disk| disk.name == candidate.name) {
            disks.push(BackupDisk { backup: Some(YesNo(by_default)), ..disk(&candidate.name) });
        }
    }
    for disk in disks.iter_mut() {
        let is_kept = disk.backup.get_or_insert(YesNo(true)).0;
        if !is_kept {
            continue;
        }
        let r#type = *disk.r#type.get_or_insert(BackupDiskType::File);
        if disk.incremental.is_none() && disk.backupmode != Some(BackupDiskMode::Full) {
            disk.incremental.clone_from(&backup.incremental);
        }
        disk.backupmode.get_or_insert(match disk.incremental {
            Some(_) => BackupDiskMode::Incremental,
            None => BackupDiskMode::Full,
        });
        let image = match mode {
            BackupMode::Push => &mut disk.target,
            BackupMode::Pull => continue,
        };
        let file = candidates.iter().find(|candidate| candidate.name == disk.name).and_then(|it| it.file.as_ref());
        if let (None, BackupDiskType::File, Some(file)) = (&image, r#type, file) {
            *image = Some(BackupImage { file: Some(format!("{file}.{suffix}")), ..BackupImage::default() });
        }
    }
}

fn disk(name: &str) -> BackupDisk {
    BackupDisk {
        name: name.to_owned(),
        backup: None,
        state: None,
        r#type: None,
        backupmode: None,
        incremental: None,
        exportname: None,
        exportbitmap: None,
        index: None,
        driver: None,
        target: None,
        scratch: None,
    }
}
