//! `ostler controller` against a real API server. Nodes and agents are played by the tests.
//!
//! The controller looks after the whole cluster, so each test has an API server of its own.

#[path = "controller/secrets.rs"]
mod secrets;

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler_e2e::apiserver::ApiServer;
use ostler_e2e::cluster::api::Api;
use ostler_e2e::demo;
use serde_json::{Value, json};

/// Ten times and more of what any step takes on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);
const NAMESPACE: &str = "ostler-system";
const GROUP: &str = "/apis/ostler.dev/v1alpha1";

/// A cluster without nodes but those that are made up.
struct Cluster {
    server: ApiServer,
    directory: tempfile::TempDir,
    _agents: Agents,
}

/// What the agents of made-up nodes do by themselves: whoever is asked for copies tells that there are none. Dropped, it ends.
struct Agents {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agents {
    fn of(api: Api) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = ended.clone();
        let answer = move || {
            while !is_over.load(Ordering::Relaxed) {
                let hosts = api.get(&format!("{GROUP}/hosts")).unwrap_or_default();
                for host in hosts["items"].as_array().into_iter().flatten() {
                    let (asked, told) = (&host["status"]["asked"], &host["status"]["told"]);
                    let name = host["metadata"]["name"].as_str().unwrap();
                    if !asked.is_null() && asked != told {
                        // One that went meanwhile has nothing to tell.
                        let _ = api.merge(&format!("{GROUP}/hosts/{name}/status"), &json!({"status": {"told": asked}}));
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        Agents { ended, thread: Some(std::thread::spawn(answer)) }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Cluster {
    /// With the CRDs, and the namespace that charts would make.
    fn new() -> Self {
        let server = ApiServer::start().unwrap();
        let agents = Agents::of(server.api().clone());
        let cluster = Cluster { server, directory: tempfile::tempdir().unwrap(), _agents: agents };
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for crd in ostler_crds::crds() {
            cluster.api().create(definitions, &crd).unwrap();
        }
        for crd in ostler_crds::crds() {
            let path = format!("{definitions}/{}", crd["metadata"]["name"].as_str().unwrap());
            cluster.api().wait(&path, DEADLINE, |crd| has_condition(crd, "Established", "True")).unwrap();
        }
        cluster.api().create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).unwrap();
        cluster
    }

    fn api(&self) -> &Api {
        self.server.api()
    }

    /// Starts a replica, with the address where it answers admission.
    fn controller(&self, name: &str) -> Controller {
        let [webhook, health] = free_addresses();
        let log = self.directory.path().join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let process = Command::new(demo::binary())
            .args(["controller", "--namespace", NAMESPACE, "--webhook-name", "127.0.0.1", "--log", "info,ostler=debug"])
            .arg("--kubeconfig")
            .arg(self.server.kubeconfig())
            .args(["--webhook-listen", &webhook.to_string(), "--listen", &health.to_string()])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Controller { process, webhook, health, log }
    }

    /// A replica that can answer.
    fn ready_controller(&self, name: &str) -> Controller {
        let controller = self.controller(name);
        controller.wait("it is ready", |controller| controller.get("/readyz").starts_with("HTTP/1.1 200"));
        controller
    }

    /// A node whose agent holds its Lease and has reported.
    fn node(&self, name: &str, memory: &str) {
        self.node_without_report(name, memory);
        let host = format!("{GROUP}/hosts/{name}");
        self.api().wait(&host, DEADLINE, |host| !host.is_null()).unwrap();
        let shape = json!({
            "maxCpus": 255, "hotplugCpus": true, "numaMemSupported": true, "defaultCpu": "qemu64-x86_64-cpu",
            "defaultRamId": "pc.ram", "acpi": true,
        });
        let facts = json!({
            "form": 2, "arch": "x86_64", "emulator": "/usr/bin/qemu-system-x86_64", "version": 10_000_002, "kvm": false,
            "machines": [[shape, [{"n": "pc-q35-10.0", "a": "q35"}]]],
            // All that it could be able to do.
            "flags": "ff".repeat(128), "devices": [], "cpus": ["qemu64"],
        });
        let ready = condition("Ready", "True", "Ready");
        let status = json!({"drivers": ["qemu"], "allow": [{"name": "hostpaths"}], "capabilities": [{"name": "qemu", "facts": facts}], "conditions": [ready]});
        self.api().merge(&format!("{host}/status"), &json!({"status": status})).unwrap();
    }

    fn node_without_report(&self, name: &str, memory: &str) {
        let node = json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "memory": memory}}});
        self.api().create("/api/v1/nodes", &node).unwrap();
        let status = json!({"status": {"allocatable": {"cpu": "4", "memory": memory}}});
        self.api().merge(&format!("/api/v1/nodes/{name}/status"), &status).unwrap();
        // Without a kubelet, a node counts as not ready.
        self.api().merge(&format!("/api/v1/nodes/{name}"), &json!({"spec": {"taints": null}})).unwrap();
        let lease = json!({"metadata": {"name": format!("ostler-host-{name}")}, "spec": {"holderIdentity": name}});
        self.api().create(&leases(), &lease).unwrap();
    }

