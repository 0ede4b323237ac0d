//! What ends with this process, however that ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};

/// Starts a program that is killed when the calling thread ends, and gets no signal from the terminal.
///
/// # Errors
/// The operating system's.
pub fn start(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).process_group(0);
    // SAFETY: one system call, nothing of this process's memory.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    command.spawn()
}

/// A folder that goes when it is dropped or this process ends: what is shared is never dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Waits for the end of a pipe that only we hold, then removes the folder.
    guard: Child,
}

impl Folder {
    /// A new one, among the system's temporary files; its name begins with `prefix`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(prefix: &str) -> Result<Self> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
        let mut guard = Command::new("sh");
        guard.args(["-c", "cat; rm -rf \"$0\""]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::null());
        let guard = guard.process_group(0).spawn().context("start sh")?;
        Ok(Folder { path, guard })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closes the pipe first.
        let _ = self.guard.wait();
    }
}
