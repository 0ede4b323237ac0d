//! A qcow2 volume against `qemu-img create`, both with the image on the disk when they are done.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ostler_conf::{StoragePool, StorageVolume, parse};
use ostler_driver::{Storage, VolumeFill};
use ostler_driver_storage::{Config, StorageDriver};
use uuid::Uuid;

use crate::report::{Goal, Report, median, ms};

const ROUNDS: usize = 30;

pub(crate) fn measure(_binary: &str, report: &mut Report) {
    // Where images really are: not on a tmpfs.
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { state_dir: place.path().join("state"), pools_dir: place.path().join("pools") };
    let driver = StorageDriver::open(config).unwrap();
    let pool = StoragePool { name: "bench".into(), ..StoragePool::default() };
    runtime.block_on(driver.define_pool(&pool)).unwrap();
    runtime.block_on(driver.start_pool("bench")).unwrap();
    let (mut ours, mut theirs, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let text = format!(
            "<volume><name>v{round}</name><capacity unit='GiB'>10</capacity><target><format type='qcow2'/></target></volume>"
        );
        let volume = parse::<StorageVolume>(&text).unwrap().strict().unwrap();
        let start = Instant::now();
        runtime
            .block_on(driver.create_volume("bench", &volume, &Uuid::from_u128(1).into(), VolumeFill::Empty, None))
            .unwrap();
        ours.push(ms(start.elapsed()));

        let path = place.path().join(format!("q{round}.qcow2"));
        let start = Instant::now();
        let output = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&path).arg("10G").output();
        assert!(output.unwrap().status.success());
        theirs.push(ms(start.elapsed()));
        let start = Instant::now();
        sync(&path);
        syncs.push(ms(start.elapsed()));
    }
    let (ours, theirs, sync) = (median(ours), median(theirs), median(syncs));
    let most = 0.1 * theirs + sync;
    report.add(
        "qcow2 volume create, synced",
        "ms",
        ours,
        Some(theirs + sync),
        "qemu-img create, then fsync",
        Goal::None,
    );
    report.add(
        "qcow2 volume create, with its goal",
        "ms",
        ours,
        Some(most),
        "0.1x qemu-img create plus the fsync",
        Goal::Ratio(1.0),
    );
}

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
    File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
}
