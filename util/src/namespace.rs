//! Namespaces of this thread: a place where a test can do what it likes to networks.

use std::io;

/// Gives the calling thread a network and a mount namespace of its own. Threads and processes that it makes from now on
/// are in them too.
///
/// # Errors
/// The operating system's: it takes root.
pub fn isolate_network() -> io::Result<()> {
    // SAFETY: plain system calls that concern this thread alone.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    crate::tap::bring_up("lo")
}
