use ostler_crds::grants::Grant;
use ostler_crds::{Allowed, Kind, Object};
use serde_json::{Value, json};

use super::check;

/// Ways to the host that a tenant may try. The API server's side of them is tried in e2e/tests/policies.rs.
const WAYS: &str = include_str!("../../../crds/src/grants/ways.jsonl");

fn ways() -> Vec<(String, Object, String, Grant)> {
    let way = |line: &str| {
        let way: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| way[field].as_str().unwrap().to_owned();
        let kind = Kind::from_name(&text("kind")).unwrap();
        let value = json!({"apiVersion": "ostler.dev/v1alpha1", "kind": kind.name(),
            "metadata": {"name": "sly", "namespace": "shop"}, "spec": way["spec"]});
        let object = Object::from_value(kind, &value).unwrap_or_else(|error| panic!("{}: {error}", text("way")));
        (text("way"), object, text("field"), text("grant").parse().unwrap())
    };
    WAYS.lines().map(way).collect()
}

#[test]
fn a_host_that_allows_nothing_refuses_each_way_by_its_field() {
    let ways = ways();
    assert!(ways.len() >= 25);
    for (way, object, field, grant) in ways {
        let refusal = check(&[], "node-a", &object).expect_err(&way).to_string();
        assert!(refusal.contains(&format!("{field} reaches the host and needs '{grant}'")), "{way}: {refusal}");
        assert!(refusal.contains("spec.allow") && refusal.contains("namespace shop"), "{way}: {refusal}");
    }
}

#[test]
fn another_grant_or_another_namespace_is_not_enough() {
    for (way, object, field, grant) in ways() {
        let others = Grant::ALL.iter().copied().filter(|other| *other != grant).map(Allowed::everywhere);
        let elsewhere = Allowed { name: grant, namespaces: vec!["lab".to_owned()] };
        let allow: Vec<Allowed> = others.chain([elsewhere]).collect();
        let refusal = check(&allow, "node-a", &object).expect_err(&way).to_string();
        assert!(refusal.contains(&field), "{way}: {refusal}");
    }
}

#[test]
fn what_the_host_lists_is_carried_out() {
    let everywhere: Vec<Allowed> = Grant::ALL.iter().copied().map(Allowed::everywhere).collect();
    let here: Vec<Allowed> =
        Grant::ALL.iter().map(|name| Allowed { name: *name, namespaces: vec!["shop".to_owned()] }).collect();
    for (way, object, ..) in ways() {
        check(&everywhere, "node-a", &object).unwrap_or_else(|error| panic!("{way}: {error}"));
        check(&here, "node-a", &object).unwrap_or_else(|error| panic!("{way}: {error}"));
    }
}

/// What a tenant has without any grant, as the types give it back: with all that they fill in.
#[test]
fn an_ordinary_guest_needs_nothing() {
    let domain = json!({"runStrategy": "Always", "domain": {
        "vcpu": {"count": 2}, "memory": {"size": "1Gi"}, "cpu": {"mode": "host-model"}, "features": {"acpi": true},
        "os": {"type": {"machine": "q35"}, "firmware": "efi", "loader": {"secure": true}, "boot": [{"dev": "hd"}]},
        "devices": {
            "disks": [{"name": "vda", "target": {"bus": "virtio"}, "source": {"volume": {"pool": "p", "volume": "v"}}},
                {"name": "sda", "device": "cdrom", "target": {"bus": "sata"}}],
            "interfaces": [{"name": "eth0", "source": {"network": {"network": "lan"}}, "model": {"type": "virtio"}}],
            "serials": [{"name": "s", "source": {"pty": {}}}],
            "channels": [{"name": "agent", "source": {"unix": {}}, "target": {"type": "virtio", "name": "org.qemu.guest_agent.0"}}],
            "rngs": [{"name": "r", "model": "virtio", "backend": {"random": {}}}],
            "tpms": [{"name": "t", "model": "tpm-crb", "backend": {"emulator": {"version": "2.0"}}}],
            "graphics": [{"name": "g", "kind": {"vnc": {}}}], "videos": [{"name": "v", "model": {"type": "virtio"}}],
            "memballoon": {"model": "virtio"}}}});
    for (kind, spec) in [
        (Kind::Domain, domain),
        (
            Kind::Network,
            json!({"network": {"forward": {"mode": "nat"}, "domain": {"name": "shop"},
            "ips": [{"address": "10.9.0.1", "prefix": 24, "dhcp": {"ranges": [{"start": "10.9.0.2", "end": "10.9.0.9"}]}}]}}),
        ),
        (Kind::Network, json!({"network": {}})),
        (Kind::StoragePool, json!({})),
        (
            Kind::StorageVolume,
            json!({"pool": "p", "volume": {"capacity": "1Gi", "target": {"format": {"type": "qcow2"}}}}),
        ),
    ] {
        let value = json!({"metadata": {"name": "free", "namespace": "shop"}, "spec": spec});
        let object = Object::from_value(kind, &value).unwrap_or_else(|error| panic!("{kind}: {error}"));
        check(&[], "node-a", &object).unwrap_or_else(|error| panic!("{error}"));
    }
}
