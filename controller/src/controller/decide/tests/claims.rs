//! Claims: when they go to another host, and when they don't.

use super::*;

/// Two hosts; the guest `web` runs on `a`, with these disks.
fn running(disks: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(domain("web", 256, disks, &[]));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    ran(&mut cluster, "web", 1);
    cluster.host("b", 512);
    cluster
}

/// A guest's agent has told that it is defined under this number.
fn ran(cluster: &mut Cluster, name: &str, claim: i64) {
    let resolved = json!({"driver": "qemu", "uuid": "u", "name": name, "claim": claim});
    let conditions = [
        ready("True"),
        json!({"type": "Running", "status": "True", "reason": "Booted", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}),
    ];
    cluster.patch(&key(Kind::Domain, name), &json!({"status": {"resolved": resolved, "conditions": conditions}}));
}

fn claim_of(cluster: &Cluster, name: &str) -> (String, i64) {
    let status = &cluster.get(Kind::Domain, name)["status"];
    (status["host"].as_str().unwrap_or_default().to_owned(), status["claim"].as_i64().unwrap_or_default())
}

fn fence(cluster: &mut Cluster, name: &str) {
    cluster.patch(&key(Kind::Host, name), &json!({"spec": {"fenced": true}}));
}

/// A host tells of its copies, as it is asked.
fn tell(cluster: &mut Cluster, host: &str, orphans: Value) {
    assert_eq!(cluster.get(Kind::Host, host)["status"]["asked"], TERM, "{host} was not asked");
    cluster.patch(&key(Kind::Host, host), &json!({"status": {"told": TERM, "orphans": orphans}}));
    cluster.settle();
}

fn copy(name: &str, claim: i64, active: bool) -> Value {
    json!({"name": format!("default_{name}"), "uuid": "u", "driver": "qemu", "active": active,
        "object": format!("default/{name}"), "uid": format!("uid-{name}"), "claim": claim, "adoptable": true})
}

#[test]
fn a_silent_hosts_claims_stay_until_it_is_fenced() {
    let mut cluster = running(&[]);
    cluster.silence("a");
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    fence(&mut cluster, "a");
    cluster.settle();
    let why = "it ran before and may still do so: it waits until hosts have told of their guests: b";
    cluster.check_ready(Kind::Domain, "web", ("False", "AwaitingHosts", why));
    tell(&mut cluster, "b", json!([]));
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 2));
    cluster.check_ready(Kind::Domain, "web", ("Unknown", "Claimed", "claimed for host b, whose agent takes it up"));
}

