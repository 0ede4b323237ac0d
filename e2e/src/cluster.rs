//! A real Kubernetes of two nodes on this machine: etcd, API server, controllers and scheduler in one network namespace,
//! and two nodes with containerd, kubelet and kube-proxy in namespaces of their own.

pub mod api;
pub mod audit;
pub mod control_plane;
pub mod groups;
pub mod image;
pub mod init;
pub mod install;
pub mod keeper;
pub mod needs;
pub mod network;
pub mod node;
pub mod pki;
pub mod place;
pub mod programs;
pub mod runtime;
pub mod tool;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::api::Api;
use self::control_plane::{Keeper, last_lines};
use self::image::Image;
use self::keeper::Detached;
use self::node::Node;
use self::place::Place;

/// The longest that a node may take to be ready, on a machine with much else to do.
const DEADLINE: Duration = Duration::from_secs(180);

/// The image that holds a pod's namespaces.
const PAUSE: &str = "localhost/pause:1";

/// A cluster that is up.
#[derive(Debug)]
pub struct Cluster {
    /// Its number.
    pub place: Place,
    api: Api,
    keeper: Detached,
    /// This project's `cluster`, which is also a node's first process.
    program: PathBuf,
    /// Takes the cluster down when we end, however that is.
    guard: Option<Child>,
}

impl Cluster {
    /// Makes a cluster that stays until [`down`]. `program`: this project's `cluster`.
    ///
    /// # Errors
    /// What is missing on this machine; which component is at fault, with its last words.
    pub fn up(place: Place, program: impl Into<PathBuf>, progress: &dyn Fn(&str)) -> Result<Self> {
        needs::check()?;
        let program = program.into();
        let bin = programs::programs(progress)?;
        if place.directory().exists() || network::exists(&place.namespace()) {
            bail!("cluster {0} is there already: './dev cluster down --id {0}' removes it", place.0);
        }
        progress(&format!("making the network {}", place.subnet()));
        network::create(place)?;
        let plane = place.control_plane();
        fs::create_dir_all(&plane.directory)?;
        let authority = plane.prepare()?;
        let mut keeper = Detached { place, bin: bin.clone() };
        let api = plane.start(&mut keeper, progress)?;
        let cluster = Cluster { place, api, keeper, program, guard: None };
        let pause = Image::busybox(PAUSE)?.write_file(&plane.directory.join("pause.tar"))?;
        for node in cluster.nodes() {
            progress(&format!("starting {} ({})", node.name, node.address()));
            node.prepare(&authority)?;
            node.start(&cluster.program, &bin)?;
        }
        for node in cluster.nodes() {
            cluster.load_on(&node, &pause)?;
        }
        for node in cluster.nodes() {
            cluster.wait_ready(&node)?;
            progress(&format!("{} is Ready", node.name));
        }
        Ok(cluster)
    }

    /// A cluster for the tests of this process: under the first free number, and gone when the process is.
    ///
    /// # Errors
    /// As [`Self::up`].
    pub fn for_tests(program: &str) -> Result<Self> {
        let (place, claim) = claim().context("all numbers of tests' clusters are in use")?;
        down(place).with_context(|| format!("remove what is left of cluster {}", place.0))?;
        let mut guard = Command::new("sh");
        guard.args(["-c", "cat >&2; exec \"$0\" down --id $1", program, &place.0.to_string()]);
        // It keeps the claim, so that nobody takes the number before the last of the cluster is gone.
        let claim = Stdio::from(OwnedFd::from(claim));
        let guard = guard.stdin(Stdio::piped()).stdout(claim).process_group(0).spawn()?;
        let started = Instant::now();
        let say = move |line: &str| eprintln!("{:6.1} s  {line}", started.elapsed().as_secs_f32());
        let mut cluster = Self::up(place, program, &say)?;
        cluster.guard = Some(guard);
        Ok(cluster)
    }

    /// A cluster that is up already.
    ///
    /// # Errors
    /// There is none.
    pub fn find(place: Place, program: impl Into<PathBuf>) -> Result<Self> {
        let plane = place.control_plane();
        if !plane.pki().exists() {
            bail!("there is no cluster {0}: './dev cluster up --id {0}' makes it", place.0);
        }
        let api = Api::from_files(&plane.server(), &plane.pki(), "admin")?;
        let bin = programs::programs(&|_| {})?;
        Ok(Cluster { place, api, keeper: Detached { place, bin }, program: program.into(), guard: None })
    }

    /// The API server, as a user who may do everything.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The kubeconfig of a user who may do everything, for any kubectl on this machine.
    pub fn kubeconfig(&self) -> PathBuf {
        self.place.control_plane().pki().join("admin.kubeconfig")
    }

