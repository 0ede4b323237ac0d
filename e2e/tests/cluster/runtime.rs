//! Hosts that have no hypervisor of their own.

use ostler_e2e::cluster::install::Kind;
use ostler_e2e::cluster::node::Node;
use serde_json::{Value, json};

use crate::lab::{Lab, condition, host_path, lab, small};

/// What the image brings, and the host of this test lacks.
const HIDDEN: [&str; 5] =
    ["/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", "/usr/share/qemu", "/usr/share/seabios", "/usr/sbin/dnsmasq"];

fn switch_on(lab: &Lab, node: &Node) {
    lab.cluster.start(node).unwrap();
    lab.cluster.wait_ready(node).unwrap();
}

/// The digest of the runtime that a process runs from.
fn digest(pid: i32) -> String {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string();
    let below = program.split_once("/var/lib/ostler/runtime/").unwrap_or_else(|| panic!("it runs from {program}")).1;
    below.split('/').next().unwrap().to_owned()
}

#[test]
fn a_node_without_a_hypervisor_runs_guests_from_the_image_and_they_outlive_its_upgrade() {
    let lab = lab();
    let node = lab.cluster.node("node-b");
    node.kill().unwrap();
    node.hide(&HIDDEN).unwrap();
    switch_on(&lab, &node);
    let lacking = lab.wait(&host_path(node.name), |host| condition(host, "QemuAvailable").0 == "False");
    assert!(condition(&lacking, "QemuAvailable").2.contains("runtime.source: image"), "{lacking:#}");
    assert_eq!(condition(&lacking, "Ready").0, "False");

    let say = |line: &str| eprintln!("{line}");
    lab.cluster.install(&lab.binary, Kind::Runtime("-one"), &[], &say).unwrap_or_else(|error| panic!("{error:#}"));
    lab.host(node.name);
    let space = lab.space("runtime");
    space.apply_demo("network");
    let nic = json!([{"name": "eth0", "model": {"type": "virtio"}, "source": {"network": {"network": "lan"}}}]);
    let spec = || json!({"placement": {"host": node.name}, "domain": {"devices": {"interfaces": nic}}});
    space.create("domains", &small("web", spec()));
    space.wait_ready("domains", "web");
    let (_, pid) = space.guest("web");
    let first = digest(pid);

    lab.cluster.install(&lab.binary, Kind::Runtime("-two"), &[], &say).unwrap_or_else(|error| panic!("{error:#}"));
    space.create("domains", &small("later", spec()));
    space.wait_ready("domains", "later");
    assert_eq!(space.guest("web").1, pid, "it runs on");
    let second = digest(space.guest("later").1);
    assert_ne!(second, first);
    let laid = || {
        let entries = std::fs::read_dir(node.path("/var/lib/ostler/runtime")).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert!(laid().contains(&first) && laid().contains(&second), "{:?}", laid());
    // A restart of the guest takes it over to the new one.
    let restart = json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "DomainOperation", "metadata": {"name": "restart"},
        "spec": {"domain": "web", "verb": "Restart", "ttlSecondsAfterFinished": 0},
    });
    space.create("domainoperations", &restart);
    space.wait("domainoperations", "restart", Value::is_null);
    space.wait_ready("domains", "web");
    assert_eq!(digest(space.guest("web").1), second);
    space.end();

    node.kill().unwrap();
    node.unhide().unwrap();
    switch_on(&lab, &node);
    lab.install(&[]);
    lab.host(node.name);
}
