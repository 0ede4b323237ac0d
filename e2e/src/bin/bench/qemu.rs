//! QEMU's driver beside libvirt's, in one run on one machine: what becomes of a definition, and how soon a guest is there
//! and gone. libvirtd runs among mounts of its own, asked over its socket as its users ask it; ours is in this process, as in an agent.

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ostler_conf::{Domain, parse};
use ostler_conformance::Libvirtd;
use ostler_driver::{Connection, Definition, Domains, StartOptions, StateOnUndefine};
use ostler_driver_cpu::CpuDriver;
use ostler_driver_network::NetworkDriver;
use ostler_driver_qemu::offline::stand_ins::Folders;
use ostler_driver_qemu::offline::{Setting, ask};
use ostler_driver_qemu::{Config, QemuDriver, Services, Settings};
use ostler_driver_security::SecurityDriver;
use ostler_driver_storage::StorageDriver;
use ostler_util::cgroup::Hierarchies;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::reference::Reference;
use crate::report::{Goal, Report, median, ms};

/// Rounds of what takes microseconds, and of starts.
const ROUNDS: usize = 15;
const STARTS: usize = 9;
const RESTARTS: usize = 3;
const MANY: usize = 1000;
const RUNNING: usize = 50;
/// Emulators, and the architecture and the machine of their simplest guest.
const EMULATORS: &[(&str, &str, &str)] = &[
    (EMULATOR, "x86_64", "q35"),
    ("/usr/bin/qemu-system-i386", "i686", "q35"),
    ("/usr/bin/qemu-system-aarch64", "aarch64", "virt"),
    ("/usr/bin/qemu-system-arm", "armv7l", "virt"),
];
const EMULATOR: &str = "/usr/bin/qemu-system-x86_64";

pub(crate) fn measure(_binary: &str, report: &mut Report) {
    let Some(reference) = Reference::build("libvirt_qemu", &["-l:libvirt.so.0"]) else {
        return eprintln!("  not measured: install libvirt0, and a C compiler");
    };
    // The thread's network and mounts are its own.
    std::thread::scope(|scope| {
        scope.spawn(|| match Libvirtd::start() {
            Ok(mut libvirtd) => beside(&mut libvirtd, &reference, report),
            Err(error) => eprintln!("  not measured: {error:#}"),
        });
    });
}

fn beside(libvirtd: &mut Libvirtd, reference: &Reference, report: &mut Report) {
    let mut ours = Ours::open();
    command_lines(reference, report);
    definitions(reference, &ours, report);
    starts(reference, &ours, report);
    many(libvirtd, reference, &mut ours, report);
    running(libvirtd, reference, &mut ours, report);
    emulators(libvirtd, reference, report);
}

/// Our driver, on folders and in a control group of its own.
struct Ours {
    folder: TempDir,
    runtime: Runtime,
    driver: Option<QemuDriver>,
}

impl Ours {
    fn open() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let driver = runtime.block_on(open(folder.path()));
        Ours { folder, runtime, driver: Some(driver) }
    }

    fn driver(&self) -> &QemuDriver {
        self.driver.as_ref().expect("it is gone only while it is opened again")
    }

    /// Milliseconds until a manager that begins again has told of its guests, the middle of a few.
    fn reopen(&mut self) -> f64 {
        median((0..RESTARTS).map(|_| self.reopen_once()).collect())
    }

    fn reopen_once(&mut self) -> f64 {
        self.runtime.block_on(self.driver().close()).unwrap();
        self.driver = None;
        let start = Instant::now();
        let driver = self.runtime.block_on(open(self.folder.path()));
        self.runtime.block_on(driver.list()).unwrap();
        self.driver = Some(driver);
        ms(start.elapsed())
    }
}

async fn open(folder: &Path) -> QemuDriver {
    let (state, run) = (folder.join("s"), folder.join("r"));
    let network = ostler_driver_network::Config::new(&state, &run);
    let storage = ostler_driver_storage::Config { state_dir: state.clone(), pools_dir: state.join("pools") };
    let services = Services {
        networks: Arc::new(NetworkDriver::open(network).await.unwrap()),
        storage: Arc::new(StorageDriver::open(storage).unwrap()),
        security: Arc::new(SecurityDriver::open(&state).unwrap()),
        cpus: Arc::new(CpuDriver),
    };
    let config = Config { state_dir: state, run_dir: run, cgroup: cgroup(), ..Config::default() };
    QemuDriver::open(config, services).await.unwrap()
}

