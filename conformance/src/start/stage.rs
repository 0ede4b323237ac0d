//! A place where a QEMU finds stand-ins for all that a command line names, at the very paths that it names them by: a root
//! folder of its own, in a network and among mounts of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ostler_util::run::Run;
use ostler_util::{namespace, tap};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};
use tempfile::TempDir;

use super::line::Descriptor;
use super::said::Said;

/// What of the host is seen: the emulator with its libraries and firmware, not to be written to.
const SEEN: &[&str] = &["usr/bin", "usr/lib", "usr/lib64", "usr/share/qemu", "usr/share/seabios"];

/// Other names of folders.
const LINKS: &[(&str, &str)] =
    &[("usr/bin", "bin"), ("usr/bin", "sbin"), ("usr/lib", "lib"), ("usr/lib64", "lib64"), ("pts/ptmx", "dev/ptmx")];

/// Character devices that every program may count on.
const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("hwrng", 1, 9)];

/// The kernel's number for loop devices.
const LOOP: u32 = 7;
/// The bytes of a disk: as many as firmware's memory may have, too.
const DISK: u64 = 2 << 20;
/// All secrets of the cases have this value, and the key to it is of these bytes.
const SECRET: &str = "AQCVn5hO6HzFAhAAq0NCv8jtJcIcE+HOBlMQ1A";

/// A worker's place. What it makes is gone when the thread that made it has ended.
#[derive(Debug)]
pub(super) struct Stage {
    folder: TempDir,
    /// Block devices, by the image on them: their numbers, and as they are kept. Without a user the kernel takes them away.
    blocks: RefCell<BTreeMap<PathBuf, (u32, File)>>,
}

/// A stage that is set for one command line.
#[derive(Debug)]
pub(super) struct Set<'a> {
    stage: &'a Stage,
    /// What must stay open: servers, the other ends of sockets.
    held: Vec<OwnedFd>,
    /// How many descriptors a set has so far.
    sets: BTreeMap<String, usize>,
}

impl Stage {
    /// Takes the calling thread into a network and among mounts of its own.
    pub(super) fn new() -> anyhow::Result<Self> {
        namespace::isolate_network().context("make a network and mounts of our own: it takes root")?;
        shell("mount --make-rprivate /; ip route add local 0.0.0.0/0 dev lo", &[])?;
        for family in ["ipv4", "ipv6"] {
            // Any address is one of this network's.
            let path = format!("/proc/sys/net/{family}/ip_nonlocal_bind");
            fs::write(&path, "1").with_context(|| path.clone())?;
        }
        let folder = tempfile::Builder::new().prefix("os").tempdir_in("/tmp")?;
        fs::create_dir(folder.path().join("r"))?;
        Ok(Stage { folder, blocks: RefCell::default() })
    }

    /// The number of a block device with an empty image.
    fn block(&self, format: Option<&Format>) -> anyhow::Result<u32> {
        let image = match format {
            Some(format) => self.image(format)?,
            None => self.folder.path().join("disk"),
        };
        let mut blocks = self.blocks.borrow_mut();
        if let Some((number, _)) = blocks.get(&image) {
            return Ok(*number);
        }
        OpenOptions::new().append(true).create(true).open(&image)?.set_len(DISK.max(image.metadata()?.len()))?;
        let device = shell("losetup --find --show \"$1\"", &[&image])?.trim().to_owned();
        let number = device.strip_prefix("/dev/loop").and_then(|number| number.parse().ok());
        let kept = File::open(&device)?;
        shell("losetup --detach \"$1\"", &[Path::new(&device)])?;
        let number = number.context("the number of a loop device")?;
        blocks.insert(image, (number, kept));
        Ok(number)
    }

