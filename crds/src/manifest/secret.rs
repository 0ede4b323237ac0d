//! Kubernetes' own Secrets among manifests: what a host without an API server has of them.
//!
//! No message says anything of what one holds.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use serde_json::Value;

use super::{ManifestProblem, Positions, suggest};

/// A Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it holds, by key.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// Says which, never what.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("keys", &self.data.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

const FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"];

/// Whether a document is one.
pub(super) fn is_one(value: &Value) -> bool {
    value.get("apiVersion").is_some_and(|version| version == "v1")
        && value.get("kind").is_some_and(|kind| kind == "Secret")
}

/// Whether a text may hold one, be it well-formed or not. Then nobody is shown its lines.
pub(super) fn may_be_in(text: &str) -> bool {
    let is_filler = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':');
    text.match_indices("kind")
        .any(|(at, word)| text[at + word.len()..].trim_start_matches(is_filler).starts_with("Secret"))
}

/// Reads one.
pub(super) fn read(value: &Value, positions: &Positions) -> Result<Secret, Vec<ManifestProblem>> {
    let mut problems = Vec::new();
    let mut wrong = |path: &str, message: String| problems.push(positions.problem(path, message));
    for key in
        value.as_object().into_iter().flat_map(|object| object.keys()).filter(|key| !FIELDS.contains(&key.as_str()))
    {
        wrong(key, format!("unknown field: {}", suggest(key, FIELDS)));
    }
    let named =
        |field: &str| value.pointer(&format!("/metadata/{field}")).map(|name| name.as_str().unwrap_or_default());
    let name = named("name").unwrap_or_default();
    if !is_subdomain(name) {
        wrong("metadata.name", "a name is expected: lower-case letters, digits, '-' and '.'".to_owned());
    }
    let namespace = named("namespace").unwrap_or("default");
    if !super::is_label(namespace) {
        wrong("metadata.namespace", "a name is expected: up to 63 lower-case letters, digits and '-'".to_owned());
    }
    let mut data = BTreeMap::new();
    // As the API server has it, what is written as text wins.
    for (field, read) in [("data", decoded as fn(&Value) -> Result<Vec<u8>, &'static str>), ("stringData", plain)] {
        let entries = match value.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(entries)) => entries,
            Some(_) => {
                wrong(field, "a mapping of texts is expected".to_owned());
                continue;
            }
        };
        for (key, text) in entries {
            let path = format!("{field}.{key}");
            if !is_key(key) {
                wrong(&path, "a key has letters, digits, '-', '_' and '.'".to_owned());
            }
            match read(text) {
                Ok(bytes) => drop(data.insert(key.clone(), bytes)),
                Err(right) => wrong(&path, right.to_owned()),
            }
        }
    }
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    if problems.is_empty() { Ok(Secret { namespace, name, data }) } else { Err(problems) }
}

/// serde's own message would quote the text.
fn decoded(value: &Value) -> Result<Vec<u8>, &'static str> {
    let bytes: Result<ByteString, _> = serde_json::from_value(value.clone());
    bytes.map(|bytes| bytes.0).map_err(|_| "base64 is expected; stringData takes the text itself")
}

fn plain(value: &Value) -> Result<Vec<u8>, &'static str> {
    value.as_str().map(|text| text.as_bytes().to_vec()).ok_or("a text is expected: write it in quotes")
}

/// A DNS subdomain (RFC 1123).
fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(super::is_label)
}

fn is_key(key: &str) -> bool {
    (1..=253).contains(&key.len()) && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::super::read_all;

    const HEAD: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\n";

    #[test]
    fn both_ways_to_write_a_text_are_read_and_neither_is_shown() {
        let text = format!("{HEAD}type: Opaque\ndata: {{a: aHVudGVyMg==, b: aHVudGVyMw==}}\nstringData: {{b: own}}\n");
        let read = read_all(&text).unwrap();
        assert_eq!(read.manifests, []);
        let secret = &read.secrets[0];
        assert_eq!((secret.namespace.as_str(), secret.name.as_str()), ("default", "web"));
        assert_eq!((secret.data["a"].as_slice(), secret.data["b"].as_slice()), (&b"hunter2"[..], &b"own"[..]));
        assert_eq!(format!("{secret:?}"), r#"Secret { namespace: "default", name: "web", keys: ["a", "b"], .. }"#);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_alone() {
        for (rest, place) in [
            ("data: {a: hunter2!}", "4:8: data.a: base64 is expected"),
            ("data: {a: [hunter2]}", "4:8: data.a: base64 is expected"),
            ("stringData: {a: 2222}", "4:14: stringData.a: a text is expected"),
            ("data: hunter2", "4:1: data: a mapping of texts"),
            ("stringData: {'hunter 2': x}", "4:14: stringData.hunter 2: a key has letters"),
            ("dta: {a: hunter2}", "4:1: dta: unknown field: did you mean 'data'?"),
            ("data: {a: 'hunter2", "4:"),
        ] {
            let text = format!("{HEAD}{rest}\n");
            let problem = read_all(&text).unwrap_err().remove(0);
            assert!(problem.to_string().starts_with(place), "{problem}");
            let shown = problem.render("web.yaml", &text) + &problem.to_string();
            assert!(!shown.contains("hunter2") && !shown.contains("2222"), "{shown}");
        }
        let unnamed = "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{},\"stringData\":{\"a\":\"hunter2\"}}";
        let problem = read_all(unnamed).unwrap_err().remove(0);
        assert!(
            problem.path == "metadata.name" && !problem.render("web.json", unnamed).contains("hunter2"),
            "{problem}"
        );
    }
}
