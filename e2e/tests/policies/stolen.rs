//! What a stolen token of one node's agent is good for: that node's own objects.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_stolen_token_of_one_node_reaches_nothing_of_another() {
    let server = prepared();
    let namespace = server.namespace("stolen");
    let thief = agent(server, Some("node-a"));
    let path = |plural: &str| objects(&namespace, plural);
    // What node-b holds.
    for (plural, kind, spec) in [
        ("domains", "Domain", json!({"domain": {"memory": {"size": "64Mi"}}})),
        ("storagevolumes", "StorageVolume", json!({"pool": "p", "volume": {"capacity": "1Mi"}})),
        ("domainoperations", "DomainOperation", json!({"domain": "theirs", "verb": "Start"})),
    ] {
        let mut theirs = object(kind, "theirs", &spec);
        theirs["metadata"]["finalizers"] = json!(["ostler.dev/host"]);
        server.api().create(&path(plural), &theirs).unwrap();
        let mut claim = json!({"status": {"host": "node-b", "claim": 1}});
        if plural == "domainoperations" {
            claim["status"].as_object_mut().unwrap().remove("claim");
        }
        controller(server).merge(&format!("{}/theirs/status", path(plural)), &claim).unwrap();
    }
    server.api().create(&path("networks"), &object("Network", "lan", &json!({"network": {}}))).unwrap();
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    server.api().create(&secrets, &json!({"metadata": {"name": "password"}, "stringData": {"a": "b"}})).unwrap();
    // A domain that nobody holds, and one that the thief's own node holds.
    server.api().create(&path("domains"), &object("Domain", "free", &json!({"domain": {}}))).unwrap();
    let own = held_domain(server, &namespace, "own");
    let system = format!("/api/v1/namespaces/{RELEASE_NAMESPACE}");
    let theirs = |plural: &str| format!("{}/theirs", path(plural));
    let status = json!({"status": {"observedGeneration": 1}});
    let no_finalizer = json!({"metadata": {"finalizers": null}});
    let allow = json!({"spec": {"allow": [{"name": "hostpaths"}]}});
    let lease = json!({"metadata": {"name": "ostler-host-node-b"}, "spec": {"holderIdentity": "x"}});
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"nodeName": "node-b", "containers": [{"name": "c", "image": "i"}]}});
    let policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/ostler-agent";
    let attempts: Vec<(&str, Result<Value, ApiError>)> = vec![
        ("a guest's status", thief.merge(&format!("{}/status", theirs("domains")), &status)),
        (
            "a guest's claim",
            thief.merge(&format!("{}/status", theirs("domains")), &json!({"status": {"host": "node-a", "claim": 2}})),
        ),
        (
            "a free guest's claim",
            thief
                .merge(&format!("{}/free/status", path("domains")), &json!({"status": {"host": "node-a", "claim": 1}})),
        ),
        ("to push its own guest over", thief.merge(&format!("{own}/status"), &json!({"status": {"host": "node-b"}}))),
        ("a guest's spec", thief.merge(&theirs("domains"), &json!({"spec": {"runStrategy": "Halted"}}))),
        ("a guest's finalizer", thief.merge(&theirs("domains"), &no_finalizer)),
        ("a guest's end", thief.delete(&theirs("domains"))),
        ("a new guest", thief.create(&path("domains"), &object("Domain", "new", &json!({"domain": {}})))),
        ("a volume's status", thief.merge(&format!("{}/status", theirs("storagevolumes")), &status)),
        ("a volume's finalizer", thief.merge(&theirs("storagevolumes"), &no_finalizer)),
        ("a volume's end", thief.delete(&theirs("storagevolumes"))),
        ("a verb's status", thief.merge(&format!("{}/status", theirs("domainoperations")), &status)),
        ("a verb's end", thief.delete(&theirs("domainoperations"))),
        ("a network's status", thief.merge(&format!("{}/lan/status", path("networks")), &status)),
        (
            "the other Host's status",
            thief.merge(&format!("{GROUP}/hosts/node-b/status"), &json!({"status": {"cpus": 1}})),
        ),
        ("what the other Host allows", thief.merge(&format!("{GROUP}/hosts/node-b"), &allow)),
        ("what its own Host allows", thief.merge(&format!("{GROUP}/hosts/node-a"), &allow)),
        ("a sign of life", thief.create(&leases(), &lease)),
        ("a guest's secret", thief.get(&format!("{secrets}/password"))),
        ("all secrets", thief.get("/api/v1/secrets")),
        ("the webhook's key", thief.get(&format!("{system}/secrets/ostler-webhook-tls"))),
        (
            "a token of the controller",
            thief.create(&format!("{system}/serviceaccounts/ostler-controller/token"), &json!({"spec": {}})),
        ),
        (
            "a token for the other node",
            thief.create(&format!("{system}/serviceaccounts/ostler-agent/token"), &json!({"spec": {}})),
        ),
        ("a pod on the other node", thief.create(&format!("{system}/pods"), &pod)),
        ("the policy that holds it", thief.delete(policies)),
    ];
    assert!(attempts.len() >= 10);
    for (what, result) in attempts {
        match result {
            Ok(value) => panic!("{what}: {value:#}"),
            Err(error) => assert!(matches!(error.code(), 403 | 422), "{what}: {error}"),
        }
    }
    // And it is good for its own.
    thief.merge(&format!("{own}/status"), &json!({"status": {"phase": "Running"}})).unwrap();
}

#[test]
fn a_token_of_no_node_is_good_for_nothing() {
    let server = prepared();
    let namespace = server.namespace("unbound");
    let nobody = agent(server, None);
    let own = held_domain(server, &namespace, "web");
    refused(nobody.merge(&format!("{own}/status"), &json!({"status": {"phase": "Running"}})), "names none");
    refused(nobody.merge(&format!("{GROUP}/hosts/node-a/status"), &json!({"status": {"cpus": 1}})), "names none");
}
