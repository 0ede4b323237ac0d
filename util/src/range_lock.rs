//! Locks on byte ranges of a file that belong to the open file, not to the process (`F_OFD_SETLK`, fcntl(2)).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Takes an exclusive lock on `length` bytes from `start`, without waiting. It ends when the file is closed.
///
/// # Errors
/// `WouldBlock` if another open file holds any lock there; else the operating system's.
pub fn lock_exclusive(file: &File, start: u64, length: u64) -> io::Result<()> {
    let offset = |n: u64| libc::off_t::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset(start)?,
        l_len: offset(length)?,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open and `lock` lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } {
        -1 => {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
                _ => Err(error),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_open_files_exclude_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let one = File::create(&path).unwrap();
        let other = File::options().write(true).open(&path).unwrap();
        lock_exclusive(&one, 100, 8).unwrap();
        assert_eq!(lock_exclusive(&other, 104, 8).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        lock_exclusive(&other, 200, 8).unwrap();
        drop(one);
        lock_exclusive(&other, 100, 8).unwrap();
    }
}
