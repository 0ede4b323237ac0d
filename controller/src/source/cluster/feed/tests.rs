//! What watches tell, and what comes of it.

use ostler_crds::{Kind, Object, ObjectRef};
use serde_json::{Value, json};

use super::{CLAIMED, Feed, Step, Told, Watched};
use crate::source::SourceEvent;

const HOST: &str = "node-a";

fn object(kind: Kind, name: &str, spec: Value) -> Value {
    let mut value = json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": kind.name(),
        "metadata": { "name": name, "uid": format!("uid-{name}"), "generation": 1, "resourceVersion": "1" },
        "spec": spec,
    });
    if kind.is_namespaced() {
        value["metadata"]["namespace"] = "shop".into();
    }
    if CLAIMED.contains(&kind) {
        value["status"] = json!({ "observedGeneration": -1, "host": HOST, "claim": 1 });
    }
    value
}

fn domain(name: &str, network: Option<&str>, volume: Option<&str>) -> Value {
    let interfaces: Vec<Value> =
        network.iter().map(|name| json!({ "name": "eth0", "source": { "network": { "network": name } } })).collect();
    let disks: Vec<Value> = volume
        .iter()
        .map(|name| {
            json!({ "name": "vda", "target": { "bus": "virtio" }, "source": { "volume": { "pool": "fast", "volume": name } } })
        })
        .collect();
    let spec = json!({ "domain": {
        "vcpu": { "count": 1 }, "memory": { "size": "64Mi" }, "os": { "type": {} },
        "devices": { "interfaces": interfaces, "disks": disks },
    } });
    object(Kind::Domain, name, spec)
}

fn network(name: &str) -> Value {
    object(Kind::Network, name, json!({ "network": { "ips": [{ "address": "192.168.77.1", "prefix": 24 }] } }))
}

fn pool(name: &str) -> Value {
    object(Kind::StoragePool, name, json!({}))
}

fn host(wanted: Value) -> Value {
    let mut host = object(Kind::Host, HOST, json!({}));
    host["status"] = json!({ "wanted": wanted });
    host
}

fn key(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, if kind.is_namespaced() { "shop" } else { "" }, name)
}

fn claimed(kind: Kind) -> Watched {
    Watched::Claimed(kind)
}

fn named(kind: Kind, name: &str) -> Watched {
    Watched::Named(key(kind, name))
}

/// A step in a few words; what is only noted or kept is left out.
fn word(step: &Step) -> Option<String> {
    Some(match step {
        Step::Tell(SourceEvent::Changed(object)) if object.is_deleted() => format!("deleted {}", object.object_ref()),
        Step::Tell(SourceEvent::Changed(object)) => format!("changed {}", object.object_ref()),
        Step::Tell(SourceEvent::Gone(key)) => format!("gone {key}"),
        Step::Tell(SourceEvent::Synced) => "synced".to_owned(),
        Step::Tell(SourceEvent::Started) => "started".to_owned(),
        Step::Tell(SourceEvent::Problems(_)) => "problems".to_owned(),
        Step::Tell(SourceEvent::Secrets) => "secrets".to_owned(),
        Step::Watch(key) => format!("watch {key}"),
        Step::Unwatch(key) => format!("unwatch {key}"),
        Step::Refuse(key, refusal) => format!("refuse {key} {:?}", refusal.why),
        Step::Allow(key) => format!("allow {key}"),
        Step::AskForDeletion(key) => format!("ask {key}"),
        Step::LetGo(key) => format!("let go {key}"),
        Step::Seen(..) | Step::Keep(..) | Step::Forget(_) => return None,
    })
}

fn words(steps: &[Step]) -> Vec<String> {
    steps.iter().filter_map(word).collect()
}

fn list(feed: &mut Feed, watched: &Watched, objects: Vec<Value>) -> Vec<String> {
    let mut steps = feed.take(watched, Told::Restarted);
    for object in objects {
        steps.extend(feed.take(watched, Told::Listed(object)));
    }
    steps.extend(feed.take(watched, Told::ListDone));
    words(&steps)
}

