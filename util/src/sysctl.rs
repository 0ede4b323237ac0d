//! Kernel settings below `/proc/sys`.

use std::io;
use std::path::Path;

/// Gives the setting `name` (`net/ipv4/ip_forward`) this value, if it has another. One that the kernel lacks is fine.
///
/// # Errors
/// The operating system's.
pub fn set(name: &str, value: &str) -> io::Result<()> {
    let path = Path::new("/proc/sys").join(name);
    match std::fs::read_to_string(&path) {
        Ok(old) if old.trim() == value => Ok(()),
        Ok(_) => std::fs::write(&path, value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
