//! Control groups of version 1, version 2 and both at once ("hybrid").
//!
//! A process is out of its creator's reach only if it has left every hierarchy: whoever ends a pod kills each process
//! that it finds below the pod's group in any of them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::pidfd::{PidFd, Process};

/// The hierarchies that are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchies(Vec<Hierarchy>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    /// Of version 1, where threads can be in groups of their own.
    is_v1: bool,
    /// Version 1's cpuset takes no process before it was told its CPUs and memory nodes.
    is_cpuset: bool,
}

/// One group, by the same name in every hierarchy.
#[derive(Clone, Debug)]
pub struct Cgroup {
    places: Vec<(Hierarchy, PathBuf)>,
}

/// The ways into a group, for a process that is about to be.
#[derive(Debug, Default)]
pub struct Entrances {
    /// Of version 1: who writes `0` to one of them has its only thread there. Unlike a whole process, which may be about to get more
    /// threads, a thread moves without a stop to all forks of the host.
    pub(crate) tasks: Vec<OwnedFd>,
    /// Of version 2: the folder, in which a process can be made.
    pub(crate) folder: Option<OwnedFd>,
    /// Of version 2: where one moves in.
    pub(crate) procs: Option<OwnedFd>,
}

impl Entrances {
    /// The files to which a process with one thread writes `0` to be in the group everywhere; if `is_born_in` that of version 2, it
    /// is there already.
    pub(crate) fn files(&self, is_born_in: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        let moves = self.procs.as_ref().filter(|_| !is_born_in);
        self.tasks.iter().chain(moves).map(AsFd::as_fd)
    }

    /// Moves this process, which has one thread, into the group.
    ///
    /// # Errors
    /// The operating system's.
    pub fn join(&self) -> io::Result<()> {
        self.files(false).try_for_each(|file| rustix::io::write(file, b"0").map(drop).map_err(Into::into))
    }
}

/// The group below which the host's own services are: the one of its first process, where that is the same in every hierarchy.
///
/// # Errors
/// The operating system's.
pub fn of_the_host() -> io::Result<PathBuf> {
    let read = |path| fs::read_to_string(path);
    Ok(common_group(&read("/proc/1/cgroup")?, &read("/proc/self/mountinfo")?))
}

/// From a process's groups and the mounts through which they are seen.
fn common_group(groups: &str, mounts: &str) -> PathBuf {
    // A hierarchy may be mounted from one of its groups on: what is above does not exist here.
    let root = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup").then(|| left.split(' ').nth(3))?.map(str::to_owned)
    };
    let roots: BTreeSet<String> = mounts.lines().filter_map(root).filter(|root| root != "/").collect();
    let mut groups: Vec<&str> = groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        // An init keeps itself in a group of its own, beside all others: systemd's is 'init.scope', others' 'init'.
        .map(|path| [".scope", ""].iter().find_map(|end| path.strip_suffix(&format!("/init{end}"))).unwrap_or(path))
        .map(|path| roots.iter().rev().find_map(|root| path.strip_prefix(root.as_str())).unwrap_or(path))
        .map(|path| path.trim_matches('/'))
        .collect();
    groups.dedup();
    match groups[..] {
        [group] => PathBuf::from(group),
        _ => PathBuf::new(),
    }
}

impl Hierarchies {
    /// What is mounted in this process's mount namespace.
    ///
    /// # Errors
    /// The operating system's; "unsupported" if no hierarchy is mounted.
    pub fn discover() -> io::Result<Self> {
        let found = Self::from_mountinfo(&fs::read_to_string("/proc/self/mountinfo")?);
        if found.0.is_empty() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "no cgroup hierarchy is mounted"));
        }
        Ok(found)
    }

    fn from_mountinfo(text: &str) -> Self {
        let mut found: Vec<Hierarchy> = Vec::new();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (Some(device), Some(mount), Some(kind)) = (left.get(2), left.get(4), right.first()) else { continue };
            let options = right.get(2).copied().unwrap_or_default();
            let is_v1 = *kind == "cgroup";
            // One hierarchy mounted twice is one hierarchy.
            if (is_v1 || *kind == "cgroup2") && seen.insert(device.to_string()) {
                let is_cpuset = is_v1 && options.split(',').any(|option| option == "cpuset");
                found.push(Hierarchy { mount: PathBuf::from(mount.replace("\\040", " ")), is_v1, is_cpuset });
            }
        }
        Hierarchies(found)
    }

    /// The group with this path in every hierarchy, whether it exists or not.
    pub fn group(&self, path: impl AsRef<Path>) -> Cgroup {
        let places = self.0.iter().map(|hierarchy| (hierarchy.clone(), hierarchy.mount.join(path.as_ref()))).collect();
        Cgroup { places }
    }

    /// Names of the groups below `parent` in any hierarchy.
    ///
    /// # Errors
    /// The operating system's. A parent that is missing has no children.
    pub fn children(&self, parent: &str) -> io::Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for hierarchy in &self.0 {
            let entries = match fs::read_dir(hierarchy.mount.join(parent)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    names.extend(entry.file_name().into_string().ok());
                }
            }
        }
        Ok(names)
    }
}

