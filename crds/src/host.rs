//! `Host`: a hypervisor host, or a remote endpoint.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Conditions;

/// What a host should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ostler.dev",
    version = "v1alpha1",
    kind = "Host",
    plural = "hosts",
    category = "ostler",
    status = "HostStatus",
    derive = "PartialEq",
    doc = "A hypervisor host: one a node agent.",
    printcolumn(name = "Drivers", type_ = "string", json_path = ".status.drivers"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct HostSpec {
    /// The drivers, by URI; absent: those of the agent's own host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
}

/// What a host is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// The spec's generation that this was found with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The drivers that are open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<String>,
    /// The hypervisor's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor_version: Option<String>,
    /// What runs a guest's code, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accelerators: Vec<String>,
    /// CPUs that are online.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<i64>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ostler_conf::Size>,
    /// Networks that this host carries out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<HostOutcome>,
    /// Pools that this host carries out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<HostOutcome>,
    /// Guests that belong to no object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// Aspects of the state.
    #[serde(default)]
    pub conditions: Conditions,
}

/// How a definition fares on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostOutcome {
    /// The object, as `namespace/name`.
    pub name: String,
    /// The definition's generation.
    pub observed_generation: i64,
    /// Whether it is as wanted.
    pub ready: bool,
    /// Why, in one CamelCase word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

/// A guest that belongs to no object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The name on the host.
    pub name: String,
    /// Its identity.
    pub uuid: String,
    /// The driver that runs it.
    pub driver: String,
    /// Whether it runs.
    pub active: bool,
    /// The object that it belonged to, as `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}
