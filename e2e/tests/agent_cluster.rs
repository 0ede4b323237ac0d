//! The agent of a real API server. The test plays the controller: it makes the Host and claims.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ostler_crds::{Kind, Object};
use ostler_e2e::apiserver::ApiServer;
use ostler_e2e::demo::{self, NETWORK, POOL, VOLUME};
use ostler_e2e::host::{DEADLINE, Host};
use ostler_e2e::relay::Relay;
use serde_json::{Value, json};

const API: &str = "/apis/ostler.dev/v1alpha1";

/// An API server that knows our kinds, and a host with an agent of it.
struct Place {
    server: ApiServer,
    host: Host,
    relay: Relay,
}

const NODE: &str = "node-a";

impl Place {
    fn new() -> Self {
        let server = ApiServer::start().unwrap();
        let place = {
            let host = Host::new(demo::binary());
            let relay = Relay::new(&host, address_of(&server));
            Place { server, host, relay }
        };
        for kind in Kind::ALL {
            place.make_crd(*kind);
        }
        place
    }

    fn make_crd(&self, kind: Kind) {
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.server.api().create(crds, &ostler_crds::crd(kind)).unwrap();
        let path = format!("{crds}/{}.ostler.dev", kind.plural());
        self.wait(&path, |crd| condition(crd, "Established").starts_with("True"));
    }

    fn start_agent(&mut self) {
        self.host.start_cluster_agent(&self.server.kubeconfig(), NODE);
    }

    /// The agent is at work, and its Host is there.
    fn begin(&mut self) {
        self.start_agent();
        self.make_host();
    }

    /// The Host, once its agent shows that it lives, as the controller makes it.
    fn make_host(&self) {
        self.wait(&format!("/apis/coordination.k8s.io/v1/namespaces/default/leases/ostler-host-{NODE}"), |lease| {
            lease["spec"]["leaseDurationSeconds"] == 90
        });
        let host = json!({ "apiVersion": "ostler.dev/v1alpha1", "kind": "Host", "metadata": { "name": NODE },
                "spec": { "allow": [{ "name": "hostpaths" }] } });
        self.server.api().create(&format!("{API}/hosts"), &host).unwrap();
        self.wait(&format!("{API}/hosts/{NODE}"), |host| condition(host, "Ready") == "True/Ready");
    }

