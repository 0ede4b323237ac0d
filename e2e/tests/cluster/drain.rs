//! A host that is emptied by maintenance.

use ostler_e2e::cluster::node::Node;
use serde_json::json;

use crate::lab::{claim_of, condition, host_path, is_ready, lab, places, pool, small, uuid_of, with_disk};

#[test]
fn maintenance_empties_a_host_and_its_end_brings_back_what_could_not_go() {
    let lab = lab();
    let space = lab.space("drain");
    let [a, b]: [Node; 2] = lab.cluster.nodes();
    lab.edit_host(&b, json!({"unschedulable": true}));
    space.create("storagepools", &pool("local", &json!({"deletion": {"policy": "Delete"}, "pool": {"type": "dir"}})));
    // One that can go anywhere, though it is started but once; one whose disk is on its node alone; one that is not to be disturbed.
    space.create("domains", &small("web", json!({"runStrategy": "Once"})));
    with_disk(&space, "data", "local");
    space.create("domains", &small("precious", json!({"evictionStrategy": "Block"})));
    for name in ["web", "data", "precious"] {
        assert_eq!(claim_of(&space.wait_ready("domains", name)), ("node-a", 1));
    }
    let [web, data, precious] = ["web", "data", "precious"].map(|name| uuid_of(&space, name));
    let (_, pid) = space.guest("precious");
    lab.edit_host(&b, json!({"unschedulable": false}));

    lab.edit_host(&a, json!({"maintenance": true}));
    let moved = space.wait("domains", "web", |domain| claim_of(domain).0 == "node-b" && is_ready(domain));
    assert_eq!(condition(&moved, "Running").0, "True", "{moved:#}");
    assert_eq!((uuid_of(&space, "web"), places(&lab, &web)), (web.clone(), vec!["node-b"]));
    let held = space.wait("domains", "data", |domain| {
        condition(domain, "Ready").1 == "HostMaintenance" && condition(domain, "Running").0 == "False"
    });
    assert!(condition(&held, "Ready").2.contains("the volume data"), "{held:#}");
    assert_eq!(claim_of(&held), ("node-a", 1));
    let host = lab.wait(&host_path("node-a"), |host| condition(host, "Drained").1 == "Blocked");
    assert!(condition(&host, "Drained").2.contains("drain/precious"), "{host:#}");
    assert_eq!(space.guest("precious").1, pid);
    assert_eq!(places(&lab, &data), [""; 0]);

    // Nothing new comes here either, and what its owner lets go goes.
    space.create("domains", &small("new", json!({})));
    assert_eq!(claim_of(&space.wait_ready("domains", "new")).0, "node-b");
    space.edit("domains", "precious", json!({"spec": {"evictionStrategy": "Shutdown"}}));
    space.wait("domains", "precious", |domain| claim_of(domain).0 == "node-b" && is_ready(domain));
    lab.wait(&host_path("node-a"), |host| condition(host, "Drained").0 == "True");
    assert!(a.guests().is_empty());

    lab.edit_host(&a, json!({"maintenance": false}));
    let back = space.wait("domains", "data", |domain| is_ready(domain) && condition(domain, "Running").0 == "True");
    assert_eq!(claim_of(&back), ("node-a", 1));
    lab.wait(&host_path("node-a"), |host| condition(host, "Drained").0.is_empty());
    for (uuid, node) in [(&web, "node-b"), (&precious, "node-b"), (&data, "node-a")] {
        assert_eq!(places(&lab, uuid), [node], "where it was taken it stays");
    }
    space.end();
}
