//! What the controller knows of the cluster: the newest version of each object, with nothing in it that no decision needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use ostler_crds::{Domain, Host, Kind, Object, ObjectRef};

use super::placement::Room;
use super::quantity::{thousandths, units};
use super::quota::Limits;

/// Objects of one kind of watch, by name.
#[derive(Debug)]
pub struct Cache<K, V> {
    items: BTreeMap<K, (u64, V)>,
    /// While all are listed anew: those that were listed so far.
    listed: Option<BTreeSet<K>>,
    complete: bool,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Cache { items: BTreeMap::new(), listed: None, complete: false }
    }
}

impl<K: Ord + Clone, V> Cache<K, V> {
    /// A listing of all begins.
    pub fn begin(&mut self) {
        self.listed = Some(BTreeSet::new());
    }

    /// The listing is whole: what was not in it is gone, and returned.
    pub fn finish(&mut self) -> Vec<K> {
        self.complete = true;
        let Some(listed) = self.listed.take() else { return Vec::new() };
        let gone: Vec<K> = self.items.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        for key in &gone {
            self.items.remove(key);
        }
        gone
    }

    /// An object as the watch tells of it; gives whether anything about it is new. An older version than the known one is
    /// what we have overtaken by a write, except in a listing of all: the server may have come back from a backup.
    pub fn insert(&mut self, key: K, version: u64, value: V) -> bool
    where
        V: PartialEq,
    {
        if let Some(listed) = &mut self.listed {
            listed.insert(key.clone());
        }
        match self.items.get(&key) {
            Some((known, _)) if *known == version => false,
            Some((known, _)) if *known > version && self.listed.is_none() => false,
            Some((known, old)) if *known < version && *old == value => false,
            _ => {
                self.items.insert(key, (version, value));
                true
            }
        }
    }

    /// Whether all are being listed.
    pub fn is_listing(&self) -> bool {
        self.listed.is_some()
    }

    /// The version of an object.
    pub fn version_of(&self, key: &K) -> Option<u64> {
        self.items.get(key).map(|(version, _)| *version)
    }

    /// An object as a write's answer tells of it: never one that the watch knows to be gone.
    pub fn update(&mut self, key: &K, version: u64, value: V) {
        if let Some(item) = self.items.get_mut(key).filter(|(known, _)| *known < version) {
            *item = (version, value);
        }
    }

    /// An object is gone.
    pub fn remove(&mut self, key: &K) {
        self.items.remove(key);
    }

    /// An object.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.items.get(key).map(|(_, value)| value)
    }

    /// All objects, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.items.iter().map(|(key, (_, value))| (key, value))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether all that there are were told once.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

/// Everything that is known.
#[derive(Debug, Default)]
pub struct World {
    objects: BTreeMap<Kind, Cache<ObjectRef, Arc<Object>>>,
    /// The cluster's nodes.
    pub nodes: Cache<String, Node>,
    /// What pods take on the nodes.
    pub pods: Cache<(String, String), Pod>,
    /// The namespaces, with their labels.
    pub namespaces: Cache<String, BTreeMap<String, String>>,
    /// What the namespaces' ResourceQuotas allow of our kinds, by namespace and name.
    pub quotas: Cache<(String, String), Limits>,
    /// The hosts whose agents hold a Lease, with its version.
    pub agents: Cache<String, u64>,
}

impl World {
    /// The objects of a kind.
    pub fn cache(&mut self, kind: Kind) -> &mut Cache<ObjectRef, Arc<Object>> {
        self.objects.entry(kind).or_default()
    }

    /// Whether everything that there is was told once.
    pub fn is_complete(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.objects.get(kind).is_some_and(Cache::is_complete))
            && self.nodes.is_complete()
            && self.pods.is_complete()
            && self.namespaces.is_complete()
            && self.quotas.is_complete()
            && self.agents.is_complete()
    }

    /// An object.
    pub fn get(&self, key: &ObjectRef) -> Option<&Arc<Object>> {
        self.objects.get(&key.kind)?.get(key)
    }

    /// All objects of a kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&ObjectRef, &Arc<Object>)> {
        self.objects.get(&kind).into_iter().flat_map(Cache::iter)
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.of_kind(Kind::Host).filter_map(|(key, object)| match &**object {
            Object::Host(host) => Some((key.name.as_str(), host.as_ref())),
            _ => None,
        })
    }

    /// All domains.
    pub fn domains(&self) -> impl Iterator<Item = (&ObjectRef, &Domain)> {
        self.of_kind(Kind::Domain).filter_map(|(key, object)| match &**object {
            Object::Domain(domain) => Some((key, domain.as_ref())),
            _ => None,
        })
    }

    /// The labels by which a host is selected: its node's and its own.
    pub fn labels_of(&self, host: &str) -> BTreeMap<String, String> {
        let mut labels = self.nodes.get(&host.to_owned()).map(|node| node.labels.clone()).unwrap_or_default();
        if let Some(object) = self.get(&ObjectRef::new(Kind::Host, "", host)) {
            labels.extend(object.meta().labels.clone().unwrap_or_default());
        }
        labels
    }
}

