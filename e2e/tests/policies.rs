//! Who may write what, in a real API server with the chart's roles and policies.

use std::sync::OnceLock;
use std::time::Duration;

use ostler_e2e::apiserver::ApiServer;
use ostler_e2e::cluster::api::{Api, ApiError};
use serde_json::{Value, json};

#[path = "policies/grants.rs"]
mod grants;
#[path = "policies/stolen.rs"]
mod stolen;

const CHARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts");
const RELEASE_NAMESPACE: &str = "ostler-system";
const DEADLINE: Duration = Duration::from_secs(120);
const GROUP: &str = "/apis/ostler.dev/v1alpha1";

/// The chart's documents.
fn documents(server: &ApiServer, more: &[&str]) -> Vec<String> {
    let chart = format!("{CHARTS}/ostler");
    let mut args = vec!["template", "ostler", &chart, "--namespace", RELEASE_NAMESPACE, "--kube-version", "1.36.4"];
    args.extend(more);
    let (code, text) = server.helm(&args);
    assert_eq!(code, 0, "{text}");
    text.split("\n---\n").map(str::to_owned).collect()
}

fn kubectl(server: &ApiServer, args: &[&str]) {
    let (code, text) = server.kubectl(args);
    assert_eq!(code, 0, "{text}");
}

/// A server with the charts on it, but for the webhook, which nobody would answer, and with two nodes.
fn prepared() -> &'static ApiServer {
    static PREPARED: OnceLock<&ApiServer> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let server = ApiServer::shared();
        kubectl(server, &["create", "namespace", RELEASE_NAMESPACE]);
        let crds = format!("{CHARTS}/ostler-crds/templates");
        kubectl(server, &["apply", "--server-side", "-f", &crds]);
        server.wait_established().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chart.yaml");
        let text: Vec<String> = documents(server, &["--no-hooks"])
            .into_iter()
            .filter(|text| !text.contains("kind: ValidatingWebhookConfiguration"))
            .collect();
        std::fs::write(&file, text.join("\n---\n")).unwrap();
        kubectl(server, &["apply", "--server-side", "-f", &file.display().to_string()]);
        for node in ["node-a", "node-b"] {
            let node = json!({"metadata": {"name": node}});
            server.api().create("/api/v1/nodes", &node).unwrap();
        }
        for host in ["node-a", "node-b"] {
            let host =
                json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "Host", "metadata": {"name": host}, "spec": {}});
            server.api().create(&format!("{GROUP}/hosts"), &host).unwrap();
        }
        wait_for_policies(server);
        server
    })
}

