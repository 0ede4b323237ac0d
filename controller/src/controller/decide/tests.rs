use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use ostler_crds::{Kind, Object, ObjectRef};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::controller::placement;
use crate::controller::world::{self, Node};
use crate::controller::writes::{FINALIZER, Step, TAKEN_OVER};

mod claims;

/// The leader's term.
const TERM: &str = "first";

/// A cluster that carries out what is decided, as the API server would.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) world: World,
    objects: BTreeMap<ObjectRef, Value>,
    verdict: Verdict,
    memory: Memory,
    now: Duration,
    version: u64,
    allowance: usize,
    pub(crate) writes: usize,
    pub(crate) told: Vec<String>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let mut cluster = Cluster { allowance: 20, ..Cluster::default() };
        // What comes later was not there when the term began.
        cluster.decide();
        cluster
    }

    /// An object as a user or an agent writes it.
    pub(crate) fn put(&mut self, object: Value) {
        let kind = Kind::from_name(object["kind"].as_str().unwrap()).unwrap();
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = ObjectRef::new(kind, text("namespace"), text("name"));
        self.version += 1;
        let mut stored = object;
        stored["metadata"]["resourceVersion"] = self.version.to_string().into();
        if stored["metadata"]["generation"].is_null() {
            stored["metadata"]["generation"] = 1.into();
        }
        let parsed = Object::from_value(kind, &stored).unwrap_or_else(|error| panic!("{key}: {error}"));
        self.world.cache(kind).insert(key.clone(), self.version, Arc::new(parsed));
        self.objects.insert(key, stored);
    }

    fn drop_object(&mut self, key: &ObjectRef) {
        self.objects.remove(key);
        self.world.cache(key.kind).remove(key);
    }

    /// Changes an object by a merge patch.
    fn patch(&mut self, key: &ObjectRef, patch: &Value) {
        let mut object = self.objects[key].clone();
        merge(&mut object, patch);
        let meta = &object["metadata"];
        let is_held = meta["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if !meta["deletionTimestamp"].is_null() && !is_held {
            self.drop_object(key);
        } else {
            self.put(object);
        }
    }

    fn delete(&mut self, kind: Kind, name: &str) {
        let patch = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        self.patch(&key(kind, name), &patch);
    }

    fn node(&mut self, name: &str, memory_mib: i64) {
        let node: core::Node = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"node": name}},
            "status": {"allocatable": {"cpu": "4", "memory": format!("{memory_mib}Mi")}},
        }))
        .unwrap();
        self.version += 1;
        self.world.nodes.insert(name.into(), self.version, Node::from(node));
        self.world.agents.insert(name.into(), self.version, self.version);
    }

    fn change_node(&mut self, name: &str, change: impl Fn(&Node) -> Node) {
        let node = change(self.world.nodes.get(&name.to_owned()).unwrap());
        self.version += 1;
        self.world.nodes.insert(name.into(), self.version, node);
    }

    /// A node whose agent has reported.
    fn host(&mut self, name: &str, memory_mib: i64) {
        self.node(name, memory_mib);
        self.put(json!({"apiVersion": "ostler.dev/v1alpha1", "kind": "Host", "metadata": {"name": name}, "spec": {}, "status": {
            "drivers": ["qemu"], "conditions": [ready("True")]}}));
    }

    /// An agent is not heard any more.
    fn silence(&mut self, name: &str) {
        self.verdict.unreachable.insert(name.to_owned());
        self.verdict.silent.insert(name.to_owned());
    }

    fn decide(&mut self) -> Decision {
        let circumstances = Circumstances {
            verdict: &self.verdict,
            now: self.now,
            term: TERM,
            allowance: self.allowance,
            vcpus_per_cpu: 10,
        };
        decide(&self.world, &circumstances, &mut self.memory)
    }

    /// Carries out what is decided until nothing is; gives in how many rounds.
    pub(crate) fn settle(&mut self) -> usize {
        for round in 0..20 {
            // Whoever waits has waited.
            self.decide();
            self.now += PATIENCE;
            let Decision { writes, .. } = self.decide();
            if writes.is_empty() {
                return round;
            }
            for host in writes.hosts {
                self.writes += 1;
                self.put(json!({"kind": "Host", "metadata": {"name": host}, "spec": {}}));
            }
            for (key, change) in writes.changes {
                assert_eq!(self.objects[&key]["metadata"]["resourceVersion"], change.version, "{key}");
                for step in change.steps {
                    self.writes += 1;
                    let mut patch = step.patch("");
                    patch["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                    self.patch(&key, &patch);
                }
                self.told.extend(change.notes.into_iter().map(|note| format!("{key}: {}", note.message)));
            }
        }
        panic!("it does not settle");
    }

    fn get(&self, kind: Kind, name: &str) -> &Value {
        &self.objects[&key(kind, name)]
    }

    fn host_of(&self, kind: Kind, name: &str) -> Option<&str> {
        self.get(kind, name)["status"]["host"].as_str()
    }

    fn condition(&self, kind: Kind, name: &str, type_: &str) -> (String, String, String) {
        let conditions = self.get(kind, name)["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    fn check_ready(&self, kind: Kind, name: &str, expected: (&str, &str, &str)) {
        let (status, reason, message) = self.condition(kind, name, "Ready");
        assert_eq!((status.as_str(), reason.as_str(), message.as_str()), expected, "{kind} {name}");
    }
}

fn key(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, if kind.is_namespaced() { "default" } else { "" }, name)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            value => merge(&mut target[key], value),
        }
    }
}

