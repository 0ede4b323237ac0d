//! One node: a machine as far as Kubernetes and an agent can tell.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use ostler_util::spawn::Spawn;

use super::groups;
use super::network::{self, Link};
use super::pki::Authority;
use super::place::Place;

/// A node of a cluster.
#[derive(Clone, Debug)]
pub struct Node {
    /// The cluster.
    pub place: Place,
    /// Its name, also as a host.
    pub name: &'static str,
    /// The last part of its address.
    pub number: u8,
}

impl Node {
    /// The nodes of every cluster.
    pub fn all(place: Place) -> [Node; 2] {
        [("node-a", 2), ("node-b", 3)].map(|(name, number)| Node { place, name, number })
    }

    /// Its network namespace.
    pub fn namespace(&self) -> String {
        format!("{}-{}", self.place.namespace(), self.name)
    }

    /// Its control group; every process on it is in there or below.
    pub fn cgroup(&self) -> String {
        format!("{}/{}", self.place.cgroup(), self.name)
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.place.address(self.number)
    }

    /// Where its pods are.
    pub fn pods(&self) -> String {
        format!("10.244.{}.0/24", self.number)
    }

    /// Its files on this machine: `var-lib` and `var-log`, its certificates and its services' logs.
    pub fn directory(&self) -> PathBuf {
        self.place.directory().join(self.name)
    }