/// A policy is in force a little after it was made, and Kubernetes' own roles take ours in a little after, too.
fn wait_for_policies(server: &ApiServer) {
    let policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
    let all = server.api().get(policies).unwrap();
    let ours = all["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap());
    for name in ours.filter(|name| name.starts_with("ostler-")) {
        let seen = |policy: &Value| policy["status"]["observedGeneration"] == policy["metadata"]["generation"];
        let policy = server.api().wait(&format!("{policies}/{name}"), DEADLINE, seen).unwrap();
        let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
        assert!(warnings.is_null(), "{name}: {warnings:#}");
    }
    let is_ours = |role: &Value| role["rules"].to_string().contains("ostler.dev");
    server.api().wait("/apis/rbac.authorization.k8s.io/v1/clusterroles/edit", DEADLINE, is_ours).unwrap();
    // Each policy is seen to refuse once; from then on it does. A dry run leaves nothing.
    let agent = agent(server, Some("node-a"));
    let lease = json!({"metadata": {"name": "another"}});
    until_refused("Lease", || agent.create(&format!("{}?dryRun=All", leases()), &lease));
    let status = json!({"status": {"cpus": 1}});
    until_refused("own host", || agent.merge(&format!("{GROUP}/hosts/node-b/status?dryRun=All"), &status));
    let namespace = server.namespace("ready");
    let tenant = tenant(server, &namespace);
    for (plural, kind, spec) in [
        ("domains", "Domain", json!({"domain": {"name": "x"}})),
        ("networks", "Network", json!({"network": {"name": "x"}})),
        ("storagepools", "StoragePool", json!({"pool": {"name": "x"}})),
        ("storagevolumes", "StorageVolume", json!({"pool": "p", "volume": {"name": "x"}})),
    ] {
        let object = object(kind, "ready", &spec);
        let path = format!("{}?dryRun=All", objects(&namespace, plural));
        until_refused("rawxml", || tenant.create(&path, &object));
    }
    let protected = json!({"domain": {}, "deletion": {"protect": true}});
    server.api().create(&objects(&namespace, "domains"), &object("Domain", "kept", &protected)).unwrap();
    until_refused("protect", || server.api().delete(&format!("{}/kept?dryRun=All", objects(&namespace, "domains"))));
    let kept = format!("{}/kept/status?dryRun=All", objects(&namespace, "domains"));
    let claim = json!({"status": {"host": "node-a", "claim": 1}});
    until_refused("controller's to give", || server.api().merge(&kept, &claim));
    let fence = json!({"status": {"fence": {"id": "1", "reason": "Spec"}}});
    until_refused("controller's to say", || {
        server.api().merge(&format!("{GROUP}/hosts/node-b/status?dryRun=All"), &fence)
    });
    let controller = controller(server);
    controller.merge(&kept.replace("?dryRun=All", ""), &claim).unwrap();
    let taken = json!({"status": {"host": "node-b", "claim": 2}});
    until_refused("with the label", || controller.merge(&kept, &taken));
    controller.merge(&format!("{}/kept", objects(&namespace, "domains")), &taken_over()).unwrap();
    until_refused("\"node-a\" is not", || controller.merge(&kept, &taken));
    let change = json!({"spec": {"runStrategy": "Halted"}});
    until_refused("users write a spec", || {
        controller.merge(&format!("{}/kept?dryRun=All", objects(&namespace, "domains")), &change)
    });
}

fn until_refused(word: &str, mut attempt: impl FnMut() -> Result<Value, ApiError>) {
    let deadline = std::time::Instant::now() + DEADLINE;
    loop {
        let seen = attempt().map_or_else(|error| format!("{error}"), |value| value.to_string());
        if seen.contains(word) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "no refusal with '{word}': {seen}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn leases() -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{RELEASE_NAMESPACE}/leases")
}

fn objects(namespace: &str, plural: &str) -> String {
    format!("{GROUP}/namespaces/{namespace}/{plural}")
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "ostler.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// An account of the chart, by a token that is bound to a node as a pod's is, or to none.
fn account(server: &ApiServer, name: &str, node: Option<&str>) -> Api {
    let bound = node.map(|node| {
        let found = server.api().get(&format!("/api/v1/nodes/{node}")).unwrap();
        json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": found["metadata"]["uid"]})
    });
    let spec = bound.map_or(json!({}), |bound| json!({"boundObjectRef": bound}));
    let path = format!("/api/v1/namespaces/{RELEASE_NAMESPACE}/serviceaccounts/{name}/token");
    let answer = server.api().create(&path, &json!({"spec": spec})).unwrap();
    server.api_with_token(answer["status"]["token"].as_str().unwrap()).unwrap()
}

fn agent(server: &ApiServer, node: Option<&str>) -> Api {
    account(server, "ostler-agent", node)
}

fn controller(server: &ApiServer) -> Api {
    account(server, "ostler-controller", None)
}

/// Somebody with Kubernetes' role `edit` in a namespace, and nothing else.
fn tenant(server: &ApiServer, namespace: &str) -> Api {
    let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    server.api().create(&account, &json!({"metadata": {"name": "tenant"}})).unwrap();
    bind(server, namespace, "edit");
    let answer = server.api().create(&format!("{account}/tenant/token"), &json!({"spec": {}})).unwrap();
    server.api_with_token(answer["status"]["token"].as_str().unwrap()).unwrap()
}

/// Gives the tenant a role in its namespace.
fn bind(server: &ApiServer, namespace: &str, role: &str) {
    let binding = json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": namespace}],
    });
    let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
    server.api().create(&path, &binding).unwrap();
}

