//! Tap devices: the host's end of a guest's network cable.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::MacAddress;

/// The longest name of a network device, in bytes.
pub const MAX_NAME: usize = 15;

/// linux/sockios.h
const SIOCBRADDIF: libc::Ioctl = 0x89a2;

/// Opens the tap device `name`, making it if it is missing. It lives as long as its descriptors.
///
/// # Errors
/// "invalid input" for a name that is no device's; "resource busy" if another process holds it; the operating system's.
pub fn open(name: &str) -> io::Result<OwnedFd> {
    open_queue(name, 0)
}

/// The same with several queues, a descriptor for each; one is as [`open`].
///
/// # Errors
/// As [`open`].
pub fn open_queues(name: &str, count: u32) -> io::Result<Vec<OwnedFd>> {
    let flags = if count > 1 { libc::IFF_MULTI_QUEUE } else { 0 };
    (0..count.max(1)).map(|_| open_queue(name, flags)).collect()
}

fn open_queue(name: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    let mut request = request(name)?;
    let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | flags) as libc::c_short;
    // SAFETY: the request is a whole `ifreq` that outlives the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    Ok(tun.into())
}

/// Gives the device `name` a MAC address.
///
/// # Errors
/// The operating system's.
pub fn set_mac(name: &str, mac: MacAddress) -> io::Result<()> {
    let mut request = request(name)?;
    let mut address = libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: [0; 14] };
    for (to, from) in address.sa_data.iter_mut().zip(mac.0) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_hwaddr = address;
    ask(libc::SIOCSIFHWADDR as _, &mut request)
}

/// Sets the largest packet of the device `name`, in bytes.
///
/// # Errors
/// The operating system's.
pub fn set_mtu(name: &str, mtu: u32) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_mtu = mtu.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    ask(libc::SIOCSIFMTU as _, &mut request)
}

/// Plugs the device `name` into `bridge` and brings it up. One that is there already stays there.
///
/// # Errors
/// "no such device" for a missing bridge; the operating system's.
pub fn join_bridge(name: &str, bridge: &str) -> io::Result<()> {
    let index = index_of(name)?;
    let mut on_bridge = request(bridge)?;
    on_bridge.ifr_ifru.ifru_ifindex = index;
    match ask(SIOCBRADDIF, &mut on_bridge) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        result => result?,
    }
    bring_up(name)
}

/// Brings the device `name` up.
///
/// # Errors
/// The operating system's.
pub fn bring_up(name: &str) -> io::Result<()> {
    let mut request = request(name)?;
    ask(libc::SIOCGIFFLAGS as _, &mut request)?;
    // SAFETY: the kernel has just filled in the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    ask(libc::SIOCSIFFLAGS as _, &mut request)
}

/// Whether there is a network device `name`.
///
/// # Errors
/// "invalid input" for a name that is no device's; the operating system's.
pub fn exists(name: &str) -> io::Result<bool> {
    match index_of(name) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn index_of(name: &str) -> io::Result<libc::c_int> {
    let mut request = request(name)?;
    ask(libc::SIOCGIFINDEX as _, &mut request)?;
    // SAFETY: the kernel has just filled in the index.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains(['/', '%', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{name}' is no name of a network device")));
    }
    // SAFETY: all bits zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn ask(what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    let socket = File::from(socket);
    // SAFETY: the request is a whole `ifreq` that outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), what, request as *mut libc::ifreq) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_name() {
        for name in ["", "a-name-of-16-byte", "vnet%d", "a/b"] {
            assert_eq!(open(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
            assert_eq!(exists(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn finds_what_is_there() {
        assert!(exists("lo").unwrap());
        assert!(!exists("nobody-s").unwrap());
    }
}