fn ready(status: &str) -> Value {
    json!({"type": "Ready", "status": status, "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1})
}

pub(crate) fn domain(name: &str, memory_mib: i64, disks: &[(&str, &str)], networks: &[&str]) -> Value {
    let disks: Vec<Value> = disks
        .iter()
        .enumerate()
        .map(|(at, (pool, volume))| {
            let target = format!("vd{}", (b'a' + at as u8) as char);
            json!({"name": target, "target": {"bus": "virtio"}, "source": {"volume": {"pool": pool, "volume": volume}}})
        })
        .collect();
    let interfaces: Vec<Value> = networks
        .iter()
        .enumerate()
        .map(|(at, network)| json!({"name": format!("eth{at}"), "source": {"network": {"network": network}}}))
        .collect();
    json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
        "spec": {"domain": {
            "memory": {"size": format!("{memory_mib}Mi")}, "os": {"type": {}},
            "devices": {"disks": disks, "interfaces": interfaces}}},
    })
}

fn network(name: &str, selector: Option<Value>) -> Value {
    json!({"kind": "Network", "metadata": {"name": name, "namespace": "default"}, "spec": {"hostSelector": selector, "network": {}}})
}

fn pool(name: &str, shared: bool) -> Value {
    json!({"kind": "StoragePool", "metadata": {"name": name, "namespace": "default"}, "spec": {"shared": shared}})
}

fn volume(name: &str, pool: &str, spec: Value) -> Value {
    let mut volume = json!({"kind": "StorageVolume", "metadata": {"name": name, "namespace": "default"},
        "spec": {"pool": pool, "volume": {"capacity": "1Mi"}}});
    merge(&mut volume["spec"], &spec);
    volume
}

/// The agent of `host` tells how a definition fares there.
fn outcome(cluster: &mut Cluster, host: &str, list: &str, name: &str, ready: bool, message: &str) {
    let outcome = json!([{"name": format!("default/{name}"), "observedGeneration": 1, "ready": ready,
        "reason": if ready { "Ready" } else { "Conflict" }, "message": message}]);
    cluster.patch(&key(Kind::Host, host), &json!({"status": {list: outcome}}));
}

