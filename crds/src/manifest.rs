//! Manifests: YAML files with objects in them, read so that every problem has its place.
//!
//! Three steps: [`yaml`] makes values with positions, [`check`] holds them against the kind's schema as the API server
//! does, and serde makes the object. Nothing of a file with a problem is used.

mod check;
mod schema;
mod secret;
mod yaml;

use std::fmt;

use serde_json::Value;

use crate::{API_VERSION, Kind, Object};

pub use secret::Secret;
pub use yaml::Positions;

/// An object that was read, and where its fields stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The object.
    pub object: Object,
    /// Where its fields stand.
    pub positions: Positions,
}

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ManifestProblem {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The field, as in `spec.domain.devices.disks[0].device`; empty for the document itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        f.write_str(&self.said())
    }
}

impl ManifestProblem {
    fn said(&self) -> String {
        if self.path.is_empty() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }

    /// The problem as a compiler shows it: file, line, and the text with a caret below. Of a file with Secrets no text is shown.
    pub fn render(&self, file: &str, text: &str) -> String {
        if secret::may_be_in(text) {
            return format!("error: {}\n--> {file}:{}:{}\n", self.said(), self.line, self.column);
        }
        let line = text.lines().nth(self.line.saturating_sub(1)).unwrap_or_default();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent: String =
            line.chars().take(self.column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let said = self.said();
        format!(
            "error: {said}\n{margin}--> {file}:{}:{}\n{margin} |\n{number} | {line}\n{margin} | {indent}^\n",
            self.line, self.column
        )
    }
}

/// Fields that `kubectl get -o yaml` writes and only the server may set: taken off, as `kubectl apply` does.
const SERVER_FIELDS: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
    "ownerReferences",
];

/// What `metadata` may hold.
const METADATA_FIELDS: &[&str] = &["name", "namespace", "labels", "annotations"];

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifests {
    /// Objects of this group.
    pub manifests: Vec<Manifest>,
    /// Kubernetes' own Secrets, which objects refer to.
    pub secrets: Vec<Secret>,
}

impl Manifests {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.manifests.is_empty() && self.secrets.is_empty()
    }
}

/// Reads all objects of a file, and no Secret: they are checked and left out.
///
/// # Errors
/// As [`read_all`].
pub fn read(text: &str) -> Result<Vec<Manifest>, Vec<ManifestProblem>> {
    read_all(text).map(|read| read.manifests)
}

/// Reads all objects and Secrets of a file.
///
/// # Errors
/// Every problem of every document; then nothing of the file is to be used.
pub fn read_all(text: &str) -> Result<Manifests, Vec<ManifestProblem>> {
    let documents = yaml::read(text).map_err(|problem| vec![problem])?;
    let mut read = Manifests::default();
    let mut problems = Vec::new();
    for (mut value, positions) in documents {
        if value.is_null() {
            continue;
        }
        if secret::is_one(&value) {
            match secret::read(&value, &positions) {
                Ok(secret) => read.secrets.push(secret),
                Err(found) => problems.extend(found),
            }
            continue;
        }
        match read_document(&mut value, &positions) {
            Ok(object) => read.manifests.push(Manifest { object, positions }),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

fn read_document(value: &mut Value, positions: &Positions) -> Result<Object, Vec<ManifestProblem>> {
    let problem = |path: &str, message: String| vec![positions.problem(path, message)];
    if !value.is_object() {
        return Err(problem("", "a manifest is a mapping with apiVersion, kind, metadata and spec".into()));
    }
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let version = text(value, "apiVersion")
        .ok_or_else(|| problem("apiVersion", format!("apiVersion is missing: write 'apiVersion: {API_VERSION}'")))?;
    if version != API_VERSION {
        return Err(problem("apiVersion", format!("'{version}' is not known: '{API_VERSION}' is")));
    }
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let kind =
        text(value, "kind").ok_or_else(|| problem("kind", format!("kind is missing: one of {}", names.join(", "))))?;
    let Some(kind) = Kind::from_name(&kind) else {
        return Err(problem("kind", format!("'{kind}' is not known: {}", suggest(&kind, &names))));
    };
    if let Some(object) = value.as_object_mut() {
        // Ours to write.
        object.shift_remove("status");
    }
    let mut problems = check_metadata(value, kind, positions);
    problems.extend(check::check(value, kind, positions));
    if !problems.is_empty() {
        return Err(problems);
    }
    drop_nulls(value);
    Object::from_value(kind, value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { path.as_str() };
        vec![positions.problem(path, plain(&error.inner().to_string()))]
    })
}

/// A field that is null is absent.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Holds an object of the API server against the kind's schema as this program knows it.
pub fn check_value(kind: Kind, value: &Value) -> Vec<ManifestProblem> {
    check::check(value, kind, &Positions::default())
}

/// serde's own words without the place in a text that nobody sees.
fn plain(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

fn check_metadata(value: &mut Value, kind: Kind, positions: &Positions) -> Vec<ManifestProblem> {
    let mut problems = Vec::new();
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return vec![positions.problem("metadata", "metadata is missing: write 'metadata: {name: …}'".into())];
    };
    metadata.retain(|key, _| !SERVER_FIELDS.contains(&key.as_str()));
    let mut add =
        |field: &str, message: String| problems.push(positions.problem(&format!("metadata.{field}"), message));
    for key in metadata.keys().filter(|key| !METADATA_FIELDS.contains(&key.as_str())) {
        add(key, format!("unknown field: {}", suggest(key, METADATA_FIELDS)));
    }
    match metadata.get("name") {
        None => add("name", "the name is missing".into()),
        Some(Value::String(name)) if is_label(name) => {}
        Some(Value::String(name)) => add("name", format!("'{name}' {}", crate::rules::NO_LABEL)),
        Some(other) => add("name", format!("{other} is no text: write it in quotes")),
    }
    match metadata.get("namespace") {
        None => {}
        Some(_) if !kind.is_namespaced() => add("namespace", format!("a {kind} has no namespace")),
        Some(Value::String(namespace)) if is_label(namespace) => {}
        Some(other) => add("namespace", format!("{other} is no name: up to 63 lower-case letters, digits and '-'")),
    }
    for field in ["labels", "annotations"] {
        let Some(map) = metadata.get(field) else { continue };
        let Some(map) = map.as_object() else {
            add(field, "a mapping of texts is expected".into());
            continue;
        };
        for (key, _) in map.iter().filter(|(_, value)| !value.is_string()) {
            add(&format!("{field}.{key}"), "a text is expected: write it in quotes".into());
        }
    }
    problems
}

/// A DNS label (RFC 1123).
fn is_label(name: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && name.chars().all(|c| is_edge(c) || c == '-')
}

/// The longest word that is compared with those that are known: to compare takes time and memory by the product of both.
const MAX_MEANT: usize = 64;

/// "did you mean 'x'?", or all that there are.
pub(crate) fn suggest(word: &str, known: &[&str]) -> String {
    let word = if word.len() > MAX_MEANT { "" } else { word };
    let near =
        known.iter().map(|name| (strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase()), name)).min();
    match near {
        Some((distance, name)) if !word.is_empty() && distance <= 2.max(word.len() / 3) => {
            format!("did you mean '{name}'?")
        }
        _ if known.is_empty() => "nothing is expected here".to_owned(),
        _ => format!("one of {} is expected", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;