/// What the controller says of a domain before it takes its claim from one host for another.
fn taken_over() -> Value {
    json!({"metadata": {"labels": {"ostler.dev/taken-over": "true"}}})
}

/// What the policies about fenced hosts say.
const FENCED: &str = "a claim is taken from a host that is fenced";

/// The attempt is refused, for a reason that has this word.
fn refused(result: Result<Value, ApiError>, word: &str) {
    let error = match result {
        Ok(value) => panic!("this must be refused ({word}): {value:#}"),
        Err(error) => error,
    };
    assert!(matches!(error.code(), 403 | 422) && error.to_string().contains(word), "'{word}' is not in: {error}");
}

/// As [`refused`], of an attempt that may take a claim from a host: two policies refuse that, and either may be asked first.
fn kept(result: Result<Value, ApiError>, word: &str) {
    let is_by_the_other = result.as_ref().is_err_and(|error| error.to_string().contains(FENCED));
    refused(result, if is_by_the_other { FENCED } else { word });
}

/// A domain that node-a holds.
fn held_domain(server: &ApiServer, namespace: &str, name: &str) -> String {
    let path = objects(namespace, "domains");
    let mut domain = object("Domain", name, &json!({"domain": {"memory": {"size": "64Mi"}}}));
    domain["metadata"]["finalizers"] = json!(["ostler.dev/host", "example.com/other"]);
    server.api().create(&path, &domain).unwrap();
    let at = format!("{path}/{name}");
    controller(server).merge(&format!("{at}/status"), &json!({"status": {"host": "node-a", "claim": 1}})).unwrap();
    at
}

#[test]
fn an_agent_reports_on_what_its_host_holds_and_on_nothing_else() {
    let server = prepared();
    let namespace = server.namespace("report");
    let [a, b, nobody] = [Some("node-a"), Some("node-b"), None].map(|node| agent(server, node));
    let domain = held_domain(server, &namespace, "web");
    let status = format!("{domain}/status");
    let running = json!({"status": {"phase": "Running"}});
    a.merge(&status, &running).unwrap();
    let applied = json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "status": {"observedGeneration": 1, "phase": "Running"}});
    a.apply(&format!("{status}?fieldManager=ostler-agent&force=true"), &applied).unwrap();
    refused(b.merge(&status, &running), "own host");
    refused(nobody.merge(&status, &running), "names none");
    for (plural, kind, spec) in [
        ("storagevolumes", "StorageVolume", json!({"pool": "p", "volume": {"capacity": "1Mi"}})),
        ("domainoperations", "DomainOperation", json!({"domain": "web", "verb": "Start"})),
    ] {
        let path = objects(&namespace, plural);
        server.api().create(&path, &object(kind, "one", &spec)).unwrap();
        let status = format!("{path}/one/status");
        // Nobody holds it yet.
        refused(a.merge(&status, &json!({"status": {"observedGeneration": 1}})), "own host");
        let controller = controller(server);
        controller
            .merge(&status, &json!({"status": {"host": "node-a"}}))
            .unwrap_or_else(|_| controller.merge(&status, &json!({"status": {"host": "node-a", "claim": 1}})).unwrap());
        a.merge(&status, &json!({"status": {"observedGeneration": 1}})).unwrap();
        refused(b.merge(&status, &json!({"status": {"observedGeneration": 1}})), "own host");
    }
    let hosts = format!("{GROUP}/hosts");
    a.merge(&format!("{hosts}/node-a/status"), &json!({"status": {"cpus": 2}})).unwrap();
    refused(a.merge(&format!("{hosts}/node-b/status"), &json!({"status": {"cpus": 2}})), "own host");
    let wanted = json!({"status": {"wanted": [{"kind": "Network", "namespace": "x", "object": "y"}]}});
    refused(a.merge(&format!("{hosts}/node-a/status"), &wanted), "controller's to say");
    let networks = objects(&namespace, "networks");
    server.api().create(&networks, &object("Network", "lan", &json!({"network": {}}))).unwrap();
    refused(a.merge(&format!("{networks}/lan/status"), &running), "forbidden");
}

