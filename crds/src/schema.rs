//! The CRDs, made from the types and settled for the API server.

use std::sync::OnceLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::{Domain, DomainOperation, Host, Kind, Network, StoragePool, StorageVolume};

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
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        settle(schema);
        if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
            // A fresh object must not look ready to what reads observedGeneration (kstatus: Flux, Helm).
            status.remove("nullable");
            status.insert("default".into(), json!({ "observedGeneration": -1 }));
        }
    }
    crd
}

/// All CRDs.
pub fn crds() -> Vec<Value> {
    Kind::ALL.iter().map(|kind| crd(*kind)).collect()
}

/// The structural schema of a kind's objects.
pub fn schema_of(kind: Kind) -> &'static Value {
    static SCHEMAS: OnceLock<Vec<(Kind, Value)>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| {
        let schema = |kind| {
            crd(kind).pointer_mut("/spec/versions/0/schema/openAPIV3Schema").map(Value::take).unwrap_or_default()
        };
        Kind::ALL.iter().map(|kind| (*kind, schema(*kind))).collect()
    });
    schemas.iter().find(|(k, _)| *k == kind).map_or(&Value::Null, |(_, schema)| schema)
}

/// Any JSON value.
pub(crate) fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// What the API server wants otherwise than schemars writes it, all the way down.
fn settle(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    settle_numbers(object);
    settle_list(object);
    for key in ["properties", "patternProperties"] {
        for (_, child) in object.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
            settle(child);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = object.get_mut(key) {
            settle(child);
        }
    }
}

/// The API server warns of formats that it doesn't know; bounds say the same.
fn settle_numbers(object: &mut Map<String, Value>) {
    let max = match object.get("format").and_then(Value::as_str) {
        Some("uint8") => Some(i64::from(u8::MAX)),
        Some("uint16") => Some(i64::from(u16::MAX)),
        Some("uint32") => Some(i64::from(u32::MAX)),
        Some("uint64" | "uint") => None,
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

/// Lists of things with a name are maps by name; the order of all others means something.
fn settle_list(object: &mut Map<String, Value>) {
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
    let key = if is_condition { Some("type") } else { has("name").then_some("name") };
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
