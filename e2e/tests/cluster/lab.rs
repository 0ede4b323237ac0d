//! Clusters with the charts installed, and a namespace of one with guests in it.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_e2e::cluster::Cluster;
use ostler_e2e::cluster::api::{Api, ApiError};
use ostler_e2e::cluster::install::{Kind, NAMESPACE, charts};
use ostler_e2e::cluster::node::Node;
use ostler_e2e::demo;
use ostler_e2e::kstatus::{Kstatus, kstatus};
use serde_json::{Value, json};

/// Ten times and more of what any step takes on a quiet machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// How often something is looked at that nothing tells of.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Our kinds' API.
pub(crate) const GROUP: &str = "/apis/ostler.dev/v1alpha1";

/// A host's object.
pub(crate) fn host_path(name: &str) -> String {
    format!("{GROUP}/hosts/{name}")
}

/// What the demo consists of.
pub(crate) const KINDS: [(&str, &str); 4] =
    [("domains", "hello"), ("networks", "lan"), ("storagepools", "images"), ("storagevolumes", "hello-data")];

/// A cluster with the charts installed, for one test at a time.
pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    pub(crate) binary: PathBuf,
}

/// How many clusters there are at most: a test mostly waits.
const CLUSTERS: usize = 2;

/// Clusters that no test uses at present, and how many there are in all.
static FREE: Mutex<(Vec<Lab>, usize)> = Mutex::new((Vec::new(), 0));
static IS_FREE: Condvar = Condvar::new();

/// A cluster while one test has it.
pub(crate) struct Loan(Option<Lab>);

/// A cluster that is free, or a new one; all go when this process does.
pub(crate) fn lab() -> Loan {
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let must_wait = |(free, all): &mut (Vec<Lab>, usize)| free.is_empty() && *all == CLUSTERS;
    let mut free = IS_FREE.wait_while(free, must_wait).unwrap_or_else(PoisonError::into_inner);
    if let Some(lab) = free.0.pop() {
        return Loan(Some(lab));
    }
    free.1 += 1;
    drop(free);
    match std::panic::catch_unwind(Lab::new) {
        Ok(lab) => Loan(Some(lab)),
        Err(cause) => {
            // Whoever waits for one makes another.
            FREE.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
            IS_FREE.notify_one();
            std::panic::resume_unwind(cause)
        }
    }
}

impl Deref for Loan {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        self.0.as_ref().expect("it is given back at the end")
    }
}

impl Drop for Loan {
    /// A test that failed gives it back too.
    fn drop(&mut self) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).0.extend(self.0.take());
        IS_FREE.notify_one();
    }
}

impl Lab {
    fn new() -> Self {
        let binary = demo::binary().into();
        let cluster = Cluster::for_tests(env!("CARGO_BIN_EXE_cluster")).unwrap_or_else(|error| panic!("{error:#}"));
        let lab = Lab { cluster, binary };
        lab.install(&[]);
        lab.helm(&["test", "ostler", "-n", NAMESPACE, "--timeout", "3m"]);
        lab.cluster.install_guest().unwrap_or_else(|error| panic!("{error:#}"));
        lab
    }

    /// Installs the charts, or brings them up to date.
    pub(crate) fn install(&self, args: &[&str]) {
        let say = |line: &str| eprintln!("{line}");
        self.cluster.install(&self.binary, Kind::Plain, args, &say).unwrap_or_else(|error| panic!("{error:#}"));
    }

