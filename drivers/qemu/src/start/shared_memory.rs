//! Memory that guests share with each other and with programs of the host, by its name: a file in memory. The first guest
//! that names it makes it, the last one's end removes it; what somebody else has made stays his.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ostler_conf::Domain;
use ostler_conf::domain::{Shmem, ShmemModel};
use ostler_driver::{Error, Result};
use ostler_util::passwd::Credentials;
use rustix::fs::{AtFlags, CWD, OFlags, XattrFlags};

use crate::args::shmem::{FOLDER, size};

/// Marks the files that are ours to remove. Only root sets it.
const MARK: &str = "trusted.ostler.shared-memory";

/// Held while such memory is made, and while it is found out whether anybody needs it any more.
pub(crate) type Lock = Arc<Mutex<()>>;

pub(crate) fn hold(lock: &Lock) -> MutexGuard<'_, ()> {
    // It guards no value.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The devices of a guest that stand on such a file.
pub(super) fn of(domain: &Domain) -> impl Iterator<Item = &Shmem> {
    domain.devices.shmems.iter().filter(|shmem| shmem.model == Some(ShmemModel::Plain))
}

/// The file of the memory of this name.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Whether a path is such a file's.
pub(crate) fn is_one(path: &Path) -> bool {
    path.parent() == Some(Path::new(FOLDER))
}

/// Makes what is missing, the guests' user's own.
///
/// # Errors
/// The operating system's.
pub(super) fn make(domain: &Domain, owner: Option<&Credentials>, lock: &Lock) -> Result<()> {
    let _held = hold(lock);
    of(domain).try_for_each(|shmem| {
        let path = path(&shmem.name);
        make_one(&path, size(shmem), owner).map_err(|error| {
            Error::system(format!("make {}", path.display()), error).at(format!("devices.shmems[{}]", shmem.name))
        })
    })
}

/// Its mark and its size are there as soon as its name is.
fn make_one(path: &Path, size: u64, owner: Option<&Credentials>) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => return Err(io::Error::other("what is there is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let unnamed = OFlags::TMPFILE.bits().cast_signed();
    let folder = path.parent().unwrap_or(path);
    let file = OpenOptions::new().read(true).write(true).custom_flags(unnamed).mode(0o600).open(folder)?;
    file.set_len(size)?;
    if let Some(owner) = owner {
        fchown(&file, Some(owner.uid), Some(owner.gid))?;
        rustix::fs::fsetxattr(&file, MARK, b"", XattrFlags::empty())?;
    }
    let made = rustix::fs::linkat(CWD, by_descriptor(&file), CWD, path, AtFlags::SYMLINK_FOLLOW);
    match made {
        // Somebody else was faster.
        Err(rustix::io::Errno::EXIST) => Ok(()),
        made => Ok(made?),
    }
}

fn by_descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Removes a file that was made here.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match rustix::fs::lgetxattr(path, MARK, &mut [0_u8; 1][..]) {
        Ok(_) => ostler_util::file::remove_durably(path),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ostler_util::boot::boot_id;

    use super::*;

    #[test]
    fn only_what_was_made_here_is_removed() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = |kind: &str| path(&format!("ostler-test-{kind}-{}-{}", std::process::id(), boot_id()));
        let (ours, foreign) = (place("ours"), place("foreign"));
        let owner = Credentials { uid: 65534, gid: 65534, groups: Vec::new() };
        fs::write(&foreign, "data").unwrap();
        for path in [&ours, &foreign] {
            make_one(path, 4096, Some(&owner)).unwrap();
            make_one(path, 4096, Some(&owner)).unwrap();
        }
        assert_eq!(fs::metadata(&ours).unwrap().len(), 4096);
        assert_eq!(fs::read(&foreign).unwrap(), b"data");
        for path in [&ours, &foreign] {
            remove(path).unwrap();
            remove(path).unwrap();
        }
        assert!(!ours.exists() && foreign.exists());
        fs::remove_file(&foreign).unwrap();
    }
}
