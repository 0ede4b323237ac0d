//! Claims on real files; as root, since only root gives files away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use ostler_driver::{Access, Security};
use ostler_driver_security::SecurityDriver;
use ostler_util::ErrorCode;
use tempfile::TempDir;
use uuid::Uuid;

const GUEST: u32 = 54_321;
const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

struct Place {
    directory: TempDir,
    driver: SecurityDriver,
    image: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let image = directory.path().join("image");
    fs::write(&image, b"data").unwrap();
    fs::set_permissions(&image, fs::Permissions::from_mode(0o640)).unwrap();
    chown(&image, Some(11), Some(12)).unwrap();
    Place { driver: SecurityDriver::open(&directory.path().join("state")).unwrap(), image, directory }
}

fn owner(path: &Path) -> (u32, u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
}

#[tokio::test]
async fn a_written_file_goes_back_also_after_a_crash() {
    let place = place();
    place.driver.claim(ONE, &place.image, Access::Write, GUEST, GUEST).await.unwrap();
    place.driver.claim(ONE, &place.image, Access::Write, GUEST, GUEST).await.unwrap();
    assert_eq!(owner(&place.image), (GUEST, GUEST, 0o640));
    // The next agent knows nothing but the records.
    let next = SecurityDriver::open(&place.directory.path().join("state")).unwrap();
    assert_eq!(next.owners().await.unwrap(), [ONE]);
    next.release(ONE).await.unwrap();
    assert_eq!(owner(&place.image), (11, 12, 0o640));
    assert!(next.owners().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_guests_write_one_image_only_if_both_share_it() {
    let place = place();
    place.driver.claim(ONE, &place.image, Access::Write, GUEST, GUEST).await.unwrap();
    for access in [Access::Write, Access::Shared, Access::Read] {
        assert_eq!(
            place.driver.claim(OTHER, &place.image, access, GUEST, GUEST).await.unwrap_err().code,
            ErrorCode::ResourceBusy
        );
    }
    place.driver.release(ONE).await.unwrap();
    place.driver.claim(ONE, &place.image, Access::Shared, GUEST, GUEST).await.unwrap();
    place.driver.claim(OTHER, &place.image, Access::Shared, GUEST, GUEST).await.unwrap();
    assert_eq!(owner(&place.image).0, 11, "a shared file keeps its owner");
    place.driver.release(ONE).await.unwrap();
    assert_eq!(place.driver.owners().await.unwrap(), [OTHER]);
    place.driver.release(OTHER).await.unwrap();
    assert_eq!(owner(&place.image), (11, 12, 0o640));
}

#[tokio::test]
async fn a_file_that_took_the_claimed_ones_place_is_not_touched() {
    let place = place();
    place.driver.claim(ONE, &place.image, Access::Write, GUEST, GUEST).await.unwrap();
    let new = place.directory.path().join("new");
    fs::write(&new, b"another's").unwrap();
    fs::rename(&new, &place.image).unwrap();
    let before = owner(&place.image);
    place.driver.release(ONE).await.unwrap();
    assert_eq!(owner(&place.image), before);
}

#[tokio::test]
async fn a_folder_that_keeps_the_guest_out_is_named() {
    let place = place();
    let closed = place.directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let image = closed.join("image");
    fs::write(&image, b"").unwrap();
    let error = place.driver.claim(ONE, &image, Access::Write, GUEST, GUEST).await.unwrap_err();
    assert!(error.to_string().contains("/closed is closed"), "{error}");
    assert!(place.driver.owners().await.unwrap().is_empty());
}
