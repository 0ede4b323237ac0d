//! Durable files: what we write is there whole after a crash, or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces `path` with `content`: temporary file in the same directory, fsync, rename, fsync of the directory.
///
/// # Guarantees
/// A reader sees the old content or the new one. When this returns `Ok`, the new one survives a power cut.
/// A failed write leaves the old file untouched and no temporary file behind; a crash can leave one, which
/// [`remove_temporary_files`] clears.
///
/// # Errors
/// The operating system's, with nothing changed (`ENOSPC`, `EROFS`, …).
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace(path, content, mode)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// The same for what can be found out again: after a power cut the old content may be back, whole.
///
/// # Errors
/// As [`write_atomic`].
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary_path(path);
    let result = (|| {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        // The file may not exist; the first error is the one that counts.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Makes `path` a copy of what `content` holds from its place on: whole and durable, of this mode and owner from its first
/// moment. What is there already stays as it is.
///
/// # Errors
/// The operating system's, with nothing made.
pub fn copy_new(content: &mut File, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    make_new(path, mode, owner, |file| io::copy(content, file).map(drop))
}

/// The same with `size` bytes of zeros, which take no room.
///
/// # Errors
/// As [`copy_new`].
pub fn zeros_new(size: u64, path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    make_new(path, mode, owner, |file| file.set_len(size))
}

fn make_new(
    path: &Path,
    mode: u32,
    owner: Option<(u32, u32)>,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_path(path);
    let result = (|| {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        fill(&mut file)?;
        file.sync_all()?;
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    })();
    // The file may not exist; the first error is the one that counts.
    let _ = fs::remove_file(&temporary);
    result?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Removes `path` and makes the removal durable. A file that is not there is fine.
///
/// # Errors
/// The operating system's, other than "not found".
pub fn remove_durably(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), sync_directory),
    }
}

/// fsync of a directory, so that renames and removals in it survive a power cut.
///
/// # Errors
/// The operating system's.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes `path` and its missing parents, and gives `path` the mode.
///
/// # Errors
/// The operating system's.
pub fn create_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Removes what a crash inside [`write_atomic`] left in `directory`; gives what it removed.
///
/// # Errors
/// The operating system's.
pub fn remove_temporary_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_ours = path
            .file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with('.') && n.ends_with(TEMPORARY_SUFFIX));
        if is_ours {
            fs::remove_file(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Adds a line to a log that keeps the last `max` bytes or so: a full one becomes `path.1`, in place of the one before.
///
/// # Errors
/// The operating system's.
pub fn append_bounded(path: &Path, line: &str, max: u64) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > max) {
        let mut old = path.as_os_str().to_owned();
        old.push(".1");
        fs::rename(path, old)?;
    }
    let mut file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

const TEMPORARY_SUFFIX: &str = ".ostler-new";

/// Another one each time: two that write one file at once don't write into each other's.
fn temporary_path(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{number}{TEMPORARY_SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_write_one_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.xml");
        std::thread::scope(|scope| {
            for writer in 0..8u8 {
                let path = &path;
                scope.spawn(move || (0..50).for_each(|_| write_atomic(path, &[writer; 4096], 0o600).unwrap()));
            }
        });
        let content = fs::read(&path).unwrap();
        assert!(content.len() == 4096 && content.iter().all(|byte| *byte == content[0]));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn replaces_whole_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.xml");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        remove_durably(&path).unwrap();
        remove_durably(&path).unwrap();
    }

    #[test]
    fn a_copy_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for content in ["one", "two"] {
            fs::write(&from, content).unwrap();
            copy_new(&mut File::open(&from).unwrap(), &to, 0o640, None).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"one");
        }
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn zeros_replace_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for size in [4096, 1] {
            zeros_new(size, &path, 0o600, None).unwrap();
            assert_eq!(fs::read(&path).unwrap(), [0; 4096]);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn clears_what_a_crash_left() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".state.xml.ostler-new"), b"half").unwrap();
        fs::write(directory.path().join("state.xml"), b"whole").unwrap();
        assert_eq!(remove_temporary_files(directory.path()).unwrap().len(), 1);
        assert_eq!(fs::read(directory.path().join("state.xml")).unwrap(), b"whole");
    }
}
