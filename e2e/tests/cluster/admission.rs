//! What is refused at `kubectl apply`, by the webhook as the chart installs it.

use ostler_e2e::cluster::install::NAMESPACE;
use serde_json::{Value, json};

use crate::lab::{condition, lab, small};

/// A disk of this kind, from a file.
fn disk(device: &str) -> Value {
    json!([{"name": "sda", "device": device, "target": {"bus": "scsi"}, "source": {"file": {"file": "/var/lib/ostler/d.img"}}}])
}

#[test]
fn a_lun_from_a_file_is_refused_at_create_update_and_dry_run() {
    let lab = lab();
    let space = lab.space("admission");
    // It is checked against what the hosts told of themselves.
    for node in lab.cluster.nodes() {
        lab.host(node.name);
    }
    let with =
        |device: &str| small("web", json!({"runStrategy": "Halted", "domain": {"devices": {"disks": disk(device)}}}));
    let path = space.path("domains", "");
    let refused = |result: Result<Value, ostler_e2e::cluster::api::ApiError>| {
        let error = result.expect_err("a lun is no file");
        assert_eq!(error.code(), 422, "{error}");
        let text = error.to_string();
        assert!(text.contains("spec.domain.devices.disks[sda]") && text.contains("lun"), "{text}");
    };
    refused(lab.api().create(&format!("{path}?dryRun=All"), &with("lun")));
    refused(lab.api().create(&path, &with("lun")));
    lab.api().create(&format!("{path}?dryRun=All"), &with("disk")).unwrap();
    assert!(lab.api().find(&space.path("domains", "web")).unwrap().is_null(), "a dry run makes nothing");
    space.create("domains", &with("disk"));
    refused(lab.api().merge(&space.path("domains", "web"), &json!({"spec": with("lun")["spec"]})));
    assert_eq!(space.get("domains", "web")["spec"]["domain"]["devices"]["disks"][0]["device"], "disk");
    space.end();
}

#[test]
fn without_a_controller_nothing_new_is_accepted_and_the_rest_goes_on() {
    let lab = lab();
    let space = lab.space("closed");
    space.create("domains", &small("web", json!({})));
    space.wait_ready("domains", "web");
    lab.kubectl(&["-n", NAMESPACE, "scale", "deployment/ostler-controller", "--replicas=0"]);
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dcontroller");
    lab.wait(&pods, |pods| pods["items"].as_array().is_some_and(Vec::is_empty));
    let path = space.path("domains", "");
    let refused = lab.api().create(&path, &small("later", json!({}))).unwrap_err().to_string();
    assert!(refused.contains("validate.ostler.dev"), "{refused}");
    let edit = lab.api().merge(&space.path("domains", "web"), &json!({"spec": {"runStrategy": "Halted"}}));
    assert!(edit.unwrap_err().to_string().contains("validate.ostler.dev"));
    // Labels, status and finalizers are no spec.
    space.edit("domains", "web", json!({"metadata": {"labels": {"a": "b"}}}));
    lab.api().delete(&space.path("domains", "web")).unwrap();
    space.wait("domains", "web", Value::is_null);
    lab.kubectl(&["-n", NAMESPACE, "scale", "deployment/ostler-controller", "--replicas=2"]);
    lab.wait_rolled_out();
    space.create("domains", &small("later", json!({})));
    space.wait_ready("domains", "later");
    space.end();
}

#[test]
fn a_namespace_has_no_more_than_its_quota_and_guests_no_more_than_what_is_booked_for_them() {
    let lab = lab();
    let space = lab.space("quota");
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "most"},
        "spec": {"hard": {"ostler.dev/cpus": "2", "ostler.dev/memory": "48Mi", "ostler.dev/storage": "1Gi"}},
    });
    lab.api().create(&format!("/api/v1/namespaces/{}/resourcequotas", space.name), &quota).unwrap();
    let path = space.path("domains", "");
    // The controller hears of a quota a moment after the API server has it.
    let large = small("large", json!({"domain": {"memory": {"size": "64Mi"}}}));
    let mut refusal = String::new();
    lab.wait_for("the quota holds", || match lab.api().create(&format!("{path}?dryRun=All"), &large) {
        Ok(_) => false,
        Err(error) => {
            refusal = error.to_string();
            error.code() == 403
        }
    });
    let why = "spec.domain.memory.size: exceeded quota: most, requested: ostler.dev/memory=64Mi, used: ostler.dev/memory=0, limited: ostler.dev/memory=48Mi";
    assert!(refusal.contains(why), "{refusal}");
    for name in ["one", "two"] {
        space.create("domains", &small(name, json!({})));
        space.wait_ready("domains", name);
    }
    let error = lab.api().create(&path, &small("three", json!({}))).unwrap_err();
    assert!(error.code() == 403 && error.to_string().contains("ostler.dev/cpus=1"), "{error}");
    lab.api().delete(&space.path("domains", "one")).unwrap();
    space.wait("domains", "one", Value::is_null);
    space.create("domains", &small("three", json!({})));
    space.wait_ready("domains", "three");

    // What guests have is booked with kube-scheduler, and no guest takes more.
    let booked = ["placeholder.enabled=true", "placeholder.image=localhost/pause:1", "placeholder.requests.cpu=500m"];
    let mut args: Vec<&str> = booked.iter().flat_map(|value| ["--set", value]).collect();
    args.extend(["--set", "placeholder.requests.memory=64Mi"]);
    lab.install(&args);
    let wide = lab.space("booked");
    wide.create("domains", &small("wide", json!({"domain": {"memory": {"size": "80Mi"}}})));
    let waits = wide.wait("domains", "wide", |domain| condition(domain, "Ready").1 == "Unschedulable");
    assert!(condition(&waits, "Ready").2.contains("without enough free memory"), "{waits:#}");
    lab.install(&[]);
    wide.wait_ready("domains", "wide");
    wide.end();
    space.end();
}
