//! The agent itself: its start and its size.

use std::process::Command;
use std::time::Instant;

use ostler_e2e::demo::NETWORK;
use ostler_e2e::host::Host;

use crate::guests::{log_time, now, since};
use crate::report::{Goal, Report, median, ms};

const ROUNDS: usize = 10;

pub(crate) fn measure(binary: &str, report: &mut Report) {
    let size = |path: &str| std::fs::metadata(path).ok().map(|file| file.len() as f64 / f64::from(1 << 20));
    let qemu = size("/usr/bin/qemu-system-x86_64");
    report.add("binary size", "MiB", size(binary).unwrap(), qemu, "qemu-system-x86_64", Goal::None);

    let mut host = Host::new(binary).with_log("info,ostler::engine=debug");
    host.apply("n.yaml", NETWORK);
    // Probes and state exist from the first time on.
    host.start_agent();
    host.wait_for("the agent works", |host| host.condition("networks", "lan", "Ready").starts_with("True"));
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        host.stop_agent();
        let before = host.log().len();
        let start = now();
        host.start_agent();
        let is_reconciled = |line: &str| line.contains("reconciled object=");
        host.wait_for("the first reconcile", |host| host.log()[before..].lines().any(is_reconciled));
        let log = host.log();
        starts.push(since(start, log_time(log[before..].lines().find(|line| is_reconciled(line)).unwrap())));
    }
    host.stop_agent();
    let mut versions = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        assert!(Command::new(binary).arg("--version").output().unwrap().status.success());
        versions.push(ms(start.elapsed()));
    }
    report.add(
        "agent start to first reconcile",
        "ms",
        median(starts),
        Some(median(versions)),
        "the same binary's --version",
        Goal::None,
    );
}