impl Drop for Ours {
    fn drop(&mut self) {
        let removed = Hierarchies::discover().and_then(|hierarchies| hierarchies.group(cgroup()).remove());
        removed.unwrap_or_else(|error| eprintln!("  the control group {} stays: {error}", cgroup()));
    }
}

fn cgroup() -> String {
    format!("ostler-bench-{}", std::process::id())
}

/// What is started: no more than a disk and a serial port.
fn guest(number: usize, disk: &Path) -> String {
    format!(
        "<domain type='qemu'><name>bench{number}</name><uuid>6f0d3a3e-0000-4000-8000-{number:012}</uuid><memory>65536</memory>\
         <vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>\
         <devices><emulator>{EMULATOR}</emulator>\
         <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>\
         <serial type='pty'/></devices></domain>",
        disk.display()
    )
}

fn domain(text: &str) -> Domain {
    parse::<Domain>(text).unwrap().value
}

/// From a definition to its command line, with what the emulator can do known.
fn command_lines(reference: &Reference, report: &mut Report) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("definitions");
    let mut files: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().display().to_string()).collect();
    files.sort();
    let setting = Setting {
        emulator: EMULATOR.into(),
        capabilities: Arc::new(ask(EMULATOR.as_ref()).unwrap()),
        kvm: false,
        settings: Arc::new(Settings::default()),
    };
    let folders = Folders { state: "/s".into(), run: "/r".into() };
    let line = |text: &str| setting.command_line(&domain(text), &folders, &CpuDriver).ok();
    let accepted = reference.ask(&["convert"], &files);
    let files: Vec<String> =
        accepted.lines().filter(|file| line(&fs::read_to_string(file).unwrap()).is_some()).map(str::to_owned).collect();
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let a_definition = |nanoseconds: f64| nanoseconds / 1000.0 / texts.len() as f64;
    let once = || {
        let start = Instant::now();
        texts.iter().for_each(|text| drop(black_box(line(text))));
        start.elapsed().as_nanos() as f64
    };
    let ours = (0..ROUNDS).map(|_| once()).fold(f64::INFINITY, f64::min);
    let theirs = numbers(&reference.ask(&["native", &ROUNDS.to_string()], &files));
    let against = format!("libvirt's domxml-to-native, {} definitions", texts.len());
    report.add(
        "definition to command line",
        "us",
        a_definition(ours),
        theirs.first().map(|it| a_definition(*it)),
        against,
        Goal::Ratio(0.05),
    );
}

fn definitions(reference: &Reference, ours: &Ours, report: &mut Report) {
    let (file, text, disk) = written(ours);
    let domain = domain(&text);
    // The first finds out what QEMU can do.
    let mut took = Vec::new();
    for _ in 0..=ROUNDS {
        let start = Instant::now();
        ours.runtime.block_on(ours.driver().define(&domain)).unwrap();
        took.push(ms(start.elapsed()));
        ours.runtime.block_on(ours.driver().undefine(domain.uuid.unwrap(), StateOnUndefine::Delete)).unwrap();
    }
    took.remove(0);
    let theirs = numbers(&reference.ask(&["define", &(ROUNDS + 1).to_string()], &[file]));
    let theirs = median(theirs.into_iter().skip(1).map(|nanoseconds| nanoseconds / 1e6).collect());
    let mut syncs = Vec::new();
    for _ in 0..ROUNDS {
        fs::write(disk.with_extension("new"), "x").unwrap();
        let start = Instant::now();
        ostler_util::file::sync_directory(ours.folder.path()).unwrap();
        syncs.push(ms(start.elapsed()));
        fs::remove_file(disk.with_extension("new")).unwrap();
    }
    let sync = median(syncs);
    report.add("fsync of a directory", "ms", sync, None, "", Goal::None);
    let goal = Goal::AtMost(((0.3 * theirs + sync) * 100.0).round() / 100.0);
    report.add("define, durably", "ms", median(took), Some(theirs), "libvirt's define; 0.3x and one fsync", goal);
}

