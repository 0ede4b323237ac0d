//! The CRDs, made from the types and settled for the API server.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::{Domain, DomainOperation, Host, Kind, Network, StoragePool, StorageVolume, rules};

/// Tells in a CRD which version of the project it belongs to: agents and controllers wait for one as new as themselves.
pub const VERSION_ANNOTATION: &str = "ostler.dev/version";

/// The CRD of a kind, as JSON.
pub fn crd(kind: Kind) -> Value {
    let crd: CustomResourceDefinition = match kind {
        Kind::Host => Host::crd(),
        Kind::Network => Network::crd(),
        Kind::StoragePool => StoragePool::crd(),
        Kind::StorageVolume => StorageVolume::crd(),
        Kind::Domain => Domain::crd(),
        Kind::DomainOperation => DomainOperation::crd(),
    };
    let mut crd = serde_json::to_value(crd).expect("a CRD has only text keys");
    crd["metadata"]["annotations"] = json!({ VERSION_ANNOTATION: env!("CARGO_PKG_VERSION") });
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        settle(schema, "");
        if let Some(status) = schema.pointer_mut("/properties/status") {
            without_defaults(status);
            // A fresh object must not look ready to what reads observedGeneration (kstatus: Flux, Helm).
            status["default"] = json!({ "observedGeneration": -1 });
        }
        rules::add(kind, schema);
    }
    crd
}

/// All CRDs.
pub fn crds() -> Vec<Value> {
    Kind::ALL.iter().map(|kind| crd(*kind)).collect()
}

/// The structural schema of a kind's objects, without its descriptions.
pub fn schema_of(kind: Kind) -> Value {
    serde_json::from_str(compact(kind)).expect("a test holds the file against the types")
}

/// Differs where the schemas of two programs do, and may where they don't.
pub fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    Kind::ALL.iter().for_each(|kind| compact(*kind).hash(&mut hasher));
    hasher.finish()
}

/// The same as text. Making it from the types takes half a second and tens of MiB; so it is made once, by a test, and kept
/// as a file.
pub(crate) const fn compact(kind: Kind) -> &'static str {
    match kind {
        Kind::Host => include_str!("schemas/hosts.json"),
        Kind::Network => include_str!("schemas/networks.json"),
        Kind::StoragePool => include_str!("schemas/storagepools.json"),
        Kind::StorageVolume => include_str!("schemas/storagevolumes.json"),
        Kind::Domain => include_str!("schemas/domains.json"),
        Kind::DomainOperation => include_str!("schemas/domainoperations.json"),
    }
}

/// Any JSON value.
pub(crate) fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// What a list, map or text holds at most where its type says nothing. An object is limited to 1.5 MiB anyway; these keep what
/// a rule may cost within the API server's budget.
const MAX_ITEMS: i64 = 1024;
const MAX_PROPERTIES: i64 = 256;
const MAX_LENGTH: i64 = 4096;

/// Fields that hold more.
const LARGER: &[(&str, i64)] = &[
    ("description", 32_768),
    ("xml", 262_144),
    ("idAuth", 8192),
    ("hosts", 4096),
    ("wanted", 4096),
    ("usableFrom", 4096),
    ("orphans", 4096),
];

/// What the API server wants otherwise than schemars writes it, all the way down. `name`: the field's.
fn settle(schema: &mut Value, name: &str) {
    let Some(object) = schema.as_object_mut() else { return };
    settle_null(object);
    settle_format(object);
    settle_list(object, name);
    settle_union(object);
    settle_bounds(object, name);
    for (name, child) in object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        settle(child, name);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = object.get_mut(key) {
            settle(child, "");
        }
    }
}

/// A field that is null is absent: the API server drops it, so that no rule ever meets one.
fn settle_null(object: &mut Map<String, Value>) {
    object.remove("nullable");
    if let Some(words) = object.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
}

/// The API server warns of formats that it doesn't know; bounds say the same.
fn settle_format(object: &mut Map<String, Value>) {
    let max = match object.get("format").and_then(Value::as_str) {
        Some("uint8") => Some(i64::from(u8::MAX)),
        Some("uint16") => Some(i64::from(u16::MAX)),
        Some("uint32") => Some(i64::from(u32::MAX)),
        Some("uint64" | "uint") => None,
        Some("uuid") => {
            object.insert("maxLength".into(), json!(36));
            return;
        }
        // One text for both families, which the API server has no format for.
        Some("ip") => {
            object.remove("format");
            object.insert("maxLength".into(), json!(45));
            return;
        }
        _ => return,
    };
    object.remove("format");
    object.entry("minimum").or_insert(json!(0));
    if let Some(max) = max {
        object.entry("maximum").or_insert(json!(max));
    }
}

