//! Whole folders: copied, replaced and removed as one.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Copies the folder `from` to `to`, which must not exist: whole or not at all. Symbolic links stay links; a file's mode stays.
///
/// # Errors
/// The operating system's, with nothing at `to`.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let half = to.with_file_name(format!(".{name}.half"));
    remove(&half)?;
    copy_into(from, &half)?;
    // All at once: one flush for each of thousands of files takes minutes.
    rustix::fs::syncfs(rustix::fs::open(&half, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?;
    fs::rename(&half, to)?;
    to.parent().map_or(Ok(()), crate::file::sync_directory)
}

fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    let at = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::create_dir(to).map_err(|error| at(to, error))?;
    for entry in fs::read_dir(from).map_err(|error| at(from, error))? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_into(&path, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &target).map_err(|error| at(&target, error))?;
        } else {
            fs::copy(&path, &target).map_err(|error| at(&target, error))?;
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
}

/// Makes the link `path` lead to `target`, in one step.
///
/// # Errors
/// The operating system's, with the link as it was.
pub fn point(path: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    remove(&new)?;
    symlink(target, &new)?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), crate::file::sync_directory)
}

/// Removes a folder with all in it, or a file or link. What is not there is fine.
///
/// # Errors
/// The operating system's.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
