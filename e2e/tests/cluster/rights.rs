//! Rights by the API server's own record: nothing is asked that is refused, and nothing is allowed that is never asked.

use std::collections::BTreeSet;

use ostler_e2e::cluster::install::NAMESPACE;
use serde_json::{Value, json};

use crate::lab::{Lab, lab, small};

/// Ours.
const ACCOUNTS: [&str; 2] = ["ostler-agent", "ostler-controller"];

/// What is acted upon (API group, resource with subresource), and how.
type Right = (String, String, BTreeSet<String>);

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the rules of an account's roles allow, one entry for each resource of each rule.
fn allowed(lab: &Lab, account: &str) -> Vec<Right> {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let roles = [format!("{rbac}/clusterroles/{account}"), format!("{rbac}/namespaces/{NAMESPACE}/roles/{account}")];
    let rules = roles.iter().flat_map(|role| lab.api().get(role).unwrap()["rules"].as_array().cloned().unwrap());
    let of_rule = |rule: Value| {
        let list = |field: &str| -> Vec<String> { rule[field].as_array().into_iter().flatten().map(text).collect() };
        let (groups, resources, verbs) = (list("apiGroups"), list("resources"), list("verbs"));
        let right = |resource| (groups[0].clone(), resource, verbs.iter().cloned().collect());
        resources.into_iter().map(right).collect::<Vec<Right>>()
    };
    rules.flat_map(of_rule).collect()
}

/// What an account asked for so far.
fn asked(lab: &Lab, account: &str) -> Vec<Value> {
    let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
    let is_ours = |entry: &Value| entry["user"]["username"] == user.as_str() && entry["objectRef"].is_object();
    lab.cluster.audit().into_iter().filter(is_ours).collect()
}

/// Whether a right was missing to one of these pods; those that an uninstallation ended had lost theirs before.
fn is_forbidden(entry: &Value, pods: &[&Value]) -> bool {
    let status = &entry["responseStatus"];
    // To tell of a guest's end in a namespace that ends takes more than a right.
    let is_for_the_end = text(&status["message"]).ends_with("because it is being terminated");
    let pod = &entry["user"]["extra"]["authentication.kubernetes.io/pod-name"][0];
    status["code"] == 403 && !is_for_the_end && pods.contains(&pod)
}

fn uses(entry: &Value, (group, resource, verbs): &Right) -> bool {
    let of = &entry["objectRef"];
    let parts = [text(&of["resource"]), text(&of["subresource"])].into_iter().filter(|part| !part.is_empty());
    text(&of["apiGroup"]) == *group
        && parts.collect::<Vec<_>>().join("/") == *resource
        && verbs.contains(&text(&entry["verb"]))
}

#[test]
fn no_request_of_ours_is_forbidden_and_no_right_of_ours_is_unused() {
    let lab = lab();
    // A whole life, with a verb that is cleaned up, and a wait that the controller tells of.
    let demo = lab.demo("rights");
    let operation = json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "DomainOperation", "metadata": {"name": "pause"},
        "spec": {"domain": "hello", "verb": "Suspend", "ttlSecondsAfterFinished": 0},
    });
    demo.create("domainoperations", &operation);
    demo.wait("domainoperations", "pause", Value::is_null);
    demo.create("domains", &small("nowhere", json!({"placement": {"host": "node-z"}})));
    demo.wait("domains", "nowhere", |domain| crate::lab::condition(domain, "Ready").1 == "Unschedulable");
    // A host learns what it must carry out.
    let picked = json!({"hostSelector": {"matchLabels": {"kubernetes.io/hostname": "node-a"}}, "network": {}});
    let network =
        json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "Network", "metadata": {"name": "picked"}, "spec": picked});
    demo.create("networks", &network);
    demo.wait("networks", "picked", |network| network["status"]["hosts"] == json!({"desired": 1, "ready": 1}));
    // A screen's password, which the agent is handed by the controller.
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"screen": "hunter2"}});
    lab.api().create(&format!("/api/v1/namespaces/{}/secrets", demo.name), &secret).unwrap();
    let passwd = json!({"valueFrom": {"secretKeyRef": {"name": "web", "key": "screen"}}});
    let mut shown = small("shown", json!({}));
    shown["spec"]["domain"]["devices"]["graphics"] = json!([{"name": "screen", "kind": {"vnc": {"passwd": passwd}}}]);
    demo.create("domains", &shown);
    demo.wait_ready("domains", "shown");
    demo.end();
    let pods = lab.api().get(&format!("/api/v1/namespaces/{NAMESPACE}/pods")).unwrap();
    let pods: Vec<&Value> = pods["items"].as_array().unwrap().iter().map(|pod| &pod["metadata"]["name"]).collect();
    for account in ACCOUNTS {
        let asked = asked(&lab, account);
        let refused = asked.iter().find(|entry| is_forbidden(entry, &pods));
        assert!(refused.is_none(), "{account} was forbidden: {:#}", refused.unwrap());
        let is_unused = |right: &Right| !asked.iter().any(|entry| uses(entry, right));
        let unused: Vec<Right> = allowed(&lab, account).into_iter().filter(is_unused).collect();
        assert_eq!(unused, [], "{account} may, and never does");
    }
}
