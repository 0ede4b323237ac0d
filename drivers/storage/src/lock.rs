//! QEMU's own locks on image files.
//!
//! A process that has an image open holds shared locks on bytes from 100 on for what it does, and from 200 on for what it
//! doesn't let others do (QEMU, docs/system/images, "Disk image file locking"). An exclusive lock on both ranges is
//! granted only if nobody has the image open, and lets nobody open it while it is held.

use std::fs::File;
use std::io;
use std::path::Path;

use ostler_driver::{Error, Result};
use ostler_util::{ErrorCode, range_lock};

const RANGES: [u64; 2] = [100, 200];
/// More bits than QEMU has kinds of access.
const RANGE_LENGTH: u64 = 64;

/// Opens an image for a write that nobody else may see half done. The lock lasts as long as the file.
///
/// # Errors
/// `ResourceBusy` if a process has the image open; `SystemError`.
pub(crate) fn open_exclusively(path: &Path) -> Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| Error::system(format!("open {}", path.display()), error))?;
    for start in RANGES {
        range_lock::lock_exclusive(&file, start, RANGE_LENGTH).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::new(
                ErrorCode::ResourceBusy,
                format!("the image {} is in use: a guest or another program has it open", path.display()),
            ),
            _ => Error::system(format!("lock {}", path.display()), error),
        })?;
    }
    Ok(file)
}