fn change(feed: &mut Feed, kind: Kind, value: Value) -> Vec<String> {
    words(&feed.take(&claimed(kind), Told::Changed(value)))
}

/// A feed that knows these domains, and that no others are there.
fn synced(domains: Vec<Value>) -> Feed {
    let mut feed = Feed::new(HOST, Vec::new());
    list(&mut feed, &named(Kind::Host, HOST), vec![host(json!([]))]);
    list(&mut feed, &claimed(Kind::StorageVolume), Vec::new());
    list(&mut feed, &claimed(Kind::DomainOperation), Vec::new());
    list(&mut feed, &claimed(Kind::Domain), domains);
    feed
}

fn kept(value: Value) -> Object {
    let kind = Kind::from_name(value["kind"].as_str().unwrap()).unwrap();
    Object::from_value(kind, &value).unwrap()
}

#[test]
fn what_a_domain_refers_to_is_watched_and_all_that_is_told_before_synced() {
    let mut feed = Feed::new(HOST, Vec::new());
    for kind in [Kind::StorageVolume, Kind::DomainOperation] {
        assert!(list(&mut feed, &claimed(kind), Vec::new()).is_empty());
    }
    assert_eq!(list(&mut feed, &named(Kind::Host, HOST), vec![host(json!([]))]), ["changed Host node-a"]);
    assert_eq!(
        list(&mut feed, &claimed(Kind::Domain), vec![domain("web", Some("lan"), None)]),
        ["changed Domain shop/web", "watch Network shop/lan"]
    );
    assert_eq!(
        list(&mut feed, &named(Kind::Network, "lan"), vec![network("lan")]),
        ["changed Network shop/lan", "synced"]
    );
}

#[test]
fn our_own_writes_are_no_news() {
    let mut feed = synced(vec![domain("web", None, None)]);
    let mut ours = domain("web", None, None);
    ours["status"]["phase"] = "Running".into();
    ours["metadata"]["resourceVersion"] = "2".into();
    ours["metadata"]["finalizers"] = json!(["ostler.dev/host"]);
    assert!(change(&mut feed, Kind::Domain, ours).is_empty());
}

#[test]
fn a_new_spec_and_a_new_claim_are_news() {
    let mut feed = synced(vec![domain("web", None, None)]);
    let mut edited = domain("web", None, None);
    edited["metadata"]["generation"] = 2.into();
    assert_eq!(change(&mut feed, Kind::Domain, edited.clone()), ["changed Domain shop/web"]);
    edited["status"]["claim"] = 2.into();
    assert_eq!(change(&mut feed, Kind::Domain, edited), ["changed Domain shop/web"]);
}

#[test]
fn an_object_that_leaves_the_selector_is_gone_and_nothing_asks_for_its_deletion() {
    let mut feed = synced(vec![domain("web", None, None)]);
    let steps = feed.take(&claimed(Kind::Domain), Told::Gone(domain("web", None, None)));
    assert_eq!(words(&steps), ["gone Domain shop/web"]);
    let mut elsewhere = domain("db", None, None);
    assert_eq!(change(&mut feed, Kind::Domain, elsewhere.clone()), ["changed Domain shop/db"]);
    elsewhere["status"]["host"] = "node-b".into();
    assert_eq!(change(&mut feed, Kind::Domain, elsewhere), ["gone Domain shop/db"]);
}

#[test]
fn a_relist_tells_only_what_differs_and_nothing_is_gone_before_its_end() {
    let mut feed = synced(vec![domain("a", None, None), domain("b", None, None)]);
    assert!(feed.take(&claimed(Kind::Domain), Told::Restarted).is_empty());
    assert!(words(&feed.take(&claimed(Kind::Domain), Told::Listed(domain("b", None, None)))).is_empty());
    // The list breaks off and begins anew.
    assert!(feed.take(&claimed(Kind::Domain), Told::Restarted).is_empty());
    assert_eq!(
        list(&mut feed, &claimed(Kind::Domain), vec![domain("b", None, None), domain("c", None, None)]),
        ["changed Domain shop/c", "gone Domain shop/a"]
    );
}

