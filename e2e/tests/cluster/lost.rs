//! A cluster whose etcd is lost with everything in it.

use std::os::unix::fs::MetadataExt;

use ostler_e2e::cluster::install::charts;
use ostler_e2e::cluster::node::Node;
use serde_json::{Value, json};

use crate::lab::{KINDS, Space, claim_of, condition, host_path, lab, places, small, uuid_of};

/// One of the demo's manifests, to take over what an earlier one of its name left.
fn adopting(space: &Space<'_>, file: &str) -> Value {
    let path = charts().with_file_name("examples").join(format!("demo/{file}.yaml"));
    let path = path.to_str().unwrap();
    let text = space.lab.kubectl(&["create", "-n", &space.name, "--dry-run=client", "-o", "json", "-f", path]);
    let mut object: Value = serde_json::from_str(&text).unwrap();
    if ["domain", "volume"].contains(&file) {
        object["spec"]["adopt"] = "Orphaned".into();
    }
    object
}

fn plural_of(object: &Value) -> &'static str {
    let kind = object["kind"].as_str().unwrap().to_lowercase() + "s";
    KINDS.into_iter().map(|(plural, _)| plural).find(|plural| *plural == kind).unwrap()
}

#[test]
fn after_etcd_was_lost_guests_run_on_and_are_taken_back_with_what_they_stand_on() {
    let lab = lab();
    let space = lab.demo("lost");
    let (home, pid) = space.guest("hello");
    let away = lab.cluster.nodes().into_iter().find(|node| node.name != home.name).unwrap();
    space.create("domains", &small("web", json!({"placement": {"host": away.name}})));
    space.wait_ready("domains", "web");
    let web = space.guest("web").1;
    let [hello_uuid, web_uuid] = ["hello", "web"].map(|name| uuid_of(&space, name));
    let before = space.get("domains", "hello");
    let image = home.path(space.get("storagevolumes", "hello-data")["status"]["path"].as_str().unwrap());
    let inode = std::fs::metadata(&image).unwrap().ino();
    let bridge = |node: &Node| node.run("ip", &["-o", "link", "show", "type", "bridge"]).unwrap().1;
    let bridges = bridge(&home);
    let owner = lab.api().get("/api/v1/namespaces/kube-system").unwrap()["metadata"]["uid"].clone();

    lab.cluster.lose_etcd().unwrap();
    let all_run_once = || {
        assert_eq!((places(&lab, &hello_uuid), places(&lab, &web_uuid)), (vec![home.name], vec![away.name]));
    };
    all_run_once();
    let former = format!("formerOwners={{{}}}", owner.as_str().unwrap());
    lab.install(&["--set-string", &former]);
    for (node, object) in [(&home, "lost/hello"), (&away, "lost/web")] {
        lab.wait(&host_path(node.name), |host| {
            all_run_once();
            let orphans = host["status"]["orphans"].as_array();
            let is_it = |it: &Value| it["object"] == object && it["active"] == true && it["adoptable"] == true;
            orphans.is_some_and(|all| all.iter().any(is_it))
        });
    }

    // Who does not ask for it gets nobody's data, and deletes none.
    let space = lab.space("lost");
    space.create("storagepools", &adopting(&space, "pool"));
    let mut other = adopting(&space, "volume");
    other["spec"]["adopt"] = Value::Null;
    other["spec"]["placement"] = json!({"host": home.name});
    space.create("storagevolumes", &other);
    let refused = space.wait("storagevolumes", "hello-data", |volume| condition(volume, "Stalled").1 == "Conflict");
    assert!(condition(&refused, "Ready").2.contains("spec.adopt: Orphaned"), "{refused:#}");
    lab.api().delete(&space.path("storagevolumes", "hello-data")).unwrap();
    space.wait("storagevolumes", "hello-data", Value::is_null);

    // Git has everything, and it is applied again: a guest first, before what it stands on.
    space.create("domains", &small("web", json!({"adopt": "Orphaned"})));
    for file in ["domain", "network", "volume"] {
        let object = adopting(&space, file);
        space.create(plural_of(&object), &object);
        all_run_once();
    }
    space.wait_demo();
    space.wait_ready("domains", "web");
    all_run_once();
    assert_eq!((space.guest("hello").1, space.guest("web").1), (pid, web), "nothing was started again");
    let after = space.get("domains", "hello");
    assert_eq!(claim_of(&after).0, home.name);
    assert_eq!(condition(&after, "ConfigurationApplied").0, "True", "{after:#}");
    for field in ["/resolved/uuid", "/resolved/macs", "/resolved/machine", "/addresses"] {
        let of = |domain: &Value| domain["status"].pointer(field).cloned().expect("it is told");
        assert_eq!(of(&after), of(&before), "{field}");
    }
    assert_eq!(home.path(space.get("storagevolumes", "hello-data")["status"]["path"].as_str().unwrap()), image);
    assert_eq!(std::fs::metadata(&image).unwrap().ino(), inode, "its data are the same");
    assert_eq!(bridge(&home), bridges, "its network is the same");
    for node in [&home, &away] {
        // Others were left here before.
        let is_ours = |it: &Value| it["object"].as_str().is_some_and(|object| object.starts_with("lost/"));
        lab.wait(&host_path(node.name), |host| {
            !host["status"]["orphans"].as_array().is_some_and(|all| all.iter().any(is_ours))
        });
    }

    lab.wait_rolled_out();
    space.end();
    assert!(!image.exists(), "it is theirs again: it goes as they do");
}
