//! Which guest goes where, and a network on two hosts.

use serde_json::{Value, json};

use crate::lab::{GROUP, condition, host_path, lab, small};

/// What must stay free on a host so that guests have no more than `room` there.
fn reserve(lab: &crate::lab::Lab, node: &str, room: u64) -> Value {
    let object = lab.api().get(&format!("/api/v1/nodes/{node}")).unwrap();
    let text = object["status"]["allocatable"]["memory"].as_str().unwrap().to_owned();
    let kib: u64 = text.strip_suffix("Ki").unwrap().parse().unwrap();
    // What the pods ask for is taken off first.
    json!({"spec": {"reserve": {"memory": format!("{}Ki", kib - room)}}})
}

#[test]
fn two_guests_go_to_two_hosts_when_one_is_full_and_a_third_waits_and_says_why() {
    let lab = lab();
    let space = lab.space("placement");
    // Room for one of 400 MiB on each, besides the pods.
    for node in lab.cluster.nodes() {
        lab.api().merge(&host_path(node.name), &reserve(&lab, node.name, 600 << 10)).unwrap();
    }
    let large = json!({"domain": {"memory": {"size": "400Mi"}}});
    for name in ["one", "two"] {
        space.create("domains", &small(name, large.clone()));
    }
    let mut hosts: Vec<Value> =
        ["one", "two"].iter().map(|name| space.wait_ready("domains", name)["status"]["host"].clone()).collect();
    hosts.sort_by_key(Value::to_string);
    assert_eq!(hosts, ["node-a", "node-b"]);
    space.create("domains", &small("three", large));
    let waiting = space.wait("domains", "three", |domain| condition(domain, "Ready").1 == "Unschedulable");
    assert_eq!(condition(&waiting, "Ready").2, "no host of 2 can take it: 2 without enough free memory");
    assert!(waiting["status"]["host"].is_null());
    let events = lab.kubectl(&["get", "events", "-n", "placement"]);
    assert!(events.contains("without enough free memory"), "{events}");

    // Room comes by a guest's end.
    lab.api().delete(&space.path("domains", "one")).unwrap();
    space.wait_ready("domains", "three");
    for node in lab.cluster.nodes() {
        lab.api().merge(&host_path(node.name), &json!({"spec": {"reserve": null}})).unwrap();
    }

    // A node that is cordoned takes nothing new, and what is there stays.
    lab.kubectl(&["cordon", "node-a"]);
    space.create("domains", &small("four", json!({})));
    assert_eq!(space.wait_ready("domains", "four")["status"]["host"], "node-b");
    lab.kubectl(&["uncordon", "node-a"]);
    space.end();
}

#[test]
fn a_network_is_ready_on_every_host_that_uses_it() {
    let lab = lab();
    let space = lab.space("networks");
    space.apply_demo("network");
    let unused = space.wait_ready("networks", "lan");
    assert_eq!(condition(&unused, "Ready").1, "WaitingForFirstUse");
    let nic = json!([{"name": "eth0", "model": {"type": "virtio"}, "source": {"network": {"network": "lan"}}}]);
    for node in ["node-a", "node-b"] {
        let spec = json!({"placement": {"host": node}, "domain": {"devices": {"interfaces": nic.clone()}}});
        space.create("domains", &small(node, spec));
        assert_eq!(space.wait_ready("domains", node)["status"]["host"], node);
    }
    let both = json!({"desired": 2, "ready": 2});
    space.wait("networks", "lan", |network| network["status"]["hosts"] == both);
    space.wait_ready("networks", "lan");
    for node in ["node-a", "node-b"] {
        let host = lab.api().get(&format!("{GROUP}/hosts/{node}")).unwrap();
        assert_eq!(host["status"]["networks"][0]["name"], "networks/lan", "{host:#}");
    }
    lab.api().delete(&space.path("domains", "node-b")).unwrap();
    space.wait("networks", "lan", |network| network["status"]["hosts"] == json!({"desired": 1, "ready": 1}));
    space.end();
}