#[test]
fn an_agent_gives_a_claim_back_and_takes_none() {
    let server = prepared();
    let namespace = server.namespace("claim");
    let a = agent(server, Some("node-a"));
    let status = format!("{}/status", held_domain(server, &namespace, "web"));
    refused(a.merge(&status, &json!({"status": {"claim": 2}})), "claim's number");
    kept(a.merge(&status, &json!({"status": {"host": "node-b", "claim": 2}})), "nobody else");
    a.merge(&status, &json!({"status": {"host": null}})).unwrap();
    refused(a.merge(&status, &json!({"status": {"host": "node-a", "claim": 2}})), "own host");
}

#[test]
fn a_claim_is_the_controllers_to_give_and_its_holders_to_give_back() {
    let server = prepared();
    let namespace = server.namespace("claims");
    let [a, b] = ["node-a", "node-b"].map(|node| agent(server, Some(node)));
    let controller = controller(server);
    let domain = held_domain(server, &namespace, "web");
    let status = format!("{domain}/status");
    let of = |status: Value| json!({"status": status});
    // Not even somebody who may do everything, and no agent for another.
    for change in [json!({"host": null}), json!({"host": "node-b", "claim": 2}), json!({"claim": 2})] {
        kept(server.api().merge(&status, &of(change.clone())), "controller's to give");
        kept(b.merge(&status, &of(change)), "own host");
    }
    refused(controller.merge(&status, &of(json!({"host": null}))), "only who holds one");
    // The API server itself: a claim of another host has a new number.
    refused(controller.merge(&status, &of(json!({"host": "node-b"}))), "higher number");
    refused(controller.merge(&status, &of(json!({"claim": 0}))), "never falls");
    // What the holder says of its claim nobody else does.
    let held = [
        json!({"claimAbove": 1}),
        json!({"claimConfirmed": "x"}),
        json!({"resolved": {"driver": "qemu", "uuid": "u", "name": "n", "claim": 1}}),
    ];
    for said in held {
        refused(controller.merge(&status, &of(said.clone())), "holder's to say");
        refused(server.api().merge(&status, &of(said.clone())), "holder's to say");
        a.merge(&status, &of(said)).unwrap();
    }
    // Given back, and given anew; then the first holder is nobody any more.
    a.merge(&status, &of(json!({"host": null}))).unwrap();
    controller.merge(&status, &of(json!({"host": "node-b", "claim": 2}))).unwrap();
    refused(a.merge(&status, &of(json!({"claimAbove": 2}))), "own host");
    controller.merge(&status, &of(json!({"claim": 3}))).unwrap();
    b.merge(&status, &of(json!({"host": null}))).unwrap();
    refused(b.merge(&status, &of(json!({"host": "node-b", "claim": 4}))), "own host");
    controller.merge(&status, &of(json!({"host": "node-a", "claim": 4}))).unwrap();
    // A version that was overtaken takes nothing: whoever decided by it decides anew.
    let read = server.api().get(&domain).unwrap();
    a.merge(&status, &of(json!({"claimConfirmed": "again"}))).unwrap();
    let late = json!({"metadata": {"resourceVersion": read["metadata"]["resourceVersion"]}, "status": {"claim": 5}});
    let error = controller.merge(&status, &late).unwrap_err();
    assert_eq!(error.code(), 409, "{error}");
}