    /// Where a file of the node is on this machine: those below `/var/lib` and `/var/log` are the node's own and lasting.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        for (of_node, of_machine) in [("/var/lib", "var-lib"), ("/var/log", "var-log")] {
            if let Ok(below) = path.strip_prefix(of_node) {
                return self.directory().join(of_machine).join(below);
            }
        }
        path.to_owned()
    }

    /// Writes what the node needs before its first start: who it is, and how its services are set up.
    ///
    /// # Errors
    /// The operating system's.
    pub fn prepare(&self, authority: &Authority) -> Result<()> {
        for folder in ["var-lib/kubelet", "var-lib/cni/net.d", "var-lib/ostler", "var-log", "pki", "hidden"] {
            fs::create_dir_all(self.directory().join(folder))?;
        }
        let (pki, kubelet) = (self.directory().join("pki"), self.path("/var/lib/kubelet"));
        let server = self.place.control_plane().server();
        for folder in [&pki, &kubelet] {
            fs::write(folder.join("ca.crt"), &authority.identity.certificate)?;
        }
        authority.server(&[self.name, &self.address().to_string()])?.write(&kubelet, "server")?;
        let user = format!("system:node:{}", self.name);
        authority.client(&user, "system:nodes")?.write_kubeconfig(&pki, "kubelet", &server)?;
        authority.client("system:kube-proxy", "system:node-proxier")?.write_kubeconfig(&pki, "kube-proxy", &server)?;
        fs::write(self.directory().join("containerd.toml"), include_str!("../../cluster/containerd.toml"))?;
        fs::write(self.directory().join("kubelet.yaml"), include_str!("../../cluster/kubelet.yaml"))?;
        let network = serde_json::json!({
            "cniVersion": "0.4.0",
            "name": "ostler",
            "plugins": [{
                "type": "bridge",
                "bridge": "pods0",
                "isDefaultGateway": true,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": self.pods()}]]},
            }],
        });
        fs::write(self.path("/var/lib/cni/net.d/10-ostler.conflist"), network.to_string())?;
        Ok(())
    }

    /// Switches the node on. `program`: this project's `cluster`; `bin`: Kubernetes' programs.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(&self, program: &Path, bin: &Path) -> Result<()> {
        network::plug_in(self, &Self::all(self.place))?;
        fs::write(self.boot_id_file(), format!("{}\n", uuid::Uuid::new_v4()))?;
        // Only the one outside of its namespaces is in here.
        let outside = groups::create(&self.outside())?;
        let log = OpenOptions::new().append(true).create(true).open(self.directory().join("init.log"))?;
        let namespace = format!("--net=/run/netns/{}", self.namespace());
        let unshare = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"];
        let mut args: Vec<OsString> = vec![namespace.into()];
        args.extend(unshare.map(OsString::from));
        args.push(program.into());
        args.extend(["init".into(), self.place.0.to_string().into(), self.name.into(), bin.into()]);
        let spawn = Spawn {
            program: "/usr/bin/nsenter".into(),
            args,
            env: vec![PATH.into()],
            directory: "/".into(),
            credentials: None,
            cgroups: outside,
            output: log,
            fds: Vec::new(),
        };
        spawn.detached().with_context(|| format!("start {}", self.name))?;
        Ok(())
    }

    /// The node's power fails: no process is left, nothing below its /run, and no network device of its making.
    ///
    /// # Errors
    /// A process does not end.
    pub fn kill(&self) -> Result<()> {
        // With the one outside goes the node's first process, and with that every other.
        groups::end(&self.outside())?;
        groups::end(&self.cgroup())?;
        network::unplug(self)
    }

    /// The node's wire is pulled, or plugged in again; what runs on it goes on.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn switch(&self, to: Link) -> Result<()> {
        network::switch(self, to)
    }

    /// The file with the name of the node's present boot; to the node, the kernel says so.
    pub(crate) fn boot_id_file(&self) -> PathBuf {
        self.directory().join("boot-id")
    }

    /// Whether the node is on, or has been switched on and is on its way.
    pub fn is_on(&self) -> bool {
        groups::pids(&self.outside()).is_ok_and(|pids| !pids.is_empty())
    }

    /// The control group of the one process that keeps the node on.
    fn outside(&self) -> String {
        format!("{}-outside", self.cgroup())
    }

    /// The number, on this machine, of the node's first process.
    ///
    /// # Errors
    /// The node is off.
    pub fn first_process(&self) -> Result<i32> {
        for pid in groups::pids(&format!("{}/init", self.cgroup()))? {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            if numbers.split_whitespace().last() == Some("1") {
                return Ok(pid);
            }
        }
        bail!("{} is off", self.name)
    }

    /// A command on the node, as at its own shell.
    ///
    /// # Errors
    /// The node is off.
    pub fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.first_process()?.to_string(), "-m", "-n", "-p", "-u", "-i", "-C", "--"]);
        command.arg(program.as_ref());
        Ok(command)
    }

    /// Runs a program on the node; gives its exit code and what it said.
    ///
    /// # Errors
    /// The node is off; the program can't be run.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<(i32, String)> {
        let output = self.command(program)?.args(args).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code().unwrap_or(-1), text))
    }

    /// Ends a service at once (`kubelet`, `containerd`, `kube-proxy`); the node starts it again.
    ///
    /// # Errors
    /// The node is off, or does not run it.
    pub fn restart(&self, service: &str) -> Result<()> {
        let own = fs::read_link(format!("/proc/{}/ns/pid", self.first_process()?))?;
        let is_it = |pid: &i32| {
            let of = |file: &str| format!("/proc/{pid}/{file}");
            let name = fs::read(of("cmdline")).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            Path::new(&*String::from_utf8_lossy(name)).file_name() == Some(service.as_ref())
                && fs::read_link(of("ns/pid")).is_ok_and(|space| space == own)
        };
        let pids = groups::pids(&format!("{}/init", self.cgroup()))?;
        let pid = pids.iter().find(|pid| is_it(pid)).with_context(|| format!("{} runs no {service}", self.name))?;
        let process = ostler_util::pidfd::Process::of(*pid)?.open()?;
        process.with_context(|| format!("{service} has just ended"))?.kill()?;
        Ok(())
    }

    /// The number, on this machine, of the process that runs our program with this command on the node; with a pod's name, in
    /// that pod.
    pub fn ostler(&self, command: &str, pod: Option<&str>) -> Option<i32> {
        let read = |pid: i32, file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let is_it = |pid: &i32| {
            let line = read(*pid, "cmdline");
            let mut words = line.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            let is_ours = program == b"ostler" || program.ends_with(b"/ostler");
            let name = pod.map(|pod| format!("POD_NAME={pod}"));
            let is_in = |name: &String| read(*pid, "environ").split(|byte| *byte == 0).any(|it| it == name.as_bytes());
            is_ours && words.next() == Some(command.as_bytes()) && name.as_ref().is_none_or(is_in)
        };
        groups::pids(&self.cgroup()).ok()?.into_iter().find(is_it)
    }

    /// The numbers, on this machine, of the QEMU processes that run a guest on this node.
    pub fn guests(&self) -> Vec<i32> {
        let is_guest = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("qemu-system") && line.contains("-uuid")
        };
        groups::pids(&self.cgroup()).unwrap_or_default().into_iter().filter(is_guest).collect()
    }

    /// Hides files and folders below /usr from the node, from its next start on: a host that lacks them.
    ///
    /// # Errors
    /// A path that is not below /usr; the operating system's.
    pub fn hide(&self, paths: &[&str]) -> Result<()> {
        for path in paths {
            let below = Path::new(path).strip_prefix("/usr").with_context(|| format!("{path} is not below /usr"))?;
            let hidden = self.directory().join("hidden").join(below);
            fs::create_dir_all(hidden.parent().context("a path has a parent")?)?;
            // To an overlay, a device 0:0 means that there is nothing here.
            let kind = rustix::fs::FileType::CharacterDevice;
            rustix::fs::mknodat(rustix::fs::CWD, &hidden, kind, rustix::fs::Mode::empty(), 0)?;
        }
        Ok(())
    }

    /// Hides nothing any more, from the node's next start on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn unhide(&self) -> Result<()> {
        let hidden = self.directory().join("hidden");
        fs::remove_dir_all(&hidden)?;
        Ok(fs::create_dir(hidden)?)
    }
}

/// Where programs are looked for.
pub(crate) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
