//! Bad manifests are refused whole, with the place and the reason, wherever they are given.

use std::collections::BTreeMap;
use std::fs;

use ostler_crds::manifest;
use ostler_e2e::apiserver::ApiServer;
use ostler_e2e::bad::{self, BadManifest, SeenBy};
use ostler_e2e::demo::binary;
use ostler_e2e::host::Host;
use serde_json::Value;

const GOOD: &str = "apiVersion: ostler.dev/v1alpha1\nkind: StoragePool\nmetadata: {name: NAME}\nspec: {}\n";

fn good(name: &str) -> String {
    GOOD.replace("NAME", name)
}

/// Which of these are not as expected, and why.
fn check(cases: impl IntoIterator<Item = BadManifest>, mut wrong: impl FnMut(&BadManifest) -> Option<String>) {
    let wrong: Vec<String> =
        cases.into_iter().filter_map(|case| Some(format!("{}: {}", case.name, wrong(&case)?))).collect();
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_enough_of_each_kind() {
    let mut counts = BTreeMap::new();
    for case in bad::all() {
        *counts.entry(format!("{:?}", case.seen_by)).or_insert(0) += 1;
    }
    println!("{counts:?}");
    assert!(counts.values().sum::<i32>() >= 40 && counts["Schema"] >= 20 && counts["Webhook"] >= 20, "{counts:?}");
}

#[test]
fn validate_names_file_line_and_field() {
    let folder = format!("{}/bad", env!("CARGO_MANIFEST_DIR"));
    let output = std::process::Command::new(binary()).args(["validate", "-o", "json", "-f", &folder]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let updates = bad::all().iter().filter(|case| case.is_update()).count();
    assert_eq!((output.status.code(), &found["objects"]), (Some(1), &(2 * updates).into()), "nothing else is valid");
    check(bad::all().into_iter().filter(|case| !case.is_update()), |case| {
        let file = format!("{folder}/{}.yaml", case.name);
        let told: Vec<&Value> =
            found["problems"].as_array().unwrap().iter().filter(|problem| problem["file"] == file.as_str()).collect();
        let is_told = told.iter().any(|problem| {
            problem["line"] == case.line
                && problem["path"] == case.path.as_str()
                && problem["message"].as_str().unwrap().contains(&case.says)
        });
        (!is_told).then(|| format!("expected line {} {} {}; told {told:?}", case.line, case.path, case.says))
    });
}

/// Each bad document has a good one behind it in its file: neither is taken. A good file beside them is.
#[test]
fn a_directory_refuses_the_file_whole_and_takes_the_others() {
    let mut host = Host::new(binary());
    for case in bad::all() {
        if let [before, _] = &case.documents()[..] {
            host.apply(&format!("{}.yaml", case.name), before);
        }
    }
    host.start_agent();
    let updates: Vec<BadManifest> = bad::all().into_iter().filter(BadManifest::is_update).collect();
    let object = |host: &Host, case: &BadManifest| {
        let kind = case.text.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap().to_lowercase();
        host.object(&format!("{kind}s"), &case.name)
    };
    host.wait_for("what is to be changed is there", |host| updates.iter().all(|case| !object(host, case).is_null()));
    let before: Vec<Value> = updates.iter().map(|case| object(&host, case)["spec"].clone()).collect();
    for case in bad::all() {
        let beside = good(&format!("beside-{}", case.name));
        host.apply(&format!("{}.yaml", case.name), &format!("{}---\n{beside}", case.last_document()));
    }
    host.apply("good.yaml", &good("good"));
    host.wait_ready("storagepools", "good", "True/WaitingForFirstUse");
    let told = |host: &Host| host.ostler(&["get", "host", "-o", "json"]).1;
    let all_told = |text: &str| bad::all().iter().all(|case| text.contains(&format!("/{}.yaml:", case.name)));
    host.wait_for("every refusal is told", |host| all_told(&told(host)));
    let told = told(&host).replace("\\n", "\n").replace("\\\"", "\"");
    check(bad::all(), |case| {
        let place = format!("/{}.yaml:{}:", case.name, case.line);
        let is_told =
            told.lines().any(|line| line.contains(&place) && line.contains(&case.path) && line.contains(&case.says));
        let beside = host.object("storagepools", &format!("beside-{}", case.name));
        (!is_told || !beside.is_null()).then(|| {
            let lines: Vec<&str> = told.lines().filter(|line| line.contains(&format!("/{}.yaml", case.name))).collect();
            format!("expected {place} {} {}; told {lines:?}", case.path, case.says)
        })
    });
    for (case, spec) in updates.iter().zip(before) {
        assert_eq!(object(&host, case)["spec"], spec, "{} is as it was", case.name);
    }
}

/// What the API server sees by itself, with its strictest reading.
#[test]
fn the_api_server_refuses_what_schema_and_rules_see() {
    let server = ApiServer::shared();
    let namespace = prepared(server);
    let folder = tempfile::tempdir().unwrap();
    check(bad::all().into_iter().filter(|case| case.seen_by == SeenBy::Schema), |case| {
        let mut answers = Vec::new();
        for (number, document) in case.documents().into_iter().enumerate() {
            let file = folder.path().join(format!("{}-{number}.yaml", case.name));
            fs::write(&file, document).unwrap();
            answers.push(server.kubectl(&[
                "apply",
                "--validate=strict",
                "--namespace",
                &namespace,
                "-f",
                &file.display().to_string(),
            ]));
        }
        let (code, answer) = answers.pop().unwrap();
        let is_told = answer.contains(case.server.as_ref().unwrap_or(&case.path));
        let is_ready_for_it = answers.iter().all(|(code, _)| *code == 0);
        (code == 0 || !is_told || !is_ready_for_it).then(|| format!("{answers:?} {answer}"))
    });
}

/// What is left to the webhook: the API server takes it, and `ostler::admission` blames the same field as everywhere.
#[test]
fn the_webhook_sees_the_rest() {
    let server = ApiServer::shared();
    let namespace = prepared(server);
    check(bad::all().into_iter().filter(|case| case.seen_by == SeenBy::Webhook), |case| {
        let file = format!("{}/bad/{}.yaml", env!("CARGO_MANIFEST_DIR"), case.name);
        let (code, answer) = server.kubectl(&[
            "create",
            "--dry-run=server",
            "--validate=strict",
            "--namespace",
            &namespace,
            "-f",
            &file,
        ]);
        if code != 0 {
            return Some(format!("the API server sees it by itself: {answer}"));
        }
        // A field that can't be decoded is blamed by the webhook as by whoever reads a file.
        let Ok(manifests) = manifest::read(&case.text) else { return None };
        let problems = ostler::admission::validate(&manifests[0].object);
        let is_told = problems.iter().any(|problem| problem.path == case.path && problem.message.contains(&case.says));
        (!is_told).then(|| format!("{problems:?}"))
    });
}

/// A namespace on a server that knows our kinds.
fn prepared(server: &ApiServer) -> String {
    let chart = format!("{}/../charts/ostler-crds/templates", env!("CARGO_MANIFEST_DIR"));
    let (code, text) = server.kubectl(&["apply", "--server-side", "-f", &chart]);
    assert_eq!(code, 0, "{text}");
    server.wait_established().unwrap();
    server.namespace("bad")
}
