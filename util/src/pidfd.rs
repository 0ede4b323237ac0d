//! Processes that are not our children: known by more than their number, watched without polling.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::boot::boot_id;

/// A process of this host, past or present. Numbers are used again, also after a reboot, so a number counts only with
/// the boot and the time at which the process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The number.
    pub pid: i32,
    /// When it began, in clock ticks since the boot.
    pub start_time: u64,
    /// The boot.
    pub boot_id: String,
}

impl Process {
    /// The process that has the number now.
    ///
    /// # Errors
    /// "not found" if there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Process { pid, start_time: start_time(pid)?, boot_id: boot_id().to_owned() })
    }

    /// A handle for the process, if it is still there.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(&self) -> io::Result<Option<PidFd>> {
        if self.boot_id != boot_id() {
            return Ok(None);
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => PidFd(fd),
            // EINVAL: the number is a thread's now.
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The handle is for whoever had the number when it was opened; only now is its time of birth worth something.
        match start_time(self.pid) {
            Ok(start_time) if start_time == self.start_time => Ok(Some(fd).filter(|fd| !fd.has_ended())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Process {
    /// Whether the process has begun to end, or has ended: it runs no more of its program. Its handle tells when all that it
    /// held is released, which a network device can delay by tens of milliseconds.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_ending(&self) -> io::Result<bool> {
        if self.boot_id != boot_id() {
            return Ok(true);
        }
        match Stat::of(self.pid) {
            Ok(stat) => Ok(stat.start_time != self.start_time || stat.flags & Stat::EXITING != 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// A handle for ourselves, by which a child learns of our end.
///
/// # Errors
/// The operating system's.
pub fn own() -> io::Result<PidFd> {
    Ok(PidFd(pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?))
}

/// A handle for one process: readable from its end on, never another process's.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Blocks until the process has ended, at most for `timeout`; whether it has.
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left =
                Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends SIGTERM. A process that has ended is fine.
    ///
    /// # Errors
    /// The operating system's.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends SIGKILL. A process that has ended is fine.
    ///
    /// # Errors
    /// The operating system's.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<PidFd> for OwnedFd {
    fn from(fd: PidFd) -> OwnedFd {
        fd.0
    }
}

fn start_time(pid: i32) -> io::Result<u64> {
    Stat::of(pid).map(|stat| stat.start_time)
}

/// Parts of `/proc/PID/stat` (proc(5)).
struct Stat {
    start_time: u64,
    flags: u64,
}

impl Stat {
    /// The kernel's PF_EXITING.
    const EXITING: u64 = 4;

    fn of(pid: i32) -> io::Result<Stat> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| match error.raw_os_error() {
            Some(libc::ESRCH) => io::Error::from(io::ErrorKind::NotFound),
            _ => error,
        })?;
        // The second field is the program's name in brackets, which may itself hold brackets and blanks.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let field = |number: usize| {
            let found = fields.get(number - 3).and_then(|field| field.parse().ok());
            found.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has no field {number}"))
            })
        };
        Ok(Stat { start_time: field(22)?, flags: field(9)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_process_and_no_other_by_its_number() {
        let me = Process::of(std::process::id().try_into().unwrap()).unwrap();
        assert!(me.open().unwrap().is_some());
        assert!(Process { start_time: me.start_time + 1, ..me.clone() }.open().unwrap().is_none());
        assert!(Process { boot_id: "another".into(), ..me }.open().unwrap().is_none());
    }

    #[test]
    fn sees_an_end() {
        #[allow(clippy::zombie_processes, reason = "it is waited for below")]
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::of(child.id().try_into().unwrap()).unwrap();
        let fd = process.open().unwrap().unwrap();
        assert!(!fd.has_ended() && !process.is_ending().unwrap());
        fd.kill().unwrap();
        assert!(fd.wait(Duration::from_secs(30)));
        assert!(process.open().unwrap().is_none(), "a zombie counts as ended");
        assert!(process.is_ending().unwrap());
        child.wait().unwrap();
        assert!(process.open().unwrap().is_none() && process.is_ending().unwrap());
        fd.kill().unwrap();
    }
}