#[test]
fn a_node_with_an_agent_gets_a_host_and_one_without_does_not() {
    let mut cluster = Cluster::new();
    cluster.node("a", 1024);
    cluster.node("b", 1024);
    cluster.world.agents.remove(&"b".to_owned());
    cluster.settle();
    assert_eq!(cluster.world.hosts().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_domain_is_claimed_once_with_a_finalizer_before_and_told_of_once() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(domain("web", 256, &[], &[]));
    cluster.settle();
    let object = cluster.get(Kind::Domain, "web");
    assert_eq!(object["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!((&object["status"]["host"], &object["status"]["claim"]), (&json!("a"), &json!(1)));
    cluster.check_ready(Kind::Domain, "web", ("Unknown", "Claimed", "claimed for host a, whose agent takes it up"));
    assert_eq!(
        (cluster.writes, cluster.told.as_slice()),
        (2, &["Domain default/web: placed on host a".to_owned()][..])
    );
}

#[test]
fn a_claim_given_back_is_numbered_on() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(domain("web", 256, &[], &[]));
    cluster.settle();
    cluster.patch(&key(Kind::Domain, "web"), &json!({"status": {"host": ""}}));
    cluster.settle();
    assert_eq!(cluster.get(Kind::Domain, "web")["status"]["claim"], 2);
}

#[test]
fn two_go_to_two_hosts_when_one_is_full_and_a_third_waits_and_says_why() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    cluster.host("b", 300);
    for name in ["one", "two", "three"] {
        cluster.put(domain(name, 256, &[], &[]));
    }
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::Domain, "one"), Some("a"));
    assert_eq!(cluster.host_of(Kind::Domain, "three"), Some("b"));
    let why = "no host of 2 can take it: 2 without enough free memory";
    cluster.check_ready(Kind::Domain, "two", ("False", "Unschedulable", why));
    // A third host comes.
    cluster.host("c", 300);
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::Domain, "two"), Some("c"));
    assert_eq!(cluster.condition(Kind::Domain, "two", "Reconciling").0, "");
}

#[test]
fn pods_and_the_reserve_take_room() {
    let mut cluster = Cluster::new();
    cluster.host("a", 400);
    let pod: core::Pod =
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"nodeName": "a", "containers": [
        {"name": "c", "resources": {"requests": {"memory": "100Mi"}}}]}}))
        .unwrap();
    cluster.world.pods.insert(("x".into(), "p".into()), 1, pod.into());
    cluster.patch(&key(Kind::Host, "a"), &json!({"spec": {"reserve": {"memory": "50Mi"}}}));
    cluster.put(domain("large", 251, &[], &[]));
    cluster.put(domain("small", 250, &[], &[]));
    cluster.settle();
    assert_eq!((cluster.host_of(Kind::Domain, "large"), cluster.host_of(Kind::Domain, "small")), (None, Some("a")));
}

#[test]
fn where_the_guests_share_is_booked_it_is_all_that_they_have() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    let room = |mib: i64| placement::Room { cpu_milli: 1_000, memory_bytes: mib << 20 };
    let mut pod = |name: &str, mib: i64, is_placeholder: bool| {
        let pod = world::Pod { node: "a".into(), requests: room(mib), is_placeholder };
        cluster.world.pods.insert(("x".into(), name.into()), 1, pod);
    };
    pod("placeholder", 512, true);
    pod("other", 256, false);
    cluster.put(domain("large", 513, &[], &[]));
    cluster.put(domain("small", 512, &[], &[]));
    cluster.settle();
    assert_eq!((cluster.host_of(Kind::Domain, "large"), cluster.host_of(Kind::Domain, "small")), (None, Some("a")));
}