    fn create(&self, plural: &str, object: &Value) {
        self.api().create(&path(plural, ""), object).unwrap_or_else(|error| panic!("{error}"));
    }

    fn wait(&self, plural: &str, name: &str, condition: impl FnMut(&Value) -> bool) -> Value {
        self.api().wait(&path(plural, name), DEADLINE, condition).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The writes of the controller so far: verb, resource with subresource, name.
    fn writes(&self, plural: &str, name: &str) -> Vec<String> {
        let audit = self.server.audit();
        let is_write = |entry: &&Value| {
            ["create", "update", "patch", "delete"].contains(&entry["verb"].as_str().unwrap_or_default())
                && entry["userAgent"].as_str().is_some_and(|agent| agent.starts_with("ostler-controller"))
                && entry["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300)
                && entry["objectRef"]["resource"] == plural
                && (name.is_empty() || entry["objectRef"]["name"] == name)
        };
        let text = |entry: &Value| {
            let part = |field: &str| entry["objectRef"][field].as_str().unwrap_or_default().to_owned();
            format!("{} {}/{}", entry["verb"].as_str().unwrap_or_default(), part("name"), part("subresource"))
        };
        audit.iter().filter(is_write).map(text).collect()
    }
}

/// A replica. Dropped, it ends.
struct Controller {
    process: Child,
    webhook: SocketAddr,
    health: SocketAddr,
    log: PathBuf,
}

impl Controller {
    /// What it answers to a request without TLS.
    fn get(&self, path: &str) -> String {
        let ask = || -> std::io::Result<String> {
            use std::io::Write;
            let mut stream = TcpStream::connect(self.health)?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: controller\r\nConnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        ask().unwrap_or_default()
    }

    fn leads(&self) -> bool {
        self.get("/metrics").lines().any(|line| line == "ostler_controller_leads 1")
    }

    fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !condition(self) {
            assert!(Instant::now() < end, "waited in vain until {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end; gives its exit code.
    fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn leases() -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases")
}

fn path(plural: &str, name: &str) -> String {
    let below = if name.is_empty() { String::new() } else { format!("/{name}") };
    format!("{GROUP}/namespaces/default/{plural}{below}")
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1})
}

fn has_condition(object: &Value, type_: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|found| found["type"] == type_ && found["status"] == status))
}

fn reason(object: &Value) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.into_iter().find(|found| found["type"] == "Ready").unwrap_or_default();
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

fn host_of(object: &Value) -> &str {
    object["status"]["host"].as_str().unwrap_or_default()
}

fn domain(name: &str, memory: &str) -> Value {
    json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "metadata": {"name": name},
        "spec": {"domain": {"type": "qemu", "memory": {"size": memory}, "os": {"type": {"arch": "x86_64", "machine": "q35"}}}},
    })
}

fn with_disk(mut domain: Value, device: &str, source: Value) -> Value {
    let disk = json!({"name": "sda", "device": device, "target": {"bus": "scsi"}, "source": source});
    domain["spec"]["domain"]["devices"] = json!({"disks": [disk]});
    domain
}