#[test]
fn another_object_of_the_same_name_takes_the_place_of_the_first() {
    let mut feed = synced(vec![domain("web", None, None)]);
    let mut other = domain("web", None, None);
    other["metadata"]["uid"] = "another".into();
    assert_eq!(change(&mut feed, Kind::Domain, other), ["gone Domain shop/web", "changed Domain shop/web"]);
}

#[test]
fn a_deletion_is_told_once_its_crd_was_asked() {
    let mut feed = synced(vec![domain("web", None, None)]);
    let mut deleted = domain("web", None, None);
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    deleted["metadata"]["generation"] = 2.into();
    assert_eq!(change(&mut feed, Kind::Domain, deleted.clone()), ["ask Domain shop/web"]);
    assert!(change(&mut feed, Kind::Domain, deleted).is_empty(), "it is being asked");
    assert_eq!(words(&feed.deletion_is_meant(&key(Kind::Domain, "web"))), ["deleted Domain shop/web"]);
    assert!(feed.deletion_is_meant(&key(Kind::Domain, "web")).is_empty());
}

#[test]
fn an_operations_deletion_needs_no_question() {
    let mut feed = synced(Vec::new());
    let mut operation = object(Kind::DomainOperation, "go", json!({ "domain": "web", "verb": "Start" }));
    operation["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(change(&mut feed, Kind::DomainOperation, operation), ["deleted DomainOperation shop/go"]);
}

#[test]
fn a_spec_that_is_not_understood_changes_nothing_and_stops_no_other() {
    let mut feed = synced(vec![domain("web", None, None)]);
    let mut newer = domain("web", None, None);
    newer["spec"]["newField"] = json!(1);
    newer["metadata"]["generation"] = 2.into();
    assert_eq!(change(&mut feed, Kind::Domain, newer.clone()), ["refuse Domain shop/web AgentTooOld"]);
    newer["status"]["claim"] = 2.into();
    assert!(change(&mut feed, Kind::Domain, newer).is_empty(), "it was refused already");
    let mut invalid = domain("odd", None, None);
    invalid["spec"]["placement"] = json!({ "host": "a", "hostSelector": { "matchLabels": {} } });
    assert_eq!(change(&mut feed, Kind::Domain, invalid), ["refuse Domain shop/odd Invalid"]);
    assert_eq!(change(&mut feed, Kind::Domain, domain("db", None, None)), ["changed Domain shop/db"]);
    let mut mended = domain("web", None, None);
    mended["metadata"]["generation"] = 3.into();
    assert_eq!(change(&mut feed, Kind::Domain, mended), ["allow Domain shop/web", "changed Domain shop/web"]);
}

#[test]
fn a_spec_that_is_not_understood_is_deleted_by_the_last_one_that_was() {
    let deleted = |name: &str| {
        let mut newer = domain(name, None, None);
        newer["spec"]["newField"] = json!(1);
        newer["metadata"]["generation"] = 2.into();
        newer["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        newer
    };
    let mut feed = synced(vec![domain("web", None, None)]);
    let told = change(&mut feed, Kind::Domain, deleted("web"));
    assert_eq!(told, ["refuse Domain shop/web AgentTooOld", "ask Domain shop/web"]);
    assert_eq!(words(&feed.deletion_is_meant(&key(Kind::Domain, "web"))), ["deleted Domain shop/web"]);
    let told = change(&mut feed, Kind::Domain, deleted("never-known"));
    assert_eq!(told, ["refuse Domain shop/never-known AgentTooOld", "let go Domain shop/never-known"]);
}

#[test]
fn a_kept_spec_goes_on_where_the_new_one_is_not_understood() {
    let mut feed = Feed::new(HOST, vec![kept(domain("web", None, None))]);
    let mut newer = domain("web", None, None);
    newer["spec"]["newField"] = json!(1);
    newer["metadata"]["generation"] = 2.into();
    assert_eq!(
        list(&mut feed, &claimed(Kind::Domain), vec![newer]),
        ["refuse Domain shop/web AgentTooOld", "changed Domain shop/web"]
    );
}

#[test]
fn a_definition_is_watched_until_it_is_taken_down() {
    let mut feed = synced(vec![domain("web", Some("lan"), None)]);
    let lan = named(Kind::Network, "lan");
    list(&mut feed, &lan, vec![network("lan")]);
    let steps = feed.take(&claimed(Kind::Domain), Told::Gone(domain("web", None, None)));
    assert_eq!(words(&steps), ["gone Domain shop/web"], "the engine has yet to take the network down");
    assert_eq!(words(&feed.release(&key(Kind::Network, "lan"))), ["unwatch Network shop/lan", "gone Network shop/lan"]);
}

#[test]
fn a_definition_that_is_released_while_a_new_user_comes_stays() {
    let mut feed = synced(vec![domain("web", Some("lan"), None)]);
    list(&mut feed, &named(Kind::Network, "lan"), vec![network("lan")]);
    assert!(feed.release(&key(Kind::Network, "lan")).is_empty());
    assert_eq!(change(&mut feed, Kind::Domain, domain("db", Some("lan"), None)), ["changed Domain shop/db"]);
}

#[test]
fn what_the_controller_picks_for_this_host_is_watched_and_looked_at_when_the_pick_ends() {
    let mut feed = synced(Vec::new());
    let picked = host(json!([{ "kind": "Network", "namespace": "shop", "object": "lan" }]));
    let this = named(Kind::Host, HOST);
    assert_eq!(words(&feed.take(&this, Told::Changed(picked))), ["changed Host node-a", "watch Network shop/lan"]);
    list(&mut feed, &named(Kind::Network, "lan"), vec![network("lan")]);
    assert_eq!(
        words(&feed.take(&this, Told::Changed(host(json!([]))))),
        ["changed Host node-a", "changed Network shop/lan"]
    );
}

#[test]
fn without_the_api_server_a_host_goes_on_from_what_it_kept() {
    let local = vec![kept(domain("web", Some("lan"), Some("root"))), kept(network("lan")), kept(pool("fast"))];
    let mut feed = Feed::new(HOST, local);
    assert_eq!(words(&feed.begin()), ["watch Network shop/lan", "watch StoragePool shop/fast"]);
    let mut told = words(&feed.begin_from_kept());
    assert_eq!(told.pop().as_deref(), Some("started"));
    told.sort();
    assert_eq!(told, ["changed Domain shop/web", "changed Network shop/lan", "changed StoragePool shop/fast"]);
    assert!(feed.begin_from_kept().is_empty(), "only once");
    // The API server is back: the domain was deleted meanwhile, all else is as it was.
    list(&mut feed, &named(Kind::Host, HOST), vec![host(json!([]))]);
    list(&mut feed, &named(Kind::Network, "lan"), vec![network("lan")]);
    list(&mut feed, &named(Kind::StoragePool, "fast"), vec![pool("fast")]);
    for kind in [Kind::StorageVolume, Kind::DomainOperation] {
        list(&mut feed, &claimed(kind), Vec::new());
    }
    assert_eq!(list(&mut feed, &claimed(Kind::Domain), Vec::new()), ["gone Domain shop/web", "synced"]);
}

#[test]
fn without_the_api_server_a_domain_whose_disks_others_may_write_waits_for_its_claim() {
    let mut shared = pool("fast");
    shared["spec"]["shared"] = true.into();
    let mut by_path = domain("path", None, None);
    by_path["spec"]["domain"]["devices"]["disks"] =
        json!([{ "name": "vda", "source": { "file": { "file": "/srv/x.img" } } }]);
    let mut deleted = domain("doomed", None, None);
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let objects = vec![
        kept(domain("diskless", None, None)),
        kept(domain("web", None, Some("root"))),
        kept(by_path.clone()),
        kept(deleted),
        kept(shared.clone()),
    ];
    let mut feed = Feed::new(HOST, objects);
    feed.begin();
    assert_eq!(words(&feed.begin_from_kept()), ["changed StoragePool shop/fast", "started"]);
    let told = list(&mut feed, &claimed(Kind::Domain), vec![domain("web", None, Some("root")), by_path]);
    assert_eq!(told, ["changed Domain shop/web", "changed Domain shop/path"]);
}
