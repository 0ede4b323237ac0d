//! Namespaces of this thread: a place where a test can do what it likes to networks.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

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
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

/// Takes this process, which must have one thread, into the mounts and control groups of the host's first process.
///
/// # Errors
/// "unsupported" if the first process that is seen shares our mounts: then it is not the host's. The operating system's.
pub fn enter_host() -> io::Result<()> {
    let own = std::fs::read_link("/proc/self/ns/mnt")?;
    if std::fs::read_link("/proc/1/ns/mnt")? == own {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the host's processes are not seen here"));
    }
    // Opened first: afterwards these paths are the host's.
    let (mounts, groups) = (File::open("/proc/1/ns/mnt")?, File::open("/proc/1/ns/cgroup")?);
    move_into_link_name_space(groups.as_fd(), Some(LinkNameSpaceType::ControlGroup))?;
    move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    std::env::set_current_dir("/")
}
