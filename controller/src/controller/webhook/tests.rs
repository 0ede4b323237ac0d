use std::sync::Arc;

use serde_json::json;

use super::*;

/// What an agent with QEMU 10 tells, as far as these tests need it: machine types by name, most CPUs, and alias.
fn facts(machines: Value) -> Value {
    let machine = |it: &Value| {
        let shape = json!({
            "maxCpus": it[1], "hotplugCpus": true, "numaMemSupported": true, "defaultCpu": "qemu64-x86_64-cpu",
            "defaultRamId": "pc.ram", "acpi": true,
        });
        json!([shape, [{"n": it[0], "a": it[2]}]])
    };
    json!({
        "form": 2, "arch": "x86_64", "emulator": "/usr/bin/qemu-system-x86_64", "version": 10_000_002, "kvm": false,
        "machines": machines.as_array().unwrap().iter().map(machine).collect::<Vec<_>>(),
        // All that it could be able to do.
        "flags": "ff".repeat(128), "devices": [], "cpus": ["qemu64"],
    })
}

fn put(world: &mut World, object: Value) {
    let kind = Kind::from_name(object["kind"].as_str().unwrap()).unwrap();
    let object = Object::from_value(kind, &object).unwrap();
    world.cache(kind).insert(object.object_ref(), 1, Arc::new(object));
}

fn host(world: &mut World, name: &str, machines: Value) {
    let capabilities = json!([{"name": "qemu", "facts": facts(machines)}]);
    put(
        world,
        json!({"kind": "Host", "metadata": {"name": name}, "spec": {}, "status": {"drivers": ["qemu"], "capabilities": capabilities}}),
    );
}

fn world() -> World {
    let mut world = World::default();
    host(&mut world, "a", json!([["pc-q35-10.0", 255, "q35"]]));
    world
}

fn disk(device: &str) -> Value {
    json!({"name": "sda", "device": device, "target": {"bus": "scsi"}, "source": {"file": {"file": "/d.img"}}})
}

fn domain(disk: Value) -> Value {
    json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain",
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"domain": {
            "type": "qemu", "memory": {"size": "64Mi"}, "os": {"type": {"arch": "x86_64", "machine": "q35"}},
            "devices": {"disks": [disk]}}},
    })
}

fn asks(operation: &str, old: Option<&Value>, new: Option<&Value>) -> Value {
    let kind = new.or(old).unwrap()["kind"].clone();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "r1", "kind": {"group": "ostler.dev", "version": "v1alpha1", "kind": kind},
            "resource": {"group": "ostler.dev", "version": "v1alpha1", "resource": "x"},
            "name": "web", "namespace": "default", "operation": operation, "userInfo": {},
            "object": new, "oldObject": old, "dryRun": false,
        }
    })
}

/// The answer as it goes over the wire.
fn answer(review: &Value, world: &World) -> Value {
    let answer = super::review(&serde_json::to_vec(review).unwrap(), world);
    let sent = serde_json::to_value(&answer.review).unwrap();
    assert_eq!((&sent["kind"], &sent["apiVersion"]), (&json!("AdmissionReview"), &json!("admission.k8s.io/v1")));
    sent["response"].clone()
}

fn allowed_with(review: &Value, world: &World) -> Vec<String> {
    let answer = answer(review, world);
    assert_eq!((&answer["allowed"], &answer["uid"]), (&json!(true), &json!("r1")), "{answer}");
    serde_json::from_value(answer["warnings"].clone()).unwrap_or_default()
}

