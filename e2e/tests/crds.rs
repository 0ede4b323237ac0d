//! The custom resources, in a real API server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ostler_crds::{API_VERSION, Kind, crd};
use ostler_e2e::apiserver::ApiServer;
use ostler_e2e::kstatus::{Kstatus, kstatus};
use serde_json::{Value, json};

/// The templates of the chart, which are plain YAML.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ostler-crds");

/// A server that knows our kinds, and a namespace on it.
fn prepared() -> (&'static ApiServer, String) {
    let server = ApiServer::shared();
    let (code, text) =
        server.kubectl(&["apply", "--server-side", "--warnings-as-errors", "-f", &format!("{CHART}/templates")]);
    assert_eq!(code, 0, "{text}");
    Kind::ALL.iter().for_each(|kind| wait_until_established(server, *kind));
    (server, server.namespace("crds"))
}

fn wait_until_established(server: &ApiServer, kind: Kind) {
    // kubectl gives up on a CRD that has no status yet.
    let name = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.ostler.dev", kind.plural());
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_established(&server.api().get(&name).unwrap()) {
        assert!(Instant::now() < deadline, "{name} is not established");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Established" && c["status"] == "True"))
}

fn path(kind: Kind, namespace: &str) -> String {
    let plural = kind.plural();
    match kind.is_namespaced() {
        true => format!("/apis/{API_VERSION}/namespaces/{namespace}/{plural}"),
        false => format!("/apis/{API_VERSION}/{plural}"),
    }
}

/// The smallest that the schema takes.
fn smallest(kind: Kind, name: &str) -> Value {
    let spec = match kind {
        Kind::Host | Kind::StoragePool => json!({}),
        Kind::Network => json!({"network": {}}),
        Kind::StorageVolume => json!({"pool": "p", "volume": {"capacity": "1Gi"}}),
        Kind::Domain => json!({"domain": {"memory": {"size": "64Mi"}, "uuid": "6bd17bd1-9f2f-4b3c-8f2e-1de1d0a7b0a1"}}),
        Kind::DomainOperation => json!({"domain": "web", "verb": "Start"}),
    };
    json!({"apiVersion": API_VERSION, "kind": kind.name(), "metadata": {"name": name}, "spec": spec})
}

#[test]
fn every_definition_is_taken_without_a_warning() {
    let (server, _) = prepared();
    for kind in Kind::ALL {
        let file = format!("{CHART}/templates/{}.yaml", kind.plural());
        // Once more, as if it were new: what is there already would hide a warning.
        let (code, text) =
            server.kubectl(&["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "-f", &file]);
        assert_eq!(code, 0, "{text}");
        let name = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.ostler.dev", kind.plural());
        let found = server.api().get(&name).unwrap();
        let conditions = found["status"]["conditions"].as_array().unwrap();
        assert!(!conditions.iter().any(|c| c["type"] == "NonStructuralSchema" && c["status"] == "True"), "{found}");
    }
}

#[test]
fn a_fresh_object_does_not_look_ready() {
    let (server, namespace) = prepared();
    for kind in Kind::ALL {
        let made = server.api().create(&path(*kind, &namespace), &smallest(*kind, "fresh")).unwrap();
        assert_eq!(made["status"], json!({"observedGeneration": -1}), "{kind}");
        assert_eq!(kstatus(&made), Kstatus::InProgress, "{kind}");
    }
}

#[test]
fn a_host_finds_what_it_holds_by_a_field() {
    let (server, namespace) = prepared();
    for (name, host) in [("here", "node-a"), ("there", "node-b")] {
        let domains = path(Kind::Domain, &namespace);
        server.api().create(&domains, &smallest(Kind::Domain, name)).unwrap();
        let claim = json!({"status": {"host": host, "claim": 1}});
        server.api().merge(&format!("{domains}/{name}/status"), &claim).unwrap();
    }
    let found =
        server.api().get(&format!("{}?fieldSelector=status.host=node-a", path(Kind::Domain, &namespace))).unwrap();
    let names: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["here"]);
}

#[test]
fn a_null_field_is_an_absent_one() {
    let (server, namespace) = prepared();
    let mut object = smallest(Kind::Domain, "null");
    object["spec"]["placement"] = Value::Null;
    object["spec"]["runStrategy"] = Value::Null;
    object["spec"]["domain"]["cpu"] = Value::Null;
    let made = server.api().create(&path(Kind::Domain, &namespace), &object).unwrap();
    assert_eq!((&made["spec"]["placement"], &made["spec"]["domain"].get("cpu")), (&Value::Null, &None));
    assert_eq!(made["spec"]["runStrategy"], "Always");
}

#[test]
fn a_choice_changes_as_one() {
    let (server, namespace) = prepared();
    let disk = |source: Value| {
        let mut object = smallest(Kind::Domain, "choice");
        object["spec"]["domain"]["devices"] = json!({"disks": [{"name": "vda", "source": source}]});
        object
    };
    let at = |manager: &str| format!("{}/choice?fieldManager={manager}&force=true", path(Kind::Domain, &namespace));
    server.api().apply(&at("one"), &disk(json!({"file": {"file": "/a"}}))).unwrap();
    let volume = json!({"volume": {"pool": "p", "volume": "v"}});
    let made = server.api().apply(&at("two"), &disk(volume.clone())).unwrap();
    assert_eq!(made["spec"]["domain"]["devices"]["disks"][0]["source"], volume);
}

#[test]
fn explain_explains() {
    let (server, _) = prepared();
    for (field, word) in [
        ("domain.spec.domain.devices.disks.source", "What holds the data"),
        ("domain.spec.runStrategy", "When it runs"),
        ("storagevolume.spec.source.http.checksum.sha256", "64 hexadecimal digits"),
        ("host.status.orphans", "Guests that belong to no object"),
    ] {
        let (code, text) = server.kubectl(&["explain", field, "--api-version", API_VERSION]);
        assert!(code == 0 && text.contains(word), "{text}");
    }
}

#[test]
fn uninstalling_the_chart_keeps_the_definitions() {
    let (server, namespace) = prepared();
    let separate = ApiServer::start().unwrap();
    let (code, text) = separate.helm(&["upgrade", "--install", "ostler-crds", CHART, "--wait=watcher"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = separate.helm(&["uninstall", "ostler-crds"]);
    assert_eq!(code, 0, "{text}");
    let (_, text) = separate.kubectl(&["get", "crd", "-o", "name"]);
    assert_eq!(text.lines().count(), Kind::ALL.len(), "{text}");
    drop((server, namespace));
}

#[test]
fn guests_can_graduate_to_a_next_version() {
    let separate = ApiServer::start().unwrap();
    let mut definition = crd(Kind::Domain);
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    let mut next = versions[0].clone();
    next["name"] = json!("v1alpha2");
    next["storage"] = json!(false);
    versions.push(next);
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(file.path(), definition.to_string()).unwrap();
    // Both versions live in one object, which etcd takes up to a length.
    let (code, text) =
        separate.kubectl(&["apply", "--server-side", "--warnings-as-errors", "-f", file.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    wait_until_established(&separate, Kind::Domain);
    let namespace = separate.namespace("graduate");
    separate.api().create(&path(Kind::Domain, &namespace), &smallest(Kind::Domain, "web")).unwrap();
    let next = format!("/apis/ostler.dev/v1alpha2/namespaces/{namespace}/domains/web");
    let deadline = Instant::now() + Duration::from_secs(120);
    let found = loop {
        match separate.api().get(&next) {
            Ok(found) => break found,
            Err(error) => assert!(Instant::now() < deadline, "{error:#}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(found["apiVersion"], "ostler.dev/v1alpha2");
    assert_eq!(found["spec"]["runStrategy"], "Always");
}

/// One object, a change of its spec or status, and what is said of it.
struct Change {
    kind: Kind,
    /// Merged into the smallest object, before it is made.
    first: Value,
    /// Merged into it afterwards; null: making it is what is refused.
    then: Value,
    /// Written to the status at first.
    claim: Value,
}

#[test]
fn every_rule_refuses_what_it_is_there_for() {
    let (server, namespace) = prepared();
    let change = |kind, first, then| Change { kind, first, then, claim: Value::Null };
    let status =
        |kind, claim: Value, then: Value| Change { kind, first: json!({}), then: json!({"status": then}), claim };
    let named = |kind| change(kind, json!({"metadata": {"name": "a.dot"}}), Value::Null);
    let twice = json!({"spec": {"placement": {"host": "a", "hostSelector": {}}}});
    let mut cases: Vec<Change> =
        Kind::ALL.iter().filter(|kind| **kind != Kind::Host).map(|kind| named(*kind)).collect();
    for kind in [Kind::Domain, Kind::StorageVolume] {
        cases.push(change(kind, twice.clone(), Value::Null));
        cases.push(status(kind, json!({"host": "a", "claim": 2}), json!({"claim": 1})));
        cases.push(status(kind, json!({"host": "a", "claim": 2}), json!({"claim": null})));
        cases.push(status(kind, json!({"host": "a", "claim": 2}), json!({"host": "b"})));
        cases.push(status(kind, json!({"claim": 2}), json!({"host": "a"})));
    }
    cases.push(change(
        Kind::Domain,
        json!({}),
        json!({"spec": {"domain": {"uuid": "6bd17bd1-9f2f-4b3c-8f2e-1de1d0a7b0a2"}}}),
    ));
    cases.push(change(Kind::Domain, json!({}), json!({"spec": {"domain": {"uuid": null}}})));
    cases.push(change(Kind::DomainOperation, json!({}), json!({"spec": {"verb": "Reset"}})));
    cases.push(change(Kind::StoragePool, json!({}), json!({"spec": {"pool": {"target": {"path": "/b"}}}})));
    let volume = |first, then| change(Kind::StorageVolume, first, json!({"spec": then}));
    let itself = json!({"spec": {"source": {"backing": {"volume": "me"}}}, "metadata": {"name": "me"}});
    cases.push(change(Kind::StorageVolume, itself, Value::Null));
    cases.push(volume(json!({}), json!({"pool": "q"})));
    cases.push(volume(json!({}), json!({"source": {"empty": {}}})));
    cases.push(volume(json!({}), json!({"volume": {"target": {"format": {"type": "qcow2"}}}})));
    cases.push(volume(json!({}), json!({"volume": {"capacity": "1023Mi"}})));

    let mut not_tried: BTreeSet<(Kind, String)> = Kind::ALL.iter().flat_map(|kind| rules(*kind)).collect();
    for (number, Change { kind, first, then, claim }) in cases.into_iter().enumerate() {
        let name = format!("rule-{number}");
        let collection = path(kind, &namespace);
        let mut object = smallest(kind, &name);
        merge(&mut object, &first);
        let made = server.api().create(&collection, &object);
        let at = format!("{collection}/{name}");
        let refusal = if then.is_null() {
            made
        } else {
            made.unwrap();
            if !claim.is_null() {
                server.api().merge(&format!("{at}/status"), &json!({"status": claim})).unwrap();
            }
            let at = if then.get("status").is_some() { format!("{at}/status") } else { at };
            server.api().merge(&at, &then)
        };
        let refusal = refusal.expect_err(&format!("{kind} {first} {then}"));
        assert_eq!(refusal.code(), 422, "{refusal}");
        let said = refusal.to_string();
        let tried: Vec<_> =
            not_tried.iter().filter(|(k, message)| *k == kind && said.contains(message.as_str())).cloned().collect();
        for rule in tried {
            not_tried.remove(&rule);
        }
    }
    assert!(not_tried.is_empty(), "{not_tried:#?}");
}

#[test]
fn what_rules_allow_is_allowed() {
    let (server, namespace) = prepared();
    let domains = path(Kind::Domain, &namespace);
    let mut object = smallest(Kind::Domain, "free");
    object["spec"]["domain"].as_object_mut().unwrap().remove("uuid");
    server.api().create(&domains, &object).unwrap();
    let spec = |change: Value| server.api().merge(&format!("{domains}/free"), &json!({"spec": change})).unwrap();
    let status =
        |change: Value| server.api().merge(&format!("{domains}/free/status"), &json!({"status": change})).unwrap();
    spec(json!({"domain": {"uuid": "6bd17bd1-9f2f-4b3c-8f2e-1de1d0a7b0a1"}}));
    spec(json!({"domain": {"uuid": "6BD17BD1-9f2f-4b3c-8f2e-1de1d0a7b0a1"}}));
    status(json!({"host": "a", "claim": 1}));
    status(json!({"phase": "Running"}));
    status(json!({"host": null}));
    status(json!({"host": "b", "claim": 2}));
    status(json!({"claim": 3}));
    let volumes = path(Kind::StorageVolume, &namespace);
    server.api().create(&volumes, &smallest(Kind::StorageVolume, "free")).unwrap();
    let raw = json!({"spec": {"volume": {"capacity": "1.5Gi", "target": {"format": {"type": "raw"}}}}});
    server.api().merge(&format!("{volumes}/free"), &raw).unwrap();
    // A Host is called as its node, which may have dots.
    server.api().create(&path(Kind::Host, ""), &smallest(Kind::Host, "ip-10-0-0-1.eu.internal")).unwrap();
}

/// The messages of a kind's rules.
fn rules(kind: Kind) -> Vec<(Kind, String)> {
    fn walk(schema: &Value, found: &mut Vec<String>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            found.push(rule["message"].as_str().unwrap().to_owned());
        }
        for child in schema["properties"].as_object().into_iter().flat_map(|all| all.values()) {
            walk(child, found);
        }
    }
    let mut found = Vec::new();
    walk(&crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
    found.into_iter().map(|message| (kind, message)).collect()
}

fn merge(value: &mut Value, change: &Value) {
    match (value, change) {
        (Value::Object(object), Value::Object(change)) => {
            for (key, change) in change {
                merge(object.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}
