//! The driver-independent rules of a backup.

use ostler_util::ErrorCode;

use super::{Backup, BackupDisk, BackupDiskMode, BackupDiskType, BackupMode, BackupServer};
use crate::Problem;

pub(super) fn problems(backup: &Backup) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: String, message: &str| problems.push(Problem::new(ErrorCode::XmlError, path, message));
    let mode = backup.mode.unwrap_or(BackupMode::Push);
    match (&backup.server, mode) {
        (Some(_), BackupMode::Push) => add("server".into(), "only with mode 'pull' the data are fetched"),
        (Some(BackupServer::Unix(server)), BackupMode::Pull) if !server.socket.starts_with('/') => {
            add("server.unix.socket".into(), "the path of a socket is absolute");
        }
        _ => {}
    }
    for (index, disk) in backup.disks.iter().flat_map(|disks| &disks.disks).enumerate() {
        check_disk(disk, mode, &format!("disks.disks[{index}]"), &mut add);
    }
    problems
}

fn check_disk(disk: &BackupDisk, mode: BackupMode, path: &str, add: &mut impl FnMut(String, &str)) {
    if disk.incremental.is_some() && disk.backupmode == Some(BackupDiskMode::Full) {
        add(format!("{path}.incremental"), "a full backup is since no checkpoint");
    }
    if mode == BackupMode::Push && (disk.exportname.is_some() || disk.exportbitmap.is_some()) {
        add(format!("{path}.exportname"), "only with mode 'pull' the data are fetched");
    }
    let (field, image) = match mode {
        BackupMode::Push => ("target", &disk.target),
        BackupMode::Pull => ("scratch", &disk.scratch),
    };
    let Some(image) = image else { return };
    let is_named = match disk.r#type.unwrap_or(BackupDiskType::File) {
        BackupDiskType::File => image.file.is_some(),
        BackupDiskType::Block => image.dev.is_some(),
    };
    if !is_named {
        add(format!("{path}.{field}"), "an image of this type is missing: 'file' of a file, 'dev' of a block device");
    }
}
