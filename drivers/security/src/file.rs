//! One file's owner, mode and list of access, through a descriptor that follows no link.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid, XattrFlags};
use serde::{Deserialize, Serialize};

use crate::acl;

const ACL: &str = "system.posix_acl_access";

/// What a file was before we changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Original {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    uid: u32,
    gid: u32,
    mode: u32,
    acl: Option<Vec<u8>>,
}

/// A file whose owner and mode can be seen and changed, but not its content. Its path can't lead elsewhere any more.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The descriptor's own name, for calls that take a path only.
    path: PathBuf,
    _file: File,
    pub(crate) now: Original,
}

impl Subject {
    /// Opens the file; the last part of its path may be no link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = (OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).bits();
        let file =
            File::options().read(true).custom_flags(i32::try_from(flags).expect("open flags are an int")).open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_symlink() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"));
        }
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let mut list = vec![0; 4096];
        let acl = match rustix::fs::getxattr(&path, ACL, &mut list) {
            Ok(length) => Some(list[..length].to_vec()),
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => None,
            Err(error) => return Err(error.into()),
        };
        let now = Original {
            device: metadata.dev(),
            inode: metadata.ino(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            acl,
        };
        Ok(Subject { path, _file: file, now })
    }

    /// Makes the file the user's own.
    pub(crate) fn give(&self, uid: u32, gid: u32) -> io::Result<()> {
        rustix::fs::chown(&self.path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        let mode = self.now.mode | 0o600;
        Ok(rustix::fs::chmod(&self.path, Mode::from_raw_mode(mode))?)
    }

    /// Lets the user in besides those who are. `perm`: 4 read, 2 write.
    pub(crate) fn admit(&self, uid: u32, gid: u32, perm: u16) -> io::Result<()> {
        let Original { uid: owner, gid: group, mode, .. } = self.now;
        let shift = if owner == uid {
            6
        } else if group == gid {
            3
        } else {
            0
        };
        if (mode >> shift) & u32::from(perm) == u32::from(perm) {
            return Ok(());
        }
        let list = acl::with_user(self.now.acl.as_deref(), mode, uid, perm);
        Ok(rustix::fs::setxattr(&self.path, ACL, &list, XattrFlags::empty())?)
    }

    /// Brings back what the file was.
    pub(crate) fn restore(&self, original: &Original) -> io::Result<()> {
        if (self.now.uid, self.now.gid) != (original.uid, original.gid) {
            rustix::fs::chown(&self.path, Some(Uid::from_raw(original.uid)), Some(Gid::from_raw(original.gid)))?;
        }
        match &original.acl {
            Some(list) => rustix::fs::setxattr(&self.path, ACL, list, XattrFlags::empty())?,
            None if self.now.acl.is_some() => rustix::fs::removexattr(&self.path, ACL)?,
            None => {}
        }
        Ok(rustix::fs::chmod(&self.path, Mode::from_raw_mode(original.mode))?)
    }
}

/// The first folder on the way to `path` that `uid`:`gid` may not pass.
pub(crate) fn closed_folder(path: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let may_pass = |folder: &&Path| {
        let Ok(metadata) = std::fs::metadata(folder) else { return true };
        let shift = if metadata.uid() == uid {
            6
        } else if metadata.gid() == gid {
            3
        } else {
            0
        };
        // A list of access may say more than the mode; then the guest's own open will tell.
        let has_list = rustix::fs::getxattr(*folder, ACL, &mut [0_u8; 4096][..]).is_ok();
        uid == 0 || has_list || (metadata.mode() >> shift) & 1 == 1
    };
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    folders.into_iter().find(|folder| !may_pass(folder)).map(Path::to_owned)
}
