//! What several kinds share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where something goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The host.
    #[schemars(length(min = 1, max = 253))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The hosts that may be chosen, by their labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_selector: Option<HostSelector>,
}

/// Picks hosts by their labels; an empty one picks all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostSelector {
    /// Labels that a host must have, with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// Which other namespaces may refer to an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsableFrom {
    /// The namespaces, by their labels.
    pub namespace_selector: NamespaceSelector,
}

/// Picks namespaces by their labels; an empty one picks all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have, with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

impl UsableFrom {
    /// Whether a namespace with these labels is picked.
    pub fn picks(&self, labels: &BTreeMap<String, String>) -> bool {
        self.namespace_selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// What becomes of stored data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageDeletion {
    /// Whether the data go with the object.
    #[serde(default)]
    pub policy: RetainOrDelete,
}

/// Whether data go with their object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetainOrDelete {
    /// They stay.
    #[default]
    Retain,
    /// They go.
    Delete,
}

/// On how many hosts a definition is wanted and carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostCounts {
    /// Hosts on which it is wanted.
    pub desired: i32,
    /// Hosts on which it is as wanted.
    pub ready: i32,
}