    /// Sets the stage for a command line.
    pub(super) fn set(&self, all: &[Said<'_>]) -> anyhow::Result<Set<'_>> {
        let mut set = Set { stage: self, held: Vec::new(), sets: BTreeMap::new() };
        self.make_root().context("make a root for QEMU")?;
        for (name, major, minor) in DEVICES {
            set.device(&format!("/dev/{name}"), FileType::CharacterDevice, *major, *minor)?;
        }
        set.plain("/etc/hosts", b"127.0.0.1 localhost\n")?;
        let formats = formats(all);
        for said in all {
            for (member, path) in said.files() {
                set.file(said, member, path, &formats).with_context(|| format!("{} of {}", path, said.option))?;
            }
            set.servers(said);
        }
        Ok(set)
    }

    /// A new root, which sees of the host what QEMU itself needs.
    fn make_root(&self) -> anyhow::Result<()> {
        let root = self.root();
        mount("stand-ins", &root, "tmpfs", MountFlags::empty(), c"mode=755,size=8g")?;
        for folder in ["proc", "dev/pts", "tmp", "run"] {
            fs::create_dir_all(root.join(folder))?;
        }
        mount_bind("/proc", root.join("proc"))?;
        mount("devpts", root.join("dev/pts"), "devpts", MountFlags::empty(), c"newinstance,ptmxmode=0666")?;
        for seen in SEEN.iter().filter(|seen| Path::new("/").join(seen).is_dir()) {
            fs::create_dir_all(root.join(seen))?;
            mount_bind(Path::new("/").join(seen), root.join(seen))?;
            mount_remount(root.join(seen), MountFlags::BIND | MountFlags::RDONLY, c"")?;
        }
        LINKS.iter().try_for_each(|(target, name)| symlink(target, root.join(name)))?;
        Ok(())
    }

    /// The folder that is the root there.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("r")
    }

    /// Where a QEMU's output goes.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// An empty image, made once.
    fn image(&self, format: &Format) -> anyhow::Result<PathBuf> {
        let Format { driver, has_secret, has_data_file } = format;
        let path = self.folder.path().join(format!("{driver}-{has_secret}-{has_data_file}"));
        if path.exists() {
            return Ok(path);
        }
        let mut args = vec!["create".to_owned(), "-q".into(), "-f".into(), driver.clone()];
        if *has_secret {
            let prefix = if driver == "luks" { "" } else { "encrypt." };
            let luks = if driver == "luks" { "" } else { "encrypt.format=luks," };
            args.extend(["--object".into(), format!("secret,id=s,data={SECRET}"), "-o".into()]);
            args.push(format!("{luks}{prefix}key-secret=s,{prefix}iter-time=10"));
        }
        if *has_data_file {
            args.extend(["-o".into(), format!("data_file={}", self.folder.path().join("data").display())]);
        }
        args.extend([path.display().to_string(), DISK.to_string()]);
        let output = Run::new("qemu-img").args(&args).output()?;
        ensure!(output.status.success(), "qemu-img {}: {}", args.join(" "), output.error_text());
        Ok(path)
    }
}

impl Drop for Set<'_> {
    fn drop(&mut self) {
        // What is mounted below goes with it.
        let _ = unmount(self.stage.root(), UnmountFlags::DETACH);
    }
}

/// What an image must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Format {
    driver: String,
    has_secret: bool,
    /// Whether its data are in another file.
    has_data_file: bool,
}

