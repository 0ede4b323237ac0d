//! Namespaces of this thread: a place where a test can do what it likes to networks.

use std::io;
use std::os::fd::AsFd;

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

/// Takes the calling thread into the network namespace that an open file of `/run/netns` or `/proc/PID/ns/net` stands for.
///
/// # Errors
/// The operating system's: it takes root.
pub fn enter_network(namespace: &impl AsFd) -> io::Result<()> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network))?;
    Ok(())
}
