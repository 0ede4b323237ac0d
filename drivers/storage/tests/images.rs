//! Images are sacred: what the driver must never do to a file.

use std::fs::{self, File};
use std::sync::Arc;

use ostler_conf::{StoragePool, StorageVolume, parse};
use ostler_driver::{Storage, VolumeFill};
use ostler_driver_storage::{Config, StorageDriver};
use ostler_util::{ErrorCode, range_lock};
use tempfile::TempDir;
use uuid::Uuid;

struct Host {
    directory: TempDir,
    driver: Arc<StorageDriver>,
}

const OWNER: Uuid = Uuid::from_u128(1);

impl Host {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Host { driver: Arc::new(open(&directory)), directory };
        host.define("pool").await;
        host
    }

    async fn define(&self, name: &str) {
        let pool = StoragePool {
            name: name.into(),
            uuid: Some(Uuid::new_v5(&OWNER, name.as_bytes())),
            ..StoragePool::default()
        };
        self.driver.define_pool(&pool).await.unwrap();
        self.driver.start_pool(name).await.unwrap();
    }

    /// The agent is restarted.
    async fn restarted(self) -> Self {
        let driver = Arc::new(open(&self.directory));
        driver.start_pool("pool").await.unwrap();
        Host { driver, ..self }
    }

    async fn create(&self, name: &str, format: &str, mib: u64) -> ostler_driver::Result<ostler_driver::VolumeSummary> {
        self.driver.create_volume("pool", &volume(name, format, mib), &OWNER.into(), VolumeFill::Empty, None).await
    }
}

fn open(directory: &TempDir) -> StorageDriver {
    StorageDriver::open(Config { state_dir: directory.path().join("state"), pools_dir: directory.path().join("pools") })
        .unwrap()
}

fn volume(name: &str, format: &str, mib: u64) -> StorageVolume {
    let text = format!(
        "<volume><name>{name}</name><capacity unit='MiB'>{mib}</capacity><target><format type='{format}'/></target></volume>"
    );
    parse::<StorageVolume>(&text).unwrap().strict().unwrap()
}