fn with_network(mut domain: Value, network: &str) -> Value {
    let interface = json!({"name": "eth0", "source": {"network": {"network": network}}});
    domain["spec"]["domain"]["devices"] = json!({"interfaces": [interface]});
    domain
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "ostler.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[test]
fn two_domains_land_on_two_hosts_when_one_is_full_and_a_third_waits_and_says_why() {
    let cluster = Cluster::new();
    let _controller = cluster.ready_controller("one");
    cluster.node("a", "300Mi");
    cluster.node("b", "300Mi");
    for name in ["one", "two", "three"] {
        cluster.create("domains", &domain(name, "256Mi"));
    }
    let count = |cluster: &Cluster, which: fn(&Value) -> bool| {
        let all = cluster.api().get(&path("domains", "")).unwrap();
        all["items"].as_array().unwrap().iter().filter(|item| which(item)).count()
    };
    let waiting = |object: &Value| reason(object).0 == "Unschedulable";
    let end = Instant::now() + DEADLINE;
    while (count(&cluster, |item| !host_of(item).is_empty()), count(&cluster, waiting)) != (2, 1) {
        assert!(Instant::now() < end, "{:#}", cluster.api().get(&path("domains", "")).unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    let all = cluster.api().get(&path("domains", "")).unwrap();
    let items = all["items"].as_array().unwrap();
    let mut hosts: Vec<&str> = items.iter().map(host_of).filter(|host| !host.is_empty()).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["a", "b"]);
    let third = items.iter().find(|item| waiting(item)).unwrap();
    assert_eq!(reason(third).1, "no host of 2 can take it: 2 without enough free memory");
    // Room comes; it is tried again.
    cluster.node("c", "1Gi");
    let name = third["metadata"]["name"].as_str().unwrap();
    let third = cluster.wait("domains", name, |object| host_of(object) == "c");
    assert_eq!((&third["status"]["claim"], &third["metadata"]["finalizers"]), (&json!(1), &json!(["ostler.dev/host"])));
    // A claim costs two writes to a domain: finalizer and status.
    for item in items.iter().filter(|item| !waiting(item)) {
        let name = item["metadata"]["name"].as_str().unwrap();
        assert_eq!(cluster.writes("domains", name), [format!("patch {name}/"), format!("patch {name}/status")]);
    }
}

#[test]
fn nothing_is_written_at_rest_and_the_second_replica_leads_when_the_first_ends() {
    let cluster = Cluster::new();
    let first = cluster.ready_controller("first");
    first.wait("it leads", Controller::leads);
    let second = cluster.ready_controller("second");
    cluster.node("a", "1Gi");
    cluster.create("networks", &object("Network", "lan", json!({"network": {}})));
    cluster.create("storagepools", &object("StoragePool", "p", json!({})));
    cluster
        .create("storagevolumes", &object("StorageVolume", "v", json!({"pool": "p", "volume": {"capacity": "1Mi"}})));
    for (plural, name) in [("networks", "lan"), ("storagepools", "p"), ("storagevolumes", "v")] {
        cluster.wait(plural, name, |object| {
            reason(object).0 == "WaitingForFirstUse" && has_condition(object, "Ready", "True")
        });
    }
    let source = json!({"volume": {"pool": "p", "volume": "v"}});
    cluster.create("domains", &with_disk(domain("web", "64Mi"), "disk", source));
    cluster.wait("domains", "web", |domain| host_of(domain) == "a");
    cluster.wait("storagevolumes", "v", |volume| host_of(volume) == "a");
    cluster.wait("storagepools", "p", |pool| pool["status"]["hosts"] == json!({"desired": 1, "ready": 0}));
    assert!(!second.leads());
    // The only writes from here on are those that are caused: the agent's Lease goes on, and is no news to anybody.
    let written = |cluster: &Cluster| {
        ["hosts", "domains", "networks", "storagepools", "storagevolumes", "domainoperations"]
            .map(|plural| cluster.writes(plural, "").len())
    };
    let before = written(&cluster);
    let lease = format!("{}/ostler-controller", leases());
    for renewal in 0..3 {
        let agents = format!("{}/ostler-host-a", leases());
        cluster.api().merge(&agents, &json!({"spec": {"leaseTransitions": renewal}})).unwrap();
        let seen = cluster.api().get(&lease).unwrap();
        cluster.api().wait(&lease, DEADLINE, |now| now["spec"]["renewTime"] != seen["spec"]["renewTime"]).unwrap();
    }
    assert_eq!(written(&cluster), before);
    assert_eq!(first.terminate(), Some(0));
    second.wait("it leads", Controller::leads);
    cluster.create("domains", &domain("later", "64Mi"));
    cluster.wait("domains", "later", |domain| host_of(domain) == "a");
    let lease = cluster.api().get(&lease).unwrap();
    assert!(lease["spec"]["leaseTransitions"].as_u64().unwrap() >= 2, "{lease:#}");
}

/// The webhook's configuration, as a chart has it, by URL.
fn configuration(controller: &Controller) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "ostler-validate"},
        "webhooks": [{
            "name": "validate.ostler.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "clientConfig": {"url": format!("https://{}/validate", controller.webhook)},
            "rules": [
                {"apiGroups": ["ostler.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["domains", "networks", "storagepools", "storagevolumes", "domainoperations"]},
                {"apiGroups": ["ostler.dev"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["domains"]}],
        }],
    })
}

#[test]
fn the_api_server_asks_the_webhook_before_it_persists() {
    let cluster = Cluster::new();
    let controller = cluster.ready_controller("one");
    cluster.node("a", "1Gi");
    let configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    cluster.api().create(configurations, &configuration(&controller)).unwrap();
    let trusted = |found: &Value| found["webhooks"][0]["clientConfig"]["caBundle"].is_string();
    cluster.api().wait(&format!("{configurations}/ostler-validate"), DEADLINE, trusted).unwrap();
    let file = json!({"file": {"file": "/d.img"}});
    let (good, bad) =
        (with_disk(domain("web", "64Mi"), "disk", file.clone()), with_disk(domain("web", "64Mi"), "lun", file));
    // The API server takes a moment to know of the webhook, and whom it may trust.
    let dry = format!("{}?dryRun=All", path("domains", ""));
    let end = Instant::now() + DEADLINE;
    let refusal = loop {
        match cluster.api().create(&dry, &bad) {
            Err(error) if error.to_string().contains("lun") => break error.to_string(),
            answer => assert!(Instant::now() < end, "{answer:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(refusal.contains("spec.domain.devices.disks[sda]"), "{refusal}");
    let create = cluster.api().create(&path("domains", ""), &bad).unwrap_err().to_string();
    assert_eq!(create, refusal.replace("?dryRun=All", ""));
    cluster.create("domains", &good);
    cluster.wait("domains", "web", |domain| host_of(domain) == "a");
    let update = cluster.api().merge(&path("domains", "web"), &json!({"spec": bad["spec"]})).unwrap_err().to_string();
    assert!(update.contains("spec.domain.devices.disks[sda]") && update.contains("lun"), "{update}");
    // kubectl shows what does not exist yet, as a warning.
    let manifest = cluster.directory.path().join("later.json");
    std::fs::write(&manifest, with_network(domain("later", "64Mi"), "nowhere").to_string()).unwrap();
    let (code, text) = cluster.server.kubectl(&["create", "-f", manifest.to_str().unwrap()]);
    assert!(code == 0 && text.contains("Warning: Network default/nowhere does not exist yet"), "{text}");
    // A protected domain is not deleted; then it is not any more.
    let protect = |protect: bool| json!({"spec": {"deletion": {"protect": protect}}});
    cluster.api().merge(&path("domains", "web"), &protect(true)).unwrap();
    let refusal = cluster.api().delete(&path("domains", "web")).unwrap_err().to_string();
    assert!(refusal.contains("spec.deletion.protect"), "{refusal}");
    cluster.api().merge(&path("domains", "web"), &protect(false)).unwrap();
    // With the controller down nothing new is accepted, while status, finalizers and deletion of the rest go on.
    cluster.create("networks", &object("Network", "lan", json!({"network": {}})));
    cluster.wait("networks", "lan", |network| !network["metadata"]["finalizers"].is_null());
    drop(controller);
    let down =
        cluster.api().create(&path("networks", ""), &object("Network", "wan", json!({"network": {}}))).unwrap_err();
    assert!(down.to_string().contains("validate.ostler.dev"), "{down}");
    let status = json!({"status": {"conditions": [condition("Ready", "True", "Ready")]}});
    cluster.api().merge(&format!("{}/status", path("networks", "lan")), &status).unwrap();
}

#[test]
fn a_host_that_could_not_be_made_is_made_later() {
    let cluster = Cluster::new();
    // Nobody can be asked, so nothing is made.
    let nobody = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "nobody"},
        "webhooks": [{
            "name": "nobody.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [{"apiGroups": ["ostler.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["hosts"]}],
        }],
    });
    let configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    cluster.api().create(configurations, &nobody).unwrap();
    let dry = json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "Host", "metadata": {"name": "dry"}, "spec": {}});
    let end = Instant::now() + DEADLINE;
    while cluster.api().create(&format!("{GROUP}/hosts?dryRun=All"), &dry).is_ok() {
        assert!(Instant::now() < end, "the API server does not know of the webhook");
    }
    let controller = cluster.ready_controller("one");
    cluster.api().create("/api/v1/nodes", &json!({"metadata": {"name": "a"}})).unwrap();
    cluster.api().create(&leases(), &json!({"metadata": {"name": "ostler-host-a"}, "spec": {}})).unwrap();
    controller.wait("it was refused", |controller| controller.log().contains("a write failed"));
    cluster.api().delete(&format!("{configurations}/nobody")).unwrap();
    cluster.api().wait(&format!("{GROUP}/hosts/a"), DEADLINE, |host| !host.is_null()).unwrap();
}