/// The format of each node that another one gives a format.
fn formats(all: &[Said<'_>]) -> BTreeMap<String, Format> {
    let mut formats = BTreeMap::new();
    for said in all.iter().filter(|said| said.option == "-blockdev") {
        let (Some(driver), Some(file)) = (said.get("driver"), said.get("file")) else { continue };
        let (has_secret, has_data_file) = (said.get("key-secret").is_some(), said.get("data-file").is_some());
        let is_filter = matches!(driver, "throttle" | "copy-on-read" | "raw");
        if !is_filter {
            formats.insert(file.to_owned(), Format { driver: driver.to_owned(), has_secret, has_data_file });
        }
    }
    formats
}

impl Set<'_> {
    /// Where a path of the command line is for us.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.stage.root().join(path.trim_start_matches('/'))
    }

    fn device(&self, path: &str, kind: FileType, major: u32, minor: u32) -> io::Result<()> {
        let place = self.parent(path)?;
        if place.exists() {
            return Ok(());
        }
        Ok(mknodat(CWD, &place, kind, Mode::from_raw_mode(0o666), makedev(major, minor))?)
    }

    /// The path, with the folders above it made.
    fn parent(&self, path: &str) -> io::Result<PathBuf> {
        let place = self.place(path);
        fs::create_dir_all(place.parent().unwrap_or(&place))?;
        Ok(place)
    }

    fn folder(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.place(path))
    }

    fn plain(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let place = self.parent(path)?;
        if place.exists() { Ok(()) } else { fs::write(place, content) }
    }

    /// Somebody who takes calls, and says nothing.
    fn listener(&mut self, path: &str) -> io::Result<()> {
        let place = self.parent(path)?;
        if !place.exists() {
            self.held.push(UnixListener::bind(place)?.into());
        }
        Ok(())
    }

    /// The stand-in for a file that an option names.
    fn file(
        &mut self,
        said: &Said<'_>,
        member: &str,
        path: &str,
        formats: &BTreeMap<String, Format>,
    ) -> anyhow::Result<()> {
        let is_server = said.is("server", "on") || said.is("server", "true");
        let kind = said.get("type").or(said.get("")).unwrap_or_default();
        match (said.option, member) {
            ("-blockdev", "filename") => match said.get("driver") {
                Some("host_device" | "host_cdrom") => {
                    let format = said.get("node-name").and_then(|name| formats.get(name));
                    self.device(path, FileType::BlockDevice, LOOP, self.stage.block(format)?)?;
                }
                _ => self.disk(path, said.get("node-name").and_then(|name| formats.get(name)))?,
            },
            ("-netdev", "path") => self.listener(path)?,
            ("-blockdev" | "-object", "dir") | ("-fsdev", "path") | ("-device", "rootdir" | "db") => {
                self.folder(path)?
            }
            ("-object", "mem-path") if path.contains("hugepages") => self.folder(path)?,
            ("-object", "file") if path.ends_with("master-key.aes") => {
                self.plain(path, &std::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap_or_default()))?;
            }
            ("-chardev", "path" | "device") if kind == "pipe" => {
                for end in ["in", "out"] {
                    let place = self.parent(&format!("{path}.{end}"))?;
                    mknodat(CWD, &place, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
                }
            }
            ("-chardev", "path") if (kind == "socket" || kind == "unix") && !is_server => self.listener(path)?,
            ("-acpitable", "file") => {
                let mut table = [0; 36];
                table[..4].copy_from_slice(b"SSDT");
                table[4] = 36;
                self.plain(path, &table)?;
            }
            ("-kernel", _) => self.plain(path, &kernel())?,
            ("-initrd" | "-shim", _) | ("-object", "file" | "dh-cert-file" | "session-file") => {
                self.plain(path, b"stand-in")?;
            }
            // What QEMU makes itself, or what only a device could stand for.
            _ => drop(self.parent(path)?),
        }
        Ok(())
    }

    fn disk(&self, path: &str, format: Option<&Format>) -> anyhow::Result<()> {
        let place = self.parent(path)?;
        if place.exists() {
            return Ok(());
        }
        match format {
            Some(format) => drop(fs::copy(self.stage.image(format)?, place)?),
            None => File::create(place)?.set_len(DISK)?,
        }
        Ok(())
    }

    /// Somebody who takes the calls of a character device or an interface.
    fn servers(&mut self, said: &Said<'_>) {
        if matches!(said.option, "-chardev" | "-netdev") && !said.is("server", "on") && !said.is("server", "true") {
            let of_address = said.get("connect").and_then(|address| address.rsplit_once(':')).map(|(_, port)| port);
            let port = said.get("port").or(of_address).and_then(|port| port.parse::<u16>().ok());
            self.held.extend(port.and_then(|port| TcpListener::bind(("0.0.0.0", port)).ok()).map(OwnedFd::from));
        }
    }

    /// What stands for a descriptor; `Some` path: where QEMU listens.
    pub(super) fn open(
        &mut self,
        descriptor: &Descriptor,
        number: usize,
        all: &[Said<'_>],
    ) -> anyhow::Result<(OwnedFd, Option<PathBuf>)> {
        Ok(match descriptor {
            Descriptor::Listening(_) => {
                let place = self.stage.folder.path().join(format!("listening{number}"));
                let _ = fs::remove_file(&place);
                (UnixListener::bind(&place)?.into(), Some(place))
            }
            Descriptor::Connected => {
                let (ours, theirs) = UnixStream::pair()?;
                self.held.push(ours.into());
                (theirs.into(), None)
            }
            Descriptor::Tap => (tap::open(&format!("tap{number}"))?, None),
            Descriptor::Vhost => {
                let device = ["/dev/vhost-net", "/dev/null"]
                    .iter()
                    .find_map(|path| OpenOptions::new().read(true).write(true).open(path).ok());
                (device.context("neither vhost nor null")?.into(), None)
            }
            Descriptor::InSet(set) => {
                let path = format!("/dev/fdset/{set}");
                let user = all.iter().find(|said| {
                    ["filename", "path", "out", "logfile", "vhostdev"].iter().any(|member| said.is(member, &path))
                });
                let is_output = user.is_some_and(|said| said.option == "-chardev");
                // A set of several has one to write by, and one to read by.
                let opened = self.sets.entry(set.clone()).or_insert(0);
                *opened += 1;
                let is_readonly = *opened > 1 || user.is_some_and(|said| said.is("read-only", "true"));
                // All of a set are of one file.
                let place = self.stage.folder.path().join(format!("set{set}"));
                let formats = formats(all);
                let format = user.and_then(|said| said.get("node-name")).and_then(|name| formats.get(name));
                match format {
                    _ if *opened > 1 => {}
                    Some(format) => drop(fs::copy(self.stage.image(format)?, &place)?),
                    None => File::create(&place)?.set_len(if is_output { 0 } else { DISK })?,
                }
                // QEMU takes one that was opened as it wants it.
                let file = OpenOptions::new().read(!is_output).write(!is_readonly).append(is_output).open(place)?;
                (file.into(), None)
            }
        })
    }
}

/// The beginning of a kernel as the boot protocol has it, version 2.12, with one sector of code.
fn kernel() -> Vec<u8> {
    let mut kernel = vec![0; 16 << 10];
    kernel[0x1f1] = 4;
    kernel[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x206..0x208].copy_from_slice(&[0x0c, 0x02]);
    kernel[0x211] = 1;
    kernel[0x22c..0x230].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    kernel
}

fn shell(script: &str, arguments: &[&Path]) -> anyhow::Result<String> {
    let words = ["-euc", script, "sh"].map(Path::new);
    let output = Run::new("/bin/sh").args(words.iter().chain(arguments)).output()?;
    ensure!(output.status.success(), "{script}: {}", output.error_text());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
