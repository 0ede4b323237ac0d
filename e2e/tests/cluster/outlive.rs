//! A guest's process outlives all that looks after it.

use std::time::{Duration, Instant};

use ostler_e2e::cluster::install::{Kind, NAMESPACE};
use ostler_e2e::cluster::node::Node;
use serde_json::{Value, json};

use crate::lab::{Lab, Space, condition, is_ready, lab, small};

/// The conditions with the times of their last change: what flapped shows.
fn conditions(demo: &Space<'_>) -> Vec<Value> {
    let mut all = demo.get("domains", "hello")["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.sort_by_key(|condition| condition["type"].to_string());
    all
}

/// The agents see what is asked of them from now on: an edit is taken up.
fn is_looked_after(demo: &Space<'_>, seconds: u32) {
    demo.edit("domains", "hello", json!({"spec": {"shutdown": {"timeout": format!("{seconds}s")}}}));
    demo.wait_demo();
}

/// kubectl's words for the agent's pod on a node.
fn agent_on(node: &Node) -> [String; 4] {
    let label = "app.kubernetes.io/component=agent".to_owned();
    ["-l".to_owned(), label, "--field-selector".to_owned(), format!("spec.nodeName={}", node.name)]
}

/// The same program as another image.
fn install_another(lab: &Lab) {
    let binary = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = std::fs::read(&lab.binary).unwrap();
    bytes.push(0);
    std::fs::write(binary.path(), bytes).unwrap();
    lab.cluster.install(binary.path(), Kind::Plain, &[], &|line| eprintln!("{line}")).unwrap();
}

#[test]
fn a_guests_process_outlives_agent_kubelet_api_server_and_charts() {
    let lab = lab();
    let demo = lab.demo("outlive");
    let (node, pid) = demo.guest("hello");
    let before = conditions(&demo);

    let [label, agents, field, on_node] = &agent_on(&node);
    lab.kubectl(&["-n", NAMESPACE, "delete", "pod", label, agents, field, on_node]);
    lab.wait_rolled_out();
    is_looked_after(&demo, 21);
    assert_eq!(demo.guest("hello").1, pid, "the agent's pod was deleted");

    install_another(&lab);
    is_looked_after(&demo, 22);
    assert_eq!(demo.guest("hello").1, pid, "the DaemonSet was rolled to another image");

    node.restart("kubelet").unwrap();
    lab.cluster.wait_ready(&node).unwrap();
    lab.wait_rolled_out();
    assert_eq!(demo.guest("hello").1, pid, "the kubelet was restarted");

    lab.cluster.stop_api_server().unwrap();
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(60) {
        assert_eq!(node.guests(), [pid], "the API server is down");
        std::thread::sleep(Duration::from_millis(500));
    }
    lab.cluster.start_api_server().unwrap();
    is_looked_after(&demo, 23);
    assert_eq!(demo.guest("hello").1, pid, "the API server was down");

    lab.kubectl(&["-n", NAMESPACE, "delete", "daemonset", "ostler-agent"]);
    lab.install(&[]);
    is_looked_after(&demo, 24);
    assert_eq!(demo.guest("hello").1, pid, "the DaemonSet was deleted and installed again");

    lab.helm(&["uninstall", "ostler", "-n", NAMESPACE, "--wait", "--timeout", "3m"]);
    lab.helm(&["uninstall", "ostler-crds", "-n", NAMESPACE, "--wait", "--timeout", "3m"]);
    assert_eq!(demo.guest("hello").1, pid, "the charts were uninstalled");
    assert!(is_ready(&demo.get("domains", "hello")), "the objects stay");
    lab.install(&[]);
    is_looked_after(&demo, 25);
    assert_eq!(demo.guest("hello").1, pid, "the charts were installed again");

    // Nothing flapped in all that: each condition says what it said, and since when.
    let strip = |mut all: Vec<Value>| {
        all.iter_mut().for_each(|condition| drop(condition["observedGeneration"].take()));
        all
    };
    assert_eq!(strip(conditions(&demo)), strip(before));
    demo.end();
}

#[test]
fn an_agent_that_is_rolled_back_leaves_a_guest_with_a_newer_field_as_it_is() {
    let lab = lab();
    let space = lab.space("rollback");
    space.create("domains", &small("web", json!({})));
    space.wait_ready("domains", "web");
    let (node, pid) = space.guest("web");

    // A newer release: its definitions, its webhook and its agent know a field that this one's don't.
    install_another(&lab);
    lab.kubectl(&["-n", NAMESPACE, "delete", "daemonset", "ostler-agent"]);
    lab.kubectl(&["delete", "validatingwebhookconfiguration", "ostler-validate"]);
    let magic = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/magic";
    let crd = |change: Value| {
        lab.kubectl(&["patch", "crd", "domains.ostler.dev", "--type=json", "-p", &change.to_string()]);
    };
    crd(json!([{"op": "add", "path": magic, "value": {"type": "boolean"}}]));
    // The new schema takes a moment to hold: until then the field is dropped.
    let newer = json!({"spec": {"magic": true, "runStrategy": "Halted"}});
    lab.wait_for("the newer definition holds", || {
        lab.accepted(|| lab.api().merge(&space.path("domains", "web"), &newer))["spec"]["magic"] == true
    });

    // Rolled back to this one; the definitions stay.
    lab.helm(&["rollback", "ostler", "-n", NAMESPACE, "--wait=watcher", "--timeout", "3m"]);
    lab.wait_rolled_out();
    let held = space.wait("domains", "web", |domain| condition(domain, "Ready").1 == "AgentTooOld");
    assert_eq!(condition(&held, "Reconciling").0, "True", "{held:#}");
    assert_eq!(condition(&held, "Running").0, "True", "{held:#}");
    assert_eq!(node.guests(), [pid], "its last definition goes on");

    space.edit("domains", "web", json!({"spec": {"magic": null, "runStrategy": "Always"}}));
    space.wait("domains", "web", |domain| is_ready(domain) && condition(domain, "Reconciling").0.is_empty());
    assert_eq!(node.guests(), [pid]);
    crd(json!([{"op": "remove", "path": magic}]));
    lab.wait_for("domains are served again", || lab.api().get(&space.path("domains", "")).is_ok());
    space.end();
}
