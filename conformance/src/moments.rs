//! Suites of snapshots, checkpoints and backups.

use ostler_conf::backup::BackupCandidate;
use ostler_conf::checkpoint::{CheckpointDisk, CheckpointDisks, CheckpointMode};
use ostler_conf::snapshot::SnapshotState;
use ostler_conf::values::XmlTree;
use ostler_conf::{Backup, Checkpoint, Domain, Invalid, Snapshot, format, parse};

use super::case::{Case, Verdict};
use super::compare::verdict;

/// The time at which a new moment is made; 0 means that it is not completed.
fn creation_time(case: &Case) -> Option<i64> {
    case.param("mock_creation_time").as_i64().filter(|time| *time != 0)
}

pub(super) fn snapshot(case: &Case) -> Verdict {
    let run = |text: &str| -> Result<String, Invalid> {
        let mut snapshot = parse::<Snapshot>(text)?.value;
        if !case.has_flag("TEST_INTERNAL") {
            snapshot.active = None;
        }
        if case.has_flag("TEST_REDEFINE") {
            snapshot.validate_kept()?;
        } else {
            snapshot = snapshot.into_request();
            snapshot.validate()?;
        }
        if let Some(now) = creation_time(case) {
            snapshot.complete(now);
        }
        if case.has_flag("TEST_RUNNING") {
            snapshot.state = Some(SnapshotState::Running);
        }
        // A snapshot that holds no guest names its owner.
        if let (None, Some(uuid)) = (&snapshot.domain, case.param("domain_uuid").as_str()) {
            snapshot.domain = Some(XmlTree::with_text_child("uuid", uuid));
        }
        Ok(format(&snapshot))
    };
    verdict(case, run(&case.input()?))
}

/// The owner has one disk, vda; the guest inside is completed as its own document is.
pub(super) fn snapshot_of_test_driver(case: &Case) -> Verdict {
    let run = |text: &str| -> Result<String, Invalid> {
        let mut snapshot = parse::<Snapshot>(text)?.value;
        snapshot.active = None;
        snapshot.validate_kept()?;
        snapshot.complete_kept(&["vda"]);
        if let Some(tree) = &snapshot.domain {
            let mut domain = tree.read_as::<Domain>()?.strict()?;
            domain.complete();
            let mut tree = XmlTree::of(&domain);
            // The test driver's host has guests of i686 only.
            if let Some(r#type) = tree.child_mut("os").and_then(|os| os.child_mut("type"))
                && r#type.attribute("arch").is_none()
            {
                r#type.attributes.insert(0, ("arch".to_owned(), "i686".to_owned()));
            }
            snapshot.domain = Some(tree);
        }
        Ok(format(&snapshot))
    };
    verdict(case, run(&case.input()?))
}

pub(super) fn checkpoint(case: &Case) -> Verdict {
    let run = |text: &str| -> Result<String, Invalid> {
        let mut checkpoint = parse::<Checkpoint>(text)?.value;
        if !case.has_flag("TEST_REDEFINE") {
            checkpoint = checkpoint.into_request();
        }
        checkpoint.validate()?;
        if case.has_flag("TEST_PARENT") {
            let name = case.param("fake_parent_name").as_str().unwrap_or_default().to_owned();
            checkpoint.parent = Some(ostler_conf::moment::MomentParent { name });
        }
        if case.has_flag("TEST_VDA_BITMAP") {
            let disks = &mut checkpoint.disks.get_or_insert_with(CheckpointDisks::default).disks;
            match disks.iter_mut().find(|disk| disk.name == "vda") {
                Some(disk) => disk.checkpoint = Some(CheckpointMode::Bitmap),
                None => disks.push(CheckpointDisk {
                    name: "vda".to_owned(),
                    checkpoint: Some(CheckpointMode::Bitmap),
                    bitmap: None,
                    size: None,
                }),
            }
        }
        if case.has_flag("TEST_SIZE")
            && let Some(disk) = checkpoint.disks.as_mut().and_then(|disks| disks.disks.first_mut())
        {
            disk.size = case.param("fake_size").as_u64();
        }
        if let Some(now) = creation_time(case) {
            checkpoint.complete(now);
        }
        Ok(format(&checkpoint))
    };
    verdict(case, run(&case.input()?))
}

/// The guest has each disk that the backup names, and one more, each with an image of its own.
pub(super) fn backup(case: &Case) -> Verdict {
    let is_internal = case.param("internal").as_bool().unwrap_or(false);
    let suffix = case.param("align_suffix").as_str().unwrap_or_default().to_owned();
    let run = |text: &str| -> Result<String, Invalid> {
        let mut backup = parse::<Backup>(text)?.value;
        if !is_internal {
            backup = backup.into_request();
        }
        backup.validate()?;
        let named = backup.disks.iter().flat_map(|disks| &disks.disks).map(|disk| disk.name.clone());
        let candidates: Vec<BackupCandidate> = named
            .chain(["vdextradisk".to_owned()])
            .map(|name| BackupCandidate { file: Some(format!("/fake/{name}.qcow2")), name })
            .collect();
        backup.complete(&candidates, &suffix);
        Ok(format(&backup))
    };
    verdict(case, run(&case.input()?))
}