#[test]
fn a_network_stays_while_it_is_used_and_goes_when_the_last_host_has_let_go() {
    let cluster = Cluster::new();
    let _controller = cluster.ready_controller("one");
    cluster.node("a", "1Gi");
    cluster.create("domains", &with_network(domain("web", "64Mi"), "lan"));
    cluster.create("networks", &object("Network", "lan", json!({"network": {}})));
    cluster.wait("networks", "lan", |network| network["status"]["hosts"] == json!({"desired": 1, "ready": 0}));
    let outcomes = |list: Value| json!({"status": {"networks": list}});
    let host = format!("{GROUP}/hosts/a/status");
    let ready =
        json!([{"name": "default/lan", "observedGeneration": 1, "ready": true, "reason": "Ready", "message": ""}]);
    cluster.api().merge(&host, &outcomes(ready)).unwrap();
    cluster.wait("networks", "lan", |network| has_condition(network, "Ready", "True"));
    cluster.api().delete(&path("networks", "lan")).unwrap();
    let in_use = cluster.wait("networks", "lan", |network| reason(network).0 == "InUse");
    assert_eq!(reason(&in_use).1, "used by Domain default/web");
    // The domain's agent ends it and lets it go.
    cluster.api().delete(&path("domains", "web")).unwrap();
    cluster.api().merge(&path("domains", "web"), &json!({"metadata": {"finalizers": null}})).unwrap();
    cluster.wait("networks", "lan", |network| reason(network).0 == "Deleting");
    cluster.api().merge(&host, &outcomes(json!([]))).unwrap();
    cluster.wait("networks", "lan", Value::is_null);
    // A domain that no host ever held goes at once.
    cluster.create("domains", &domain("large", "2Gi"));
    cluster.wait("domains", "large", |domain| reason(domain).0 == "Unschedulable");
    cluster.api().delete(&path("domains", "large")).unwrap();
    cluster.wait("domains", "large", Value::is_null);
}

