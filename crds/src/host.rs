//! `Host`: a hypervisor host, or a remote endpoint.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Conditions;
use crate::grants::Grant;

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
    /// What guests must leave free, besides what pods request.
    #[serde(default)]
    pub reserve: Reserve,
    /// Nothing new is placed here; what is here goes on.
    #[serde(default)]
    pub unschedulable: bool,
    /// The host is to be emptied: nothing new is placed here, and each guest is treated as its evictionStrategy says. The condition
    /// Drained tells when none runs.
    #[serde(default)]
    pub maintenance: bool,
    /// A person's word that nothing runs on this host any more: what it held may run elsewhere.
    #[serde(default)]
    pub fenced: bool,
    /// What guests, networks and pools may reach of this host, by grant, whoever let them pass: the agent refuses the rest.
    /// Absent: what the agent was started with, which is nothing unless the chart's agent.allow says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Allowed>>,
}

/// A grant that holds on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allowed {
    /// The grant.
    pub name: Grant,
    /// The namespaces of the objects that it holds for; absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

impl Allowed {
    /// A grant for all namespaces.
    pub fn everywhere(name: Grant) -> Self {
        Allowed { name, namespaces: Vec::new() }
    }

    /// Whether it holds for objects of a namespace.
    pub fn holds_for(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|name| name == namespace)
    }
}

/// What guests must leave free on a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reserve {
    /// CPUs.
    #[serde(default)]
    #[schemars(range(min = 0, max = 65536))]
    pub cpus: i64,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ostler_conf::Size>,
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
    /// What objects may reach of this host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allowed>,
    /// What each driver's checks need to know of this host, so that admission can ask the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<HostCapabilities>,
    /// Definitions that this host must carry out though nothing placed here refers to them: what their hostSelector picks.
    /// Written by the controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<WantedDefinition>,
    /// A person's word that this host is off, for as long as it stands. Written by the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The id of the fence that the agent obeys: no guest runs here any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// The agent is asked to tell anew which guests are here without a claim. Written by the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What was asked last and is answered by `orphans`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// Networks that this host carries out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<HostOutcome>,
    /// Pools that this host carries out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<HostOutcome>,
    /// Guests that belong to no object, or to one that another host holds the claim on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// Aspects of the state.
    #[serde(default)]
    pub conditions: Conditions,
}

/// What a driver's checks need to know of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCapabilities {
    /// The driver.
    pub name: String,
    /// Its facts, in the driver's own form.
    #[schemars(schema_with = "crate::schema::any")]
    pub facts: serde_json::Value,
}

/// A person's word that nothing runs on a host any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fence {
    /// New with each fence.
    pub id: String,
    /// Whose word: `Spec`, `NodeOutOfService` or `NodeDeleted`.
    pub reason: String,
}

/// A definition that a host must carry out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedDefinition {
    /// `Network` or `StoragePool`.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name; not `name`, which would make it the list's key though two kinds may share one.
    pub object: String,
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

/// A guest that belongs to no object, or to one that another host holds the claim on.
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
    /// That object's uid, if it was one of this cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The number of the claim under which it was defined here last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<i64>,
    /// Whether `adopt: Orphaned` may take it over: its owner is this cluster, or one that it replaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adoptable: bool,
}
