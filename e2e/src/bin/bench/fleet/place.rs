//! The API server with the charts on it but for what runs in pods, and the controller beside it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ostler_e2e::apiserver::ApiServer;
use ostler_e2e::cluster::api::Api;
use ostler_e2e::cluster::install::{NAMESPACE, charts};
use ostler_e2e::with_us::{self, Folder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::DEADLINE;
use super::metrics::Metrics;
use super::requests::Log;
use super::weight::Weight;
use crate::report::{Goal, Report};

/// What a chart has that runs in pods.
const IN_PODS: &[&str] = &["kind: DaemonSet", "kind: Deployment"];
const WEBHOOK: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/ostler-validate";
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Place {
    controller: Controller,
    binary: String,
    server: ApiServer,
    folder: Folder,
}

impl Place {
    pub(super) fn new(binary: &str, report: &mut Report) -> Self {
        let start = Instant::now();
        let server = ApiServer::start().unwrap_or_else(|error| panic!("no API server: {error:#}"));
        let folder = Folder::new("ostler-fleet").unwrap();
        install(&server, folder.path());
        let [webhook, health] = free_addresses();
        let mut configuration = server.api().get(WEBHOOK).unwrap();
        configuration["webhooks"][0]["clientConfig"] = json!({"url": format!("https://{webhook}/validate")});
        server.api().replace(WEBHOOK, &configuration).unwrap();
        let token = token(server.api(), "ostler-controller", &json!({}));
        fs::write(folder.path().join("controller.kubeconfig"), server.kubeconfig_with_token(&token)).unwrap();
        let controller = Controller::start(binary, folder.path(), webhook, health);
        let place = Place { controller, binary: binary.to_owned(), server, folder };
        place.wait_leading();
        let is_trusted = |found: &Value| found["webhooks"][0]["clientConfig"]["caBundle"].is_string();
        place.api().wait(WEBHOOK, DEADLINE, is_trusted).unwrap();
        make_network(place.api());
        let took = start.elapsed().as_secs_f64();
        report.add("fleet: an empty API server to a controller that leads", "s", took, None, "", Goal::None);
        let weight = place.controller_weight();
        report.add("controller's memory with nothing there", "MB", weight.resident, None, "", Goal::None);
        place
    }

    pub(super) fn api(&self) -> &Api {
        self.server.api()
    }

    /// Where all that is the bench's own goes; nothing is left of it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log(&self) -> Log {
        Log(self.server.audit_log())
    }

    /// The API server's own counters.
    pub(super) fn metrics(&self) -> Metrics {
        let text = self.api().get("/metrics").unwrap();
        Metrics::read(text.as_str().expect("counters are text"))
    }

    pub(super) fn controller_metrics(&self) -> Metrics {
        Metrics::read(&self.controller.ask("/metrics").expect("the controller answers"))
    }

    pub(super) fn controller_weight(&self) -> Weight {
        Weight::of(self.controller.process.id())
    }

    /// The kubeconfig of a node's agent.
    pub(super) fn agent_kubeconfig(&self, node: &Value) -> String {
        let bound = json!({"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"]});
        self.server.kubeconfig_with_token(&token(self.api(), "ostler-agent", &json!({"boundObjectRef": bound})))
    }

    /// Ends the controller as a pod's end does, and starts it anew; waits until it can answer.
    pub(super) fn restart_controller(&mut self) {
        self.controller.end();
        let Controller { webhook, health, .. } = self.controller;
        self.controller = Controller::start(&self.binary, self.folder.path(), webhook, health);
        self.wait("the controller can answer", || self.controller.ask("/readyz").is_some());
    }

    pub(super) fn wait_leading(&self) {
        self.wait("the controller leads", || {
            self.controller.ask("/readyz").is_some()
                && Metrics::read(&self.controller.ask("/metrics").unwrap_or_default())
                    .sum("ostler_controller_leads", &[])
                    > 0.0
        });
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(Instant::now() < end, "waited in vain until {what}:\n{}", self.controller_log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn controller_log(&self) -> String {
        fs::read_to_string(self.folder.path().join(Controller::LOG)).unwrap_or_default()
    }
}

/// Roles, policies, flow control, the webhook's configuration.
fn install(server: &ApiServer, folder: &Path) {
    let kubectl = |args: &[&str]| {
        let (code, text) = server.kubectl(args);
        assert_eq!(code, 0, "{text}");
    };
    kubectl(&["create", "namespace", NAMESPACE]);
    kubectl(&["apply", "--server-side", "-f", &charts().join("ostler-crds/templates").display().to_string()]);
    server.wait_established().unwrap();
    let chart = charts().join("ostler").display().to_string();
    let args = ["template", "ostler", &chart, "--namespace", NAMESPACE, "--kube-version", "1.36.4", "--no-hooks"];
    let (code, text) = server.helm(&args);
    assert_eq!(code, 0, "{text}");
    let is_meant = |text: &&str| !IN_PODS.iter().any(|kind| text.lines().any(|line| line == *kind));
    let documents: Vec<&str> = text.split("\n---\n").filter(is_meant).collect();
    let file = folder.join("chart.yaml");
    fs::write(&file, documents.join("\n---\n")).unwrap();
    kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]);
}

/// The one network of the fleet. The API server takes a moment to know whom it may trust.
fn make_network(api: &Api) {
    let network = json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Network", "metadata": {"name": "lan"},
        "spec": {"network": {"forward": {"mode": "nat"}, "ips": [{"address": "192.168.77.1", "prefix": 24}]}},
    });
    let end = Instant::now() + DEADLINE;
    while let Err(error) = api.create("/apis/ostler.dev/v1alpha1/namespaces/default/networks", &network) {
        assert!(error.to_string().contains("failed calling webhook") && Instant::now() < end, "{error}");
        std::thread::sleep(LOOK_EVERY);
    }
}

fn token(api: &Api, account: &str, spec: &Value) -> String {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token");
    let answer = api.create(&path, &json!({"spec": spec})).unwrap();
    answer["status"]["token"].as_str().expect("an answer has the token").to_owned()
}

/// The controller's process.
#[derive(Debug)]
struct Controller {
    process: Child,
    webhook: SocketAddr,
    health: SocketAddr,
}

impl Controller {
    const LOG: &'static str = "controller.log";

    fn start(binary: &str, folder: &Path, webhook: SocketAddr, health: SocketAddr) -> Self {
        let log = File::create(folder.join(Self::LOG)).unwrap();
        let mut command = Command::new(binary);
        command.args(["controller", "--namespace", NAMESPACE, "--webhook-name", "127.0.0.1", "--log", "warn"]);
        command.arg("--kubeconfig").arg(folder.join("controller.kubeconfig"));
        command.args(["--webhook-listen", &webhook.to_string(), "--listen", &health.to_string()]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Controller { process: with_us::start(&mut command).expect("the controller starts"), webhook, health }
    }

    /// What it answers where no TLS is needed; nothing unless it is as it should be.
    fn ask(&self, path: &str) -> Option<String> {
        ureq::get(format!("http://{}{path}", self.health)).call().ok()?.body_mut().read_to_string().ok()
    }

    fn end(&mut self) {
        // One that has ended by itself is no less over.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it listens"))
}