#[test]
fn a_selected_host_learns_what_it_must_carry_out() {
    let cluster = Cluster::new();
    let _controller = cluster.ready_controller("one");
    cluster.node("a", "1Gi");
    cluster.node("b", "1Gi");
    let label = json!({"metadata": {"labels": {"zone": "x"}}});
    cluster.api().merge("/api/v1/nodes/b", &label).unwrap();
    let spec = json!({"hostSelector": {"matchLabels": {"zone": "x"}}, "network": {}});
    cluster.create("networks", &object("Network", "lan", spec));
    let wanted = json!([{"kind": "Network", "namespace": "default", "object": "lan"}]);
    cluster.api().wait(&format!("{GROUP}/hosts/b"), DEADLINE, |host| host["status"]["wanted"] == wanted).unwrap();
    assert!(cluster.api().get(&format!("{GROUP}/hosts/a")).unwrap()["status"]["wanted"].is_null());
    cluster.wait("networks", "lan", |network| network["status"]["hosts"] == json!({"desired": 1, "ready": 0}));
}

#[test]
fn a_fenced_hosts_guest_goes_elsewhere_once_its_agent_has_stopped_it() {
    let cluster = Cluster::new();
    let _controller = cluster.ready_controller("one");
    cluster.node("a", "1Gi");
    cluster.create("domains", &domain("web", "256Mi"));
    cluster.wait("domains", "web", |domain| host_of(domain) == "a");
    let ran =
        json!({"driver": "qemu", "uuid": "4dea22b3-1d52-d8f3-2516-782e98ab3fa0", "name": "default_web", "claim": 1});
    let status = |plural: &str, name: &str| format!("{}/status", path(plural, name));
    cluster.api().merge(&status("domains", "web"), &json!({"status": {"resolved": ran}})).unwrap();
    cluster.node("b", "300Mi");
    let host = |name: &str| format!("{GROUP}/hosts/{name}");
    cluster.api().merge(&host("a"), &json!({"spec": {"fenced": true}})).unwrap();
    let fenced = cluster.api().wait(&host("a"), DEADLINE, |host| !host["status"]["fence"].is_null()).unwrap();
    assert_eq!(fenced["status"]["fence"]["reason"], "Spec");
    // What is decided about another guest was decided about this one, too.
    cluster.create("domains", &domain("later", "16Mi"));
    cluster.wait("domains", "later", |domain| host_of(domain) == "b");
    let held = cluster.api().get(&path("domains", "web")).unwrap();
    assert_eq!(
        (host_of(&held), &held["status"]["claim"]),
        ("a", &json!(1)),
        "its agent has not said that it stopped it"
    );
    let halted = json!({"status": {"halted": fenced["status"]["fence"]["id"]}});
    cluster.api().merge(&format!("{}/status", host("a")), &halted).unwrap();
    let moved = cluster.wait("domains", "web", |domain| host_of(domain) == "b");
    assert_eq!(moved["status"]["claim"], 2);
    cluster.api().merge(&host("a"), &json!({"spec": {"fenced": false}})).unwrap();
    cluster.api().wait(&host("a"), DEADLINE, |host| host["status"]["fence"].is_null()).unwrap();
}

