//! Guests: their start, what they cost the agent, and how soon their death is told.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ostler_e2e::demo::{NETWORK, POOL};
use ostler_e2e::host::Host;
use ostler_util::passwd;
use ostler_util::pidfd::Process;

use crate::by_hand::{self, Prepared};
use crate::report::{Goal, Report, median, percentile};

/// Starts of one guest.
const ROUNDS: usize = 10;
/// Starts of many at once.
const MANY_ROUNDS: usize = 7;
const MANY: usize = 20;
const PAUSED: usize = 50;
const KILLS: usize = 40;
const SETTLE: Duration = Duration::from_secs(15);
const AT_REST: Duration = Duration::from_secs(60);

const DAY: f64 = 86_400_000.0;

/// Milliseconds since midnight, as the agent's log tells time.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0 % DAY
}

/// The time of a line of the agent's log.
pub(crate) fn log_time(line: &str) -> f64 {
    let time = line.split_once('T').and_then(|(_, rest)| rest.split_once('Z')).expect("a line begins with its time").0;
    let parts: Vec<f64> = time.split(':').map(|part| part.parse().unwrap()).collect();
    (parts[0] * 3600.0 + parts[1] * 60.0 + parts[2]) * 1000.0
}

/// From one to the other, over midnight if need be.
pub(crate) fn since(start: f64, end: f64) -> f64 {
    (end - start + DAY) % DAY
}

fn volume(number: usize) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    format!(
        "apiVersion: ostler.dev/v1alpha1\nkind: StorageVolume\nmetadata: {{name: v{number}}}\nspec:\n  pool: images\n  placement: {{host: {host}}}\n  volume: {{capacity: 1Gi, target: {{format: {{type: qcow2}}}}}}\n"
    )
}

/// A guest without anything to boot, so that only its start counts.
fn guest(number: usize, strategy: &str, memory: &str) -> String {
    format!(
        "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {{name: g{number}}}\nspec:\n  runStrategy: {strategy}\n  shutdown: {{timeout: 0s, force: true}}\n  domain:\n    vcpu: {{count: 1}}\n    memory: {{size: {memory}}}\n    os: {{type: {{machine: q35}}}}\n    features: {{acpi: true}}\n    devices:\n      disks:\n      - {{name: vda, driver: {{type: qcow2}}, target: {{bus: virtio}}, source: {{volume: {{pool: images, volume: v{number}}}}}}}\n      interfaces:\n      - {{name: eth0, model: {{type: virtio}}, source: {{network: {{network: lan}}}}}}\n"
    )
}

fn prepared(binary: &str, volumes: usize) -> Host {
    let mut host = Host::new(binary)
        .with_log("info,ostler::engine=debug,ostler_driver_qemu::guest::events=debug,ostler_driver_qemu::driver=debug");
    host.start_agent();
    host.apply("n.yaml", NETWORK);
    host.apply("p.yaml", POOL);
    for number in 0..volumes {
        host.apply(&format!("v{number}.yaml"), &volume(number));
    }
    for number in 0..volumes {
        host.wait_ready("storagevolumes", &format!("v{number}"), "True/Ready");
    }
    // The first guest finds out what QEMU can do, and brings the network up.
    host.apply("g0.yaml", &guest(0, "Always", "32Mi"));
    host.wait_ready("domains", "g0", "True/Ready");
    host
}

/// The times at which QEMU said that a guest runs, after this place in the log.
fn running_at(log: &str) -> Vec<f64> {
    log.lines().filter(|line| line.contains("event=\"RESUME\"")).map(log_time).collect()
}

/// Halts all guests, and waits until they have gone.
fn halt(host: &Host, guests: std::ops::Range<usize>) {
    for number in guests {
        host.apply(&format!("g{number}.yaml"), &guest(number, "Halted", "32Mi"));
    }
    host.wait_for("all guests are off", |host| host.guests().is_empty());
    host.wait_for("all that they held is released", |host| {
        std::fs::read_dir(host.path("s/security")).map_or(true, |claims| claims.count() == 0)
    });
}