/// Everything has an upper bound.
fn settle_bounds(object: &mut Map<String, Value>, name: &str) {
    let (key, usual) = match object.get("type").and_then(Value::as_str) {
        Some("string") if !object.contains_key("enum") => ("maxLength", MAX_LENGTH),
        Some("array") => ("maxItems", MAX_ITEMS),
        Some("object") if object.contains_key("additionalProperties") => ("maxProperties", MAX_PROPERTIES),
        _ => return,
    };
    let larger = LARGER.iter().find(|(larger, _)| *larger == name).map(|(_, max)| *max);
    object.entry(key).or_insert(json!(larger.unwrap_or(usual)));
}

/// A choice changes as one: two appliers must not merge into both of its sides.
fn settle_union(object: &mut Map<String, Value>) {
    if object.contains_key("oneOf") && object.get("type").and_then(Value::as_str) == Some("object") {
        object.insert("x-kubernetes-map-type".into(), json!("atomic"));
    }
}

/// A status holds what was written, and nothing else.
fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.remove("default");
            object.values_mut().for_each(without_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}

/// Lists in which a name may stand twice: a server on two ports.
const NOT_BY_NAME: &[&str] = &["hosts"];

/// Lists of things with a name are maps by name; the order of all others means something.
fn settle_list(object: &mut Map<String, Value>, name: &str) {
    if object.get("type").and_then(Value::as_str) != Some("array") {
        return;
    }
    let has = |key: &str| {
        object.get("items").is_some_and(|items| {
            let required = items.get("required").and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|name| name == key))
        })
    };
    let is_condition = has("type") && has("lastTransitionTime");
    let key = if is_condition { Some("type") } else { (has("name") && !NOT_BY_NAME.contains(&name)).then_some("name") };
    match key {
        Some(key) => {
            object.insert("x-kubernetes-list-type".into(), json!("map"));
            object.insert("x-kubernetes-list-map-keys".into(), json!([key]));
        }
        None => {
            object.insert("x-kubernetes-list-type".into(), json!("atomic"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{compact, crd, crds};
    use crate::Kind;

    /// Calls `look` for each schema below with its path.
    fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
        look(path, schema);
        for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            walk(child, &format!("{path}.{name}"), look);
        }
        if let Some(items) = schema.get("items") {
            walk(items, &format!("{path}[]"), look);
        }
        if let Some(values) = schema.get("additionalProperties") {
            walk(values, &format!("{path}{{}}"), look);
        }
    }

    fn check(what: &str, is_fine: impl Fn(&Value) -> bool) {
        let mut wrong = Vec::new();
        for crd in crds() {
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            walk(schema, &kind, &mut |path, schema| {
                if !is_fine(schema) {
                    wrong.push(path.to_owned());
                }
            });
        }
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    }

    fn without_descriptions(schema: &mut Value) {
        let Some(object) = schema.as_object_mut() else { return };
        // A field may have that name; its schema is no text.
        if object.get("description").is_some_and(Value::is_string) {
            object.shift_remove("description");
        }
        object.values_mut().for_each(without_descriptions);
    }

    #[test]
    fn the_kept_schemas_are_those_of_the_types() {
        for kind in Kind::ALL {
            let mut schema = crd(*kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
            without_descriptions(&mut schema);
            let text = schema.to_string() + "\n";
            if std::env::var_os("OSTLER_WRITE").is_some() {
                let file = format!("{}/src/schemas/{}.json", env!("CARGO_MANIFEST_DIR"), kind.plural());
                std::fs::write(file, &text).unwrap();
            } else {
                assert!(compact(*kind) == text, "{kind} is stale: run `OSTLER_WRITE=1 cargo test -p ostler-crds kept`");
            }
        }
    }

    #[test]
    fn every_field_says_what_it_is() {
        let said = |child: &Value| child["description"].as_str().is_some_and(|text| text.len() > 3);
        check("fields without a word", |schema| {
            schema["properties"].as_object().is_none_or(|all| all.values().all(said))
        });
    }

    #[test]
    fn everything_has_a_bound() {
        check("texts without a bound", |schema| {
            schema["type"] != "string" || !schema["enum"].is_null() || schema["maxLength"].is_u64()
        });
        check("lists without a bound", |schema| schema["type"] != "array" || schema["maxItems"].is_u64());
        check("maps without a bound", |schema| {
            schema["additionalProperties"].is_null() || schema["maxProperties"].is_u64()
        });
    }

    #[test]
    fn every_list_says_how_it_is_merged() {
        check("lists without a type", |schema| {
            schema["type"] != "array" || schema["x-kubernetes-list-type"].is_string()
        });
    }

    #[test]
    fn a_schema_is_structural() {
        check("references", |schema| schema.get("$ref").is_none() && schema.get("patternProperties").is_none());
        check("no type", |schema| {
            schema["type"].is_string() || schema["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true)
        });
    }

    /// A conversion needs two versions in one object; etcd takes 1.5 MiB.
    #[test]
    fn two_versions_fit_into_one_object() {
        for crd in crds() {
            let size = serde_json::to_vec(&crd).unwrap().len();
            assert!(size <= 600 * 1024, "{}: {size} bytes", crd["metadata"]["name"]);
        }
    }
}