#[tokio::test]
async fn a_volume_is_made_once_and_found_again() {
    let host = Host::new().await;
    for format in ["raw", "qcow2"] {
        let made = host.create(format, format, 64).await.unwrap();
        assert_eq!((made.capacity_bytes, made.format.as_str(), made.owner), (64 << 20, format, Some(OWNER)));
        fs::OpenOptions::new().append(true).open(&made.path).unwrap();
    }
    let host = host.restarted().await;
    let found = host.create("qcow2", "qcow2", 64).await.unwrap();
    assert_eq!(found.capacity_bytes, 64 << 20);
    assert_eq!(host.driver.volumes("pool").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_foreign_file_is_never_replaced_resized_or_deleted() {
    let host = Host::new().await;
    let path = host.driver.pool("pool").await.unwrap().path.join("disk");
    fs::write(&path, b"precious").unwrap();
    assert_eq!(host.create("disk", "raw", 1).await.unwrap_err().code, ErrorCode::StorageVolExist);
    assert_eq!(host.driver.resize_volume("pool", "disk", 1 << 20).await.unwrap_err().code, ErrorCode::OperationDenied);
    assert_eq!(host.driver.delete_volume("pool", "disk").await.unwrap_err().code, ErrorCode::OperationDenied);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_file_that_took_our_volumes_place_is_foreign() {
    let host = Host::new().await;
    let made = host.create("disk", "raw", 1).await.unwrap();
    fs::remove_file(&made.path).unwrap();
    fs::write(&made.path, b"another's").unwrap();
    // The file system may have given it the same inode again.
    assert_eq!(host.driver.delete_volume("pool", "disk").await.unwrap_err().code, ErrorCode::OperationDenied);
    assert_eq!(fs::read(&made.path).unwrap(), b"another's");
}

#[tokio::test]
async fn a_volume_whose_file_is_gone_is_not_made_anew() {
    let host = Host::new().await;
    let made = host.create("disk", "qcow2", 1).await.unwrap();
    fs::remove_file(&made.path).unwrap();
    assert_eq!(host.create("disk", "qcow2", 1).await.unwrap_err().code, ErrorCode::OperationFailed);
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_creation_is_made_up_for() {
    let host = Host::new().await;
    let made = host.create("disk", "qcow2", 1).await.unwrap();
    let record = |extension: &str| {
        let pool = Uuid::new_v5(&OWNER, b"pool");
        host.directory.path().join(format!("state/storage/{pool}/disk.{extension}"))
    };
    // The image has its name, its record does not say so yet.
    fs::rename(record("json"), record("begun")).unwrap();
    fs::write(&made.path, b"written by the guest").unwrap();
    let again = host.create("disk", "qcow2", 1).await;
    assert_eq!((again.is_ok(), fs::read(&made.path).unwrap().as_slice()), (false, b"written by the guest".as_slice()));
    assert!(record("json").exists(), "it is told from now on that its file has its name");
    // The image has no name yet; its record is whole, or half written.
    let whole = fs::read(record("json")).unwrap();
    for written in [&whole[..], &whole[..20], &[]] {
        fs::remove_file(&made.path).unwrap();
        let _ = fs::remove_file(record("json"));
        fs::write(record("begun"), written).unwrap();
        host.create("disk", "qcow2", 1).await.unwrap();
        assert!(record("json").exists() && !record("begun").exists());
    }
    // The image has its name, its record never came to the disk: the image carries it too.
    for written in [None, Some(&whole[..20])] {
        fs::remove_file(record("json")).unwrap();
        if let Some(written) = written {
            fs::write(record("begun"), written).unwrap();
        }
        assert_eq!(host.driver.volume("pool", "disk").await.unwrap().owner, Some(OWNER));
        host.create("disk", "qcow2", 1).await.unwrap();
        assert!(record("json").exists() && !record("begun").exists());
    }
    // Half written for an image of ours, and a stranger's file where it was to be: not ours.
    fs::rename(record("json"), record("begun")).unwrap();
    fs::write(record("begun"), &whole[..20]).unwrap();
    fs::remove_file(&made.path).unwrap();
    fs::write(&made.path, b"a stranger's").unwrap();
    assert_eq!(host.create("disk", "qcow2", 1).await.unwrap_err().code, ErrorCode::StorageVolExist);
}

#[tokio::test]
async fn an_image_in_use_is_neither_resized_nor_deleted() {
    let host = Host::new().await;
    let made = host.create("disk", "qcow2", 1).await.unwrap();
    let guest = File::options().read(true).write(true).open(&made.path).unwrap();
    range_lock::lock_exclusive(&guest, 101, 1).unwrap();
    assert_eq!(host.driver.resize_volume("pool", "disk", 2 << 20).await.unwrap_err().code, ErrorCode::ResourceBusy);
    assert_eq!(host.driver.delete_volume("pool", "disk").await.unwrap_err().code, ErrorCode::ResourceBusy);
    drop(guest);
    assert_eq!(host.driver.resize_volume("pool", "disk", 2 << 20).await.unwrap().capacity_bytes, 2 << 20);
    assert_eq!(host.driver.resize_volume("pool", "disk", 1 << 20).await.unwrap_err().code, ErrorCode::InvalidArg);
    host.driver.delete_volume("pool", "disk").await.unwrap();
    assert_eq!(host.driver.delete_volume("pool", "disk").await.unwrap_err().code, ErrorCode::NoStorageVol);
    host.create("disk", "qcow2", 1).await.expect("what we deleted may be made again");
}

#[tokio::test]
async fn a_volume_that_others_stand_on_stays() {
    let host = Host::new().await;
    host.create("base", "qcow2", 8).await.unwrap();
    let fill = VolumeFill::Backing { volume: "base".into() };
    let overlay = StorageVolume { capacity: None, ..volume("overlay", "qcow2", 1) };
    let made = host.driver.create_volume("pool", &overlay, &OWNER.into(), fill, None).await.unwrap();
    assert_eq!(made.capacity_bytes, 8 << 20);
    let resolved = host.driver.resolve("pool", "overlay").await.unwrap();
    assert_eq!(resolved.backing.len(), 1);
    assert_eq!(resolved.backing[0].1, "qcow2");
    assert_eq!(host.driver.delete_volume("pool", "base").await.unwrap_err().code, ErrorCode::ResourceBusy);
    host.driver.delete_volume("pool", "overlay").await.unwrap();
    host.driver.delete_volume("pool", "base").await.unwrap();
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let host = Host::new().await;
    for name in ["../x", "a/b", "..", ".hidden", "", "a\nb"] {
        let definition = StorageVolume { name: name.into(), ..volume("x", "raw", 1) };
        let error =
            host.driver.create_volume("pool", &definition, &OWNER.into(), VolumeFill::Empty, None).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::XmlError, "{name}");
    }
    assert_eq!(fs::read_dir(host.driver.pool("pool").await.unwrap().path).unwrap().count(), 0);
}

#[tokio::test]
async fn two_pools_share_no_folder_and_a_pool_goes_with_its_folder_only_when_empty() {
    let host = Host::new().await;
    let path = host.driver.pool("pool").await.unwrap().path;
    let text = format!("<pool type='dir'><name>other</name><target><path>{}</path></target></pool>", path.display());
    let other = parse::<StoragePool>(&text).unwrap().strict().unwrap();
    assert_eq!(host.driver.define_pool(&other).await.unwrap_err().code, ErrorCode::OperationFailed);
    host.create("disk", "raw", 1).await.unwrap();
    assert_eq!(host.driver.undefine_pool("pool", true).await.unwrap_err().code, ErrorCode::OperationInvalid);
    host.driver.stop_pool("pool").await.unwrap();
    host.driver.undefine_pool("pool", true).await.unwrap();
    assert!(path.join("disk").exists(), "data are never taken along");
}

#[tokio::test]
async fn a_record_that_went_with_the_power_keeps_what_its_image_stands_on() {
    let host = Host::new().await;
    host.create("base", "qcow2", 1).await.unwrap();
    let fill = VolumeFill::Backing { volume: "base".into() };
    host.driver.create_volume("pool", &volume("top", "qcow2", 1), &OWNER.into(), fill, None).await.unwrap();
    let pool = Uuid::new_v5(&OWNER, b"pool");
    fs::remove_file(host.directory.path().join(format!("state/storage/{pool}/top.json"))).unwrap();
    let host = host.restarted().await;
    assert_eq!(host.driver.delete_volume("pool", "base").await.unwrap_err().code, ErrorCode::ResourceBusy);
    assert_eq!(host.driver.volume("pool", "top").await.unwrap().owner, Some(OWNER));
}