fn starts(reference: &Reference, ours: &Ours, report: &mut Report) {
    let (file, text, _) = written(ours);
    let domain = domain(&text);
    let uuid = domain.uuid.unwrap();
    let (mut started, mut destroyed) = (Vec::new(), Vec::new());
    for _ in 0..=STARTS {
        ours.runtime.block_on(async {
            ours.driver().define(&domain).await.unwrap();
            let start = Instant::now();
            ours.driver().start(uuid, StartOptions::PAUSED).await.unwrap();
            started.push(ms(start.elapsed()));
            let start = Instant::now();
            ours.driver().destroy(uuid).await.unwrap();
            destroyed.push(ms(start.elapsed()));
            ours.driver().undefine(uuid, StateOnUndefine::Delete).await.unwrap();
        });
    }
    let theirs = numbers(&reference.ask(&["start", &(STARTS + 1).to_string()], &[file]));
    let theirs: Vec<f64> = theirs.into_iter().skip(2).map(|nanoseconds| nanoseconds / 1e6).collect();
    let every = |first: usize| median(theirs.iter().skip(first).step_by(2).copied().collect());
    let rest = |mut list: Vec<f64>| median(list.split_off(1));
    report.add("start, CPUs stopped", "ms", rest(started), Some(every(0)), "libvirt's", Goal::Ratio(0.2));
    report.add("destroy", "ms", rest(destroyed), Some(every(1)), "libvirt's", Goal::Ratio(0.06));
}

/// Many defined guests: how long it takes to list them and to tell of each what it is, what they cost, and how soon a
/// manager that begins again knows them.
fn many(libvirtd: &mut Libvirtd, reference: &Reference, ours: &mut Ours, report: &mut Report) {
    let (files, texts) = guests(ours, MANY);
    let before = (private_kib("self"), private_kib(&libvirtd.process().pid.to_string()));
    let took = ours.runtime.block_on(async {
        for text in &texts {
            ours.driver().define(&domain(text)).await.unwrap();
        }
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for summary in ours.driver().list().await.unwrap() {
                let definition = ours.driver().definition(summary.uuid, Definition::Persistent).await.unwrap();
                drop(black_box(ostler_conf::format(&definition)));
            }
            best = best.min(ms(start.elapsed()));
        }
        best
    });
    reference.ask(&["keep"], &files);
    let theirs = numbers(&reference.ask(&["list", &ROUNDS.to_string()], &[]));
    let theirs = theirs.first().map(|nanoseconds| nanoseconds / 1e6);
    report.add("list and dumpxml of 1000 guests", "ms", took, theirs, "libvirt's", Goal::None);
    let growth = |now: f64, before: f64| (now - before) / MANY as f64;
    report.add(
        "private memory a defined guest",
        "KiB",
        growth(private_kib("self"), before.0),
        Some(growth(private_kib(&libvirtd.process().pid.to_string()), before.1)),
        "libvirt's",
        Goal::Ratio(0.5),
    );
    restart("restart with 1000 defined guests", libvirtd, reference, ours, report);
    reference.ask(&["remove"], &[]);
    remove_all(ours);
}

/// Guests that run, their CPUs stopped.
fn running(libvirtd: &mut Libvirtd, reference: &Reference, ours: &mut Ours, report: &mut Report) {
    let (files, texts) = guests(ours, RUNNING);
    let before = (private_kib("self"), private_kib(&libvirtd.process().pid.to_string()));
    let growth = |now: f64, before: f64| (now - before) / RUNNING as f64;
    ours.runtime.block_on(async {
        for domain in texts.iter().map(|text| domain(text)) {
            ours.driver().define(&domain).await.unwrap();
            ours.driver().start(domain.uuid.unwrap(), StartOptions::PAUSED).await.unwrap();
        }
    });
    let own = growth(private_kib("self"), before.0);
    let restarted = ours.reopen();
    remove_all(ours);
    reference.ask(&["run"], &files);
    let theirs = growth(private_kib(&libvirtd.process().pid.to_string()), before.1);
    report.add("private memory a running guest", "KiB", own, Some(theirs), "libvirt's", Goal::Ratio(0.3));
    let theirs = restart_of(libvirtd, reference);
    report.add("restart with 50 running guests", "ms", restarted, Some(theirs), "libvirt's", Goal::Ratio(0.1));
    reference.ask(&["remove"], &[]);
}

