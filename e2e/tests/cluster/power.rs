//! A node that loses its power.

use serde_json::Value;

use crate::lab::{is_ready, lab};

#[test]
fn a_node_that_lost_power_brings_its_guest_back_once_as_it_was() {
    let lab = lab();
    let demo = lab.demo("power");
    let ((node, pid), before) = (demo.guest("hello"), demo.get("domains", "hello"));
    node.kill().unwrap();
    assert!(node.guests().is_empty());
    lab.cluster.start(&node).unwrap();
    lab.cluster.wait_ready(&node).unwrap();
    lab.wait_for("the guest comes back", || !node.guests().is_empty());
    let of = |domain: &Value, pointer: &str| domain.pointer(&format!("/status{pointer}")).cloned().expect("it is told");
    let after = demo.wait("domains", "hello", |domain| {
        let is_new = of(domain, "/run/startTime") != of(&before, "/run/startTime");
        is_new && is_ready(domain) && domain["status"]["addresses"] == of(&before, "/addresses")
    });
    for pointer in ["/host", "/claim", "/resolved/uuid", "/resolved/macs", "/resolved/machine"] {
        assert_eq!(of(&after, pointer), of(&before, pointer), "{pointer}");
    }
    assert_ne!(demo.guest("hello").1, pid);
    demo.wait_demo();
    lab.wait_rolled_out();
    demo.end();
}
