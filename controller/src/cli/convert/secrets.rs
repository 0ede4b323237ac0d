//! Passwords in documents: a manifest is read by many, and must hold none.

use ostler_conf::Domain;
use ostler_conf::xml::{Document as Xml, Root};
use serde_json::{Value, json};

use super::documents::Document;
use super::{ConvertArgs, manifest, out};

/// What holds one that no manifest has a place for: an element, its attribute or else its text, and what would be right.
const SECRETS: &[(&str, Option<&str>, &str)] = &[
    (
        "auth",
        Some("passwd"),
        "a password stands in no manifest: take it out, and name a secret, as in <secret usage='x'/>",
    ),
    ("graphics", Some("passwd"), "a screen's password stands in no manifest: take it out"),
    ("cookie", None, "a cookie's value stands in no manifest: take it out"),
];

/// What of these a guest's own manifest names, in a Secret beside it.
const KEPT_FOR_GUESTS: &[&str] = &["graphics", "cookie"];

/// Every password of a document that must not be written, as `line:column: what would be right`. What can't be read has none.
pub(super) fn find(root: &str, text: &str) -> Vec<String> {
    let Ok(document) = Xml::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    let is_kept = |element: &str| root == Domain::NAME && KEPT_FOR_GUESTS.contains(&element);
    for (element, attribute, right) in SECRETS.iter().filter(|(element, ..)| !is_kept(element)) {
        let places = document.places(element, *attribute).into_iter();
        found.extend(places.map(|at| format!("{}:{}: <{element}>: {right}", at.line, at.column)));
    }
    found
}

/// The Secret of the object `owner`.
fn name_of(owner: &str) -> String {
    format!("{owner}-secrets")
}

/// The Secret that keeps what a document says in confidence, where it does.
pub(super) fn manifest_of(args: &ConvertArgs, owner: &str, document: &Document) -> Option<Value> {
    if document.secrets.is_empty() {
        return None;
    }
    let name = name_of(owner);
    out::note(&format!("what '{owner}' keeps secret is in the Secret '{name}': {} values", document.secrets.len()));
    let content = json!({ "type": "Opaque", "stringData": document.secrets });
    Some(manifest(args, "v1", "Secret", &name, content))
}

/// Names the Secret wherever the YAML face of `owner` refers to it.
pub(super) fn name(value: &mut Value, owner: &str) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Object(place)) = object.get_mut("secretKeyRef")
                && place.get("name").is_some_and(|name| name == "")
            {
                place.insert("name".to_owned(), name_of(owner).into());
            }
            object.values_mut().for_each(|below| name(below, owner));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| name(item, owner)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: &str = "<domain type='kvm'><name>d</name>\n  <devices>\n  <graphics type='vnc'\n   keymap='>' passwd='x'/>\n  <disk type='network'><auth username='u' passwd='p'/><source protocol='https'><cookies>\n  <cookie name='a'>b</cookie></cookies></source><target dev='vda'/></disk></devices></domain>";

    #[test]
    fn passwords_that_have_no_place_are_found_and_nothing_else() {
        let found = find("domainsnapshot", GUEST);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[1].starts_with("4:15: <graphics>: ") && found[2].starts_with("6:3: <cookie>: "), "{found:?}");
        let found = find(Domain::NAME, GUEST);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("5:43: <auth>: "), "{found:?}");
    }

    #[test]
    fn a_guests_secrets_are_named_and_put_aside() {
        let kind = super::super::documents::kind_of(GUEST).ok().unwrap();
        let mut document = kind.read(GUEST).ok().unwrap();
        let kept: Vec<_> = document.secrets.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        assert_eq!(
            kept,
            [
                ("devices.disks.vda.source.network.cookies.cookies.a.value", "b"),
                ("devices.graphics.graphics0.kind.vnc.passwd", "x")
            ]
        );
        name(&mut document.value, "web");
        let passwd = &document.value["devices"]["graphics"][0]["kind"]["vnc"]["passwd"]["valueFrom"]["secretKeyRef"];
        assert_eq!(passwd, &json!({ "name": "web-secrets", "key": "devices.graphics.graphics0.kind.vnc.passwd" }));
    }
}