    pub(crate) fn api(&self) -> &Api {
        self.cluster.api()
    }

    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let (code, text) = self.cluster.kubectl(args);
        assert_eq!(code, 0, "kubectl {}: {text}", args.join(" "));
        text
    }

    #[track_caller]
    pub(crate) fn helm(&self, args: &[&str]) -> String {
        let (code, text) = self.cluster.helm(args);
        assert_eq!(code, 0, "helm {}: {text}", args.join(" "));
        text
    }

    /// Waits until what is at a path is as it should be.
    #[track_caller]
    pub(crate) fn wait(&self, path: &str, condition: impl FnMut(&Value) -> bool) -> Value {
        let seen = self.api().wait(path, DEADLINE, condition);
        seen.unwrap_or_else(|error| panic!("{error:#}\n{}", self.story()))
    }

    /// What the API server answers once it can ask the webhook: one that was away just now is asked again.
    #[track_caller]
    pub(crate) fn accepted(&self, ask: impl Fn() -> Result<Value, ApiError>) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            match ask() {
                Ok(value) => return value,
                Err(error) if error.to_string().contains("failed calling webhook") && Instant::now() < end => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(error) => panic!("{error}\n{}", self.story()),
            }
        }
    }

    /// Waits until something holds that no object tells of.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}\n{}", self.story());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the agents and the controller are as wanted.
    pub(crate) fn wait_rolled_out(&self) {
        for object in ["daemonset/ostler-agent", "deployment/ostler-controller"] {
            self.kubectl(&["-n", NAMESPACE, "rollout", "status", "--timeout=300s", object]);
        }
    }

    /// A new namespace.
    pub(crate) fn space(&self, name: &str) -> Space<'_> {
        self.kubectl(&["create", "namespace", name]);
        Space { lab: self, name: name.to_owned() }
    }

    /// A new namespace with the demo's four manifests, applied one by one in an order that makes each wait.
    pub(crate) fn demo(&self, name: &str) -> Space<'_> {
        let space = self.space(name);
        for file in ["domain", "volume", "pool", "network"] {
            space.apply_demo(file);
        }
        space.wait_demo();
        space
    }

    /// Changes the spec of a node's Host.
    #[track_caller]
    pub(crate) fn edit_host(&self, node: &Node, spec: Value) {
        self.accepted(|| self.api().merge(&host_path(node.name), &json!({"spec": spec.clone()})));
    }

    /// A host's object, once it is Ready.
    pub(crate) fn host(&self, name: &str) -> Value {
        self.wait(&host_path(name), is_ready)
    }

    /// What tells why something did not happen.
    fn story(&self) -> String {
        let ask = |args: &[&str]| format!("$ kubectl {}\n{}", args.join(" "), self.cluster.kubectl(args).1);
        [
            ask(&["get", "hosts,domains,vnet,pool,vol", "-A", "-o", "wide"]),
            ask(&["get", "events", "-A", "--sort-by=.lastTimestamp"]),
            ask(&["-n", NAMESPACE, "get", "pods", "-o", "wide"]),
            ask(&["-n", NAMESPACE, "logs", "daemonset/ostler-agent", "--all-pods", "--tail=40"]),
            ask(&["-n", NAMESPACE, "logs", "deployment/ostler-controller", "--all-pods", "--tail=40"]),
        ]
        .join("\n---\n")
    }
}

/// A namespace with guests in it.
pub(crate) struct Space<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) name: String,
}