/// Takes the 90 s that an agent may be silent.
#[test]
fn what_a_silent_agent_said_is_unknown_and_its_claims_stay() {
    let cluster = Cluster::new();
    let _controller = cluster.ready_controller("one");
    cluster.node("a", "1Gi");
    cluster.node("b", "300Mi");
    cluster.create("domains", &domain("web", "256Mi"));
    cluster.wait("domains", "web", |domain| host_of(domain) == "a");
    let conditions = ["Ready", "Running", "VolumesReady"].map(|type_| condition(type_, "True", "Ready"));
    let status = format!("{}/status", path("domains", "web"));
    cluster.api().merge(&status, &json!({"status": {"conditions": conditions}})).unwrap();
    let mut renewal = 0;
    // Only the other's agent goes on.
    let silent = cluster.wait("domains", "web", |domain| {
        renewal += 1;
        let lease = format!("{}/ostler-host-b", leases());
        cluster.api().merge(&lease, &json!({"spec": {"leaseTransitions": renewal}})).unwrap();
        reason(domain).0 == "HostUnreachable"
    });
    assert!(has_condition(&silent, "Ready", "Unknown") && has_condition(&silent, "Running", "Unknown"));
    assert!(has_condition(&silent, "VolumesReady", "True") && host_of(&silent) == "a", "{silent:#}");
    let host = |name: &str| cluster.api().get(&format!("{GROUP}/hosts/{name}")).unwrap();
    assert!(has_condition(&host("a"), "Ready", "Unknown") && has_condition(&host("b"), "Ready", "True"));
    // Nothing new goes there.
    cluster.create("domains", &domain("later", "400Mi"));
    let waiting = cluster.wait("domains", "later", |domain| reason(domain).0 == "Unschedulable");
    assert_eq!(reason(&waiting).1, "no host of 2 can take it: 1 unreachable, 1 without enough free memory");
    // The agent comes back, and takes back what it said.
    cluster.api().merge(&format!("{}/ostler-host-a", leases()), &json!({"spec": {"leaseTransitions": 1}})).unwrap();
    let ready = json!({"status": {"conditions": [condition("Ready", "True", "Ready")]}});
    cluster.api().merge(&format!("{GROUP}/hosts/a/status"), &ready).unwrap();
    cluster.wait("domains", "later", |domain| host_of(domain) == "a");
}