#[test]
fn a_claim_that_goes_to_another_host_is_labelled_first_and_no_longer_than_that() {
    let mut cluster = running(&[]);
    cluster.silence("a");
    fence(&mut cluster, "a");
    cluster.settle();
    assert!(cluster.get(Kind::Domain, "web")["metadata"]["labels"].is_null(), "nothing is to be moved yet");
    cluster.patch(&key(Kind::Host, "b"), &json!({"status": {"told": TERM}}));
    let steps = cluster.decide().writes.changes.remove(&key(Kind::Domain, "web")).unwrap().steps;
    let [Step::Label(TAKEN_OVER, Some(_)), Step::Status(claim)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(claim["host"], "b");
    // The claim was refused, and the host is not fenced any more.
    cluster.patch(&key(Kind::Domain, "web"), &steps[0].patch(""));
    assert!(!cluster.get(Kind::Domain, "web")["metadata"]["labels"][TAKEN_OVER].is_null());
    cluster.patch(&key(Kind::Host, "a"), &json!({"spec": {"fenced": false}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    assert!(cluster.get(Kind::Domain, "web")["metadata"]["labels"][TAKEN_OVER].is_null());
    // And it was not.
    fence(&mut cluster, "a");
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 2));
    assert!(cluster.get(Kind::Domain, "web")["metadata"]["labels"][TAKEN_OVER].is_null());
}

#[test]
fn a_fenced_host_that_speaks_is_asked_to_stop_its_guests_first() {
    let mut cluster = running(&[]);
    fence(&mut cluster, "a");
    cluster.settle();
    let told = cluster.get(Kind::Host, "a")["status"]["fence"].clone();
    assert_eq!(told["reason"], "Spec");
    assert!(cluster.get(Kind::Host, "b")["status"]["asked"].is_null(), "nothing is to be moved yet");
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    // What it said of an earlier fence does not count.
    cluster.patch(&key(Kind::Host, "a"), &json!({"status": {"halted": "an earlier one"}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    cluster.patch(&key(Kind::Host, "a"), &json!({"status": {"halted": told["id"]}}));
    cluster.settle();
    tell(&mut cluster, "b", json!([]));
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 2));
    // No longer fenced, it is a host like any other; its next fence is another.
    cluster.patch(&key(Kind::Host, "a"), &json!({"spec": {"fenced": false}}));
    cluster.settle();
    assert!(cluster.get(Kind::Host, "a")["status"]["fence"].is_null());
    fence(&mut cluster, "a");
    cluster.settle();
    assert_ne!(cluster.get(Kind::Host, "a")["status"]["fence"]["id"], told["id"]);
}

#[test]
fn a_node_that_is_deleted_or_out_of_service_is_fenced() {
    type Fence<'a> = &'a dyn Fn(&mut Cluster);
    let ways: [(&str, Fence<'_>); 2] = [
        ("NodeDeleted", &|c| c.world.nodes.remove(&"a".into())),
        ("NodeOutOfService", &|c| {
            c.change_node("a", |node| Node { out_of_service: true, taints: vec!["x".into()], ..node.clone() });
        }),
    ];
    for (reason, fence) in ways {
        let mut cluster = running(&[]);
        cluster.silence("a");
        fence(&mut cluster);
        cluster.settle();
        assert_eq!(cluster.get(Kind::Host, "a")["status"]["fence"]["reason"], reason);
        tell(&mut cluster, "b", json!([]));
        assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 2), "{reason}");
    }
}

#[test]
fn a_guest_whose_volume_is_on_the_dead_host_waits_and_says_why() {
    let mut cluster = running(&[]);
    cluster.put(pool("p", false));
    cluster.put(volume("root", "p", json!({})));
    cluster.put(domain("data", 256, &[("p", "root")], &[]));
    cluster.patch(&key(Kind::Host, "b"), &json!({"spec": {"unschedulable": true}}));
    cluster.settle();
    cluster.patch(&key(Kind::Host, "b"), &json!({"spec": {"unschedulable": false}}));
    ran(&mut cluster, "data", 1);
    assert_eq!(cluster.host_of(Kind::StorageVolume, "root"), Some("a"));
    cluster.silence("a");
    fence(&mut cluster, "a");
    cluster.settle();
    tell(&mut cluster, "b", json!([]));
    assert_eq!(claim_of(&cluster, "web").0, "b");
    assert_eq!(claim_of(&cluster, "data"), ("a".to_owned(), 1));
    let why = "its host a is fenced, and no host of 2 can take it: 1 without the volume root (StoragePool default/p is not \
               shared), which is on another host, 1 fenced";
    cluster.check_ready(Kind::Domain, "data", ("False", "HostFenced", why));
    assert_eq!(cluster.condition(Kind::Domain, "data", "Running").0, "Unknown");
    // It comes back.
    cluster.verdict = Verdict::default();
    cluster.patch(&key(Kind::Host, "a"), &json!({"spec": {"fenced": false}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "data"), ("a".to_owned(), 1));
}

#[test]
fn a_guest_on_a_path_of_the_host_does_not_follow() {
    let mut cluster = running(&[]);
    let disk = json!({"name": "vda", "target": {"bus": "virtio"}, "source": {"file": {"file": "/images/web"}}});
    cluster.patch(&key(Kind::Domain, "web"), &json!({"spec": {"domain": {"devices": {"disks": [disk]}}}}));
    cluster.silence("a");
    fence(&mut cluster, "a");
    cluster.settle();
    tell(&mut cluster, "b", json!([]));
    let (_, reason, message) = cluster.condition(Kind::Domain, "web", "Ready");
    assert!(reason == "HostFenced" && message.contains("the disk vda, which is no volume"), "{message}");
}

#[test]
fn shared_volumes_follow_their_user() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.put(pool("p", true));
    cluster.put(volume("root", "p", json!({})));
    cluster.put(domain("web", 256, &[("p", "root")], &[]));
    cluster.settle();
    ran(&mut cluster, "web", 1);
    assert_eq!(cluster.host_of(Kind::StorageVolume, "root"), Some("a"));
    cluster.host("b", 512);
    cluster.silence("a");
    fence(&mut cluster, "a");
    cluster.settle();
    tell(&mut cluster, "b", json!([]));
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 2));
    let status = &cluster.get(Kind::StorageVolume, "root")["status"];
    assert_eq!((&status["host"], &status["claim"]), (&json!("b"), &json!(2)));
}

#[test]
fn a_halted_guest_moves_when_its_holder_has_given_the_claim_back() {
    let mut cluster = running(&[]);
    cluster.patch(&key(Kind::Domain, "web"), &json!({"spec": {"placement": {"host": "b"}}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1), "only its holder lets go");
    cluster.patch(&key(Kind::Domain, "web"), &json!({"status": {"host": null}}));
    cluster.settle();
    for host in ["a", "b"] {
        assert_eq!(claim_of(&cluster, "web").0, "");
        tell(&mut cluster, host, json!([]));
    }
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 2));
}

#[test]
fn a_holder_that_waits_gets_a_new_number_once_all_hosts_have_told() {
    let mut cluster = running(&[]);
    cluster.patch(&key(Kind::Domain, "web"), &json!({"status": {"claimAbove": 4}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    tell(&mut cluster, "a", json!([]));
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1), "b has not told");
    tell(&mut cluster, "b", json!([]));
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 5));
}

