//! What a process takes of this machine.

use std::fs;

/// Linux counts processor time for programs so, whatever its own clock does (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// A process's memory, in megabytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    pub(super) resident: f64,
    /// What is nobody else's.
    pub(super) private: f64,
    /// The most that was ever resident.
    pub(super) peak: f64,
}

impl Weight {
    pub(super) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
        let pages = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("its memory can be looked at");
        let private = megabytes(&pages, "Private_Clean:") + megabytes(&pages, "Private_Dirty:");
        Weight { resident: megabytes(&status, "VmRSS:"), private, peak: megabytes(&status, "VmHWM:") }
    }
}

fn megabytes(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells of it");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("it is a number") * 1024.0 / 1e6
}

/// The child of ours that runs this program.
pub(super) fn child(program: &str) -> u32 {
    let us = std::process::id().to_string();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        field("PPid:") == us && field("Name:") == program
    };
    pids.into_iter().find(is_it).unwrap_or_else(|| panic!("{program} does not run"))
}

/// The processor time that a process has had, in seconds.
pub(super) fn processor(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // proc(5): the name, in brackets, may hold anything; utime and stime are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name in brackets").1.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / TICKS_PER_SECOND
}

/// What a process has written so far, to files and sockets, in megabytes.
pub(super) fn written(pid: u32) -> f64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("the process runs");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar:")).expect("the kernel counts it");
    line.trim().parse::<f64>().unwrap() / 1e6
}