impl Space<'_> {
    pub(crate) fn path(&self, plural: &str, name: &str) -> String {
        let below = if name.is_empty() { String::new() } else { format!("/{name}") };
        format!("{GROUP}/namespaces/{}/{plural}{below}", self.name)
    }

    /// Applies one of the demo's manifests as it is.
    pub(crate) fn apply_demo(&self, file: &str) {
        let path = charts().with_file_name("examples").join(format!("demo/{file}.yaml"));
        self.lab.kubectl(&["apply", "-n", &self.name, "-f", path.to_str().unwrap()]);
    }

    #[track_caller]
    pub(crate) fn create(&self, plural: &str, object: &Value) -> Value {
        self.lab.accepted(|| self.lab.api().create(&self.path(plural, ""), object))
    }

    #[track_caller]
    pub(crate) fn edit(&self, plural: &str, name: &str, change: Value) {
        self.lab.accepted(|| self.lab.api().merge(&self.path(plural, name), &change));
    }

    pub(crate) fn get(&self, plural: &str, name: &str) -> Value {
        self.lab.api().get(&self.path(plural, name)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub(crate) fn wait(&self, plural: &str, name: &str, condition: impl FnMut(&Value) -> bool) -> Value {
        self.lab.wait(&self.path(plural, name), condition)
    }

    /// Waits until an object is Ready, and kstatus says the same.
    #[track_caller]
    pub(crate) fn wait_ready(&self, plural: &str, name: &str) -> Value {
        let object = self.wait(plural, name, is_ready);
        assert_eq!(kstatus(&object), Kstatus::Current, "{object:#}");
        object
    }

    /// Waits until all four are Ready, and the guest has its address.
    pub(crate) fn wait_demo(&self) {
        for (plural, name) in KINDS {
            self.wait_ready(plural, name);
        }
        self.wait("domains", "hello", |domain| {
            domain["status"]["addresses"][0].as_str().is_some_and(|address| address.starts_with("192.168.77."))
        });
    }

    /// The node of a domain, and its guest's process: one, and on no other node.
    #[track_caller]
    pub(crate) fn guest(&self, domain: &str) -> (Node, i32) {
        let object = self.get("domains", domain);
        let uuid = object["status"]["resolved"]["uuid"].as_str().expect("a guest has a uuid");
        let host = object["status"]["host"].as_str().expect("a guest has a host");
        let all: Vec<(&str, i32)> = self.lab.cluster.nodes().iter().flat_map(|node| processes(node, uuid)).collect();
        let [(node, pid)] = all[..] else { panic!("one process of {domain}: {all:?}\n{object:#}") };
        assert_eq!(node, host, "the guest runs where its object says");
        (self.lab.cluster.node(host), pid)
    }

    /// Ends the namespace, and with it everything in it.
    pub(crate) fn end(self) {
        // A kind whose definition was changed just now is not always served.
        let domains = self.lab.wait(&self.path("domains", ""), |list| list["items"].is_array());
        let uuids: Vec<String> = domains["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|domain| domain["status"]["resolved"]["uuid"].as_str().map(str::to_owned))
            .collect();
        let path = format!("/api/v1/namespaces/{}", self.name);
        self.lab.api().delete(&path).unwrap();
        self.lab.wait(&path, Value::is_null);
        for node in self.lab.cluster.nodes() {
            for uuid in &uuids {
                assert_eq!(processes(&node, uuid), [], "nothing is left");
            }
        }
    }
}

/// The pod that holds the controllers' Lease; absent: none does at this moment.
pub(crate) fn leading_pod(lab: &Lab) -> Option<String> {
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/ostler-controller");
    let lease = lab.api().get(&lease).ok()?;
    Some(lease["spec"]["holderIdentity"].as_str()?.split_once('_')?.0.to_owned())
}

/// The pod that leads the controllers, with its process; absent: none does at this moment.
pub(crate) fn leader_now(lab: &Lab) -> Option<(String, Node, i32)> {
    let pod = leading_pod(lab)?;
    let [a, b] = lab.cluster.nodes();
    [a, b].into_iter().find_map(|node| {
        let pid = node.ostler("controller", Some(&pod))?;
        Some((pod.clone(), node, pid))
    })
}

/// The pod that leads the controllers, once one does.
pub(crate) fn leader(lab: &Lab) -> (String, Node, i32) {
    let mut found = None;
    lab.wait_for("a controller leads", || {
        found = leader_now(lab);
        found.is_some()
    });
    found.unwrap()
}

/// A guest's processes on a node.
pub(crate) fn processes(node: &Node, uuid: &str) -> Vec<(&'static str, i32)> {
    let is_it = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(uuid)
    };
    node.guests().into_iter().filter(is_it).map(|pid| (node.name, pid)).collect()
}

/// A guest with nothing to boot, which costs little.
pub(crate) fn small(name: &str, spec: Value) -> Value {
    let mut domain = json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "metadata": {"name": name},
        "spec": {
            "runStrategy": "Always",
            "shutdown": {"timeout": "0s", "force": true},
            "domain": {"vcpu": {"count": 1}, "memory": {"size": "16Mi"}, "os": {"type": {"machine": "q35"}}},
        },
    });
    merge(&mut domain["spec"], spec);
    domain
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Whether an object is Ready, as of its present spec.
pub(crate) fn is_ready(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"] && condition(object, "Ready").0 == "True"
}

/// A condition's status, reason and message.
pub(crate) fn condition(object: &Value, type_: &str) -> (String, String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

/// A pool.
pub(crate) fn pool(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": name}, "spec": spec})
}

/// A volume of a pool, and a guest that writes it.
pub(crate) fn with_disk(space: &Space<'_>, name: &str, pool: &str) {
    let volume = json!({"pool": pool, "deletion": {"policy": "Delete"}, "volume": {"capacity": "16Mi"}});
    let volume = json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "StorageVolume", "metadata": {"name": name}, "spec": volume});
    space.create("storagevolumes", &volume);
    space.create("domains", &writer(name, pool));
}

/// A guest that writes the volume of its name.
pub(crate) fn writer(name: &str, pool: &str) -> Value {
    let source = json!({"volume": {"pool": pool, "volume": name}});
    let disk = json!({"name": "vda", "target": {"bus": "virtio"}, "source": source});
    small(name, json!({"domain": {"devices": {"disks": [disk]}}}))
}

/// Where a guest's processes are, by all nodes.
pub(crate) fn places(lab: &Lab, uuid: &str) -> Vec<&'static str> {
    lab.cluster.nodes().iter().flat_map(|node| processes(node, uuid)).map(|(name, _)| name).collect()
}

/// The uuid of a guest that ran.
pub(crate) fn uuid_of(space: &Space<'_>, domain: &str) -> String {
    space.get("domains", domain)["status"]["resolved"]["uuid"].as_str().expect("it ran").to_owned()
}

/// Who holds a domain, by which number.
pub(crate) fn claim_of(domain: &Value) -> (&str, i64) {
    let status = &domain["status"];
    (status["host"].as_str().unwrap_or_default(), status["claim"].as_i64().unwrap_or_default())
}
