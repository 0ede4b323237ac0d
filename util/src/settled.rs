//! Reading a file that somebody else may be writing at this moment: whole, or not yet.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use rustix::fs::FsWord;

/// File systems whose answer to a lease tells of their own arrangements with a server, not of writers.
const LEASES_SAY_NOTHING: [FsWord; 8] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xfe53_4d42, // SMB 2
    0xff53_4d42, // CIFS
    0x0102_1997, // 9p
    0x6573_5546, // FUSE
    0x00c3_6400, // Ceph
    0x0bd0_0bd0, // Lustre
];

/// `<asm-generic/fcntl.h>`; the libc crate lacks it.
const F_SETSIG: libc::c_int = 10;

/// The file's text and what was known of it while it was read; `None` while anybody has it open for writing.
///
/// A lease of the kernel says whether there is a writer, and holds off one that comes while we read (fcntl(2),
/// `F_SETLEASE`). Where a file system has no leases, the file is read as it is.
///
/// # Errors
/// The operating system's, and a text that is not UTF-8.
pub fn read_settled(path: &Path) -> io::Result<Option<(Metadata, String)>> {
    let mut file = File::open(path)?;
    let lease = match Lease::take(&file) {
        Ok(lease) => Some(lease),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && tells_of_writers(&file) => return Ok(None),
        Err(_) => None,
    };
    let metadata = file.metadata()?;
    let mut text = String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_string(&mut text)?;
    drop(lease);
    Ok(Some((metadata, text)))
}

fn tells_of_writers(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|of| !LEASES_SAY_NOTHING.contains(&of.f_type))
}

/// A lease on a file that we read.
struct Lease(RawFd);

impl Lease {
    /// `EAGAIN`: there is a writer.
    fn take(file: &File) -> io::Result<Self> {
        let fd = file.as_raw_fd();
        // A writer that comes meanwhile waits until we are done. We are told by a signal: one that does nothing by default.
        // SAFETY: these calls take numbers only, and the file is open.
        unsafe {
            check(libc::fcntl(fd, F_SETSIG, libc::SIGURG))?;
            check(libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK))?;
        }
        Ok(Lease(fd))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: as above. A failure leaves it to the closing of the file.
        unsafe { libc::fcntl(self.0, libc::F_SETLEASE, libc::F_UNLCK) };
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn text(path: &Path) -> Option<String> {
        read_settled(path).unwrap().map(|(_, text)| text)
    }

    #[test]
    fn what_is_being_written_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"half").unwrap();
        assert_eq!(text(&path), None);
        writer.write_all(b" and half").unwrap();
        drop(writer);
        assert_eq!(text(&path).as_deref(), Some("half and half"));
    }

    #[test]
    fn a_reader_stops_no_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..200).for_each(|_| fs::write(&path, "two").unwrap()));
            while !writer.is_finished() {
                let seen = text(&path);
                assert!(matches!(seen.as_deref(), None | Some("one" | "two")), "{seen:?}");
            }
        });
        assert_eq!(text(&path).as_deref(), Some("two"));
    }

    #[test]
    fn a_reader_beside_us_is_no_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let _reader = File::open(&path).unwrap();
        assert_eq!(text(&path).as_deref(), Some("one"));
    }
}
