//! Rules of the project that a compiler doesn't know.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Our crates by name: their folder, and the crates of ours that they depend on.
fn crates() -> BTreeMap<String, (PathBuf, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = |list: &Value| {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let folder = PathBuf::from(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned();
            (package["name"].as_str().unwrap().to_owned(), (folder, names(&package["dependencies"])))
        })
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn one_driver_never_knows_another() {
    let crates = crates();
    let drivers: Vec<&String> = crates
        .iter()
        .filter(|(_, (folder, _))| folder.parent().unwrap().ends_with("drivers"))
        .map(|(name, _)| name)
        .collect();
    assert!(drivers.len() >= 4, "{drivers:?}");
    for driver in drivers.iter().filter(|name| **name != "ostler-driver") {
        let known: Vec<_> =
            crates[*driver].1.iter().filter(|name| drivers.contains(name) && *name != "ostler-driver").collect();
        assert!(known.is_empty(), "{driver} depends on {known:?}");
    }
}

#[test]
fn dependencies_point_one_way() {
    let crates = crates();
    let forbidden: &[(&str, &[&str])] = &[
        ("ostler-util", &["ostler-conf", "ostler-driver", "ostler-crds", "tokio", "kube"]),
        ("ostler-conf", &["ostler-driver", "ostler-crds", "tokio", "kube", "k8s-openapi"]),
        ("ostler-driver", &["ostler-crds", "kube", "k8s-openapi"]),
        ("ostler-driver-qemu", &["ostler-crds", "kube", "k8s-openapi"]),
        ("ostler-crds", &["ostler-driver", "tokio"]),
    ];
    for (name, others) in forbidden {
        let known: Vec<_> = crates[*name].1.iter().filter(|other| others.contains(&other.as_str())).collect();
        assert!(known.is_empty(), "{name} depends on {known:?}");
    }
}

#[test]
fn every_crate_obeys_the_workspaces_lints() {
    for (name, (folder, _)) in crates() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name}");
    }
}

#[test]
fn processes_are_started_in_util_only() {
    for file in sources(&root()) {
        let short = file.strip_prefix(root()).unwrap();
        let is_allowed = short.starts_with("util")
            || short.starts_with("e2e")
            || short.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "examples");
        if !is_allowed {
            assert!(!fs::read_to_string(&file).unwrap().contains("Command::new("), "{}", short.display());
        }
    }
}

#[test]
fn a_file_can_be_held_in_mind() {
    for file in sources(&root()) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 1000, "{}: {lines} lines", file.display());
    }
}

#[test]
fn what_dev_commands_need_is_defined_where_all_of_them_see_it() {
    let shared = fs::read_to_string(root().join("dev.d/lib.sh")).unwrap();
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(root().join("dev.d")).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.push(root().join("dev"));
    let mut seen = 0;
    for script in scripts {
        let text = fs::read_to_string(&script).unwrap();
        for word in
            text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| word.starts_with("need_"))
        {
            assert!(shared.contains(&format!("\n{word}() {{")), "{} calls {word}", script.display());
            seen += 1;
        }
    }
    assert!(seen > 5);
}