    #[track_caller]
    fn wait(&self, path: &str, is_so: impl FnMut(&Value) -> bool) -> Value {
        self.server.api().wait(path, DEADLINE, is_so).unwrap_or_else(|error| {
            let log = self.host.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            panic!("{error:#}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
        })
    }

    fn apply(&self, text: &str) -> Value {
        let manifest = ostler_crds::manifest::read(text).unwrap().remove(0);
        let kind = manifest.object.kind();
        let path = format!("{API}/namespaces/default/{}", kind.plural());
        self.server.api().create(&path, &given(&manifest.object)).unwrap()
    }

    /// Finalizer and claim, as the controller sets them.
    fn claim(&self, plural: &str, name: &str, number: i64) {
        let path = path(plural, name);
        self.server.api().merge(&path, &json!({ "metadata": { "finalizers": ["ostler.dev/host"] } })).unwrap();
        let claim = json!({ "status": { "host": NODE, "claim": number } });
        self.server.api().merge(&format!("{path}/status"), &claim).unwrap();
    }

    fn wait_ready(&self, plural: &str, name: &str) -> Value {
        self.wait(&path(plural, name), |object| {
            condition(object, "Ready").starts_with("True")
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
    }

    /// The agent's writes so far, as `domains/hello`; Leases are left out.
    fn writes(&self) -> BTreeMap<String, usize> {
        let mut writes = BTreeMap::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for entry in self.server.audit() {
            let is_write = matches!(entry["verb"].as_str(), Some("create" | "update" | "patch" | "delete"));
            let resource = text(&entry["objectRef"]["resource"]);
            if is_write && text(&entry["userAgent"]).starts_with("ostler-agent/") && resource != "leases" {
                *writes.entry(format!("{resource}/{}", text(&entry["objectRef"]["name"]))).or_default() += 1;
            }
        }
        writes
    }

    /// How many watches of a kind the agent began.
    fn watches(&self, resource: &str) -> usize {
        let entries = self.server.audit();
        let is_watch = |entry: &&Value| {
            entry["verb"] == "watch"
                && entry["objectRef"]["resource"] == resource
                && entry["userAgent"].as_str().is_some_and(|agent| agent.starts_with("ostler-agent/"))
        };
        entries
            .iter()
            .filter(is_watch)
            .map(|entry| entry["auditID"].clone().to_string())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    }

    fn writes_of(&self, object: &str) -> usize {
        self.writes().get(object).copied().unwrap_or_default()
    }

    fn guest(&self) -> u32 {
        let guests = self.host.guests();
        assert_eq!(guests.len(), 1, "{}", self.host.log());
        guests[0]
    }

    /// Processes of this host's agent, by the binary that they run.
    fn agent(&self) -> u32 {
        let binary = std::fs::canonicalize(demo::binary()).unwrap();
        let state = self.host.path("s");
        let is_ours = |pid: &u32| {
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            program == binary && String::from_utf8_lossy(&environment).contains(&format!("={}", state.display()))
        };
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(is_ours).expect("an agent runs")
    }

    /// The host's first process: the child of what made its namespaces.
    fn first_process(&self) -> u32 {
        let parent = self.host.agent_pid();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The Lease was renewed: half a minute in which nothing happened has passed.
    fn wait_for_renewal(&self) {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/default/leases/ostler-host-{NODE}");
        let before = self.server.api().get(&path).unwrap()["spec"]["renewTime"].clone();
        self.wait(&path, |lease| lease["spec"]["renewTime"] != before);
    }
}

fn address_of(server: &ApiServer) -> SocketAddr {
    let config = std::fs::read_to_string(server.kubeconfig()).unwrap();
    let (_, rest) = config.split_once("https://").unwrap();
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}

fn given(object: &Object) -> Value {
    let mut value = object.to_value();
    value.as_object_mut().unwrap().remove("status");
    value
}

fn path(plural: &str, name: &str) -> String {
    format!("{API}/namespaces/default/{plural}/{name}")
}

/// A condition's status and reason, as `True/Ready`.
fn condition(object: &Value, type_: &str) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = conditions.iter().find(|condition| condition["type"] == type_);
    found.map(|condition| format!("{}/{}", text(&condition["status"]), text(&condition["reason"]))).unwrap_or_default()
}

/// A guest without anything to boot.
fn small(name: &str, more: &str) -> String {
    format!(
        "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {{name: {name}}}\nspec:\n  runStrategy: Always\n  \
         shutdown: {{timeout: 0s, force: true}}\n{more}  domain:\n    vcpu: {{count: 1}}\n    memory: {{size: 16Mi}}\n    \
         os: {{type: {{machine: q35}}}}\n"
    )
}

#[test]
fn a_guest_lives_by_the_api_server_and_outlives_it() {
    let mut place = Place::new();
    place.host.install_guest();
    place.begin();
    let text = demo::guest("")
        .replace("GUEST", &place.host.path("g").display().to_string())
        .replace("ROOT", &place.host.path("").display().to_string());
    // The domain first: what it refers to follows.
    for text in [text.as_str(), VOLUME, POOL, NETWORK] {
        place.apply(text);
    }
    // As the controller does: a definition goes when no host has it any more.
    for definition in [path("networks", "lan"), path("storagepools", "images")] {
        place.server.api().merge(&definition, &json!({ "metadata": { "finalizers": ["ostler.dev/host"] } })).unwrap();
    }
    place.claim("storagevolumes", "hello-data", 1);
    place.claim("domains", "hello", 1);
    let domain = place.wait_ready("domains", "hello");
    assert_eq!(condition(&domain, "Running"), "True/Booted");
    let writes = place.writes_of("domains/hello");
    assert!((1..=4).contains(&writes), "{writes} writes from apply to Running, beside the controller's two");
    let pid = place.guest();
    demo::wait_booted(&place.host);
    let domain = place.wait(&path("domains", "hello"), |domain| !domain["status"]["addresses"][0].is_null());
    let uuid = domain["status"]["resolved"]["uuid"].clone();

    // Others' status is theirs; how a network fares stands in the Host.
    place.wait(&format!("{API}/hosts/{NODE}"), |host| {
        let ready = |list: &Value| list.as_array().is_some_and(|list| list.len() == 1 && list[0]["ready"] == true);
        ready(&host["status"]["networks"]) && ready(&host["status"]["pools"])
    });
    assert_eq!((place.writes_of("networks/lan"), place.writes_of("storagepools/images")), (0, 0));
    let ours: Vec<&Value> = domain["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|manager| manager["manager"] == "ostler-agent")
        .collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    let fields: Vec<&String> = ours[0]["fieldsV1"]["f:status"].as_object().unwrap().keys().collect();
    assert!(!fields.iter().any(|field| ["f:host", "f:claim"].contains(&field.as_str())), "{fields:?}");

    // At rest nothing is written but the Lease.
    place.wait_for_renewal();
    let before = place.writes();
    place.wait_for_renewal();
    assert_eq!(place.writes(), before, "quiet at rest");

    // Neither the agent's death nor the server's absence is anything to the guest.
    let before = place.writes_of("domains/hello");
    place.host.kill_agent();
    place.relay.cut();
    place.start_agent();
    place.host.wait_for("the agent goes on by itself", |host| host.log().contains("going on from what this host kept"));
    place.host.wait_for("the domain was looked at", |host| {
        host.log().matches("reconciled object=Domain default/hello").count() > 1
    });
    place.relay.mend();
    place.wait_for_renewal();
    assert_eq!(place.guest(), pid);
    assert_eq!(place.writes_of("domains/hello"), before, "nothing flapped");

    // A host that lost its power while the server was out of reach brings its guest back.
    place.relay.cut();
    place.host.power_failure();
    let _ = std::fs::remove_file(place.host.path("console.log"));
    place.start_agent();
    demo::wait_booted(&place.host);
    let second = place.guest();
    assert_ne!(second, pid);
    place.relay.mend();
    place.wait_for_renewal();
    let domain = place.wait_ready("domains", "hello");
    assert_eq!((&domain["status"]["resolved"]["uuid"], place.guest()), (&uuid, second));

    // Deleted in any order, all goes, and nothing is left.
    for (plural, name) in
        [("storagevolumes", "hello-data"), ("networks", "lan"), ("storagepools", "images"), ("domains", "hello")]
    {
        place.server.api().delete(&path(plural, name)).unwrap();
    }
    for (plural, name) in [("domains", "hello"), ("storagevolumes", "hello-data")] {
        place.wait(&path(plural, name), Value::is_null);
    }
    for definition in [path("networks", "lan"), path("storagepools", "images")] {
        let deleted = place.server.api().get(&definition).unwrap();
        assert!(deleted["metadata"]["deletionTimestamp"].is_string(), "{deleted:#}");
    }
    place.host.wait_for("nothing is left", |host| host.leftovers().is_empty());
    place.wait(&format!("{API}/hosts/{NODE}"), |host| {
        host["status"]["networks"].is_null() && host["status"]["pools"].is_null() && host["status"]["orphans"].is_null()
    });
}

#[test]
fn what_is_not_a_deletion_that_was_meant_destroys_nothing() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    let first = place.wait_ready("domains", "web");
    let pid = place.guest();

    // A field that this agent doesn't know: nothing of the spec is applied, and the status says so.
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/domains.ostler.dev";
    let mut newer = place.server.api().get(crd).unwrap();
    newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["magic"] =
        json!({ "type": "boolean" });
    place.server.api().replace(crd, &newer).unwrap();
    place.apply(&small("other", ""));
    let magic = json!({ "spec": { "magic": true } });
    // The new schema takes a moment to hold: until then the field is dropped.
    place.wait(crd, |_| place.server.api().merge(&path("domains", "other"), &magic).unwrap()["spec"]["magic"] == true);
    // And a watch that was begun with the old one hides the field for as long as it lasts.
    let watches = place.watches("domains");
    place.relay.cut();
    place.relay.mend();
    place.wait(crd, |_| place.watches("domains") > watches);
    let edit = json!({ "spec": { "magic": true, "runStrategy": "Halted" } });
    place.server.api().merge(&path("domains", "web"), &edit).unwrap();
    let refused = place.wait(&path("domains", "web"), |domain| condition(domain, "Ready") == "False/AgentTooOld");
    assert!(condition(&refused, "Reconciling").starts_with("True"));
    assert_eq!(condition(&refused, "Running"), "True/Booted");
    assert_eq!(place.guest(), pid);
    place
        .server
        .api()
        .merge(&path("domains", "web"), &json!({ "spec": { "magic": null, "runStrategy": "Always" } }))
        .unwrap();
    let mended = place.wait_ready("domains", "web");
    assert_eq!(condition(&mended, "Reconciling"), "", "{mended:#}");

    // The controller did not hear of the agent for a while, or thought its host fenced: the agent takes its word back.
    for (status, reason) in [("Unknown", "HostUnreachable"), ("False", "HostFenced")] {
        let said = |type_: &str| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let status = json!({
            "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "metadata": { "name": "web" },
            "status": { "conditions": [said("Ready"), said("Running")] },
        });
        let query = "fieldManager=ostler-controller&force=true";
        place.server.api().apply(&format!("{}/status?{query}", path("domains", "web")), &status).unwrap();
        let back = place.wait(&path("domains", "web"), |domain| condition(domain, "Running").starts_with("True"));
        assert!(condition(&back, "Ready").starts_with("True"), "{back:#}");
    }

    // The claim is taken away: the guest goes on, and stands among the orphans.
    place
        .server
        .api()
        .merge(&format!("{}/status", path("domains", "web")), &json!({ "status": { "host": null } }))
        .unwrap();
    let host = place.wait(&format!("{API}/hosts/{NODE}"), |host| host["status"]["orphans"][0]["active"] == true);
    assert_eq!(host["status"]["orphans"][0]["object"], "default/web", "{:#}", host["status"]["orphans"]);
    assert_eq!(place.guest(), pid);
    place
        .server
        .api()
        .merge(&format!("{}/status", path("domains", "web")), &json!({ "status": { "host": NODE, "claim": 2 } }))
        .unwrap();
    place.wait(&format!("{API}/hosts/{NODE}"), |host| host["status"]["orphans"].is_null());
    let again = place.wait(&path("domains", "web"), |domain| domain["status"]["resolved"]["claim"] == 2);
    assert_eq!(again["status"]["resolved"]["uuid"], first["status"]["resolved"]["uuid"]);
    assert_eq!(place.guest(), pid);

    // The CRD goes, and all its objects with it: the guest stays, and can be taken back.
    place.server.api().delete(crd).unwrap();
    place.wait(crd, Value::is_null);
    place.wait(&format!("{API}/hosts/{NODE}"), |host| host["status"]["orphans"][0]["active"] == true);
    assert_eq!(place.guest(), pid);
    place.make_crd(Kind::Domain);
    let deadline = Instant::now() + DEADLINE;
    let adopting = small("web", "  adopt: Orphaned\n");
    let object = given(&ostler_crds::manifest::read(&adopting).unwrap()[0].object);
    while let Err(error) = place.server.api().create(&format!("{API}/namespaces/default/domains"), &object) {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
    place.claim("domains", "web", 1);
    let adopted = place.wait_ready("domains", "web");
    assert_ne!(adopted["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(adopted["status"]["resolved"]["uuid"], first["status"]["resolved"]["uuid"]);
    assert_eq!(place.guest(), pid);
}

#[test]
fn a_guest_that_may_run_elsewhere_is_not_started() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    place.wait_ready("domains", "web");

    // The host comes back with an empty disk.
    place.host.power_failure();
    std::fs::remove_dir_all(place.host.path("s")).unwrap();
    place.start_agent();
    let lost = place.wait(&path("domains", "web"), |domain| condition(domain, "Ready") == "False/RecordLost");
    assert_eq!(condition(&lost, "Running"), "Unknown/RecordLost");
    assert!(place.host.guests().is_empty());

    // Nobody has it: the controller says so by a newer claim.
    place
        .server
        .api()
        .merge(&format!("{}/status", path("domains", "web")), &json!({ "status": { "claim": 2 } }))
        .unwrap();
    place.wait_ready("domains", "web");
    place.guest();
}

#[test]
fn a_fenced_host_stops_its_guest_lists_it_and_leaves_it_to_its_new_holder() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    place.wait_ready("domains", "web");
    let host = format!("{API}/hosts/{NODE}");
    let fence =
        |fence: Value| place.server.api().merge(&format!("{host}/status"), &json!({"status": {"fence": fence}}));
    fence(json!({"id": "first", "reason": "Spec"})).unwrap();
    place.wait(&host, |host| host["status"]["halted"] == "first");
    assert!(place.host.guests().is_empty());
    let fenced = place.wait(&path("domains", "web"), |domain| condition(domain, "Ready") == "False/HostFenced");
    assert_eq!(condition(&fenced, "Running"), "False/HostFenced");

    // Another host has it now: what it was here is kept and told of.
    let status = format!("{}/status", path("domains", "web"));
    let claim = |host: &str, number: i64| json!({"status": {"host": host, "claim": number}});
    place.server.api().merge(&status, &claim("node-b", 2)).unwrap();
    let orphan = |host: &Value| {
        let orphan = &host["status"]["orphans"][0];
        (orphan["object"].clone(), orphan["active"].clone(), orphan["claim"].clone())
    };
    let listed = (json!("default/web"), json!(false), json!(1));
    place.wait(&host, |host| orphan(host) == listed);
    fence(Value::Null).unwrap();
    let back = place.wait(&host, |host| host["status"]["halted"].is_null());
    assert_eq!(orphan(&back), listed);
    assert!(place.host.guests().is_empty());

    // Under a claim that may have been the other's it starts nothing; a new one gives it back.
    place.server.api().merge(&status, &claim(NODE, 3)).unwrap();
    place.wait_ready("domains", "web");
    place.guest();
    place.wait(&host, |host| host["status"]["orphans"].is_null());
}

#[test]
fn what_others_made_of_its_conditions_keeps_no_status_from_being_written() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    place.wait_ready("domains", "web");
    let host = format!("{API}/hosts/{NODE}/status");
    let fence = |fence: Value| place.server.api().merge(&host, &json!({"status": {"fence": fence}})).unwrap();
    fence(json!({"id": "first", "reason": "Spec"}));
    place.wait(&path("domains", "web"), |domain| condition(domain, "Ready") == "False/HostFenced");
    fence(Value::Null);
    let waits = place.wait(&path("domains", "web"), |domain| condition(domain, "Ready") == "False/ClaimOutdated");
    assert!(condition(&waits, "Reconciling").starts_with("True"));
    // The controller says more of it: the conditions are the agent's still, but for their messages.
    let mut conditions = waits["status"]["conditions"].clone();
    for condition in conditions.as_array_mut().unwrap() {
        if condition["reason"] == "ClaimOutdated" {
            condition["message"] = "it waits until all hosts have told of their guests".into();
        }
    }
    let status = format!("{}/status?fieldManager=ostler-controller", path("domains", "web"));
    place.server.api().merge(&status, &json!({"status": {"conditions": conditions}})).unwrap();
    place.server.api().merge(&status, &json!({"status": {"claim": 2}})).unwrap();
    let back = place.wait_ready("domains", "web");
    assert_eq!(condition(&back, "Reconciling"), "", "{back:#}");
    assert!(condition(&back, "Running").starts_with("True"), "{back:#}");
}

#[test]
fn a_copy_is_stopped_when_its_host_hears_that_another_has_the_claim() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    let domain = place.wait_ready("domains", "web");
    let pid = place.guest();
    place.relay.cut();
    let status = format!("{}/status", path("domains", "web"));
    place.server.api().merge(&status, &json!({"status": {"host": "node-b", "claim": 2}})).unwrap();
    assert_eq!(place.guest(), pid, "nobody could tell it");
    place.relay.mend();
    let host = place.wait(&format!("{API}/hosts/{NODE}"), |host| host["status"]["orphans"][0]["active"] == false);
    assert_eq!(host["status"]["orphans"][0]["object"], "default/web");
    assert!(place.host.guests().is_empty());
    let uuid = domain["status"]["resolved"]["uuid"].as_str().unwrap();
    assert!(place.host.path(&format!("s/qemu/{uuid}.xml")).exists(), "what it was stays");
}

#[test]
fn a_guest_that_is_to_be_elsewhere_moves_out_when_it_is_halted() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    let domain = place.wait_ready("domains", "web");
    let uuid = domain["status"]["resolved"]["uuid"].as_str().unwrap();
    let pid = place.guest();
    let edit = |spec: Value| place.server.api().merge(&path("domains", "web"), &json!({ "spec": spec })).unwrap();
    edit(json!({"placement": {"host": "node-b"}}));
    let pending =
        place.wait(&path("domains", "web"), |domain| domain["status"]["pendingChanges"][0]["apply"] == "Move");
    assert_eq!(condition(&pending, "ConfigurationApplied"), "False/MovePending");
    assert_eq!(condition(&pending, "Ready"), "True/MovePending");
    assert_eq!(place.guest(), pid);
    edit(json!({"runStrategy": "Halted"}));
    let free = place.wait(&path("domains", "web"), |domain| domain["status"]["host"].is_null());
    assert_eq!((&free["status"]["claim"], &free["status"]["resolved"]["uuid"]), (&json!(1), &json!(uuid)));
    place.host.wait_for("nothing of it is left", |host| !host.path(&format!("s/qemu/{uuid}.xml")).exists());
    assert!(place.host.guests().is_empty());
    let host = place.server.api().get(&format!("{API}/hosts/{NODE}")).unwrap();
    assert!(host["status"]["orphans"].is_null(), "{:#}", host["status"]["orphans"]);
}

#[test]
fn an_operation_is_carried_out_once_and_cleaned_up() {
    let mut place = Place::new();
    place.begin();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    let before = place.wait_ready("domains", "web");
    let operation = "apiVersion: ostler.dev/v1alpha1\nkind: DomainOperation\nmetadata: {name: power-off}\nspec: {domain: web, verb: PowerOff, ttlSecondsAfterFinished: 0}\n";
    place.apply(operation);
    let claim = json!({ "status": { "host": NODE } });
    place.server.api().merge(&format!("{}/status", path("domainoperations", "power-off")), &claim).unwrap();
    place.wait(&path("domainoperations", "power-off"), Value::is_null);
    // It runs Always: so it is started again, perhaps before anybody saw it off.
    place.wait(&path("domains", "web"), |domain| {
        domain["status"]["run"]["startTime"] != before["status"]["run"]["startTime"]
            && condition(domain, "Running").starts_with("True")
    });
    let events = place.wait("/apis/events.k8s.io/v1/namespaces/default/events", |events| {
        events["items"].as_array().is_some_and(|events| events.iter().any(|event| event["reason"] == "PoweredOff"))
    });
    assert!(
        events["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["reason"] == "Started" && event["regarding"]["name"] == "web")
    );
}

#[test]
fn a_pods_agent_acts_on_its_host_and_its_guests_outlive_the_pod() {
    let mut place = Place::new();
    let api = place.server.api();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    api.create(accounts, &json!({ "metadata": { "name": "ostler-agent" } })).unwrap();
    let binding = json!({
        "metadata": { "name": "ostler-agent" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "ostler-agent", "namespace": "default" }],
    });
    api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).unwrap();
    let answer = api.create(&format!("{accounts}/ostler-agent/token"), &json!({ "spec": {} })).unwrap();
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("token"), answer["status"]["token"].as_str().unwrap()).unwrap();
    std::fs::write(credentials.path().join("namespace"), "default").unwrap();
    let pki = place.server.kubeconfig().parent().unwrap().join("ca.crt");
    std::fs::copy(pki, credentials.path().join("ca.crt")).unwrap();

    place.host.start_pod_agent(place.relay.address(), NODE, credentials.path());
    place.make_host();
    place.apply(&small("web", ""));
    place.claim("domains", "web", 1);
    place.wait_ready("domains", "web");
    let guest = place.guest();
    assert!(place.host.path("s/objects/domains/default/web.json").exists(), "the state is the host's");
    let mounts = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    let agent = place.agent();
    assert_eq!(mounts(agent), mounts(guest));
    assert_eq!(mounts(place.first_process()), mounts(guest));

    let killed = std::process::Command::new("kill").args(["-9", &agent.to_string()]).status().unwrap();
    assert!(killed.success());
    place.host.wait_for("the pod has ended", |host| host.log().contains("the pod has ended"));
    assert_eq!(place.guest(), guest);
}
