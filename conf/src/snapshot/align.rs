//! What a snapshot that is there must have kept.

use super::{Snapshot, SnapshotDisk, SnapshotDisks, SnapshotLocation, SnapshotMemory};

/// Memory is kept with the disks unless the guest was off; a disk that is not named is kept in its image.
pub(super) fn complete(snapshot: &mut Snapshot, disks: &[&str]) {
    let is_offline = snapshot.state.is_some_and(super::SnapshotState::is_offline);
    let memory = snapshot.memory.get_or_insert_with(SnapshotMemory::default);
    let kept = if is_offline { SnapshotLocation::No } else { SnapshotLocation::Internal };
    memory.snapshot.get_or_insert(kept);
    let location = memory.snapshot;
    let named = snapshot.disks.get_or_insert_with(SnapshotDisks::default);
    let default = match location {
        Some(SnapshotLocation::External) => SnapshotLocation::External,
        _ => SnapshotLocation::Internal,
    };
    for disk in disks {
        if !named.disks.iter().any(|known| known.name == *disk) {
            named.disks.push(SnapshotDisk { snapshot: Some(default), ..new_disk(disk) });
        }
    }
    for disk in &mut named.disks {
        disk.snapshot.get_or_insert(default);
        disk.settle();
    }
}

fn new_disk(name: &str) -> SnapshotDisk {
    SnapshotDisk {
        name: name.to_owned(),
        snapshot: None,
        delete_in_progress: None,
        r#type: None,
        driver: None,
        source: None,
    }
}
