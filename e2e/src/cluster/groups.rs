//! Control groups as trees: what runs below one, and their end.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ostler_util::cgroup::{Entrances, Hierarchies};
use ostler_util::pidfd::{PidFd, Process};

/// How long killed processes may take to be gone.
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes a group in every hierarchy; gives the entrances for a process to be. Version 2's controllers are handed down to it.
///
/// # Errors
/// The operating system's.
pub fn create(path: &str) -> io::Result<Entrances> {
    let group = Hierarchies::discover()?.group(path);
    group.create()?;
    for root in roots()? {
        let mut current = root.clone();
        for part in Path::new(path) {
            hand_down(&current)?;
            current.push(part);
        }
    }
    group.entrances()
}

/// Lets the groups below one use the controllers that it has: version 2 asks for that.
///
/// # Errors
/// The operating system's: "busy" while a process is in the group itself.
pub fn hand_down(group: &Path) -> io::Result<()> {
    let Ok(controllers) = fs::read_to_string(group.join("cgroup.controllers")) else { return Ok(()) };
    for controller in controllers.split_whitespace() {
        fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}

/// Where the hierarchies are mounted.
///
/// # Errors
/// The operating system's.
pub fn roots() -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut roots: Vec<PathBuf> = fields
        .filter(|fields| matches!(fields.get(2), Some(&"cgroup" | &"cgroup2")))
        .filter_map(|fields| fields.get(1).map(PathBuf::from))
        .filter(|root| root.starts_with("/sys/fs/cgroup"))
        .collect();
    roots.sort();
    roots.dedup();
    Ok(roots)
}

/// Every process in a group or below it, in any hierarchy.
///
/// # Errors
/// The operating system's.
pub fn pids(path: &str) -> io::Result<BTreeSet<i32>> {
    let mut pids = BTreeSet::new();
    for group in groups(path)? {
        // A group that goes while we look has no processes.
        let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    Ok(pids)
}

/// Kills all that is in a group or below it, waits for its end, and removes the groups. What is missing is fine.
///
/// # Errors
/// A process does not end; the operating system's.
pub fn end(path: &str) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let pids = pids(path)?;
        let handles: Vec<PidFd> = pids.iter().filter_map(|pid| Process::of(*pid).ok()?.open().ok()?).collect();
        for handle in &handles {
            handle.kill()?;
        }
        for handle in &handles {
            if !handle.wait(deadline.saturating_duration_since(Instant::now())) {
                bail!("processes of {path} don't end: {pids:?}");
            }
        }
        // One that has ended can stand in its group for a moment longer.
        if handles.is_empty()
            && groups(path)?.iter().rev().all(|group| fs::remove_dir(group).is_ok() || !group.exists())
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the control groups of {path} can't be removed: {:?}", groups(path)?);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The group and all below it in all hierarchies, parents first.
fn groups(path: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> =
        roots()?.into_iter().map(|root| root.join(path)).filter(|group| group.exists()).collect();
    while let Some(group) = open.pop() {
        for entry in fs::read_dir(&group).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
        found.push(group);
    }
    Ok(found)
}
