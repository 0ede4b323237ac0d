//! An API server that comes back from an older backup.

use ostler_e2e::cluster::node::Node;
use serde_json::{Value, json};

use crate::lab::{claim_of, condition, host_path, is_ready, lab, places, small, uuid_of};

#[test]
fn what_the_api_server_has_forgotten_runs_on_where_it_is_and_once() {
    let lab = lab();
    let space = lab.space("backup");
    let [_, b]: [Node; 2] = lab.cluster.nodes();
    lab.edit_host(&b, json!({"unschedulable": true}));
    for name in ["web", "idle"] {
        space.create("domains", &small(name, json!({})));
        assert_eq!(claim_of(&space.wait_ready("domains", name)), ("node-a", 1));
    }
    lab.edit_host(&b, json!({"unschedulable": false}));
    let backup = lab.cluster.back_up().unwrap();

    // Then one moves, one stays, and one is new.
    space.edit("domains", "web", json!({"spec": {"placement": {"host": "node-b"}, "runStrategy": "Halted"}}));
    space.wait("domains", "web", |domain| claim_of(domain).0 == "node-b");
    space.edit("domains", "web", json!({"spec": {"runStrategy": "Always"}}));
    space.wait("domains", "web", |domain| is_ready(domain) && condition(domain, "Running").0 == "True");
    let late = small("late", json!({"placement": {"host": "node-a"}}));
    space.create("domains", &late);
    space.wait_ready("domains", "late");
    let [web, idle, late_uuid] = ["web", "idle", "late"].map(|name| uuid_of(&space, name));
    let pids = ["web", "idle", "late"].map(|name| space.guest(name).1);
    let all_run_once = || {
        for (uuid, node) in [(&web, "node-b"), (&idle, "node-a"), (&late_uuid, "node-a")] {
            assert_eq!(places(&lab, uuid), [node]);
        }
    };

    lab.cluster.restore(&backup).unwrap();
    let found = space.wait("domains", "web", |domain| {
        all_run_once();
        claim_of(domain).0 == "node-b" && claim_of(domain).1 > 2 && is_ready(domain)
    });
    assert_eq!(found["spec"]["placement"], Value::Null, "what was applied since is forgotten");
    let orphaned = |host: &Value| {
        let orphans = host["status"]["orphans"].as_array();
        orphans.is_some_and(|all| all.iter().any(|it| it["object"] == "backup/late" && it["active"] == true))
    };
    lab.wait(&host_path("node-a"), |host| {
        all_run_once();
        orphaned(host)
    });
    space.wait_ready("domains", "idle");

    // Applied again, it is taken back.
    let adopting = small("late", json!({"adopt": "Orphaned"}));
    space.create("domains", &adopting);
    let taken = space.wait_ready("domains", "late");
    assert_eq!(claim_of(&taken).0, "node-a");
    all_run_once();
    assert_eq!(["web", "idle", "late"].map(|name| space.guest(name).1), pids, "nothing was started again");
    lab.wait_rolled_out();
    space.end();
}
