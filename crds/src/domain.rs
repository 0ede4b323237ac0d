//! `Domain`: a guest.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Conditions, Duration, Placement};

/// What a guest should be.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ostler.dev",
    version = "v1alpha1",
    kind = "Domain",
    plural = "domains",
    namespaced,
    shortname = "dom",
    category = "ostler",
    status = "DomainStatus",
    derive = "PartialEq",
    selectable = ".status.host",
    doc = "A guest: a virtual machine or container on one host.",
    printcolumn(name = "Host", type_ = "string", json_path = ".status.host"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.addresses[0]"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct DomainSpec {
    /// Where it runs; absent: the controller chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The driver that runs it; absent: the host's first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// When it runs.
    #[serde(default)]
    pub run_strategy: RunStrategy,
    /// When changes that need a restart are applied.
    #[serde(default)]
    pub disruption: Disruption,
    /// How it is shut down.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// What becomes of the guest when its host is to be emptied.
    #[serde(default)]
    pub eviction_strategy: EvictionStrategy,
    /// What becomes of the guest and its state when this object is deleted.
    #[serde(default)]
    pub deletion: Deletion,
    /// Whether a guest of the same name that belongs to nobody is taken over.
    #[serde(default)]
    pub adopt: Adopt,
    /// The guest: libvirt's domain.
    pub domain: ostler_conf::Domain,
}

/// When a guest runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunStrategy {
    /// It runs; when it ends, it is started again.
    #[default]
    Always,
    /// It runs; it is started again only when it ended by a failure.
    RerunOnFailure,
    /// It is started once.
    Once,
    /// People start and stop it.
    Manual,
    /// It does not run.
    Halted,
}

/// When changes that need a restart are applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// Who allows the restart.
    #[serde(default)]
    pub restart_approval: RestartApproval,
}

/// Who allows a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartApproval {
    /// A person, by a DomainOperation Restart.
    #[default]
    Manual,
    /// Nobody is asked: the guest is shut down and started.
    Automatic,
    /// The guest, by rebooting itself.
    OnGuestReboot,
}

/// How a guest is shut down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// How long the guest has.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Whether a guest that is not done by then is ended; else it is reported and left alone.
    #[serde(default)]
    pub force: bool,
    /// What happens when the host goes down.
    #[serde(default)]
    pub on_host_shutdown: OnHostShutdown,
}

fn default_timeout() -> Duration {
    Duration(std::time::Duration::from_secs(180))
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { timeout: default_timeout(), force: false, on_host_shutdown: OnHostShutdown::default() }
    }
}

/// What happens to a guest when its host goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnHostShutdown {
    /// It is shut down.
    #[default]
    Shutdown,
    /// Its memory is saved, where the driver can.
    Save,
    /// It is ended.
    PowerOff,
}

/// What becomes of a guest when its host is to be emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EvictionStrategy {
    /// It is shut down, and started again elsewhere if it can go there, else when the host is open again.
    #[default]
    Shutdown,
    /// It goes on, and the host's condition Drained names it.
    Block,
}

/// What becomes of a guest when its object is deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Whether the guest goes with the object.
    #[serde(default)]
    pub policy: DeletionPolicy,
    /// Whether NVRAM, TPM state and saved memory go with the guest.
    #[serde(default)]
    pub state: DeletionState,
    /// Whether deletion is refused.
    #[serde(default)]
    pub protect: bool,
}

/// Whether a guest goes with its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is shut down and undefined.
    #[default]
    Delete,
    /// It stays as it is and belongs to nobody.
    Orphan,
}

/// Whether a guest's state goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionState {
    /// It goes.
    #[default]
    Delete,
    /// It stays, for the same uuid.
    Keep,
}

/// Whether a guest of the same name is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adopt {
    /// Never.
    #[default]
    Never,
    /// One of the same owner, namespace and name whose object no longer exists.
    Orphaned,
    /// Any of the name.
    Any,
}

/// What a guest is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainStatus {
    /// The spec's generation that this was found with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The host that it is on: a claim. Set by the controller where it is empty or its holder is fenced; given back by the holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The claim's number: it grows with each claim, and never falls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<i64>,
    /// The holder starts nothing until the claim's number is above this: the guest may run elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_above: Option<i64>,
    /// A word of the holder that is new with each run of its agent, written before the guest is started: the claim stood then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_confirmed: Option<String>,
    /// A word for people; nothing reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why the guest is in its state, by libvirt's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// What was chosen once and stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// The guest's addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// What differs from the spec and what it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_changes: Vec<PendingChange>,
    /// What happened to the guest so far, as far as its run strategy must know.
    #[serde(default)]
    pub run: RunRecord,
    /// Aspects of the state.
    #[serde(default)]
    pub conditions: Conditions,
}

/// A word for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Phase {
    Pending,
    Starting,
    Running,
    Paused,
    ShuttingDown,
    Stopped,
    Crashed,
    Failed,
    Deleting,
}

impl Phase {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Starting => "Starting",
            Phase::Running => "Running",
            Phase::Paused => "Paused",
            Phase::ShuttingDown => "ShuttingDown",
            Phase::Stopped => "Stopped",
            Phase::Crashed => "Crashed",
            Phase::Failed => "Failed",
            Phase::Deleting => "Deleting",
        }
    }
}

/// What was chosen once and stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// The driver.
    pub driver: String,
    /// The guest's identity.
    pub uuid: String,
    /// Its name on the host.
    pub name: String,
    /// The claim under which it was defined last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<i64>,
    /// Its machine type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The MAC addresses, by interface.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub macs: BTreeMap<String, String>,
}

/// A difference between guest and spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingChange {
    /// The field, as in `domain.memory.size`.
    pub path: String,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any")]
    pub current: Option<Value>,
    /// What should be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any")]
    pub desired: Option<Value>,
    /// What applying it takes.
    pub apply: Apply,
}

/// What applying a change takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Apply {
    /// Nothing: it is done while the guest runs.
    Live,
    /// A restart of the guest.
    Restart,
    /// A move to another host.
    Move,
}

/// What happened to a guest so far, as far as its run strategy must know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Whether it was ever started.
    #[serde(default)]
    pub started: bool,
    /// When it was started last, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// How it ended last, by libvirt's word; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
    /// What people's last verb wants, where the run strategy leaves it to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual: Option<bool>,
    /// An approved restart is under way: when the guest has ended, it is started.
    #[serde(default)]
    pub restarting: bool,
    /// Its host is being emptied: when the guest has ended, it is started where and when that can be.
    #[serde(default)]
    pub evicted: bool,
    /// Restarts in a row after it ended by itself soon after its start.
    #[serde(default)]
    pub restarts: i32,
    /// When the next of them comes, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_restart: Option<String>,
}
