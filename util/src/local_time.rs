//! The host's local time.

use std::io;

/// How far the host's local time is ahead of UTC at `seconds` since 1970, in seconds.
///
/// # Errors
/// A time that no calendar holds.
pub fn ahead_of_utc(seconds: i64) -> io::Result<i64> {
    // SAFETY: all bits zero is a valid `tm`.
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are whole and outlive the call, which fills in the second.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut broken) }.is_null() {
        return Err(io::Error::last_os_error());
    }
    Ok(broken.tm_gmtoff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_as_far_ahead_as_zones_are() {
        let day = 86_400;
        assert!((-day..day).contains(&ahead_of_utc(1_000_000_000).unwrap()));
        ahead_of_utc(i64::MAX).unwrap_err();
    }
}
