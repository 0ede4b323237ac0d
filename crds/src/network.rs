//! `Network`: a virtual network.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Conditions, HostCounts, HostSelector, UsableFrom};

/// What a virtual network should be, on every host that carries it out.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ostler.dev",
    version = "v1alpha1",
    kind = "Network",
    plural = "networks",
    namespaced,
    shortname = "vnet",
    category = "ostler",
    status = "NetworkStatus",
    derive = "PartialEq",
    doc = "A virtual network. A host carries it out while a guest placed there refers to it, or always where hostSelector picks it.",
    printcolumn(name = "Hosts", type_ = "integer", json_path = ".status.hosts.ready"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSpec {
    /// Hosts that carry it out always; absent: those where it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_selector: Option<HostSelector>,
    /// Other namespaces that may refer to it, as `namespace/name`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable_from: Option<UsableFrom>,
    /// The network: libvirt's.
    pub network: ostler_conf::Network,
}

/// What a virtual network is, summed up over its hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatus {
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