#[test]
fn a_host_that_is_not_ready_silent_cordoned_or_closed_takes_nothing() {
    let cordoned = |node: &Node| Node { cordoned: true, ..node.clone() };
    let tainted = |node: &Node| Node { taints: vec!["gpu".into()], ..node.clone() };
    type Close<'a> = &'a dyn Fn(&mut Cluster);
    let closing: [(&str, Close<'_>); 8] = [
        ("cordoned", &|c| c.change_node("a", cordoned)),
        ("tainted gpu", &|c| c.change_node("a", tainted)),
        ("not ready", &|c| c.patch(&key(Kind::Host, "a"), &json!({"status": {"conditions": [ready("False")]}}))),
        ("in maintenance", &|c| c.patch(&key(Kind::Host, "a"), &json!({"spec": {"maintenance": true}}))),
        ("closed by its Host's spec.unschedulable", &|c| {
            c.patch(&key(Kind::Host, "a"), &json!({"spec": {"unschedulable": true}}))
        }),
        ("fenced", &|c| c.patch(&key(Kind::Host, "a"), &json!({"spec": {"fenced": true}}))),
        ("unreachable", &|c| c.verdict.unreachable.extend(["a".to_owned()])),
        ("without a Node", &|c| c.world.nodes.remove(&"a".into())),
    ];
    for (why, close) in closing {
        let mut cluster = Cluster::new();
        cluster.host("a", 1024);
        close(&mut cluster);
        cluster.put(domain("web", 256, &[], &[]));
        cluster.settle();
        cluster.check_ready(
            Kind::Domain,
            "web",
            ("False", "Unschedulable", &format!("no host of 1 can take it: 1 {why}")),
        );
    }
}

#[test]
fn a_volume_binds_to_its_first_users_host_with_what_it_stands_on_and_the_next_user_follows() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.host("b", 2048);
    cluster.put(pool("p", false));
    cluster.put(volume("base", "p", json!({})));
    cluster.put(volume("root", "p", json!({"source": {"backing": {"volume": "base"}}})));
    cluster.settle();
    let waiting = ("True", "WaitingForFirstUse", "it is made on the host of its first user");
    cluster.check_ready(Kind::StorageVolume, "root", waiting);
    cluster.put(domain("one", 1500, &[("p", "root")], &[]));
    cluster.settle();
    for name in ["root", "base"] {
        assert_eq!(cluster.host_of(Kind::StorageVolume, name), Some("b"), "{name}");
        assert_eq!(cluster.condition(Kind::StorageVolume, name, "Ready").1, "Claimed");
    }
    // The other host has more room now, but not the volume.
    cluster.put(domain("two", 100, &[("p", "base")], &[]));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::Domain, "two"), Some("b"));
}

#[test]
fn a_volume_in_a_shared_pool_keeps_nobody() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    cluster.host("b", 300);
    cluster.put(pool("p", true));
    cluster.put(volume("data", "p", json!({})));
    for name in ["one", "two"] {
        cluster.put(domain(name, 256, &[("p", "data")], &[]));
    }
    cluster.settle();
    assert_eq!((cluster.host_of(Kind::Domain, "one"), cluster.host_of(Kind::Domain, "two")), (Some("a"), Some("b")));
}

#[test]
fn a_volume_with_a_host_of_its_own_goes_there_and_its_user_follows() {
    let mut cluster = Cluster::new();
    cluster.host("a", 400);
    cluster.host("b", 1024);
    cluster.put(pool("p", false));
    cluster.put(volume("data", "p", json!({"placement": {"host": "a"}})));
    cluster.put(volume("picky", "p", json!({"placement": {"hostSelector": {"matchLabels": {"node": "a"}}}})));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::StorageVolume, "data"), Some("a"));
    assert_eq!(cluster.host_of(Kind::StorageVolume, "picky"), None);
    cluster.put(domain("one", 256, &[("p", "data")], &[]));
    cluster.put(domain("two", 100, &[("p", "picky")], &[]));
    cluster.settle();
    assert_eq!((cluster.host_of(Kind::Domain, "one"), cluster.host_of(Kind::Domain, "two")), (Some("a"), Some("a")));
}