#[test]
fn a_claim_is_taken_from_a_fenced_host_only() {
    let server = prepared();
    let namespace = server.namespace("taken");
    let controller = controller(server);
    let host = |name: &str| format!("{GROUP}/hosts/{name}");
    for name in ["cut-off", "off"] {
        let object =
            json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "Host", "metadata": {"name": name}, "spec": {}});
        server.api().create(&format!("{GROUP}/hosts"), &object).unwrap();
    }
    let path = objects(&namespace, "domains");
    let status = |name: &str| format!("{path}/{name}/status");
    let claim = |host: &str, number: i64| json!({"status": {"host": host, "claim": number}});
    for (name, holder) in [("web", "cut-off"), ("mail", "off")] {
        server.api().create(&path, &object("Domain", name, &json!({"domain": {}}))).unwrap();
        controller.merge(&status(name), &claim(holder, 1)).unwrap();
    }
    let fence = |fence: Value| json!({"status": {"fence": fence}});
    controller.merge(&format!("{}/status", host("off")), &fence(json!({"id": "1", "reason": "Spec"}))).unwrap();
    // A fence alone is not enough: only of a domain with this label are the Hosts looked at.
    for name in ["web", "mail"] {
        refused(controller.merge(&status(name), &claim("node-b", 2)), "with the label");
        let mut both = claim("node-b", 2);
        both["metadata"] = taken_over()["metadata"].clone();
        refused(controller.merge(&status(name), &both), "with the label");
        controller.merge(&format!("{path}/{name}"), &taken_over()).unwrap();
    }
    // The policy learns of it a moment later.
    let deadline = std::time::Instant::now() + DEADLINE;
    while let Err(error) = controller.merge(&status("mail"), &claim("node-b", 2)) {
        assert!(error.to_string().contains("is fenced") && std::time::Instant::now() < deadline, "{error}");
    }
    refused(controller.merge(&status("web"), &claim("node-b", 2)), "\"cut-off\" is not");
    // A new number for the holder takes nothing.
    controller.merge(&status("web"), &claim("cut-off", 2)).unwrap();
    // Whose agent says that it waits for a newer claim gives it away, but for a guest that runs there.
    let waits = |running: &str| {
        let running = json!({
            "type": "Running", "status": running, "reason": "r", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        json!({"status": {"claimAbove": 2, "conditions": [running]}})
    };
    server.api().create("/api/v1/nodes", &json!({"metadata": {"name": "cut-off"}})).unwrap();
    let holder = agent(server, Some("cut-off"));
    holder.merge(&status("web"), &waits("True")).unwrap();
    refused(controller.merge(&status("web"), &claim("node-b", 3)), "\"cut-off\" is not");
    holder.merge(&status("web"), &waits("Unknown")).unwrap();
    controller.merge(&format!("{}?dryRun=All", status("web")), &claim("node-b", 3)).unwrap();
    // What no Host stands for holds nothing.
    holder.merge(&status("web"), &waits("True")).unwrap();
    server.api().delete(&host("cut-off")).unwrap();
    let deadline = std::time::Instant::now() + DEADLINE;
    while let Err(error) = controller.merge(&status("web"), &claim("node-b", 3)) {
        assert!(error.to_string().contains("is fenced") && std::time::Instant::now() < deadline, "{error}");
    }
}

#[test]
fn a_fence_is_the_controllers_word_and_that_it_is_obeyed_the_agents() {
    let server = prepared();
    let a = agent(server, Some("node-a"));
    let controller = controller(server);
    let status = format!("{GROUP}/hosts/node-a/status");
    let dry = format!("{status}?dryRun=All");
    let of = |status: Value| json!({"status": status});
    for said in [json!({"fence": {"id": "1", "reason": "Spec"}}), json!({"asked": "now"})] {
        refused(a.merge(&status, &of(said.clone())), "controller's to say");
        refused(server.api().merge(&status, &of(said.clone())), "controller's to say");
        controller.merge(&dry, &of(said)).unwrap();
    }
    let orphan = json!({"name": "n", "uuid": "u", "driver": "qemu", "active": true});
    for said in [json!({"halted": "1"}), json!({"told": "now"}), json!({"orphans": [orphan]})] {
        refused(controller.merge(&status, &of(said.clone())), "agent's to say");
        refused(server.api().merge(&status, &of(said.clone())), "agent's to say");
        a.merge(&dry, &of(said)).unwrap();
    }
}

#[test]
fn an_agent_changes_nothing_of_a_users() {
    let server = prepared();
    let namespace = server.namespace("spec");
    let [a, b] = ["node-a", "node-b"].map(|node| agent(server, Some(node)));
    let domain = held_domain(server, &namespace, "web");
    refused(a.merge(&domain, &json!({"spec": {"runStrategy": "Halted"}})), "users write a spec");
    refused(a.merge(&domain, &json!({"metadata": {"labels": {"a": "b"}}})), "changes nothing else");
    refused(a.merge(&domain, &json!({"metadata": {"annotations": {"a": "b"}}})), "changes nothing else");
    refused(a.merge(&domain, &json!({"metadata": {"finalizers": ["ostler.dev/host"]}})), "changes nothing else");
    refused(a.merge(&domain, &json!({"metadata": {"finalizers": null}})), "changes nothing else");
    let mine_gone = json!({"metadata": {"finalizers": ["example.com/other"]}});
    refused(b.merge(&domain, &mine_gone), "own host");
    a.merge(&domain, &mine_gone).unwrap();
    refused(a.delete(&domain), "forbidden");
    refused(a.create(&objects(&namespace, "domains"), &object("Domain", "new", &json!({"domain": {}}))), "forbidden");
}

#[test]
fn an_agent_cleans_up_its_own_operations() {
    let server = prepared();
    let namespace = server.namespace("verbs");
    let [a, b] = ["node-a", "node-b"].map(|node| agent(server, Some(node)));
    let path = objects(&namespace, "domainoperations");
    server.api().create(&path, &object("DomainOperation", "one", &json!({"domain": "web", "verb": "Start"}))).unwrap();
    controller(server).merge(&format!("{path}/one/status"), &json!({"status": {"host": "node-a"}})).unwrap();
    refused(b.delete(&format!("{path}/one")), "own host");
    a.delete(&format!("{path}/one")).unwrap();
}

#[test]
fn an_agent_gives_no_sign_of_life_for_another() {
    let server = prepared();
    let a = agent(server, Some("node-a"));
    let lease = |name: &str| json!({"metadata": {"name": name}, "spec": {"holderIdentity": "x"}});
    a.create(&leases(), &lease("ostler-host-node-a")).unwrap();
    a.merge(&format!("{}/ostler-host-node-a", leases()), &json!({"spec": {"holderIdentity": "y"}})).unwrap();
    refused(a.create(&leases(), &lease("ostler-host-node-b")), "name of its node");
    refused(a.create(&leases(), &lease("ostler-controller")), "name of its node");
}

#[test]
fn an_agent_reads_no_secret() {
    let server = prepared();
    let a = agent(server, Some("node-a"));
    refused(a.get(&format!("/api/v1/namespaces/{RELEASE_NAMESPACE}/secrets")), "forbidden");
    refused(a.get("/api/v1/namespaces/kube-system/secrets"), "forbidden");
    a.get("/api/v1/namespaces/kube-system").unwrap();
    refused(a.get("/api/v1/namespaces/default"), "forbidden");
    a.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/domains.ostler.dev").unwrap();
}

#[test]
fn the_controller_places_and_changes_no_spec() {
    let server = prepared();
    let namespace = server.namespace("controller");
    let controller = controller(server);
    let path = objects(&namespace, "domains");
    server.api().create(&path, &object("Domain", "web", &json!({"domain": {"memory": {"size": "64Mi"}}}))).unwrap();
    controller.merge(&format!("{path}/web"), &json!({"metadata": {"finalizers": ["ostler.dev/host"]}})).unwrap();
    controller.merge(&format!("{path}/web/status"), &json!({"status": {"host": "node-a", "claim": 1}})).unwrap();
    refused(
        controller.merge(&format!("{path}/web"), &json!({"spec": {"runStrategy": "Halted"}})),
        "users write a spec",
    );
    refused(controller.get("/api/v1/namespaces/kube-system/secrets"), "forbidden");
    let other = format!("/api/v1/namespaces/{RELEASE_NAMESPACE}/secrets/other");
    refused(controller.merge(&other, &json!({"data": {}})), "forbidden");
    // What a domain refers to it reads by name.
    assert_eq!(controller.get(&other).unwrap_err().code(), 404);
}

#[test]
fn a_protected_domain_is_not_deleted() {
    let server = prepared();
    let namespace = server.namespace("protect");
    let path = objects(&namespace, "domains");
    let spec = json!({"domain": {}, "deletion": {"protect": true}});
    server.api().create(&path, &object("Domain", "kept", &spec)).unwrap();
    refused(server.api().delete(&format!("{path}/kept")), "forbids the deletion");
    refused(server.api().delete(&path), "forbids the deletion");
    server.api().merge(&format!("{path}/kept"), &json!({"spec": {"deletion": {"protect": false}}})).unwrap();
    server.api().delete(&format!("{path}/kept")).unwrap();
}

#[test]
fn the_chart_is_sound() {
    let server = prepared();
    for chart in ["ostler", "ostler-crds"] {
        let (code, text) = server.helm(&["lint", "--strict", &format!("{CHARTS}/{chart}")]);
        assert_eq!(code, 0, "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let dry_run = |name: &str, more: &[&str]| {
        // Prometheus' own kinds are not known to a bare server.
        let known = |text: &String| !text.contains("monitoring.coreos.com");
        let file = folder.path().join(name);
        let text: Vec<String> = documents(server, more).into_iter().filter(known).collect();
        std::fs::write(&file, text.join("\n---\n")).unwrap();
        let file = file.display().to_string();
        kubectl(
            server,
            &["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", &file],
        );
    };
    dry_run("usual.yaml", &[]);
    let all = "runtime.source=image,agent.exposeMetrics=true,monitoring.enabled=true,monitoring.dashboard.enabled=true,\
        agent.podAnnotations.a=b,controller.podAnnotations.a=b,imagePullSecrets[0].name=x,monitoring.labels.a=b";
    dry_run("all.yaml", &["--set", all]);
    dry_run(
        "one.yaml",
        &[
            "--set",
            "controller.replicas=1,policies.grants=false,policies.ownHost=false,aggregateRoles=false,flowControl.enabled=false",
        ],
    );
    let (code, text) = server.helm(&["template", "x", &format!("{CHARTS}/ostler"), "--set", "agnet.port=1"]);
    assert!(code != 0 && text.contains("agnet"), "a wrong value is told: {text}");
}

#[test]
fn every_value_is_described() {
    let described = std::fs::read_to_string(format!("{CHARTS}/../docs/install.md")).unwrap();
    let schema = std::fs::read_to_string(format!("{CHARTS}/ostler/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let values: Vec<String> =
        leaves(&schema, &schema, "").into_iter().filter(|name| !name.starts_with("global")).collect();
    assert!(values.len() > 30, "{values:?}");
    let missing: Vec<&String> = values.iter().filter(|name| !described.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The values that a schema of values allows.
fn leaves(root: &Value, schema: &Value, path: &str) -> Vec<String> {
    let schema = schema["$ref"].as_str().map_or(schema, |name| root.pointer(&name[1..]).unwrap());
    match schema["properties"].as_object() {
        Some(fields) => fields
            .iter()
            .flat_map(|(name, child)| {
                leaves(root, child, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") })
            })
            .collect(),
        None => vec![path.to_owned()],
    }
}

#[test]
fn the_dashboard_is_json() {
    let text = std::fs::read_to_string(format!("{CHARTS}/ostler/dashboards/ostler.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 6);
}