/// Milliseconds from the first manifest to the last guest that runs.
fn start(host: &Host, guests: std::ops::Range<usize>) -> f64 {
    let (before, count) = (host.log().len(), guests.len());
    let begin = now();
    for number in guests {
        host.apply(&format!("g{number}.yaml"), &guest(number, "Always", "32Mi"));
    }
    host.wait_for("all run", |host| running_at(&host.log()[before..]).len() >= count);
    running_at(&host.log()[before..]).into_iter().map(|end| since(begin, end)).fold(0.0, f64::max)
}

pub(crate) fn starts(binary: &str, report: &mut Report) {
    let host = prepared(binary, MANY);
    let argv = argv_of_guests(&host);
    halt(&host, 0..1);
    // Ours and theirs in turn: a machine's speed changes from one second to the next.
    let mut hand = ByHand::new(&host);
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(start(&host, 0..1));
        halt(&host, 0..1);
        by_hand.push(hand.run(&argv[..1]));
    }
    let (mut many, mut many_by_hand) = (Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    for _ in 0..MANY_ROUNDS {
        let before = cpu_ms(host.agent_pid());
        many.push(start(&host, 0..MANY));
        cpu.push((cpu_ms(host.agent_pid()) - before) / MANY as f64);
        let argvs = argv_of_guests(&host);
        halt(&host, 0..MANY);
        many_by_hand.push(hand.run(&argvs));
    }
    report.add(
        "manifest to running, 1 guest",
        "ms",
        median(ours),
        Some(median(by_hand)),
        "the same QEMU command line by hand",
        Goal::More(40.0),
    );
    report.add(
        "manifest to running, 20 guests",
        "ms",
        median(many),
        Some(median(many_by_hand)),
        "the same 20 command lines by hand, all at once",
        Goal::Ratio(1.3),
    );
    report.add("agent's processor time a start", "ms", median(cpu), None, "", Goal::None);
}

/// The command lines of what runs, by pid.
fn argv_of_guests(host: &Host) -> Vec<Vec<String>> {
    let argv = |pid: &u32| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        bytes
            .split(|byte| *byte == 0)
            .filter(|arg| !arg.is_empty())
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect()
    };
    host.guests().iter().map(argv).collect()
}

/// The same command lines started without us, in the same network namespace.
struct ByHand<'a> {
    host: &'a Host,
    user: passwd::Credentials,
    folder: std::path::PathBuf,
    /// Tells the guests apart.
    number: usize,
}

impl<'a> ByHand<'a> {
    fn new(host: &'a Host) -> Self {
        let user = passwd::find("ostler-qemu").unwrap().expect("the agent made the guests' user");
        let folder = host.path("hand");
        std::fs::create_dir(&folder).unwrap();
        own(&folder, &user);
        ByHand { host, user, folder, number: 0 }
    }

    /// Milliseconds until all of them run; then they are killed.
    fn run(&mut self, argvs: &[Vec<String>]) -> f64 {
        // What the agent would do for the files.
        for path in argvs.iter().flatten().flat_map(|arg| files_in(arg)) {
            own(&path, &self.user);
        }
        let mut prepare = |argv: &Vec<String>| {
            self.number += 1;
            self.host.inside(|| Prepared::new(argv, &self.folder, &self.user, self.number))
        };
        let prepared: Vec<Prepared> = argvs.iter().map(&mut prepare).collect();
        let start = std::time::Instant::now();
        let processes: Vec<Process> = std::thread::scope(|scope| {
            let threads: Vec<_> = prepared.into_iter().map(|one| scope.spawn(|| one.run().1)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let time = crate::report::ms(start.elapsed());
        for process in &processes {
            by_hand::kill(process);
        }
        time
    }
}

fn own(path: &std::path::Path, user: &passwd::Credentials) {
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).unwrap();
}

/// The images that an argument names.
fn files_in(arg: &str) -> Vec<std::path::PathBuf> {
    let parts = arg.split("\"filename\":\"").skip(1);
    parts
        .filter_map(|part| part.split('"').next())
        .map(std::path::PathBuf::from)
        .filter(|path| path.is_file())
        .collect()
}

struct Resident {
    total: f64,
    private: f64,
}

fn resident_mib(pid: u32) -> Resident {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    Resident { total: mib("VmRSS:"), private: mib("RssAnon:") }
}

/// Milliseconds of processor time of a process so far.
fn cpu_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // In hundredths of a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
}

/// What a process did so far.
struct Activity {
    bytes_to_disk: f64,
    calls_of_write: f64,
    /// By thread.
    wakeups: BTreeMap<std::ffi::OsString, f64>,
}

impl Activity {
    /// Threads that ended meanwhile had nothing to do.
    fn wakeups_since(&self, before: &Activity) -> f64 {
        self.wakeups.iter().map(|(thread, count)| count - before.wakeups.get(thread).unwrap_or(&0.0)).sum()
    }
}

fn activity(pid: u32) -> Activity {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let fields: BTreeMap<&str, f64> = io
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect();
    let mut wakeups = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        wakeups.insert(task.file_name(), count.and_then(|count| count.trim().parse().ok()).unwrap_or(0.0));
    }
    Activity { bytes_to_disk: fields["write_bytes"], calls_of_write: fields["syscw"], wakeups }
}