#[test]
fn a_domain_waits_for_volumes_that_do_not_exist_yet() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(domain("web", 256, &[("p", "root")], &[]));
    cluster.settle();
    cluster.check_ready(Kind::Domain, "web", ("False", "Missing", "StorageVolume default/root does not exist"));
    cluster.put(volume("root", "p", json!({})));
    cluster.settle();
    cluster.check_ready(Kind::Domain, "web", ("False", "Missing", "StoragePool default/p does not exist"));
    cluster.put(pool("p", false));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::Domain, "web"), Some("a"));
}

#[test]
fn what_is_applied_together_is_told_of_once() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(domain("web", 256, &[("p", "root")], &[]));
    let first = cluster.decide();
    assert!(first.writes.changes.is_empty() && first.again == Some(PATIENCE), "{:?}", first.writes);
    cluster.now += PATIENCE / 2;
    cluster.put(pool("p", false));
    cluster.put(volume("root", "p", json!({})));
    let second = cluster.decide();
    assert_eq!(second.writes.changes[&key(Kind::Domain, "web")].steps.len(), 2, "finalizer and claim");
}

#[test]
fn a_verb_goes_where_its_domain_is() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(json!({"kind": "DomainOperation", "metadata": {"name": "op", "namespace": "default"}, "spec": {"domain": "web", "verb": "Start"}}));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::DomainOperation, "op"), None);
    cluster.put(domain("web", 256, &[], &[]));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::DomainOperation, "op"), Some("a"));
}

#[test]
fn what_was_never_claimed_goes_and_what_is_claimed_is_left_to_its_agent() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    for name in ["one", "two"] {
        let mut domain = domain(name, 256, &[], &[]);
        domain["metadata"]["finalizers"] = json!([FINALIZER]);
        cluster.put(domain);
    }
    cluster.settle();
    cluster.delete(Kind::Domain, "one");
    cluster.delete(Kind::Domain, "two");
    cluster.settle();
    assert!(cluster.objects.contains_key(&key(Kind::Domain, "one")), "its agent ends it");
    assert!(!cluster.objects.contains_key(&key(Kind::Domain, "two")));
    // A person says that nothing runs there any more.
    cluster.patch(&key(Kind::Host, "a"), &json!({"spec": {"fenced": true}}));
    cluster.settle();
    assert!(cluster.objects.contains_key(&key(Kind::Domain, "one")), "its agent still speaks");
    cluster.silence("a");
    cluster.settle();
    assert!(!cluster.objects.contains_key(&key(Kind::Domain, "one")));
}

#[test]
fn networks_are_summed_up_over_their_hosts() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    cluster.host("b", 300);
    cluster.put(network("lan", None));
    cluster.settle();
    let unused = ("True", "WaitingForFirstUse", "nothing that uses it is placed on any host");
    cluster.check_ready(Kind::Network, "lan", unused);
    for name in ["one", "two"] {
        cluster.put(domain(name, 256, &[], &["lan"]));
    }
    cluster.settle();
    let silent = ("False", "Reconciling", "on 0 of 2 hosts; a: its agent has not told of it yet");
    cluster.check_ready(Kind::Network, "lan", silent);
    outcome(&mut cluster, "a", "networks", "lan", true, "");
    outcome(&mut cluster, "b", "networks", "lan", false, "the subnet is routed already");
    cluster.settle();
    cluster.check_ready(
        Kind::Network,
        "lan",
        ("False", "Conflict", "on 1 of 2 hosts; b: the subnet is routed already"),
    );
    outcome(&mut cluster, "b", "networks", "lan", true, "");
    cluster.settle();
    cluster.check_ready(Kind::Network, "lan", ("True", "Ready", "carried out on hosts a, b"));
    assert_eq!(cluster.get(Kind::Network, "lan")["status"]["hosts"], json!({"desired": 2, "ready": 2}));
}

