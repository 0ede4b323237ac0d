//! What reaches the host needs a grant, asked by the API server.

use serde_json::{Value, json};

use super::*;

/// Ways to the host that a tenant may try. The agent's side of them is tried in controller/src/allow/tests.rs.
const WAYS: &str = include_str!("../../../crds/src/grants/ways.jsonl");

struct Way {
    way: String,
    kind: String,
    spec: Value,
    field: String,
    grant: String,
}

fn ways() -> Vec<Way> {
    let way = |line: &str| {
        let way: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| way[field].as_str().unwrap().to_owned();
        Way {
            way: text("way"),
            kind: text("kind"),
            spec: way["spec"].clone(),
            field: text("field"),
            grant: text("grant"),
        }
    };
    WAYS.lines().map(way).collect()
}

fn plural(kind: &str) -> String {
    format!("{}s", kind.to_lowercase())
}

#[test]
fn each_way_of_a_tenant_to_the_host_is_refused_by_its_field() {
    let server = prepared();
    let (namespace, granted) = (server.namespace("tenant"), server.namespace("granted"));
    let (without, with) = (tenant(server, &namespace), tenant(server, &granted));
    bind(server, &granted, "ostler-grants");
    let ways = ways();
    assert!(ways.len() >= 25);
    for (number, Way { way, kind, spec, field, grant }) in ways.iter().enumerate() {
        let object = object(kind, &format!("way-{number}"), spec);
        let path = objects(&namespace, &plural(kind));
        let refusal = without.create(&path, &object).expect_err(way);
        let text = refusal.to_string();
        let is_told = text.contains(&format!("'{grant}' in the group ostler.dev, in the namespace {namespace}"));
        assert!(matches!(refusal.code(), 403 | 422) && is_told && text.contains(field.as_str()), "{way}: {text}");
        // With the grants it is taken, and by an admin.
        with.create(&objects(&granted, &plural(kind)), &object).unwrap_or_else(|error| panic!("{way}: {error}"));
        server.api().create(&path, &object).unwrap_or_else(|error| panic!("{way}: {error}"));
        // What an admin gave stays when the tenant changes something else.
        let path = format!("{path}/way-{number}");
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        without.merge(&path, &label).unwrap_or_else(|error| panic!("{way}: {error}"));
        if kind == "Domain" {
            let more = json!({"spec": {"domain": {"title": "mine"}}});
            without.merge(&path, &more).unwrap_or_else(|error| panic!("{way}: {error}"));
            refused(without.merge(&path, &json!({"spec": {"domain": {"os": {"shim": "/x"}}}})), "spec.domain.os.shim");
        }
    }
}

