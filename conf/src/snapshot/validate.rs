//! The driver-independent rules of a snapshot.

use ostler_util::ErrorCode;

use super::{Snapshot, SnapshotDisk, SnapshotDiskType, SnapshotLocation};
use crate::Problem;
use crate::moment::name_problems;
use crate::xml::one_of;

/// The protocols by which an image is reached on the network. libvirt: formatdomain.html, disk source.
const PROTOCOLS: &[&str] =
    &["nbd", "rbd", "sheepdog", "gluster", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh", "vxhs", "nfs"];

pub(super) fn problems(snapshot: &Snapshot) -> Vec<Problem> {
    let mut problems = name_problems(&snapshot.name);
    let mut add = |path: String, message: String| problems.push(Problem::new(ErrorCode::XmlError, path, message));
    if let Some(memory) = &snapshot.memory {
        match (&memory.file, memory.snapshot) {
            (Some(file), _) if !file.starts_with('/') => {
                add("memory.file".into(), format!("'{file}' is no absolute path"));
            }
            (Some(_), Some(location)) if location != SnapshotLocation::External => {
                add("memory.snapshot".into(), "memory in a file is 'external'".into());
            }
            (None, Some(SnapshotLocation::External)) => {
                add("memory.file".into(), "external memory needs a file".into());
            }
            (_, Some(SnapshotLocation::Manual)) => {
                add("memory.snapshot".into(), "memory is kept by the hypervisor, or not at all".into());
            }
            _ => {}
        }
    }
    for (field, disks) in [("disks", &snapshot.disks), ("revertDisks", &snapshot.revert_disks)] {
        for (index, disk) in disks.iter().flat_map(|disks| &disks.disks).enumerate() {
            check_disk(disk, &format!("{field}.disks[{index}]"), &mut add);
        }
    }
    problems
}

fn check_disk(disk: &SnapshotDisk, path: &str, add: &mut impl FnMut(String, String)) {
    let Some(source) = &disk.source else { return };
    if disk.snapshot.is_some_and(|location| location != SnapshotLocation::External) {
        add(format!("{path}.snapshot"), "an image of its own is 'external'".into());
    }
    let attribute = match disk.r#type.unwrap_or(SnapshotDiskType::File) {
        SnapshotDiskType::File => "file",
        SnapshotDiskType::Block => "dev",
        SnapshotDiskType::Network => {
            let protocol = source.attribute("protocol").unwrap_or_default();
            if !PROTOCOLS.contains(&protocol) {
                add(format!("{path}.source.protocol"), format!("'{protocol}' is not {}", one_of(PROTOCOLS)));
            }
            return;
        }
    };
    if let Some(path_on_host) = source.attribute(attribute)
        && !path_on_host.starts_with('/')
    {
        add(format!("{path}.source.{attribute}"), format!("'{path_on_host}' is no absolute path"));
    }
}

pub(super) fn kept_problems(snapshot: &Snapshot) -> Vec<Problem> {
    let Snapshot { name, state, creation_time, .. } = snapshot;
    [("name", !name.is_empty()), ("creationTime", creation_time.is_some()), ("state", state.is_some())]
        .into_iter()
        .filter(|(_, is_there)| !is_there)
        .map(|(field, _)| Problem::new(ErrorCode::XmlError, field, "a snapshot that is there has it"))
        .collect()
}
