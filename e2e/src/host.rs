//! A place where an agent can do what it likes: folders, a network namespace and control groups of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ostler_util::pidfd::Process;
use serde_json::Value;
use tempfile::TempDir;

/// Ten times and more of what any step takes on a quiet machine.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// How often a condition is looked at that nothing tells of.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the agent's log tells.
const LOG: &str = "info,ostler=debug,ostler_driver_qemu=debug";

/// A host with its own network namespace. Dropped, it ends everything on it.
#[derive(Debug)]
pub struct Host {
    directory: TempDir,
    /// What lasts until the next boot, on a tmpfs as everywhere.
    volatile: TempDir,
    binary: PathBuf,
    namespace: String,
    log: &'static str,
    agent: Option<Child>,
}

impl Host {
    /// A new host without an agent. `binary`: the `ostler` under test.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        // Short: sockets' paths have 107 bytes at most.
        let directory = tempfile::Builder::new().prefix("oe").tempdir_in("/var/tmp").unwrap();
        for (folder, mode) in [("", 0o755), ("m", 0o700), ("g", 0o755)] {
            let path = directory.path().join(folder);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        let volatile = tempfile::Builder::new().prefix("oe").tempdir_in("/dev/shm").unwrap();
        fs::set_permissions(volatile.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let name = directory.path().file_name().unwrap().to_string_lossy().into_owned();
        let host = Host { directory, volatile, binary: binary.into(), namespace: name, log: LOG, agent: None };
        run("ip", &["netns", "add", &host.namespace]);
        run("ip", &["-n", &host.namespace, "link", "set", "lo", "up"]);
        host
    }

    /// The same host with another amount of detail in its agent's log.
    pub fn with_log(mut self, log: &'static str) -> Self {
        self.log = log;
        self
    }

    /// The agent's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// Runs `work` on a thread that is in the host's network.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(format!("/run/netns/{}", self.namespace)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                ostler_util::namespace::enter_network(&namespace).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A folder of the host.
    ///
    /// `r` is what lasts until the next boot, `s` the agent's state, `m` its manifests.
    pub fn path(&self, below: &str) -> PathBuf {
        match below.strip_prefix("r/") {
            Some(below) => self.volatile.path().join("r").join(below),
            None if below == "r" => self.volatile.path().join("r"),
            None => self.directory.path().join(below),
        }
    }

    /// Builds the guest and puts it where manifests find it as `GUEST/vmlinuz` and `GUEST/initrd`.
    pub fn install_guest(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/build");
        let output = Command::new(script).output().unwrap();
        assert!(output.status.success(), "the guest can't be built: {}", String::from_utf8_lossy(&output.stderr));
        let built = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        for file in ["vmlinuz", "initrd"] {
            fs::copy(built.join(file), self.path("g").join(file)).unwrap();
        }
    }

    /// Writes a manifest, whole: to a temporary name first. `GUEST` and `ROOT` become the host's folders.
    pub fn apply(&self, name: &str, text: &str) {
        let text = text
            .replace("GUEST", &self.path("g").display().to_string())
            .replace("ROOT", &self.path("").display().to_string());
        let path = self.path("m").join(name);
        let temporary = self.path("m").join(format!(".{name}"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, path).unwrap();
    }

    /// Removes a manifest.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path("m").join(name)).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ip");
        // Only the network is the host's own: `ip netns exec` would hide the control groups.
        command.args(["netns", "exec", &self.namespace]).arg(&self.binary);
        command.arg("--state-dir").arg(self.path("s")).arg("--run-dir").arg(self.path("r"));
        command
    }

    fn nsenter(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace)).arg(program);
        command
    }

    /// Starts the agent; its log is `agent.log`.
    pub fn start_agent(&mut self) {
        self.start_agent_with(&[]);
    }

    /// Starts the agent with further arguments.
    pub fn start_agent_with(&mut self, args: &[&str]) {
        let manifests = self.path("m").display().to_string();
        self.run_agent(&[&["--manifests", manifests.as_str()], args].concat());
    }

    /// Starts the agent as that of a cluster's Node.
    pub fn start_cluster_agent(&mut self, kubeconfig: &Path, node: &str) {
        let kubeconfig = kubeconfig.display().to_string();
        self.run_agent(&["--cluster", "--kubeconfig", &kubeconfig, "--node", node, "--namespace", "default"]);
    }

    /// Starts the agent as in a pod of a cluster's Node: the host's first process is a shell with processes and mounts of its own,
    /// and the agent's mounts are others still, with `credentials` where a pod has them.
    pub fn start_pod_agent(&mut self, server: std::net::SocketAddr, node: &str, credentials: &Path) {
        assert!(self.agent.is_none(), "one agent a host");
        let (state, run) = (self.path("s"), self.path("r"));
        for folder in [&state, &run] {
            fs::create_dir_all(folder).unwrap();
        }
        // Not of the pod: what is written there is not the host's.
        let pod = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && \
                   cp -r \"$CREDENTIALS\" /run/secrets/kubernetes.io/serviceaccount && \
                   mount -t tmpfs tmpfs \"$OSTLER_STATE_DIR\" && mount -t tmpfs tmpfs \"$OSTLER_RUN_DIR\" && \
                   exec \"$OSTLER\" agent --cluster --listen none";
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path("agent.log")).unwrap();
        let mut command = self.nsenter(Path::new("unshare"));
        command.args(["--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]);
        command.arg("unshare --mount sh -c \"$POD\"; echo \"the pod has ended\" >&2; exec sleep 1000000");
        command.env("POD", pod).env("OSTLER", &self.binary).env("CREDENTIALS", credentials);
        command.env("OSTLER_STATE_DIR", state).env("OSTLER_RUN_DIR", run).env("OSTLER_LOG", self.log);
        command.env("OSTLER_CGROUP", self.cgroup());
        command.env("KUBERNETES_SERVICE_HOST", server.ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", server.port().to_string());
        command.env("NODE_NAME", node).env("POD_NAMESPACE", "default");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.agent = Some(command.spawn().unwrap());
    }

    fn run_agent(&mut self, args: &[&str]) {
        assert!(self.agent.is_none(), "one agent a host");
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path("agent.log")).unwrap();
        let mut command = self.nsenter(&self.binary);
        command.arg("--state-dir").arg(self.path("s")).arg("--run-dir").arg(self.path("r"));
        command.args(["agent", "--listen", "none", "--log", self.log, "--cgroup", self.cgroup()]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.agent = Some(command.spawn().unwrap());
    }

    /// The host's own control group: what runs in another's is none of its agent's guests.
    fn cgroup(&self) -> &str {
        &self.namespace
    }

    /// The agent's process id. `nsenter` becomes the agent, so it is the child's.
    pub fn agent_pid(&self) -> u32 {
        self.agent.as_ref().expect("an agent runs").id()
    }

    /// Ends the agent at once, wherever it is.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    /// Asks the agent to end, and waits for it.
    pub fn stop_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            run("kill", &["-TERM", &agent.id().to_string()]);
            let deadline = Instant::now() + DEADLINE;
            while agent.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "the agent does not end");
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Runs `ostler` on the host; gives its exit code and what it said.
    pub fn ostler(&self, args: &[&str]) -> (i32, String) {
        let output = self.command().args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text)
    }

    /// Runs a program in the host's network.
    pub fn tool(&self, program: &str, args: &[&str]) -> String {
        let output = self.nsenter(Path::new(program)).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// A stored object; null where there is none.
    pub fn object(&self, plural: &str, name: &str) -> Value {
        let path = self.path(&format!("s/objects/{plural}/default/{name}.json"));
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(Value::Null)
    }

    /// A condition's status and reason, as `True/Ready`.
    pub fn condition(&self, plural: &str, name: &str, type_: &str) -> String {
        let object = self.object(plural, name);
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        conditions
            .iter()
            .find(|condition| condition["type"] == type_)
            .map(|condition| {
                format!(
                    "{}/{}",
                    condition["status"].as_str().unwrap_or_default(),
                    condition["reason"].as_str().unwrap_or_default()
                )
            })
            .unwrap_or_default()
    }

    /// The field of a domain's status.
    pub fn status(&self, domain: &str, pointer: &str) -> Value {
        self.object("domains", domain).pointer(&format!("/status{pointer}")).cloned().unwrap_or(Value::Null)
    }

    /// Waits until `condition` holds.
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.path("agent.log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(60).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                panic!(
                    "{what}: not within {DEADLINE:?}\n{}\n{}",
                    self.ostler(&["get", "all", "-A", "-o", "wide"]).1,
                    tail.join("\n")
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until an object's Ready condition is so, as `True/Ready`.
    pub fn wait_ready(&self, plural: &str, name: &str, ready: &str) {
        self.wait_for(&format!("{plural}/{name} {ready}"), |host| host.condition(plural, name, "Ready") == ready);
    }

    /// The QEMU processes of this host: those in its network that run a guest.
    pub fn guests(&self) -> Vec<u32> {
        let Ok(own) = fs::metadata(format!("/run/netns/{}", self.namespace)) else { return Vec::new() };
        let mut pids = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let cmdline = String::from_utf8_lossy(&cmdline);
            let is_here = || {
                fs::metadata(entry.path().join("ns/net")).is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino()))
            };
            if cmdline.contains("qemu-system") && cmdline.contains("-uuid") && is_here() {
                pids.push(pid);
            }
        }
        pids
    }

    /// What is left of guests and networks on this host: processes, devices, rules, control groups, claims.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left: Vec<String> = self.guests().iter().map(|pid| format!("process {pid}")).collect();
        let links = self.tool("ip", &["-o", "link"]);
        left.extend(links.lines().filter(|line| line.contains(": ob") || line.contains(": ot")).map(str::to_owned));
        let tables = self.tool("nft", &["list", "tables"]);
        left.extend(tables.lines().filter(|line| line.contains("ostler")).map(str::to_owned));
        for folder in ["r/qemu", "r/qemu/own", "r/network", "r/network/ports", "s/qemu/ram", "s/security"] {
            for entry in fs::read_dir(self.path(folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !["log", "own", "ports", "lock"].contains(&name.as_str()) {
                    left.push(format!("{folder}/{name}"));
                }
            }
        }
        left
    }

    /// The host's power fails: every process goes, and what lasts only until the next boot.
    pub fn power_failure(&mut self) {
        self.kill_agent();
        let guests: Vec<Process> =
            self.guests().into_iter().filter_map(|pid| Process::of(pid.try_into().unwrap()).ok()).collect();
        // Gone whole, with what the kernel has of them: a power failure leaves nothing that is just about to end.
        for handle in guests.iter().filter_map(|process| process.open().unwrap()) {
            handle.kill().unwrap();
            assert!(handle.wait(DEADLINE));
        }
        self.kill_dnsmasq();
        for link in self
            .tool("ip", &["-o", "link"])
            .lines()
            .filter_map(|line| line.split(": ").nth(1))
            .filter(|name| name.starts_with("ob"))
        {
            self.tool("ip", &["link", "delete", link]);
        }
        self.tool("nft", &["flush", "ruleset"]);
        self.wait_for("every guest is gone", |host| host.guests().is_empty());
        let _ = fs::remove_dir_all(self.path("r"));
    }

    /// The pids of this host's dnsmasq processes.
    pub fn dnsmasqs(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        for entry in fs::read_dir(self.path("r/network")).into_iter().flatten().flatten() {
            let text = fs::read(entry.path().join("process.json")).unwrap_or_default();
            let process: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
            pids.extend(process["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()));
        }
        pids
    }

    /// Ends this host's dnsmasq processes at once.
    pub fn kill_dnsmasq(&self) {
        for pid in self.dnsmasqs() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("OSTLER_E2E_KEEP").is_some() {
            eprintln!("kept: {}", self.path("").display());
            self.directory.disable_cleanup(true);
            self.volatile.disable_cleanup(true);
        }
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        for pid in self.guests() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
        }
        self.kill_dnsmasq();
        let _ = crate::cluster::groups::end(self.cgroup());
        let _ = Command::new("ip").args(["netns", "delete", &self.namespace]).output();
    }
}

/// Runs a program that must succeed.
fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