pub(crate) fn paused(binary: &str, report: &mut Report) {
    let host = prepared(binary, PAUSED + 1);
    halt(&host, 0..1);
    // What a burst of work needed is given back when it has been quiet for a while.
    std::thread::sleep(SETTLE);
    let idle = resident_mib(host.agent_pid());
    report.add("agent's memory, idle", "MiB", idle.total, None, "", Goal::AtMost(20.0));
    report.add("of it not backed by the program's file", "MiB", idle.private, None, "", Goal::None);
    for number in 1..=PAUSED {
        host.apply(&format!("g{number}.yaml"), &guest(number, "Once", "16Mi"));
    }
    host.wait_for("all run", |host| host.guests().len() == PAUSED);
    for number in 1..=PAUSED {
        host.wait_for("it runs", |host| host.status(&format!("g{number}"), "/phase") == "Running");
        let (code, text) = host.ostler(&["suspend", &format!("g{number}")]);
        assert_eq!(code, 0, "{text}");
    }
    // Threads for what blocks wait a while for more before they end.
    std::thread::sleep(SETTLE);
    let loaded = resident_mib(host.agent_pid());
    let goal = Goal::AtMost(20.0 + 0.3 * PAUSED as f64);
    report.add("agent's memory, 50 paused guests", "MiB", loaded.total, None, "", goal);
    report.add("of it not backed by the program's file", "MiB", loaded.private, None, "", Goal::None);
    let before = activity(host.agent_pid());
    std::thread::sleep(AT_REST);
    let after = activity(host.agent_pid());
    report.add(
        "bytes written in a minute at rest",
        "B",
        after.bytes_to_disk - before.bytes_to_disk,
        None,
        "",
        Goal::AtMost(0.0),
    );
    report.add(
        "calls of write in a minute at rest",
        "",
        after.calls_of_write - before.calls_of_write,
        None,
        "",
        Goal::AtMost(0.0),
    );
    report.add("wake-ups in a minute at rest", "", after.wakeups_since(&before), None, "", Goal::None);

    let (mut told, mut ended) = (Vec::new(), Vec::new());
    for pid in host.guests().into_iter().take(KILLS) {
        let process = Process::of(pid.try_into().unwrap()).unwrap();
        let log = host.log().len();
        let begin = now();
        ended.push(by_hand::kill(&process));
        let is_told = |line: &str| line.contains("State(Shutoff(Failed))");
        host.wait_for("its end is told", |host| host.log()[log..].lines().any(is_told));
        let log_now = host.log();
        // The next is killed on a host that is at rest again.
        host.wait_for("it is cleared away", |host| host.log()[log..].contains("reconciled"));
        told.push(since(begin, log_time(log_now[log..].lines().find(|line| is_told(line)).unwrap())));
    }
    let reference = percentile(&mut ended, 95);
    report.add(
        "SIGKILL of QEMU to its event, p95",
        "ms",
        percentile(&mut told, 95),
        Some(reference),
        "until the process has ended",
        Goal::AtMost(12.0),
    );
}