    /// Its nodes: `node-a` and `node-b`.
    pub fn nodes(&self) -> [Node; 2] {
        Node::all(self.place)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Node {
        self.nodes().into_iter().find(|node| node.name == name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// Runs kubectl; gives its exit code and what it said.
    pub fn kubectl(&self, args: &[&str]) -> (i32, String) {
        tool::run(&self.keeper.bin.join("kubectl"), &self.kubeconfig(), args)
    }

    /// Runs helm; gives its exit code and what it said.
    pub fn helm(&self, args: &[&str]) -> (i32, String) {
        tool::run(&self.keeper.bin.join("helm"), &self.kubeconfig(), args)
    }

    /// What was asked of the API server so far, and by whom: one entry for each answer.
    pub fn audit(&self) -> Vec<Value> {
        audit::entries(&self.place.directory().join("audit.log"))
    }

    /// Gives an image, as `docker save` writes it, to every node.
    ///
    /// # Errors
    /// containerd's.
    pub fn load(&self, archive: &Path) -> Result<()> {
        self.nodes().iter().try_for_each(|node| self.load_on(node, archive))
    }

    fn load_on(&self, node: &Node, archive: &Path) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let file = File::open(archive).with_context(|| format!("open {}", archive.display()))?;
            // A node that has just been started has neither its first process nor containerd yet.
            let error = match node.command("ctr") {
                Ok(mut command) => {
                    let output = command.args(["-n", "k8s.io", "images", "import", "-"]).stdin(file).output()?;
                    if output.status.success() {
                        return Ok(());
                    }
                    String::from_utf8_lossy(&output.stderr).into_owned()
                }
                Err(error) => error.to_string(),
            };
            let is_starting = node.is_on()
                && ["is off", "containerd.sock", "cannot open"].iter().any(|reason| error.contains(reason));
            if !is_starting || Instant::now() > deadline {
                let logs = ["init", "containerd"].map(|log| last_lines(&node.directory().join(format!("{log}.log"))));
                bail!("load {} on {}: {error}\n{}", archive.display(), node.name, logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a node is Ready, in its present boot.
    ///
    /// # Errors
    /// With its kubelet's last words.
    pub fn wait_ready(&self, node: &Node) -> Result<()> {
        let boot = fs::read_to_string(node.boot_id_file())?;
        let is_ready = |object: &Value| {
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            let seen = object.pointer("/status/nodeInfo/bootID").and_then(Value::as_str);
            seen == Some(boot.trim())
                && conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
        };
        let path = format!("/api/v1/nodes/{}", node.name);
        self.api.wait(&path, DEADLINE, is_ready).with_context(|| {
            let logs =
                ["init", "containerd", "kubelet"].map(|log| last_lines(&node.directory().join(format!("{log}.log"))));
            format!("{} does not get ready\n{}", node.name, logs.join("\n"))
        })?;
        Ok(())
    }

    /// Switches a node on again after [`Node::kill`].
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(&self, node: &Node) -> Result<()> {
        node.start(&self.program, &self.keeper.bin)
    }

    /// Ends the API server at once. etcd keeps what it knew. The controllers and the scheduler end as well, as they do where
    /// they hold Leases that they can't renew.
    ///
    /// # Errors
    /// One does not end.
    pub fn stop_api_server(&self) -> Result<()> {
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
            .iter()
            .try_for_each(|name| self.keeper.kill(name))
    }

    /// A copy of what etcd has, taken while nobody writes.
    ///
    /// # Errors
    /// A component does not end or start; the operating system's.
    pub fn back_up(&self) -> Result<tempfile::TempPath> {
        self.stop_api_server()?;
        self.keeper.kill("etcd")?;
        let backup = tempfile::NamedTempFile::new()?.into_temp_path();
        fs::copy(self.place.control_plane().database(), &backup).context("copy etcd's database")?;
        self.keeper.clone().start(&self.place.control_plane().etcd())?;
        self.start_api_server()?;
        Ok(backup)
    }

    /// Goes back to a copy, as docs/failures.md says: everything that was written since is forgotten.
    ///
    /// # Errors
    /// A component does not end or start; the operating system's.
    pub fn restore(&self, backup: &Path) -> Result<()> {
        self.stop_api_server()?;
        self.keeper.kill("etcd")?;
        self.place.control_plane().restore(&self.keeper.bin, backup)?;
        self.keeper.clone().start(&self.place.control_plane().etcd())?;
        self.start_api_server()
    }

    /// Loses what etcd has, all of it, and joins the nodes to what is begun anew.
    ///
    /// # Errors
    /// A component does not end or start, a node does not get ready; the operating system's.
    pub fn lose_etcd(&self) -> Result<()> {
        self.stop_api_server()?;
        self.keeper.kill("etcd")?;
        fs::remove_dir_all(self.place.control_plane().etcd_directory()).context("remove etcd's folder")?;
        self.keeper.clone().start(&self.place.control_plane().etcd())?;
        self.start_api_server()?;
        for node in self.nodes() {
            // It registers at its start only; the other goes by versions that are to come yet.
            node.restart("kubelet")?;
            node.restart("kube-proxy")?;
        }
        self.nodes().iter().try_for_each(|node| self.wait_ready(node))
    }

    /// Starts them again and waits until the API server is ready.
    ///
    /// # Errors
    /// With its last words.
    pub fn start_api_server(&self) -> Result<()> {
        let plane = self.place.control_plane();
        let mut keeper = self.keeper.clone();
        keeper.start(&plane.api_server())?;
        plane.wait_for(&mut keeper, &["kube-apiserver"], "the API server is ready", || self.api.is_ready())?;
        keeper.start(&plane.controllers())?;
        keeper.start(&plane.scheduler())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(guard) = &mut self.guard {
            // Closes the pipe first, on which it waits; then it takes everything down.
            let _ = guard.wait();
        }
    }
}

/// Removes a cluster with everything of it: also one whose start failed half-way.
///
/// # Errors
/// A process that does not end; the operating system's.
pub fn down(place: Place) -> Result<()> {
    groups::end(&place.cgroup())?;
    for node in Node::all(place) {
        network::unplug(&node)?;
    }
    network::remove(&place.namespace())?;
    network::remove_way_in(place)?;
    let directory = place.directory();
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
    }
    // The last one takes the folder of all along.
    let _ = directory.parent().map(fs::remove_dir);
    Ok(())
}

/// The first number for a test that no other process has. The claim ends with the last process that holds it.
fn claim() -> Option<(Place, UnixListener)> {
    (100..=250).map(Place).find_map(|place| {
        let name = SocketAddr::from_abstract_name(format!("ostler-cluster-{}", place.0)).ok()?;
        Some((place, UnixListener::bind_addr(&name).ok()?))
    })
}