#[test]
fn an_outcome_of_an_older_generation_is_not_ready() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    cluster.put(network("lan", Some(json!({}))));
    outcome(&mut cluster, "a", "networks", "lan", true, "");
    cluster.settle();
    assert_eq!(cluster.condition(Kind::Network, "lan", "Ready").0, "True");
    cluster.patch(&key(Kind::Network, "lan"), &json!({"metadata": {"generation": 2}}));
    cluster.settle();
    let status = &cluster.get(Kind::Network, "lan")["status"];
    assert_eq!((&status["observedGeneration"], &status["hosts"]), (&json!(2), &json!({"desired": 1, "ready": 0})));
}

#[test]
fn a_definition_that_selects_hosts_is_wanted_there() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    cluster.host("b", 300);
    cluster.put(network("everywhere", Some(json!({}))));
    cluster.put(network("on-b", Some(json!({"matchLabels": {"node": "b"}}))));
    cluster.settle();
    let wanted = |cluster: &Cluster, host: &str| -> Vec<String> {
        let list = cluster.get(Kind::Host, host)["status"]["wanted"].as_array().cloned().unwrap_or_default();
        list.iter().map(|item| item["object"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (wanted(&cluster, "a"), wanted(&cluster, "b")),
        (vec!["everywhere".into()], vec!["everywhere".into(), "on-b".into()])
    );
    cluster.delete(Kind::Network, "everywhere");
    cluster.settle();
    assert_eq!(wanted(&cluster, "a"), Vec::<String>::new());
}

#[test]
fn what_is_used_stays_until_its_last_user_and_its_hosts_have_let_go() {
    let mut cluster = Cluster::new();
    cluster.host("a", 300);
    cluster.put(network("lan", None));
    cluster.put(domain("web", 256, &[], &["lan"]));
    cluster.settle();
    outcome(&mut cluster, "a", "networks", "lan", true, "");
    cluster.delete(Kind::Network, "lan");
    cluster.settle();
    cluster.check_ready(Kind::Network, "lan", ("False", "InUse", "used by Domain default/web"));
    cluster.drop_object(&key(Kind::Domain, "web"));
    cluster.settle();
    cluster.check_ready(Kind::Network, "lan", ("False", "Deleting", "it is taken down on host a"));
    cluster.patch(&key(Kind::Host, "a"), &json!({"status": {"networks": []}}));
    cluster.settle();
    assert!(!cluster.objects.contains_key(&key(Kind::Network, "lan")));
}

#[test]
fn only_ready_and_running_of_a_silent_hosts_domains_turn_unknown_and_not_all_at_once() {
    let mut cluster = Cluster::new();
    cluster.host("a", 100_000);
    for at in 0..30 {
        let mut domain = domain(&format!("d{at}"), 1, &[], &[]);
        let of = |type_: &str| {
            let mut condition = ready("True");
            condition["type"] = type_.into();
            condition
        };
        domain["status"] =
            json!({"host": "a", "claim": 1, "conditions": [of("Ready"), of("Running"), of("VolumesReady")]});
        cluster.put(domain);
    }
    cluster.settle();
    cluster.verdict.unreachable.insert("a".into());
    assert_eq!(cluster.decide().marked, 20);
    cluster.allowance = 0;
    let none_left = cluster.decide();
    assert_eq!((none_left.marked, none_left.again), (0, Some(Duration::from_secs(1))));
    cluster.allowance = 20;
    cluster.settle();
    for (type_, expected) in [("Ready", "Unknown"), ("Running", "Unknown"), ("VolumesReady", "True")] {
        assert_eq!(cluster.condition(Kind::Domain, "d29", type_).0, expected, "{type_}");
    }
    cluster.check_ready(
        Kind::Host,
        "a",
        ("Unknown", "HostUnreachable", "the agent of host a is silent: this was True when it spoke last"),
    );
    // The claim stays: unreachable is not fenced.
    assert_eq!(cluster.host_of(Kind::Domain, "d29"), Some("a"));
}

#[test]
fn a_network_tells_which_namespaces_it_picks_and_nobody_else_keeps_it() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    for (name, team) in [("default", "a"), ("shop", "a"), ("lab", "b")] {
        let labels = [("team".to_owned(), team.to_owned())].into();
        cluster.world.namespaces.insert(name.into(), 1, labels);
    }
    let mut lan = network("lan", None);
    lan["spec"]["usableFrom"] = json!({"namespaceSelector": {"matchLabels": {"team": "a"}}});
    cluster.put(lan);
    cluster.put(network("private", None));
    for namespace in ["shop", "lab"] {
        let mut user = domain("web", 64, &[], &["default/lan", "default/private"]);
        user["metadata"]["namespace"] = namespace.into();
        cluster.put(user);
    }
    cluster.settle();
    assert_eq!(cluster.get(Kind::Network, "lan")["status"]["usableFrom"], json!(["shop"]));
    assert_eq!(cluster.get(Kind::Network, "private")["status"]["usableFrom"], Value::Null);
    assert_eq!(cluster.get(Kind::Network, "lan")["status"]["hosts"]["desired"], 1);
    assert_eq!(cluster.get(Kind::Network, "private")["status"]["hosts"]["desired"], 0);
    // Its owner is not kept from deleting what another refers to without leave.
    cluster.delete(Kind::Network, "private");
    cluster.settle();
    assert!(cluster.world.get(&key(Kind::Network, "private")).is_none());
    cluster.world.namespaces.insert("shop".into(), 2, BTreeMap::new());
    cluster.settle();
    assert_eq!(cluster.get(Kind::Network, "lan")["status"]["usableFrom"], json!([]));
    assert_eq!(cluster.get(Kind::Network, "lan")["status"]["hosts"]["desired"], 0);
}

