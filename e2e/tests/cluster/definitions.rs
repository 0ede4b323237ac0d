//! Definitions that go while guests run, and guests that nobody's object stands for.

use serde_json::json;

use crate::lab::{condition, host_path, lab, small};

#[test]
fn deleting_the_definitions_ends_no_guest_and_adopting_takes_it_back() {
    let lab = lab();
    let space = lab.space("definitions");
    space.create("domains", &small("web", json!({})));
    let before = space.wait_ready("domains", "web");
    let (node, pid) = space.guest("web");
    lab.kubectl(&["delete", "crd", "domains.ostler.dev", "--timeout=300s"]);
    assert!(node.guests().contains(&pid));
    lab.wait(&host_path(node.name), |host| host["status"]["orphans"][0]["object"] == "definitions/web");
    lab.install(&[]);
    let placement = json!({"host": node.name});
    space.create("domains", &small("web", json!({"adopt": "Orphaned", "placement": placement})));
    let after = space.wait_ready("domains", "web");
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["status"]["resolved"]["uuid"], before["status"]["resolved"]["uuid"]);
    assert_eq!(space.guest("web").1, pid);
    lab.wait(&host_path(node.name), |host| host["status"]["orphans"].is_null());
    space.end();
}

#[test]
fn a_guest_of_the_same_name_that_is_not_ours_is_a_conflict_and_untouched() {
    let lab = lab();
    let space = lab.space("foreign");
    space.create("domains", &small("web", json!({"deletion": {"policy": "Orphan"}})));
    space.wait_ready("domains", "web");
    let (node, pid) = space.guest("web");
    lab.api().delete(&space.path("domains", "web")).unwrap();
    space.wait("domains", "web", serde_json::Value::is_null);
    assert!(node.guests().contains(&pid), "orphaned, it goes on");

    let placement = json!({"host": node.name});
    space.create("domains", &small("web", json!({"placement": placement})));
    let conflict = space.wait("domains", "web", |domain| condition(domain, "Stalled").1 == "Conflict");
    assert!(condition(&conflict, "Ready").2.contains("set spec.adopt"), "{conflict:#}");
    assert!(node.guests().contains(&pid), "it is left alone");
    // It was given away, so it is no orphan; being as the spec says, it can be taken all the same.
    space.edit("domains", "web", json!({"spec": {"adopt": "Any"}}));
    space.wait_ready("domains", "web");
    assert_eq!(space.guest("web").1, pid);
    space.end();
}