fn restart(name: &'static str, libvirtd: &mut Libvirtd, reference: &Reference, ours: &mut Ours, report: &mut Report) {
    let own = ours.reopen();
    report.add(name, "ms", own, Some(restart_of(libvirtd, reference)), "libvirt's", Goal::Ratio(0.1));
}

/// Milliseconds until libvirtd, which ends and begins again, has told of its guests, the middle of a few.
fn restart_of(libvirtd: &mut Libvirtd, reference: &Reference) -> f64 {
    let mut once = || {
        let begun = libvirtd.restart(false).unwrap();
        let start = Instant::now();
        reference.ask(&["list", "1"], &[]);
        ms(begun + start.elapsed())
    };
    median((0..RESTARTS).map(|_| once()).collect())
}

/// What the emulators can do, with nothing known of them yet.
fn emulators(libvirtd: &mut Libvirtd, reference: &Reference, report: &mut Report) {
    let installed: Vec<_> = EMULATORS.iter().filter(|(emulator, ..)| Path::new(emulator).exists()).collect();
    let fresh = Ours::open();
    let start = Instant::now();
    for (emulator, arch, machine) in &installed {
        let text = format!(
            "<domain type='qemu'><name>probe</name><memory>65536</memory>\
             <os><type arch='{arch}' machine='{machine}'>hvm</type></os><devices><emulator>{emulator}</emulator></devices></domain>"
        );
        fresh.runtime.block_on(fresh.driver().check(&domain(&text))).unwrap();
    }
    let own = ms(start.elapsed());
    let begun = libvirtd.restart(true).unwrap();
    let paths: Vec<String> = installed.iter().map(|(emulator, ..)| (*emulator).to_owned()).collect();
    let archs = installed.iter().map(|(_, arch, _)| *arch);
    let asked: Vec<&str> = std::iter::once("probe").chain(archs).collect();
    let start = Instant::now();
    reference.ask(&asked, &paths);
    let theirs = ms(begun + start.elapsed());
    let against = format!("libvirt's start with an empty cache, {} emulators", installed.len());
    report.add("first capabilities", "ms", own, Some(theirs), against, Goal::Ratio(0.3));
}

/// Documents of so many guests, and the files that hold them.
fn guests(ours: &Ours, count: usize) -> (Vec<String>, Vec<String>) {
    let disk = |number: usize| {
        let path = ours.folder.path().join(format!("disk{number}"));
        fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
        path
    };
    let texts: Vec<String> = (0..count).map(|number| guest(number, &disk(number))).collect();
    let file = |number: usize| ours.folder.path().join(format!("many{number}.xml")).display().to_string();
    let files: Vec<String> = (0..count).map(file).collect();
    files.iter().zip(&texts).for_each(|(file, text)| fs::write(file, text).unwrap());
    (files, texts)
}

fn remove_all(ours: &Ours) {
    ours.runtime.block_on(async {
        for summary in ours.driver().list().await.unwrap() {
            if summary.state.is_active() {
                ours.driver().destroy(summary.uuid).await.unwrap();
            }
            ours.driver().undefine(summary.uuid, StateOnUndefine::Delete).await.unwrap();
        }
    });
}

/// What a process has to itself.
fn private_kib(process: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

/// The guest's document in a file, and its disk.
fn written(ours: &Ours) -> (String, String, PathBuf) {
    let disk = ours.folder.path().join("disk");
    fs::File::create(&disk).unwrap().set_len(1 << 20).unwrap();
    let text = guest(0, &disk);
    let file = ours.folder.path().join("guest.xml");
    fs::write(&file, &text).unwrap();
    (file.display().to_string(), text, disk)
}

fn numbers(text: &str) -> Vec<f64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}