#[test]
fn a_guest_waits_for_a_host_that_allows_what_it_and_its_pool_reach() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    let mut images = pool("images", false);
    images["spec"]["pool"] = json!({"target": {"path": "/srv/images"}});
    cluster.put(images);
    cluster.put(volume("root", "images", json!({})));
    cluster.put(domain("web", 64, &[("images", "root")], &[]));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::Domain, "web"), None);
    let (_, reason, message) = cluster.condition(Kind::Domain, "web", "Ready");
    assert!(reason == "Unschedulable" && message.contains("spec.allow does not list 'hostpaths'"), "{message}");
    let allow = json!([{"name": "hostpaths", "namespaces": ["default"]}]);
    cluster.patch(&key(Kind::Host, "a"), &json!({"status": {"allow": allow}}));
    cluster.settle();
    assert_eq!(cluster.host_of(Kind::Domain, "web"), Some("a"));
}

#[derive(Clone, Debug)]
enum Happens {
    Domain { name: u8, memory: i64, volume: Option<u8>, network: bool },
    Volume { name: u8, shared: bool, host: Option<u8> },
    Host { name: u8, memory: i64 },
    Delete { kind: Kind, name: u8 },
    Silent(u8),
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..4_u8, 1..400_i64, prop::option::of(0..3_u8), any::<bool>())
            .prop_map(|(name, memory, volume, network)| Happens::Domain { name, memory, volume, network }),
        2 => (0..3_u8, any::<bool>(), prop::option::of(0..3_u8)).prop_map(|(name, shared, host)| Happens::Volume { name, shared, host }),
        2 => (0..3_u8, 1..1000_i64).prop_map(|(name, memory)| Happens::Host { name, memory }),
        1 => (prop::sample::select(vec![Kind::Domain, Kind::StorageVolume, Kind::Network, Kind::StoragePool]), 0..4_u8)
            .prop_map(|(kind, name)| Happens::Delete { kind, name }),
        1 => (0..3_u8).prop_map(Happens::Silent),
    ]
}

