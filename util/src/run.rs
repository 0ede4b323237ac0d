//! Short-lived programs: run to their end, within a deadline.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::passwd::Credentials;
use crate::pidfd::Process;

/// A program to run. Its environment is empty but for a path and the C locale.
#[derive(Clone, Debug)]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    input: Vec<u8>,
    timeout: Duration,
    credentials: Option<Credentials>,
    is_bound: bool,
}

/// What a program that was run said.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error output.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The last line of what it said on standard error, else how it ended.
    pub fn error_text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        text.lines()
            .rfind(|line| !line.trim().is_empty())
            .map_or_else(|| self.status.to_string(), |line| line.trim().to_owned())
    }
}

impl Run {
    /// `program`, looked up in the usual folders if it is no path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let (args, input, timeout) = (Vec::new(), Vec::new(), Duration::from_secs(60));
        Run { program: program.into(), args, input, timeout, credentials: None, is_bound: false }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// What it reads on standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How long it may take; 60 seconds if not said.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// As whom it runs.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// It ends with us, if we are killed before it has ended: a program that waits for more would stay for ever.
    pub fn bound_to_us(mut self) -> Self {
        self.is_bound = true;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// The operating system's; "timed out", with the program killed.
    pub fn output(self) -> io::Result<Output> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if let Some(credentials) = self.credentials {
            // SAFETY: between fork and exec it only makes system calls; what it needs was made before.
            unsafe { command.pre_exec(move || become_user(&credentials)) };
        }
        if self.is_bound {
            let us = rustix::process::getpid();
            // After the user, with whose change the kernel forgets it. SAFETY: as above.
            unsafe { command.pre_exec(move || end_with(us)) };
        }
        let mut child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.program.display())))?;
        let handle = Process::of(child.id().try_into().map_err(io::Error::other)?)?.open()?;
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = self.input;
        // A program that reads nothing closes the pipe: no fault of it.
        let writer = thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&input)));
        let readers = [thread::spawn(move || read_all(stdout)), thread::spawn(move || read_all(stderr))];
        let in_time = handle.is_none_or(|handle| handle.wait(self.timeout));
        if !in_time {
            child.kill()?;
        }
        let status = child.wait()?;
        if !in_time {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} took more than {:?}", self.program.display(), self.timeout),
            ));
        }
        drop(writer);
        let [stdout, stderr] = readers.map(|reader| reader.join().expect("reading does not panic"));
        Ok(Output { status, stdout, stderr })
    }
}

/// Takes on `credentials`; standard ways keep no further groups.
fn become_user(credentials: &Credentials) -> io::Result<()> {
    let Credentials { uid, gid, groups } = credentials;
    // SAFETY: plain system calls; `groups` is valid for its length.
    let failed = unsafe {
        libc::setgroups(groups.len(), groups.as_ptr()) != 0
            || libc::setresgid(*gid, *gid, *gid) != 0
            || libc::setresuid(*uid, *uid, *uid) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends this process when the thread that made it ends: that one waits for us, so only by the end of its process.
fn end_with(parent: rustix::process::Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

fn read_all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is worth having.
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_and_collects() {
        let output = Run::new("sh").args(["-c", "cat; echo wrong >&2; exit 3"]).input("hello").output().unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.as_slice(), output.error_text()),
            (Some(3), b"hello".as_slice(), "wrong".into())
        );
    }

    #[test]
    fn ends_what_takes_too_long() {
        let error = Run::new("sleep").args(["1000"]).timeout(Duration::from_millis(50)).output().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(Run::new("there-is-no-such-program").output().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Run by the test below, as a program that is killed.
    #[test]
    fn runs_what_never_ends() {
        let Some(file) = std::env::var_os("PID_OF_WHAT_NEVER_ENDS") else { return };
        let script = format!("echo $$ > {}; exec sleep 1000", file.display());
        let _ = Run::new("sh").args(["-c", &script]).timeout(Duration::from_secs(1000)).bound_to_us().output();
    }

    #[test]
    fn what_is_bound_to_us_ends_with_us() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut us = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "run::tests::runs_what_never_ends"])
            .env("PID_OF_WHAT_NEVER_ENDS", &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = loop {
            match std::fs::read_to_string(&file).unwrap_or_default().trim().parse() {
                Ok(pid) => break pid,
                Err(_) => assert!(us.try_wait().unwrap().is_none(), "it ended before"),
            }
            thread::yield_now();
        };
        let handle = Process::of(pid).unwrap().open().unwrap().unwrap();
        us.kill().unwrap();
        us.wait().unwrap();
        assert!(handle.wait(Duration::from_secs(60)));
    }
}