#[test]
fn a_guest_that_runs_where_no_claim_is_gets_it() {
    let mut cluster = running(&[]);
    // The API server came back from a backup that knows nothing of claim 3.
    cluster.patch(&key(Kind::Host, "b"), &json!({"status": {"orphans": [copy("web", 3, true)]}}));
    cluster.settle();
    tell(&mut cluster, "a", json!([]));
    tell(&mut cluster, "b", json!([copy("web", 3, true)]));
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 4));
}

#[test]
fn a_copy_that_does_not_run_takes_no_claim_from_its_holder() {
    let mut cluster = running(&[]);
    cluster.patch(&key(Kind::Host, "b"), &json!({"status": {"orphans": [copy("web", 3, false)]}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "web"), ("a".to_owned(), 1));
    assert!(cluster.get(Kind::Host, "b")["status"]["asked"].is_null());
}

#[test]
fn a_guest_that_runs_twice_is_left_to_people() {
    let mut cluster = running(&[]);
    cluster.patch(&key(Kind::Domain, "web"), &json!({"status": {"host": null}}));
    cluster.settle();
    tell(&mut cluster, "a", json!([copy("web", 1, true)]));
    tell(&mut cluster, "b", json!([copy("web", 1, true)]));
    assert_eq!(claim_of(&cluster, "web").0, "");
    let why = "it runs on the hosts a and b: stop one of the two there, or fence its host";
    cluster.check_ready(Kind::Domain, "web", ("False", "RunsTwice", why));
}

#[test]
fn an_orphan_is_taken_over_where_it_is() {
    let mut cluster = Cluster::new();
    cluster.host("a", 1024);
    cluster.host("b", 512);
    let mut adopting = domain("web", 256, &[], &[]);
    adopting["spec"]["adopt"] = "Orphaned".into();
    cluster.put(adopting);
    cluster.settle();
    tell(&mut cluster, "a", json!([]));
    // One of the cluster that was here before.
    let mut former = copy("web", 7, false);
    former["uid"] = "uid-of-another".into();
    tell(&mut cluster, "b", json!([former]));
    assert_eq!(claim_of(&cluster, "web"), ("b".to_owned(), 8), "there is more room on a");
}

#[test]
fn what_was_there_without_a_claim_when_the_term_began_may_have_run() {
    let mut cluster = Cluster::new();
    cluster.put(domain("old", 256, &[], &[]));
    cluster.memory = Memory::default();
    cluster.decide();
    cluster.host("a", 1024);
    cluster.put(domain("new", 256, &[], &[]));
    cluster.settle();
    assert_eq!((claim_of(&cluster, "old").0.as_str(), claim_of(&cluster, "new").0.as_str()), ("", "a"));
    tell(&mut cluster, "a", json!([]));
    assert_eq!(claim_of(&cluster, "old").0, "a");
}

#[test]
fn a_deletion_on_an_unreachable_host_says_that_it_waits() {
    let mut cluster = running(&[]);
    cluster.patch(&key(Kind::Domain, "web"), &json!({"metadata": {"finalizers": [FINALIZER]}}));
    cluster.silence("a");
    cluster.settle();
    cluster.delete(Kind::Domain, "web");
    cluster.settle();
    assert_eq!(cluster.condition(Kind::Domain, "web", "Ready").1, "HostUnreachable");
    let (status, reason, message) = cluster.condition(Kind::Domain, "web", "Reconciling");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "HostUnreachable"));
    assert_eq!(message, "its deletion waits for the agent of host a, or until that host is fenced");
    fence(&mut cluster, "a");
    cluster.settle();
    assert!(!cluster.objects.contains_key(&key(Kind::Domain, "web")));
}

#[test]
fn what_was_admitted_beside_another_waits_for_its_share_of_the_quota() {
    let mut cluster = Cluster::new();
    cluster.host("a", 4096);
    let quota = json!({"metadata": {}, "spec": {"hard": {"ostler.dev/memory": "300Mi"}}});
    let quota: core::ResourceQuota = serde_json::from_value(quota).unwrap();
    cluster.world.quotas.insert(("default".to_owned(), "most".to_owned()), 1, quota.into());
    for name in ["one", "two"] {
        cluster.put(domain(name, 200, &[], &[]));
    }
    cluster.settle();
    assert_eq!(claim_of(&cluster, "one"), ("a".to_owned(), 1));
    let why = "exceeded quota: most, requested: ostler.dev/memory=200Mi, used: ostler.dev/memory=200Mi, limited: ostler.dev/memory=300Mi";
    cluster.check_ready(Kind::Domain, "two", ("False", "QuotaExceeded", why));
    // One that had a host keeps what it has, whatever the quota is.
    cluster.patch(&key(Kind::Domain, "one"), &json!({"status": {"host": null}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "one"), ("a".to_owned(), 2));
    cluster.delete(Kind::Domain, "one");
    cluster.patch(&key(Kind::Domain, "one"), &json!({"metadata": {"finalizers": []}}));
    cluster.settle();
    assert_eq!(claim_of(&cluster, "two"), ("a".to_owned(), 1));
}
