//! A node that is cut off, fenced, and comes back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ostler_e2e::cluster::network::Link;
use ostler_e2e::cluster::node::Node;
use serde_json::{Value, json};

use crate::lab::{claim_of, condition, host_path, is_ready, lab, places, pool, small, uuid_of, with_disk};

/// Whether a Host lists a guest that does not run, of the claim that was taken from it.
fn lists(host: &Value, object: &str) -> bool {
    let orphans = host["status"]["orphans"].as_array();
    orphans.is_some_and(|all| all.iter().any(|it| it["object"] == object && it["active"] == false && it["claim"] == 1))
}

#[test]
fn what_a_cut_off_node_ran_runs_elsewhere_once_it_is_fenced_and_its_copies_end_when_it_is_back() {
    let lab = lab();
    let space = lab.space("fence");
    let [a, b]: [Node; 2] = lab.cluster.nodes();
    let shared = tempfile::tempdir_in("/srv").unwrap();
    std::fs::set_permissions(shared.path(), PermissionsExt::from_mode(0o711)).unwrap();
    for node in [&a, &b] {
        lab.edit_host(node, json!({"allow": [{"name": "hostpaths"}]}));
    }
    lab.edit_host(&b, json!({"unschedulable": true}));
    let target = json!({"path": shared.path()});
    space.create("storagepools", &pool("shared", &json!({"shared": true, "pool": {"type": "dir", "target": target}})));
    space.create("storagepools", &pool("local", &json!({"deletion": {"policy": "Delete"}, "pool": {"type": "dir"}})));
    // One that writes nothing, one that writes what both nodes see, one that writes what is on its node alone.
    space.create("domains", &small("web", json!({})));
    with_disk(&space, "mail", "shared");
    with_disk(&space, "data", "local");
    space.create("domains", &small("gone", json!({})));
    for name in ["web", "mail", "data", "gone"] {
        assert_eq!(claim_of(&space.wait_ready("domains", name)), ("node-a", 1));
    }
    lab.edit_host(&b, json!({"unschedulable": false}));
    let [web, mail, data, gone] = ["web", "mail", "data", "gone"].map(|name| uuid_of(&space, name));
    let running = a.guests();

    // Cut off: nobody knows how they are, and nothing moves.
    a.switch(Link::Down).unwrap();
    for name in ["web", "mail", "data"] {
        let domain = space.wait("domains", name, |domain| condition(domain, "Running").0 == "Unknown");
        assert_eq!(condition(&domain, "Ready").1, "HostUnreachable", "{domain:#}");
        assert_eq!(claim_of(&domain), ("node-a", 1));
    }
    // What is deleted there waits for whoever may still run it.
    lab.api().delete(&space.path("domains", "gone")).unwrap();
    space.wait("domains", "gone", |domain| condition(domain, "Reconciling").2.contains("until that host is fenced"));
    assert_eq!((a.guests(), b.guests()), (running.clone(), Vec::new()));

    // Fenced: what can follow goes elsewhere. Its host was not off, as it should have been: QEMU's own lock on the image holds then.
    lab.edit_host(&a, json!({"fenced": true}));
    for name in ["web", "mail"] {
        let domain = space.wait("domains", name, |domain| claim_of(domain).0 == "node-b");
        assert_eq!(claim_of(&domain), ("node-b", 2));
    }
    space.wait("domains", "web", is_ready);
    assert!(places(&lab, &web).contains(&"node-b"), "{:?}", places(&lab, &web));
    space.wait("domains", "gone", Value::is_null);
    let locked = space.wait("domains", "mail", |domain| {
        condition(domain, "Ready").0 == "False" && condition(domain, "Ready").2.contains("lock")
    });
    // Where it waits for the lock, a QEMU that is tried again is there for a moment.
    assert!(places(&lab, &mail).contains(&"node-a"), "{locked:#}");
    let held = space.wait("domains", "data", |domain| condition(domain, "Ready").1 == "HostFenced");
    assert!(condition(&held, "Ready").2.contains("the volume data"), "{held:#}");
    assert_eq!(claim_of(&held), ("node-a", 1));
    assert_eq!(a.guests(), running, "nobody could tell it anything");

    // Back: its copies end and are told of, and their files stay.
    a.switch(Link::Up).unwrap();
    let fenced = lab.wait(&host_path("node-a"), |host| {
        let (fence, halted) = (&host["status"]["fence"]["id"], &host["status"]["halted"]);
        halted == fence
            && !halted.is_null()
            && ["web", "mail", "gone"].iter().all(|name| lists(host, &format!("fence/{name}")))
    });
    assert!(a.guests().is_empty(), "{:#}", fenced["status"]);
    for uuid in [&web, &mail, &gone] {
        assert!(a.path(format!("/var/lib/ostler/qemu/{uuid}.xml")).exists(), "what it was stays");
    }
    let image = space.get("storagevolumes", "data")["status"]["path"].as_str().expect("it was made").to_owned();
    assert!(a.path(Path::new(&image)).exists(), "its data stay");
    lab.wait_for("what was locked is started", || places(&lab, &mail) == ["node-b"]);
    space.wait("domains", "mail", is_ready);

    // Not fenced any more: only what it still holds runs there.
    lab.edit_host(&a, json!({"fenced": false}));
    lab.wait(&host_path("node-a"), |host| host["status"]["fence"].is_null() && host["status"]["halted"].is_null());
    let stayed = space.wait("domains", "data", |domain| is_ready(domain) && condition(domain, "Running").0 == "True");
    assert_eq!(claim_of(&stayed), ("node-a", 1));
    for (uuid, node) in [(&web, "node-b"), (&mail, "node-b"), (&data, "node-a")] {
        assert_eq!(places(&lab, uuid), [node]);
    }
    let host = lab.host("node-a");
    assert!(lists(&host, "fence/web") && lists(&host, "fence/mail"), "{:#}", host["status"]);
    for node in [&a, &b] {
        lab.edit_host(node, json!({"allow": null}));
    }
    lab.wait_rolled_out();
    space.end();
}
