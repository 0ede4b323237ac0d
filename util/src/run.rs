//! Short-lived programs: run to their end, within a deadline.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::passwd::Credentials;
use crate::pidfd::{PidFd, Process};

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
    pub fn output(mut self) -> io::Result<Output> {
        let (mut child, handle) = self.spawn()?;
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
            return Err(too_long(&self.program, self.timeout));
        }
        drop(writer);
        let [stdout, stderr] = readers.map(|reader| reader.join().expect("reading does not panic"));
        Ok(Output { status, stdout, stderr })
    }

    /// Runs it for as long as `talk` speaks with it, by lines; then it is ended. What it says on standard error is dropped.
    ///
    /// # Errors
    /// The operating system's; "timed out", with the program killed.
    pub fn talk<T>(mut self, talk: impl FnOnce(&mut Talk) -> T) -> io::Result<T> {
        let (mut child, handle) = self.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let stderr = thread::spawn(move || read_all(stderr));
        // Its end ends both sides of the talk.
        let watch = thread::spawn(move || {
            let in_time = handle.as_ref().is_none_or(|handle| handle.wait(self.timeout));
            if let Some(handle) = handle.filter(|_| !in_time) {
                let _ = handle.kill();
            }
            in_time
        });
        let said = match (stdin, stdout) {
            (Some(stdin), Some(stdout)) => Some(talk(&mut Talk { stdin, stdout: BufReader::new(stdout) })),
            _ => None,
        };
        child.kill()?;
        child.wait()?;
        let in_time = watch.join().expect("waiting does not panic");
        drop(stderr.join());
        said.filter(|_| in_time).ok_or_else(|| too_long(&self.program, self.timeout))
    }

    fn spawn(&mut self) -> io::Result<(Child, Option<PidFd>)> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if let Some(credentials) = self.credentials.take() {
            // SAFETY: between fork and exec it only makes system calls; what it needs was made before.
            unsafe { command.pre_exec(move || become_user(&credentials)) };
        }
        if self.is_bound {
            let us = rustix::process::getpid();
            // After the user, with whose change the kernel forgets it. SAFETY: as above.
            unsafe { command.pre_exec(move || end_with(us)) };
        }
        let child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.program.display())))?;
        let handle = Process::of(child.id().try_into().map_err(io::Error::other)?)?.open()?;
        Ok((child, handle))
    }
}

/// The other side of a running program.
#[derive(Debug)]
pub struct Talk {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Talk {
    /// Sends it a line.
    ///
    /// # Errors
    /// The operating system's: it has ended.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        self.stdin.write_all(format!("{line}\n").as_bytes())
    }

    /// Waits for its next line.
    ///
    /// # Errors
    /// The operating system's; "unexpected end" when it has ended.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has ended")),
            _ => Ok(line),
        }
    }
}

fn too_long(program: &Path, timeout: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{} took more than {timeout:?}", program.display()))
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

    #[test]
    fn talks_by_lines_until_there_is_no_more_to_say() {
        let script = "while read line; do echo \"heard $line\"; done";
        let talk = |talk: &mut Talk| -> io::Result<Vec<String>> {
            ["a", "b"].iter().map(|line| talk.say(line).and_then(|()| talk.hear())).collect()
        };
        let heard = Run::new("sh").args(["-c", script]).talk(talk).unwrap().unwrap();
        assert_eq!(heard, ["heard a\n", "heard b\n"]);
        let ended = Run::new("true").talk(Talk::hear).unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
        let silent =
            Run::new("sleep").args(["1000"]).timeout(Duration::from_millis(50)).talk(|talk| talk.hear().is_err());
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
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
