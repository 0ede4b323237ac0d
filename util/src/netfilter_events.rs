//! Told by the kernel when somebody changes the packet filter.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h, as a bit of the groups to join.
const NFTABLES_GROUP: u32 = 1 << (7 - 1);

/// A socket that is readable after each change of nftables in this network namespace.
#[derive(Debug)]
pub struct NetfilterEvents(OwnedFd);

impl NetfilterEvents {
    /// Opens the socket, without blocking reads.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: a plain system call.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_NETFILTER) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all-zero bytes are a valid `sockaddr_nl`.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = NFTABLES_GROUP;
        let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the address is whole and outlives the call.
        match unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) } {
            0 => Ok(NetfilterEvents(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Reads away what was told; whether it was anything. What it was is found out by looking.
    pub fn drain(&self) -> bool {
        let mut buffer = [0_u8; 8192];
        let mut any = false;
        loop {
            // SAFETY: the buffer is as long as said.
            let read = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if read <= 0 {
                // Losing messages (ENOBUFS) is news as well.
                return any || (read < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS));
            }
            any = true;
        }
    }
}

impl AsFd for NetfilterEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for NetfilterEvents {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