impl Cgroup {
    /// Makes the group where it is missing. A process can join it from then on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(&self) -> io::Result<()> {
        for (hierarchy, path) in &self.places {
            let below = path.strip_prefix(&hierarchy.mount).expect("the path was joined to the mount");
            let mut current = hierarchy.mount.clone();
            for part in below {
                let parent = current.clone();
                current.push(part);
                match fs::create_dir(&current) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(at(&current, error)),
                }
                if hierarchy.is_cpuset {
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        inherit(&parent.join(file), &current.join(file))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens what leads into the group in each hierarchy.
    ///
    /// # Errors
    /// The operating system's.
    pub fn entrances(&self) -> io::Result<Entrances> {
        let file = |path: PathBuf| {
            OpenOptions::new().write(true).open(&path).map_err(|error| at(&path, error)).map(OwnedFd::from)
        };
        let mut entrances = Entrances::default();
        for (hierarchy, path) in &self.places {
            if hierarchy.is_v1 {
                entrances.tasks.push(file(path.join("tasks"))?);
            } else {
                let folder = File::open(path).map_err(|error| at(path, error))?;
                entrances.folder = Some(folder.into());
                entrances.procs = Some(file(path.join("cgroup.procs"))?);
            }
        }
        Ok(entrances)
    }

    /// Processes that are in the group in any hierarchy. A group that is missing is empty.
    ///
    /// # Errors
    /// The operating system's.
    pub fn pids(&self) -> io::Result<BTreeSet<i32>> {
        let mut pids = BTreeSet::new();
        for (_, path) in &self.places {
            match fs::read_to_string(path.join("cgroup.procs")) {
                Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(at(path, error)),
            }
        }
        Ok(pids)
    }

    /// Whether a process in the group is alive. One that has ended is listed until it was reaped.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_alive(&self) -> io::Result<bool> {
        Ok(!self.handles()?.is_empty())
    }

    /// Waits until those processes of the group have ended that have begun to: the kernel may still be at their devices.
    ///
    /// # Errors
    /// The operating system's. After `timeout` they are as alive as others.
    pub fn await_the_ending(&self, timeout: Duration) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        for pid in self.pids()? {
            let Ok(process) = Process::of(pid) else { continue };
            if let (true, Some(handle)) = (process.is_ending()?, process.open()?) {
                handle.wait(deadline.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }

    fn handles(&self) -> io::Result<Vec<PidFd>> {
        Ok(self.pids()?.into_iter().filter_map(|pid| Process::of(pid).ok()?.open().ok()?).collect())
    }

    /// Kills every process in the group and waits for their end. An empty or missing group is fine.
    ///
    /// # Errors
    /// "timed out" if a process is still there after `timeout`; the operating system's.
    pub fn kill(&self, timeout: Duration) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let handles = self.handles()?;
            if handles.is_empty() {
                return Ok(());
            }
            for handle in &handles {
                handle.kill()?;
            }
            for handle in &handles {
                if !handle.wait(deadline.saturating_duration_since(Instant::now())) {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "a killed process has not ended"));
                }
            }
        }
    }

    /// Removes the group. One that is missing is fine.
    ///
    /// # Errors
    /// "resource busy" while a process is in it.
    pub fn remove(&self) -> io::Result<()> {
        for (_, path) in &self.places {
            match fs::remove_dir(path) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(at(path, error)),
            }
        }
        Ok(())
    }
}

fn inherit(from: &Path, to: &Path) -> io::Result<()> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| at(path, error));
    if read(to)?.trim().is_empty() {
        fs::write(to, read(from)?.trim()).map_err(|error| at(to, error))?;
    }
    Ok(())
}

/// ENODEV: the group was removed while its file was open.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_both_versions_once() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
                    34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:1 - cgroup cgroup rw,cpuset\n\
                    40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n\
                    42 31 0:38 / /mnt/again rw,relatime - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::from_mountinfo(text);
        let mounts: Vec<_> = found.0.iter().map(|h| (h.mount.to_str().unwrap(), h.is_cpuset)).collect();
        assert_eq!(
            mounts,
            [("/sys/fs/cgroup/cpuset", true), ("/sys/fs/cgroup/systemd", false), ("/sys/fs/cgroup/unified", false)]
        );
    }

    #[test]
    fn the_hosts_group_is_that_of_its_first_process_where_all_hierarchies_agree() {
        for (text, group) in [
            ("0::/init.scope\n", ""),
            ("2:memory:/init\n0::/init\n", ""),
            ("2:memory:/\n1:name=systemd:/init.scope\n0::/init.scope\n", ""),
            ("2:memory:/node-a\n1:cpuset:/node-a\n0::/node-a\n", "node-a"),
            ("2:memory:/some/where\n1:cpuset:/\n", ""),
            ("1:name=systemd:/node:a/x\n", "node:a/x"),
        ] {
            assert_eq!(common_group(text, ""), PathBuf::from(group), "{text}");
        }
        let mounts = "34 31 0:31 /lab/node-a /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                      35 31 0:32 / /tmp rw - tmpfs tmpfs rw\n";
        for (text, group) in [("1:cpuset:/lab/node-a\n", ""), ("1:cpuset:/lab/node-a/below\n", "below")] {
            assert_eq!(common_group(text, mounts), PathBuf::from(group), "{text}");
        }
    }

    #[test]
    fn a_missing_group_is_empty_and_can_be_killed_and_removed() {
        let Ok(hierarchies) = Hierarchies::discover() else { return };
        let group = hierarchies.group("ostler-none/there-is-none");
        assert!(group.pids().unwrap().is_empty());
        group.kill(Duration::from_secs(1)).unwrap();
        group.remove().unwrap();
        assert!(hierarchies.children("ostler-none").unwrap().is_empty());
    }
}