/// A node, as far as guests are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What pods and guests may take.
    pub allocatable: Room,
    /// Whether it is cordoned.
    pub cordoned: bool,
    /// Taints that keep new work away, by their keys.
    pub taints: Vec<String>,
    /// Whether a person has said that it is out of service: it is off.
    pub out_of_service: bool,
}

/// The taint by which a person says that nothing runs on a node any more.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

impl From<core::Node> for Node {
    fn from(node: core::Node) -> Self {
        let (spec, status) = (node.spec.unwrap_or_default(), node.status.unwrap_or_default());
        let taints = spec.taints.unwrap_or_default();
        Node {
            labels: node.metadata.labels.unwrap_or_default(),
            allocatable: status.allocatable.as_ref().map(room).unwrap_or_default(),
            cordoned: spec.unschedulable.unwrap_or(false),
            out_of_service: taints.iter().any(|taint| taint.key == OUT_OF_SERVICE),
            taints: taints
                .into_iter()
                .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute")
                .map(|taint| taint.key)
                .collect(),
        }
    }
}

/// A pod, as far as guests are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its node.
    pub node: String,
    /// What it was promised.
    pub requests: Room,
    /// Whether it does nothing but book the guests' share of its node.
    pub is_placeholder: bool,
}

impl From<core::Pod> for Pod {
    fn from(pod: core::Pod) -> Self {
        let spec = pod.spec.unwrap_or_default();
        let asked = |container: &core::Container| {
            container.resources.as_ref().and_then(|resources| resources.requests.as_ref()).map(room).unwrap_or_default()
        };
        let mut requests = spec.containers.iter().map(asked).fold(Room::default(), Room::plus);
        // Containers that run before the others count while they run; those that go on running beside them always.
        let (mut beside, mut before) = (Room::default(), Room::default());
        for container in spec.init_containers.iter().flatten() {
            if container.restart_policy.as_deref() == Some("Always") {
                beside = beside.plus(asked(container));
            } else {
                before = before.most(beside.plus(asked(container)));
            }
        }
        requests = requests.plus(beside).most(before);
        if let Some(whole) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) {
            requests = requests.most(room(whole));
        }
        if let Some(overhead) = &spec.overhead {
            requests = requests.plus(room(overhead));
        }
        Pod { node: spec.node_name.unwrap_or_default(), requests, is_placeholder: false }
    }
}

type Quantities = BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>;

/// What can't be read counts as nothing: the API server has checked it.
fn room(quantities: &Quantities) -> Room {
    Room {
        cpu_milli: quantities.get("cpu").and_then(|cpu| thousandths(&cpu.0)).unwrap_or(0),
        memory_bytes: quantities.get("memory").and_then(|memory| units(&memory.0)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_older_version_never_overtakes_a_newer_one() {
        let mut cache = Cache::default();
        cache.insert("a", 5, "five");
        cache.insert("a", 4, "four");
        assert_eq!(cache.get(&"a"), Some(&"five"));
        cache.update(&"a", 6, "six");
        cache.update(&"b", 6, "never told by the watch");
        assert_eq!((cache.get(&"a"), cache.get(&"b")), (Some(&"six"), None));
    }

    #[test]
    fn a_listing_is_right_even_where_it_is_older() {
        let mut cache = Cache::default();
        cache.insert("a", 5, "five");
        cache.begin();
        assert!(cache.insert("a", 4, "four"));
        cache.finish();
        assert_eq!(cache.get(&"a"), Some(&"four"));
    }

    #[test]
    fn what_a_new_listing_lacks_is_gone() {
        let mut cache = Cache::default();
        assert!(!cache.is_complete());
        for key in ["a", "b"] {
            cache.insert(key, 1, ());
        }
        cache.begin();
        cache.insert("b", 1, ());
        assert_eq!(cache.finish(), ["a"]);
        assert!(cache.is_complete() && cache.get(&"a").is_none() && cache.get(&"b").is_some());
    }

    #[test]
    fn a_pod_takes_what_its_containers_ask_for_at_their_peak() {
        let pod: core::Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {
                "nodeName": "n",
                "overhead": {"memory": "1Mi"},
                "containers": [
                    {"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "10Mi"}}},
                    {"name": "b", "resources": {"requests": {"cpu": "100m"}}}],
                "initContainers": [
                    {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
                    {"name": "first", "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}}],
            }
        }))
        .unwrap();
        let expected = Room { cpu_milli: 250, memory_bytes: 65 << 20 };
        assert_eq!(Pod::from(pod), Pod { node: "n".into(), requests: expected, is_placeholder: false });
    }

    #[test]
    fn a_node_tells_of_its_room_and_of_what_keeps_guests_away() {
        let node: core::Node = serde_json::from_value(json!({
            "metadata": {"name": "n", "labels": {"zone": "a"}},
            "spec": {"unschedulable": true, "taints": [
                {"key": "soft", "effect": "PreferNoSchedule"}, {"key": "hard", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]},
            "status": {"allocatable": {"cpu": "3920m", "memory": "8Gi"}}
        }))
        .unwrap();
        let node = Node::from(node);
        assert_eq!(node.allocatable, Room { cpu_milli: 3920, memory_bytes: 8 << 30 });
        assert_eq!(node.taints, ["hard", "node.kubernetes.io/out-of-service"]);
        assert!(node.cordoned && node.out_of_service && node.labels["zone"] == "a");
    }
}