fn refused_with(review: &Value, world: &World) -> String {
    let answer = answer(review, world);
    assert_eq!(
        (&answer["allowed"], &answer["status"]["code"], &answer["status"]["reason"]),
        (&json!(false), &json!(422), &json!("Invalid")),
        "{answer}"
    );
    answer["status"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_valid_domain_is_allowed_without_a_word() {
    let new = domain(disk("disk"));
    assert_eq!(allowed_with(&asks("CREATE", None, Some(&new)), &world()), Vec::<String>::new());
}

#[test]
fn a_lun_with_a_file_is_refused_for_a_create_and_for_an_update_that_adds_it() {
    let (good, bad) = (domain(disk("disk")), domain(disk("lun")));
    let create = refused_with(&asks("CREATE", None, Some(&bad)), &world());
    let update = refused_with(&asks("UPDATE", Some(&good), Some(&bad)), &world());
    assert_eq!(create, update);
    assert!(create.starts_with("spec.domain.devices.disks[sda]") && create.contains("lun"), "{create}");
}

#[test]
fn a_dry_run_gets_the_same_answer() {
    let mut review = asks("CREATE", None, Some(&domain(disk("lun"))));
    let real = answer(&review, &world());
    review["request"]["dryRun"] = true.into();
    assert_eq!(answer(&review, &world()), real);
}

#[test]
fn what_no_host_can_do_is_refused_with_the_drivers_reason() {
    let mut new = domain(disk("disk"));
    new["spec"]["domain"]["os"]["type"]["machine"] = "pc-q35-99.0".into();
    let message = refused_with(&asks("CREATE", None, Some(&new)), &world());
    let expected =
        "spec.domain.os.type.machine: the emulator /usr/bin/qemu-system-x86_64 has no machine type 'pc-q35-99.0'";
    assert_eq!(message, expected);
    let answer = answer(&asks("CREATE", None, Some(&new)), &world());
    assert_eq!(answer["status"]["details"]["causes"][0]["field"], "spec.domain.os.type.machine");
}

#[test]
fn one_host_that_can_is_enough_unless_placement_keeps_it_away() {
    let mut world = world();
    host(&mut world, "b", json!([["pc-q35-10.0", 255, "q35"], ["pc-q35-99.0", 255, null]]));
    let mut new = domain(disk("disk"));
    new["spec"]["domain"]["os"]["type"]["machine"] = "pc-q35-99.0".into();
    assert!(allowed_with(&asks("CREATE", None, Some(&new)), &world).is_empty());
    new["spec"]["placement"] = json!({"host": "a"});
    assert!(refused_with(&asks("CREATE", None, Some(&new)), &world).contains("no machine type"));
    new["spec"]["placement"] = json!({"host": "nowhere"});
    assert_eq!(allowed_with(&asks("CREATE", None, Some(&new)), &world).len(), 1, "no host is known that it may go to");
}

#[test]
fn a_domain_that_has_its_host_is_checked_there() {
    let mut world = world();
    host(&mut world, "b", json!([["pc-q35-99.0", 255, "q35"]]));
    let mut old = domain(disk("disk"));
    old["status"] = json!({"host": "a"});
    let mut new = old.clone();
    new["spec"]["domain"]["os"]["type"]["machine"] = "pc-q35-99.0".into();
    assert!(refused_with(&asks("UPDATE", Some(&old), Some(&new)), &world).contains("no machine type"));
    new["status"] = json!({"host": "b"});
    assert!(allowed_with(&asks("UPDATE", Some(&old), Some(&new)), &world).is_empty());
}

#[test]
fn without_a_host_that_has_told_what_it_can_do_people_are_warned() {
    let warnings = allowed_with(&asks("CREATE", None, Some(&domain(disk("disk")))), &World::default());
    assert_eq!(warnings, ["not checked against a host: none that it may go to has told what it can do"]);
    let mut later = World::default();
    host(&mut later, "a", json!([]));
    let capabilities = json!([{"name": "qemu", "facts": {"form": 99}}]);
    put(
        &mut later,
        json!({"kind": "Host", "metadata": {"name": "b"}, "spec": {}, "status": {"drivers": ["qemu"], "capabilities": capabilities}}),
    );
    let mut new = domain(disk("disk"));
    new["spec"]["placement"] = json!({"host": "b"});
    assert_eq!(allowed_with(&asks("CREATE", None, Some(&new)), &later).len(), 1);
}

#[test]
fn what_does_not_exist_yet_is_a_short_warning() {
    let mut disk = disk("disk");
    disk["source"] = json!({"volume": {"pool": "p", "volume": "v"}});
    let mut domain = domain(disk);
    let warnings = allowed_with(&asks("CREATE", None, Some(&domain)), &world());
    assert_eq!(warnings, ["StoragePool default/p does not exist yet", "StorageVolume default/v does not exist yet"]);
    domain["metadata"]["namespace"] = "n".repeat(63).into();
    domain["spec"]["domain"]["devices"]["disks"][0]["source"]["volume"]["volume"] = "v".repeat(63).into();
    let warnings = allowed_with(&asks("CREATE", None, Some(&domain)), &world());
    assert!(warnings.len() == 2 && warnings[1].chars().count() == 120 && warnings[1].ends_with('…'), "{warnings:?}");
}

#[test]
fn what_may_not_change_is_refused_by_its_field() {
    let volume = |pool: &str| {
        json!({"kind": "StorageVolume", "metadata": {"name": "v", "namespace": "default"},
        "spec": {"pool": pool, "volume": {"capacity": "1Mi"}}})
    };
    let message = refused_with(&asks("UPDATE", Some(&volume("a")), Some(&volume("b"))), &world());
    assert_eq!(message, "spec.pool: this can't change once it is set: delete the object and make it anew");
}

#[test]
fn status_finalizers_and_ends_pass_whatever_the_spec_says() {
    let old = domain(disk("lun"));
    let mut new = old.clone();
    new["metadata"]["finalizers"] = json!(["ostler.dev/host"]);
    assert!(allowed_with(&asks("UPDATE", Some(&old), Some(&new)), &world()).is_empty());
    let mut going = domain(disk("lun"));
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(allowed_with(&asks("UPDATE", Some(&domain(disk("disk"))), Some(&going)), &world()).is_empty());
    assert!(allowed_with(&asks("DELETE", Some(&old), None), &world()).is_empty());
}

#[test]
fn a_protected_domain_is_not_deleted() {
    let mut old = domain(disk("disk"));
    old["spec"]["deletion"] = json!({"protect": true});
    let message = refused_with(&asks("DELETE", Some(&old), None), &world());
    assert_eq!(
        message,
        "spec.deletion.protect: this domain is protected: set spec.deletion.protect to false to delete it"
    );
}

#[test]
fn what_is_no_review_or_of_no_kind_of_ours_is_refused() {
    let answer = super::review(b"{}", &world());
    assert!(!answer.review.response.unwrap().allowed && answer.result == "malformed");
    let other = json!({"kind": "Flower", "metadata": {"name": "web"}, "spec": {}});
    assert_eq!(
        refused_with(&asks("CREATE", None, Some(&other)), &world()),
        "kind: this controller does not know the kind Flower"
    );
}

#[test]
fn every_kind_is_judged_with_a_minimal_object() {
    for (kind, spec) in [
        ("Network", json!({"network": {}})),
        ("StoragePool", json!({"pool": {}})),
        ("DomainOperation", json!({"domain": "web", "verb": "Start"})),
        ("Host", json!({"unschedulable": true})),
    ] {
        let object = json!({"kind": kind, "metadata": {"name": "web", "namespace": "default"}, "spec": spec});
        let warnings = allowed_with(&asks("CREATE", None, Some(&object)), &world());
        assert_eq!(warnings.len(), usize::from(kind == "DomainOperation"), "{warnings:?}");
    }
}

#[test]
fn what_another_namespace_has_is_refused_unless_it_lets_this_one_use_it() {
    let mut world = world();
    let network = |name: &str, usable_from: Value| {
        json!({"kind": "Network", "metadata": {"name": name, "namespace": "infra"},
            "spec": {"network": {}, "usableFrom": usable_from}, "status": {"usableFrom": ["default"]}})
    };
    put(&mut world, network("private", Value::Null));
    let mut named =
        network("theirs", json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}));
    named["status"] = json!({});
    put(&mut world, named);
    put(&mut world, network("shared", json!({"namespaceSelector": {"matchLabels": {"team": "a"}}})));
    let with = |network: &str| {
        let mut domain = domain(disk("disk"));
        domain["spec"]["domain"]["devices"]["interfaces"] =
            json!([{"name": "eth0", "source": {"network": {"network": network}}}]);
        asks("CREATE", None, Some(&domain))
    };
    assert_eq!(allowed_with(&with("infra/shared"), &world), Vec::<String>::new());
    // Whether it exists is not told.
    for network in ["private", "theirs", "nowhere"] {
        let message = refused_with(&with(&format!("infra/{network}")), &world);
        let expected = format!(
            "spec.domain.devices.interfaces[eth0].source.network.network: Network infra/{network} does not exist, or its \
             spec.usableFrom does not pick namespace default"
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn a_reference_that_is_a_path_is_refused_by_its_field() {
    let with = |pool: &str, volume: &str| {
        let mut disk = disk("disk");
        disk["source"] = json!({"volume": {"pool": pool, "volume": volume}});
        refused_with(&asks("CREATE", None, Some(&domain(disk))), &world())
    };
    for (pool, volume, field) in [
        ("p", "../../etc/shadow", "volume"),
        ("p", "infra/root", "volume"),
        ("../other", "v", "pool"),
        ("a/b/c", "v", "pool"),
    ] {
        let message = with(pool, volume);
        assert!(message.starts_with(&format!("spec.domain.devices.disks[sda].source.volume.{field}: ")), "{message}");
    }
}
