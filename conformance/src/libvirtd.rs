//! A libvirtd of our own, to compare with: it has a network, folders of state and a configuration of its own, in mounts that
//! only the thread that started it and its children see.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ostler_util::cgroup::Entrances;
use ostler_util::namespace;
use ostler_util::pidfd::{PidFd, Process};
use ostler_util::run::{Output, Run};
use ostler_util::spawn::Spawn;
use tempfile::TempDir;

/// What libvirtd needs to begin, and far more.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked whether it has begun: nothing tells.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SOCKET: &str = "/run/libvirt/libvirt-sock";
const STATE: &str = "/var/lib/libvirt";
const IMAGES: &str = "/var/lib/libvirt/images";

/// Folders that are libvirt's own, empty at first, and on a disk as a host has them: what it writes costs what it costs there.
const FOLDERS: &[&str] = &[STATE, "/etc/libvirt", "/var/log/libvirt", CACHE];
const RUN: &str = "/run/libvirt";
const SHARED: &str = "/dev/shm";
const CACHE: &str = "/var/cache/libvirt";

/// As a host without control groups, security drivers and helpers has it.
const CONFIG: &str = "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\nsecurity_driver = \"none\"\n\
    cgroup_controllers = []\nnamespaces = []\nstdio_handler = \"file\"\n";

/// The files that definitions name.
const FILES: &str = "cd \"$1\"
for name in a b d nvdimm pmem; do truncate -s 64M $name; done; for name in a b d; do mv $name $name.raw; done
qemu-img create -q -f qcow2 c.qcow2 64M
qemu-img create -q -f qcow2 -b c.qcow2 -F qcow2 top.qcow2
printf kernel > vmlinuz; printf initrd > initrd";

/// A libvirtd that runs. Dropped, it ends; its guests should have ended before.
#[derive(Debug)]
pub struct Libvirtd {
    process: Process,
    handle: PidFd,
    /// Where its folders are.
    _disk: TempDir,
}

impl Libvirtd {
    /// Takes this thread into a network and among mounts of its own, and starts libvirtd there.
    ///
    /// # Errors
    /// It is not installed, or doesn't begin; it takes root.
    pub fn start() -> anyhow::Result<Self> {
        namespace::isolate_network().context("make a network and mounts of our own: it takes root")?;
        shell("mount --make-rprivate /", &[])?;
        shell("mkdir -p \"$1\"; mount -t tmpfs -o mode=755 libvirt \"$1\"", &[Path::new(RUN)])?;
        // It leaves there what guests share.
        shell("mount -t tmpfs -o mode=1777 shared \"$1\"", &[Path::new(SHARED)])?;
        let disk = tempfile::tempdir_in("/var/tmp")?;
        fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o755))?;
        for (number, folder) in FOLDERS.iter().enumerate() {
            let place = disk.path().join(number.to_string());
            shell("mkdir -p \"$1\" \"$2\"; mount --bind \"$1\" \"$2\"", &[&place, Path::new(folder)])?;
        }
        fill_images()?;
        fs::write("/etc/libvirt/qemu.conf", CONFIG)?;
        fs::write("/etc/libvirt/libvirtd.conf", "")?;
        let (process, handle) = begin()?;
        Ok(Libvirtd { process, handle, _disk: disk })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends it, and starts it again, and gives how long it took to begin; its guests run on. `forget`: what it found out
    /// about emulators is gone.
    ///
    /// # Errors
    /// It doesn't end or begin.
    pub fn restart(&mut self, forget: bool) -> anyhow::Result<Duration> {
        self.handle.terminate()?;
        ensure!(self.handle.wait(DEADLINE), "libvirtd does not end");
        if forget {
            shell("rm -rf \"$1\"/*", &[Path::new(CACHE)])?;
        }
        let start = Instant::now();
        (self.process, self.handle) = begin()?;
        Ok(start.elapsed())
    }

    /// Runs virsh, and gives what it said however it ended.
    ///
    /// # Errors
    /// It can't be run.
    pub fn try_virsh(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(Run::new("virsh").args(["-c", "qemu:///system"].iter().chain(arguments)).output()?)
    }

    /// Runs virsh, and gives what it said.
    ///
    /// # Errors
    /// It can't be run, or libvirt refuses.
    pub fn virsh(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.try_virsh(arguments)?;
        ensure!(output.status.success(), "virsh {}: {}", arguments.join(" "), output.error_text());
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        // The mounts go with the thread.
        let _ = self.handle.terminate();
        if !self.handle.wait(DEADLINE) {
            let _ = self.handle.kill();
        }
    }
}

/// Starts libvirtd, and waits until it listens.
fn begin() -> anyhow::Result<(Process, PidFd)> {
    let log = "/var/log/libvirt/libvirtd.log";
    let env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "LC_ALL=C"];
    let process = Spawn {
        program: "/usr/sbin/libvirtd".into(),
        // Its usual place for its number is the host's, and more than one may run at once.
        args: ["-f", "/etc/libvirt/libvirtd.conf", "-p", "/run/libvirt/libvirtd.pid"].map(Into::into).to_vec(),
        env: env.iter().map(Into::into).collect(),
        directory: "/".into(),
        credentials: None,
        cgroups: Entrances::default(),
        output: OpenOptions::new().append(true).create(true).open(log)?,
        fds: Vec::new(),
    };
    let process = process.detached().context("start libvirtd")?;
    let handle = process.open()?.context("libvirtd has ended at once")?;
    let start = Instant::now();
    while UnixStream::connect(SOCKET).is_err() {
        // Its end is noticed at once, its beginning soon.
        if handle.wait(LOOK_EVERY) || start.elapsed() > DEADLINE {
            bail!("libvirtd does not begin: {}", fs::read_to_string(log).unwrap_or_default());
        }
    }
    Ok((process, handle))
}

/// Makes the files that the definitions of e2e/definitions name, as a libvirt of ours has them, in this thread's mounts: they must
/// be its own.
///
/// # Errors
/// A program that fails: it takes root, and qemu-img.
pub fn make_images() -> anyhow::Result<()> {
    shell("mount --make-rprivate /; mkdir -p \"$1\"; mount -t tmpfs -o mode=755 images \"$1\"", &[Path::new(STATE)])?;
    fs::create_dir(Path::new(STATE).join("qemu"))?;
    fill_images()
}

fn fill_images() -> anyhow::Result<()> {
    fs::create_dir(IMAGES)?;
    shell(FILES, &[Path::new(IMAGES)])
}

fn shell(script: &str, arguments: &[&Path]) -> anyhow::Result<()> {
    let words = ["-euc", script, "sh"].map(Path::new);
    let output = Run::new("/bin/sh").args(words.iter().chain(arguments)).output()?;
    ensure!(output.status.success(), "{script}: {}", output.error_text());
    Ok(())
}
