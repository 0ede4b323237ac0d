//! `StoragePool`: a place for volumes.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Conditions, HostCounts, HostSelector, StorageDeletion, UsableFrom};

/// What a storage pool should be, on every host that carries it out.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ostler.dev",
    version = "v1alpha1",
    kind = "StoragePool",
    plural = "storagepools",
    namespaced,
    shortname = "pool",
    category = "ostler",
    status = "StoragePoolStatus",
    derive = "PartialEq",
    doc = "A storage pool. A host carries it out while a volume placed there refers to it, or always where hostSelector picks it.",
    printcolumn(name = "Hosts", type_ = "integer", json_path = ".status.hosts.ready"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct StoragePoolSpec {
    /// Hosts that carry it out always; absent: those where it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_selector: Option<HostSelector>,
    /// Other namespaces that may refer to it, as `namespace/name`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable_from: Option<UsableFrom>,
    /// Whether all hosts see the same data.
    #[serde(default)]
    pub shared: bool,
    /// What becomes of the data when this object is deleted.
    #[serde(default)]
    pub deletion: StorageDeletion,
    /// The pool: libvirt's.
    #[serde(default)]
    pub pool: ostler_conf::StoragePool,
}

/// What a storage pool is, summed up over its hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoragePoolStatus {
    /// The spec's generation that this was found with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// On how many hosts it is wanted and carried out.
    #[serde(default)]
    pub hosts: HostCounts,
    /// The other namespaces that may refer to it now. Written by the controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usable_from: Vec<String>,
    /// Aspects of the state.
    #[serde(default)]
    pub conditions: Conditions,
}