#[test]
fn one_grant_is_not_another() {
    let server = prepared();
    let namespace = server.namespace("one");
    let tenant = tenant(server, &namespace);
    let role = json!({"metadata": {"name": "bridged"}, "rules": [{"apiGroups": ["ostler.dev"], "resources": ["hostnetworks"], "verbs": ["use"]}]});
    server.api().create("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).unwrap();
    bind(server, &namespace, "bridged");
    let path = format!("{}?dryRun=All", objects(&namespace, "domains"));
    let bridged = json!({"name": "eth0", "source": {"bridge": {"bridge": "br0"}}});
    let with = |more: Value| {
        let devices = json!({"interfaces": [bridged], "serials": [{"name": "s", "source": more}]});
        tenant.create(&path, &object("Domain", "web", &json!({"domain": {"devices": devices}})))
    };
    with(json!({"pty": {}})).unwrap();
    refused(with(json!({"file": {"path": "/x"}})), "'hostpaths' in the group");
}

#[test]
fn a_change_of_what_an_admin_gave_needs_the_grant_again() {
    let server = prepared();
    let namespace = server.namespace("changed");
    let tenant = tenant(server, &namespace);
    let spec = |file: &str| {
        let disk = json!({"name": "vda", "source": {"file": {"file": file}}});
        json!({"domain": {"devices": {"disks": [disk]}}})
    };
    server.api().create(&objects(&namespace, "domains"), &object("Domain", "web", &spec("/srv/a.img"))).unwrap();
    let path = format!("{}/web", objects(&namespace, "domains"));
    refused(tenant.merge(&path, &json!({"spec": spec("/etc/shadow")})), "disks[vda].source.file");
    // The same file under another name is another disk.
    let mut renamed = spec("/srv/a.img");
    renamed["domain"]["devices"]["disks"][0]["name"] = json!("vdb");
    refused(tenant.merge(&path, &json!({"spec": renamed})), "disks[vdb].source.file");
    tenant.merge(&path, &json!({"spec": {"domain": {"devices": {"disks": []}}}})).unwrap();
    refused(tenant.merge(&path, &json!({"spec": spec("/srv/a.img")})), "disks[vda].source.file");
}

#[test]
fn a_large_guest_is_within_the_budget() {
    let server = prepared();
    let namespace = server.namespace("large");
    let tenant = tenant(server, &namespace);
    let disk = |at: usize| {
        let volume = json!({"pool": "p", "volume": format!("v{at}")});
        json!({"name": format!("d{at}"), "device": "disk", "target": {"bus": "scsi"}, "driver": {"type": "qcow2", "cache": "none"},
            "serial": "x", "boot": {"order": at + 1}, "source": {"volume": volume}, "readonly": true})
    };
    let nic = |at: usize| {
        json!({"name": format!("e{at}"), "model": {"type": "virtio"}, "mac": {"address": format!("52:54:00:00:00:{at:02x}")},
            "source": {"network": {"network": "lan"}}, "mtu": {"size": 9000}})
    };
    let serial = |at: usize| json!({"name": format!("s{at}"), "source": {"pty": {}}});
    let devices = |disks: usize| {
        json!({"disks": (0..disks).map(disk).collect::<Vec<_>>(), "interfaces": (0..64).map(nic).collect::<Vec<_>>(),
            "serials": (0..16).map(serial).collect::<Vec<_>>()})
    };
    let path = objects(&namespace, "domains");
    tenant.create(&path, &object("Domain", "web", &json!({"domain": {"devices": devices(256)}}))).unwrap();
    let more = json!({"spec": {"domain": {"devices": devices(255)}}});
    tenant.merge(&format!("{path}/web"), &more).unwrap();
    // As many parts that need a grant: an admin has them.
    let file = |at: usize| json!({"name": format!("d{at}"), "source": {"file": {"file": format!("/srv/{at}.img")}}});
    let files = |from: usize| {
        let disks: Vec<Value> = (from..from + 256).map(file).collect();
        json!({"domain": {"devices": {"disks": disks}}})
    };
    server.api().create(&path, &object("Domain", "files", &files(0))).unwrap();
    server.api().merge(&format!("{path}/files"), &json!({"spec": files(1)})).unwrap();
}

/// Kubernetes' own roles hold neither a grant nor a status.
#[test]
fn a_user_role_holds_no_grant_and_no_status() {
    let server = prepared();
    let grants: Vec<&str> = ostler_crds::grants::Grant::ALL.iter().map(|grant| grant.resource()).collect();
    for role in ["view", "edit", "admin"] {
        let role = server.api().get(&format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")).unwrap();
        let rules = role["rules"].as_array().unwrap();
        let ours: Vec<&Value> =
            rules.iter().filter(|rule| rule["apiGroups"].to_string().contains("ostler.dev")).collect();
        assert!(!ours.is_empty());
        for rule in ours {
            let resources: Vec<&str> = rule["resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let is_wrong = |name: &&str| {
                name.contains('*') || name.ends_with("/status") || grants.contains(name) || *name == "hosts"
            };
            assert_eq!(resources.iter().copied().find(is_wrong), None, "{rule}");
        }
    }
    let role = server.api().get("/apis/rbac.authorization.k8s.io/v1/clusterroles/ostler-grants").unwrap();
    assert_eq!(role["rules"][0]["resources"], json!(grants));
}

/// docs/grants.md, as its three people do it.
#[test]
fn the_three_people_of_the_page_may_do_what_it_says() {
    let server = prepared();
    let examples = format!("{CHARTS}/../examples/grants");
    let apply = |who: &[&str], file: &str, more: &[&str]| {
        let file = format!("{examples}/{file}.yaml");
        server.kubectl(&[&["apply", "--server-side", "--force-conflicts", "-f", &file], more, who].concat())
    };
    kubectl(server, &["apply", "-f", &format!("{examples}/roles.yaml")]);
    let tenant = ["--as", "anna", "--as-group", "shop-team", "--as-group", "system:authenticated"];
    let power_user = ["--as", "bert", "--as-group", "lab-team", "--as-group", "system:authenticated"];
    let operator = ["--as", "carl", "--as-group", "operators", "--as-group", "system:authenticated"];
    let (code, text) = apply(&tenant, "tenant", &[]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = apply(&power_user, "power-user", &[]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = apply(&operator, "operator", &[]);
    assert_eq!(code, 0, "{text}");
    let host = server.api().get(&format!("{GROUP}/hosts/node-a")).unwrap();
    assert_eq!(host["spec"]["allow"][0], json!({"name": "hostnetworks", "namespaces": ["lab"]}));
    // What each of them may not.
    let (code, text) = apply(&power_user, "operator", &[]);
    assert!(code != 0 && text.contains("forbidden"), "{text}");
    let (code, text) = apply(&power_user, "tenant", &[]);
    assert!(code != 0 && text.contains("forbidden"), "{text}");
    let in_shop = std::fs::read_to_string(format!("{examples}/power-user.yaml"))
        .unwrap()
        .replace("namespace: lab", "namespace: shop");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in-shop.yaml").display().to_string();
    std::fs::write(&file, in_shop).unwrap();
    let (code, text) = server.kubectl(&[&["apply", "--server-side", "-f", &file][..], &tenant].concat());
    // The API server tells the first that it finds.
    assert!(code != 0 && text.contains("disks[sda].source.file") && text.contains("'hostpaths'"), "{text}");
}

#[test]
fn a_tenants_own_things_need_no_grant() {
    let server = prepared();
    let namespace = server.namespace("free");
    let tenant = tenant(server, &namespace);
    let create = |kind: &str, spec: Value| {
        let plural = format!("{}s", kind.to_lowercase());
        tenant.create(&objects(&namespace, &plural), &object(kind, "free", &spec)).unwrap();
    };
    create(
        "Network",
        json!({"network": {"forward": {"mode": "nat"}, "domain": {"name": "shop"}, "bridge": {"stp": true},
        "ips": [{"address": "10.9.0.1", "prefix": 24, "dhcp": {"ranges": [{"start": "10.9.0.2", "end": "10.9.0.9"}]}}]}}),
    );
    create("StoragePool", json!({}));
    create(
        "StorageVolume",
        json!({"pool": "free", "volume": {"capacity": "1Gi", "target": {"format": {"type": "qcow2"}}}}),
    );
    create("DomainOperation", json!({"domain": "free", "verb": "Start"}));
    create(
        "Domain",
        json!({"runStrategy": "Always", "placement": {"host": "node-a"}, "domain": {
        "vcpu": {"count": 2}, "memory": {"size": "1Gi"}, "os": {"type": {"machine": "q35"}, "boot": [{"dev": "hd"}]},
        "features": {"acpi": true}, "cpu": {"mode": "host-passthrough"}, "clock": {"offset": "utc"}, "onReboot": "restart",
        "devices": {
            "disks": [{"name": "vda", "target": {"bus": "virtio"}, "driver": {"cache": "none"},
                "source": {"volume": {"pool": "free", "volume": "free"}}}],
            "interfaces": [{"name": "eth0", "source": {"network": {"network": "free"}}, "model": {"type": "virtio"}}],
            "serials": [{"name": "s", "source": {"pty": {}}}], "channels": [{"name": "c", "source": {"unix": {}}}],
            "rngs": [{"name": "r", "model": "virtio", "backend": {"random": {}}}], "memballoon": {"model": "virtio"}}}}),
    );
}

#[test]
fn a_tenant_stays_in_its_namespace_and_out_of_status() {
    let server = prepared();
    let (namespace, other) = (server.namespace("inside"), server.namespace("outside"));
    let tenant = tenant(server, &namespace);
    let domain = held_domain(server, &namespace, "web");
    refused(tenant.merge(&format!("{domain}/status"), &json!({"status": {"host": "node-b"}})), "forbidden");
    let theirs = held_domain(server, &other, "web");
    refused(tenant.get(&theirs), "forbidden");
    refused(tenant.merge(&theirs, &json!({"spec": {"runStrategy": "Halted"}})), "forbidden");
    refused(tenant.create(&objects(&other, "domains"), &object("Domain", "mine", &json!({"domain": {}}))), "forbidden");
    refused(tenant.get(&format!("{GROUP}/hosts")), "forbidden");
    // A status that comes with a spec is left out.
    let mut with_status = object("Domain", "sly", &json!({"domain": {"memory": {"size": "64Mi"}}}));
    with_status["status"] = json!({"host": "node-b", "claim": 7});
    let made = tenant.create(&objects(&namespace, "domains"), &with_status).unwrap();
    assert_eq!(made["status"], json!({"observedGeneration": -1}));
    // And nobody grants what he doesn't hold.
    let role = json!({"metadata": {"name": "sly"}, "rules": [{"apiGroups": ["ostler.dev"], "resources": ["hostpaths"], "verbs": ["use"]}]});
    refused(
        tenant.create(&format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles"), &role),
        "forbidden",
    );
}