impl Cluster {
    fn happen(&mut self, happens: &Happens) {
        let exists = |cluster: &Cluster, kind: Kind, name: &str| cluster.objects.contains_key(&key(kind, name));
        match happens {
            Happens::Domain { name, memory, volume, network } => {
                let name = format!("d{name}");
                if !exists(self, Kind::Domain, &name) {
                    let volume = volume.map(|volume| format!("v{volume}"));
                    let disks: Vec<(&str, &str)> = volume.iter().map(|volume| ("p1", volume.as_str())).collect();
                    self.put(domain(&name, *memory, &disks, if *network { &["n0"] } else { &[] }));
                }
            }
            Happens::Volume { name, shared, host } => {
                let (name, pool_name) = (format!("v{name}"), if *shared { "p0" } else { "p1" });
                if !exists(self, Kind::StorageVolume, &name) {
                    let placement = host.map(|host| json!({"placement": {"host": format!("h{host}")}}));
                    self.put(volume(&name, pool_name, placement.unwrap_or(json!({}))));
                }
                for (pool_name, shared) in [("p0", true), ("p1", false)] {
                    if !exists(self, Kind::StoragePool, pool_name) {
                        self.put(pool(pool_name, shared));
                    }
                }
                if !exists(self, Kind::Network, "n0") {
                    self.put(network("n0", None));
                }
            }
            Happens::Host { name, memory } => {
                let name = format!("h{name}");
                if !exists(self, Kind::Host, &name) {
                    self.host(&name, *memory);
                }
            }
            Happens::Delete { kind, name } => {
                let letter = match kind {
                    Kind::Domain => "d",
                    Kind::StorageVolume => "v",
                    Kind::Network => "n",
                    _ => "p",
                };
                let name = format!("{letter}{name}");
                if exists(self, *kind, &name) {
                    self.delete(*kind, &name);
                }
            }
            Happens::Silent(name) => self.silence(&format!("h{name}")),
        }
    }

    fn claims(&self) -> BTreeMap<ObjectRef, (String, i64)> {
        let claim = |(key, object): (&ObjectRef, &Value)| {
            let status = &object["status"];
            Some((key.clone(), (status["host"].as_str()?.to_owned(), status["claim"].as_i64()?)))
        };
        self.objects.iter().filter(|(key, _)| key.kind != Kind::DomainOperation).filter_map(claim).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_it_settles_no_claim_is_changed_and_no_host_is_overfilled(story in prop::collection::vec(anything(), 1..25)) {
        let mut cluster = Cluster::new();
        for happens in &story {
            cluster.happen(happens);
            let before = cluster.claims();
            cluster.settle();
            let after = cluster.claims();
            for (key, claim) in &before {
                prop_assert!(after.get(key).is_none_or(|now| now == claim), "{} {:?}", key, claim);
            }
            for (name, _) in cluster.world.hosts() {
                let used: i64 = cluster
                    .world
                    .domains()
                    .filter(|(_, domain)| domain.status.as_ref().and_then(|status| status.host.as_deref()) == Some(name))
                    .map(|(_, domain)| domain.spec.domain.memory_kib() as i64 * 1024)
                    .sum();
                prop_assert!(used <= cluster.world.nodes.get(&name.to_owned()).unwrap().allocatable.memory_bytes);
            }
            // A guest and its volumes in a pool that is not shared are on one host.
            for (key, (host, _)) in after.iter().filter(|(key, _)| key.kind == Kind::Domain) {
                let object = cluster.world.get(key).unwrap();
                for volume in Uses::of(&cluster.world).volumes(object) {
                    let is_local = cluster.objects.get(&volume).is_some_and(|volume| volume["spec"]["pool"] == "p1");
                    if let Some((there, _)) = after.get(&volume).filter(|_| is_local) {
                        prop_assert_eq!(there, host);
                    }
                }
            }
        }
    }
}
