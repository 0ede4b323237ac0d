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
        Run { program: program.into(), args, input, timeout, credentials: None }
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
}
