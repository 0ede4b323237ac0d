//! Whether the cluster's CRDs are as new as this agent, and which cluster it is.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use ostler_crds::{GROUP, Kind, VERSION, schema_of};
use serde_json::Value;
use tracing::warn;
use uuid::Uuid;

/// The wait between two looks for what the cluster lacks.
const AGAIN: Duration = Duration::from_secs(5);

/// What a cluster's CRDs lack that this agent knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The CRD.
    pub crd: String,
    /// The field; empty: the CRD itself, or its version.
    pub field: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lack { crd, field } = self;
        if field.is_empty() {
            write!(f, "the CRD {crd} with version {VERSION} is missing")?;
        } else {
            write!(f, "the CRD {crd} has no field {field}")?;
        }
        f.write_str(": apply the CRDs of this release (chart ostler-crds, or 'ostler crds')")
    }
}

/// The first field of `ours` that `theirs` has not, all the way down.
pub fn lack(ours: &Value, theirs: &Value) -> Option<String> {
    fn walk(ours: &Value, theirs: &Value, path: &str) -> Option<String> {
        let open = theirs.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        for (name, ours) in ours.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let found = match theirs.pointer("/properties").and_then(|properties| properties.get(name)) {
                Some(theirs) => walk(ours, theirs, &path),
                None if open || matches!(path.as_str(), "apiVersion" | "kind" | "metadata") => None,
                None => Some(path),
            };
            if found.is_some() {
                return found;
            }
        }
        for (key, sign) in [("items", "[]"), ("additionalProperties", ".*")] {
            let (Some(ours), Some(theirs)) = (ours.get(key), theirs.get(key)) else { continue };
            let found = walk(ours, theirs, &format!("{path}{sign}"));
            if found.is_some() {
                return found;
            }
        }
        None
    }
    walk(ours, theirs, "")
}

/// Waits until the CRDs of all kinds are as new as this program. `waiting` hears why.
pub(crate) async fn wait_for_crds(client: &Client, waiting: impl Fn(String)) {
    let mut said = String::new();
    for kind in Kind::ALL {
        loop {
            let why = match crd(client, *kind).await {
                Ok(found) => match found.and_then(|crd| schema_in(&crd)) {
                    Some(theirs) => lack(&schema_of(*kind), &theirs).map(|field| Lack { crd: name_of(*kind), field }),
                    None => Some(Lack { crd: name_of(*kind), field: String::new() }),
                }
                .map(|lack| lack.to_string()),
                Err(error) => Some(error.to_string()),
            };
            let Some(why) = why else { break };
            if why != said {
                warn!(why, "waiting for the cluster");
                said.clone_from(&why);
            }
            waiting(why);
            tokio::time::sleep(super::jittered(AGAIN)).await;
        }
    }
}

/// What a CRD says of a deletion of one of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It was asked for by name, or with its namespace.
    Meant,
    /// It comes with the CRD's own.
    WithItsCrd,
}

/// Asks the CRD, uncached, until it is answered. Only its metadata: to write out a megabyte of schema costs the API
/// server as much as to read it.
pub(super) async fn deletion(client: &Client, kind: Kind) -> Deletion {
    let mut wait = Duration::from_millis(500);
    loop {
        match crds(client).get_metadata_opt(&name_of(kind)).await {
            Ok(Some(crd)) if crd.metadata.deletion_timestamp.is_none() => return Deletion::Meant,
            Ok(_) => return Deletion::WithItsCrd,
            Err(error) => {
                warn!(%error, crd = name_of(kind), "a deletion waits until its CRD was read");
                tokio::time::sleep(super::jittered(wait)).await;
                wait = (wait * 2).min(Duration::from_secs(20));
            }
        }
    }
}

/// The cluster's id, as soon as it can be read.
pub(super) async fn cluster_id(client: &Client) -> Uuid {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut wait = Duration::from_millis(500);
    loop {
        let error = match namespaces.get("kube-system").await {
            Ok(namespace) => match namespace.uid().and_then(|uid| uid.parse().ok()) {
                Some(id) => return id,
                None => "its uid is none".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        warn!(error, "waiting for the API server: the uid of namespace kube-system names the cluster");
        tokio::time::sleep(super::jittered(wait)).await;
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

async fn crd(client: &Client, kind: Kind) -> kube::Result<Option<CustomResourceDefinition>> {
    crds(client).get_opt(&name_of(kind)).await
}

fn crds(client: &Client) -> Api<CustomResourceDefinition> {
    Api::all(client.clone())
}

fn name_of(kind: Kind) -> String {
    format!("{}.{GROUP}", kind.plural())
}

fn schema_in(crd: &CustomResourceDefinition) -> Option<Value> {
    let version = crd.spec.versions.iter().find(|version| version.name == VERSION && version.served)?;
    serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use ostler_crds::{Kind, schema_of};
    use serde_json::{Value, json};

    use super::lack;

    #[test]
    fn a_schema_lacks_nothing_of_itself() {
        for kind in Kind::ALL {
            assert_eq!(lack(&schema_of(*kind), &schema_of(*kind)), None, "{kind}");
        }
    }

    #[test]
    fn what_is_missing_is_named_by_its_path() {
        let ours = schema_of(Kind::Domain);
        for (pointer, field, path) in [
            ("/properties/spec/properties", "adopt", "spec.adopt"),
            ("/properties/status/properties", "claim", "status.claim"),
            (
                "/properties/spec/properties/domain/properties/devices/properties/disks/items/properties",
                "target",
                "spec.domain.devices.disks[].target",
            ),
        ] {
            let mut theirs = ours.clone();
            theirs.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap().remove(field).unwrap();
            assert_eq!(lack(&ours, &theirs).as_deref(), Some(path));
            assert_eq!(lack(&theirs, &ours), None, "a newer schema lacks nothing");
        }
    }

    #[test]
    fn what_takes_anything_lacks_nothing() {
        let ours = json!({ "properties": { "a": { "properties": { "b": {} } } } });
        assert_eq!(
            lack(&ours, &json!({ "properties": { "a": { "x-kubernetes-preserve-unknown-fields": true } } })),
            None
        );
    }
}
