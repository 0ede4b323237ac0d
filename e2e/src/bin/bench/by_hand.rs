//! A guest started by hand: the same command line, the same user, a monitor and a tap made before.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ostler_util::cgroup::Entrances;
use ostler_util::passwd::Credentials;
use ostler_util::pidfd::Process;
use ostler_util::spawn::Spawn;
use ostler_util::tap;

use crate::report::ms;

/// What a start by hand needs, all made beforehand.
pub(crate) struct Prepared {
    spawn: Spawn,
    monitor: PathBuf,
}

impl Prepared {
    /// `argv`: the command line of a guest that the agent started; `number` tells guests apart.
    pub(crate) fn new(argv: &[String], folder: &Path, credentials: &Credentials, number: usize) -> Self {
        let monitor = folder.join(format!("h{number}"));
        let listener = UnixListener::bind(&monitor).unwrap();
        let mut fds: Vec<OwnedFd> = vec![listener.into()];
        // The agent hands over the tap first, then the monitor's socket.
        if argv.iter().any(|arg| arg.contains("id=charmonitor,fd=4")) {
            let name = format!("hand{number}");
            fds.insert(0, tap::open(&name).unwrap());
            tap::bring_up(&name).unwrap();
        }
        let spawn = Spawn {
            program: argv[0].clone().into(),
            args: argv[1..].iter().map(Into::into).collect(),
            env: vec!["PATH=/usr/bin:/bin".into(), "LC_ALL=C".into(), format!("HOME={}", folder.display()).into()],
            directory: "/".into(),
            credentials: Some(credentials.clone()),
            cgroups: Entrances::default(),
            output: std::fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap(),
            fds,
        };
        Prepared { spawn, monitor }
    }

    /// Starts it; gives the milliseconds until QEMU says that it runs, and the process.
    pub(crate) fn run(self) -> (f64, Process) {
        let start = Instant::now();
        let process = self.spawn.detached().unwrap();
        let stream = UnixStream::connect(&self.monitor).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut stream = stream;
        assert!(lines.next().unwrap().unwrap().contains("QMP"));
        stream.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"cont\"}").unwrap();
        while !lines.next().expect("QEMU goes on").unwrap().contains("\"RESUME\"") {}
        (ms(start.elapsed()), process)
    }
}

/// Ends a process and waits for it; gives the milliseconds until it had ended.
pub(crate) fn kill(process: &Process) -> f64 {
    let Ok(Some(handle)) = process.open() else { return 0.0 };
    let start = Instant::now();
    handle.kill().unwrap();
    assert!(handle.wait(std::time::Duration::from_secs(60)));
    ms(start.elapsed())
}
