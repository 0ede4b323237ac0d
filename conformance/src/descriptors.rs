//! Suites of descriptors: of firmware, and of programs that speak vhost-user.

use std::path::{Path, PathBuf};

use ostler_driver_qemu::{Descriptor, LoaderFacts, VhostUserProgram, installed};
use serde_json::{Value, json};

use super::case::{Case, Verdict};

/// A descriptor is read and written the same; what is installed is found, in order; and what of it suits a machine.
pub(super) fn of_firmware(case: &Case) -> Verdict {
    match case.param("kind").as_str() {
        Some("parse-format") => round_trip(case, |text| Some(Descriptor::read(text)?.to_json())),
        Some("precedence") => precedence(case, "firmware"),
        Some("supported") => supported(case),
        kind => Err(format!("the kind {kind:?} is not served")),
    }
}

/// The same of programs that speak vhost-user.
pub(super) fn of_vhost_user(case: &Case) -> Verdict {
    match case.param("kind").as_str() {
        Some("parse-format") => round_trip(case, |text| Some(VhostUserProgram::read(text)?.to_json())),
        Some("precedence") => precedence(case, "vhost-user"),
        kind => Err(format!("the kind {kind:?} is not served")),
    }
}

/// The folders of a kind of descriptors below a root of the corpus, first that which counts most. A privileged driver has none
/// of its own.
pub(super) fn folders(case: &Case, root: &str, kind: &str) -> Vec<PathBuf> {
    let own = if case.param("privileged").as_bool() == Some(false) { None } else { Some("home/user/.config/qemu") };
    let all = own.into_iter().chain(["etc/qemu", "usr/share/qemu"]);
    all.map(|folder| case.data_path(root).join(folder).join(kind)).collect()
}

/// The firmware that is installed in folders.
pub(super) fn firmware(folders: &[PathBuf]) -> Result<Vec<Descriptor>, String> {
    let paths = installed_in(folders).into_iter();
    let texts = paths.map(|path| content(&path)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.iter().filter_map(|text| Descriptor::read(text)).collect())
}

fn installed_in(folders: &[PathBuf]) -> Vec<PathBuf> {
    installed(&folders.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

/// What stands in a file. The corpus has a symbolic link as a file with the link's target.
fn content(path: &Path) -> Result<String, String> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let text = read(path)?;
    let target = path.parent().unwrap_or(path).join(text.trim());
    if text.ends_with(".json") && target.is_file() { read(&target) } else { Ok(text) }
}

fn round_trip(case: &Case, through: impl Fn(&str) -> Option<Value>) -> Verdict {
    let expected = case.expected_file("json")?.ok_or("no expected document")?;
    let mut expected: Value = serde_json::from_str(&expected).map_err(|error| error.to_string())?;
    let ignored: Vec<&str> =
        case.param("ignored_keys").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(document) = expected.as_object_mut() {
        document.retain(|key, _| !ignored.contains(&key.as_str()));
    }
    same(&expected, &through(&case.input()?).ok_or("refused")?)
}

fn same(expected: &Value, found: &Value) -> Verdict {
    if expected == found { Ok(None) } else { Err(format!("expected {expected}, got {found}")) }
}

fn root(case: &Case) -> &str {
    case.param("root_dir").as_str().unwrap_or_default()
}

fn precedence(case: &Case, kind: &str) -> Verdict {
    let root = root(case);
    let found = installed_in(&folders(case, root, kind)).into_iter();
    let inside = case.data_path(root);
    let found = found.map(|path| match path.strip_prefix(&inside) {
        Ok(path) => format!("/{}", path.display()),
        Err(_) => path.display().to_string(),
    });
    same(case.expected("values"), &found.collect())
}

fn supported(case: &Case) -> Verdict {
    let machine = case.param("machine").as_str().unwrap_or_default();
    let arch = case.param("arch").as_str().unwrap_or_default();
    let facts = LoaderFacts::of(&firmware(&folders(case, root(case), "firmware"))?, arch, machine);
    let files = facts.files.iter().map(|file| json!({ "firmware": file.code, "nvram": file.template }));
    let found = json!({
        "secure": facts.has_secure,
        "firmwares": files.collect::<Vec<_>>(),
        "interfaces": facts.kinds,
    });
    same(case.expected("values"), &found)
}
