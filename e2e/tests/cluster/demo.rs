//! The demo as it is: `kubectl apply`, `get`, `wait`, an edit, and the end of its namespace.

use ostler_e2e::kstatus::{Kstatus, kstatus};
use serde_json::{Value, json};

use crate::lab::{KINDS, condition, host_path, lab};

#[test]
fn the_demo_runs_as_it_is_and_its_namespace_ends_with_everything_in_it() {
    let lab = lab();
    let demo = lab.demo("demo");
    for (plural, name) in KINDS {
        let object = format!("{plural}.ostler.dev/{name}");
        lab.kubectl(&["wait", "-n", "demo", "--for=condition=Ready", "--timeout=60s", &object]);
    }
    let (node, pid) = demo.guest("hello");
    let domain = demo.get("domains", "hello");
    let address = domain["status"]["addresses"][0].as_str().unwrap();
    let (code, text) = node.run("ping", &["-c", "1", "-W", "10", address]).unwrap();
    assert_eq!(code, 0, "{text}");

    // What a person sees.
    let table = lab.kubectl(&["get", "dom", "-n", "demo", "--no-headers"]);
    let columns: Vec<&str> = table.split_whitespace().collect();
    assert_eq!(columns[..5], ["hello", node.name, "Running", address, "True"], "{table}");
    let story = lab.kubectl(&["describe", "dom", "-n", "demo", "hello"]);
    assert!(story.contains("placed on host") && story.contains("the guest was started"), "{story}");
    let explained = lab.kubectl(&["explain", "domain.spec.domain.devices.disks.source"]);
    assert!(explained.contains("volume"), "{explained}");

    // A change that needs a restart waits for one, and all that wait for Ready go on.
    demo.edit("domains", "hello", json!({"spec": {"disruption": {"restartApproval": "Manual"}}}));
    demo.edit("domains", "hello", json!({"spec": {"domain": {"memory": {"size": "192Mi"}}}}));
    let waiting = demo.wait("domains", "hello", |domain| condition(domain, "Ready").1 == "RestartPending");
    assert_eq!(kstatus(&waiting), Kstatus::Current, "{waiting:#}");
    assert_eq!(waiting["status"]["observedGeneration"], waiting["metadata"]["generation"]);
    assert_eq!(waiting["status"]["pendingChanges"][0]["apply"], "Restart", "{waiting:#}");
    lab.kubectl(&["wait", "-n", "demo", "--for=condition=Ready", "--timeout=60s", "domain/hello"]);
    assert_eq!(demo.guest("hello").1, pid);

    // The spec is the user's, all of it.
    for (plural, name) in KINDS {
        for manager in demo.get(plural, name)["metadata"]["managedFields"].as_array().unwrap() {
            let ours = manager["manager"].as_str().unwrap().starts_with("ostler-");
            assert!(!ours || manager["fieldsV1"]["f:spec"].is_null(), "{plural}/{name}: {manager:#}");
        }
    }

    // Everything at once, in any order.
    demo.end();
    for node in lab.cluster.nodes() {
        let lists = |host: &Value| ["networks", "pools", "orphans"].map(|list| host["status"][list].clone());
        lab.wait(&host_path(node.name), |host| lists(host).iter().all(Value::is_null));
        let (_, links) = node.run("ip", &["-o", "link"]).unwrap();
        assert!(!links.contains(": ob") && !links.contains(": ot"), "{links}");
    }
}
