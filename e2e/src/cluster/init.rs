//! A node's first process: makes the rest of what the node has for itself, then keeps its services running.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ostler_util::cgroup::Hierarchies;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change, unmount,
};
use rustix::process::{WaitOptions, wait};
use rustix::thread::UnshareFlags;

use super::groups;
use super::node::Node;

/// A service that ends sooner than this is given some time before it is started again.
const TOO_SOON: Duration = Duration::from_secs(1);

/// The rest of the first process's life: it ends only by being killed, and the node with it.
///
/// Flow: 1. the node's control groups become all that it sees of them; 2. its own /sys, /run, /var/lib and /var/log, and a boot of its own;
/// 3. services; 4. what ends is reaped, and services are started again.
///
/// # Errors
/// The step that failed; the node is off then.
pub fn run(node: &Node, bin: &Path) -> Result<()> {
    // We were started with a narrow one; what containerd unpacks is for pods of any user.
    rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    rustix::system::sethostname(node.name.as_bytes())?;
    own_groups(node).context("make control groups of its own")?;
    own_folders(node).context("make folders of its own")?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    let mut running = BTreeMap::new();
    for service in ["containerd", "kubelet", "kube-proxy"] {
        running.insert(start(node, bin, service)?, (service, Instant::now()));
    }
    loop {
        let Ok(Some((pid, _))) = wait(WaitOptions::empty()) else { continue };
        let Some((service, since)) = running.remove(&pid.as_raw_nonzero().get()) else { continue };
        if since.elapsed() < TOO_SOON {
            std::thread::sleep(TOO_SOON);
        }
        running.insert(start(node, bin, service)?, (service, Instant::now()));
    }
}

fn start(node: &Node, bin: &Path, service: &str) -> Result<i32> {
    let directory = node.directory();
    let file = |name: &str| directory.join(name).display().to_string();
    let (program, args) = match service {
        "containerd" => ("/usr/bin/containerd".into(), vec![format!("--config={}", file("containerd.toml"))]),
        "kubelet" => (
            bin.join("kubelet"),
            vec![
                format!("--config={}", file("kubelet.yaml")),
                format!("--kubeconfig={}", file("pki/kubelet.kubeconfig")),
                format!("--node-ip={}", node.address()),
            ],
        ),
        _ => (
            bin.join("kube-proxy"),
            vec![
                format!("--kubeconfig={}", file("pki/kube-proxy.kubeconfig")),
                format!("--hostname-override={}", node.name),
                "--proxy-mode=nftables".into(),
                "--cluster-cidr=10.244.0.0/16".into(),
                // Limits of the machine's, not of the node's.
                "--conntrack-max-per-core=0".into(),
                "--conntrack-tcp-timeout-established=0".into(),
                "--conntrack-tcp-timeout-close-wait=0".into(),
            ],
        ),
    };
    let log = OpenOptions::new().append(true).create(true).open(directory.join(format!("{service}.log")))?;
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = command.spawn().with_context(|| format!("start {service}"))?;
    Ok(child.id().try_into()?)
}

/// Joins the node's group in every hierarchy, as the root of all that is seen from now on; then a group below it, so
/// that the root itself stays empty, as version 2 wants it.
fn own_groups(node: &Node) -> Result<()> {
    groups::create(&node.cgroup())?.join()?;
    // SAFETY: of the process's resources, only its view of control groups changes.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP)? };
    // Put together beside, since the way to the old ones ends with the new /sys.
    let beside = node.directory().join("cgroup");
    fs::create_dir_all(&beside)?;
    let roots = groups::roots()?;
    let is_only_one = roots.len() == 1;
    if !is_only_one {
        mount("tmpfs", &beside, "tmpfs", MountFlags::empty(), None)?;
    }
    for root in &roots {
        let place = beside.join(root.strip_prefix("/sys/fs/cgroup")?);
        fs::create_dir_all(&place)?;
        mount_bind(root.join(node.cgroup()), &place)?;
    }
    unmount("/sys", UnmountFlags::DETACH)?;
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None)?;
    mount_bind_recursive(&beside, "/sys/fs/cgroup")?;
    unmount(&beside, UnmountFlags::DETACH)?;
    let init = Hierarchies::discover()?.group("init");
    init.create()?;
    init.entrances()?.join()?;
    for root in groups::roots()? {
        groups::hand_down(&root)?;
    }
    Ok(())
}

fn own_folders(node: &Node) -> Result<()> {
    let directory = node.directory();
    let hidden = directory.join("hidden");
    let work = directory.join("overlay");
    if fs::read_dir(&hidden)?.next().is_some() {
        fs::create_dir_all(&work)?;
        let options = format!("lowerdir=/usr,upperdir={},workdir={}", hidden.display(), work.display());
        let options = std::ffi::CString::new(options)?;
        mount("overlay", "/usr", "overlay", MountFlags::empty(), &*options)?;
    }
    mount_bind(directory.join("var-lib"), "/var/lib")?;
    mount_bind(directory.join("var-log"), "/var/log")?;
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), c"mode=755")?;
    for folder in ["lock", "netns"] {
        fs::create_dir_all(Path::new("/run").join(folder))?;
    }
    mount_bind(node.boot_id_file(), "/proc/sys/kernel/random/boot_id")?;
    // As on a host with systemd: what an agent mounts for its pods is seen on the node, and the other way round.
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)?;
    Ok(())
}
