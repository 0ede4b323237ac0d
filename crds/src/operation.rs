//! `DomainOperation`: a verb, carried out once.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Conditions;

/// What is to be done, once.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ostler.dev",
    version = "v1alpha1",
    kind = "DomainOperation",
    plural = "domainoperations",
    namespaced,
    shortname = "domop",
    category = "ostler",
    status = "DomainOperationStatus",
    derive = "PartialEq",
    selectable = ".status.host",
    doc = "A verb for a guest, carried out once. It can't be changed.",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Verb", type_ = "string", json_path = ".spec.verb"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct DomainOperationSpec {
    /// The domain, of the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub domain: String,
    /// What is done.
    pub verb: Verb,
    /// Seconds in which it must begin, else it fails as Expired.
    #[serde(default = "default_start_deadline")]
    #[schemars(range(min = 1, max = 86400))]
    pub start_deadline_seconds: i64,
    /// Seconds after its end when it is cleaned up.
    #[serde(default = "default_ttl")]
    #[schemars(range(min = 0, max = 31536000))]
    pub ttl_seconds_after_finished: i64,
}

const fn default_start_deadline() -> i64 {
    600
}

const fn default_ttl() -> i64 {
    3600
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verb {
    /// The guest is started.
    Start,
    /// The guest is asked to shut down.
    Shutdown,
    /// The guest is ended.
    PowerOff,
    /// The guest is shut down and started, with what is pending.
    Restart,
    /// The guest is asked to reboot.
    Reboot,
    /// The guest is reset.
    Reset,
    /// The guest's CPUs are stopped, until Resume.
    Suspend,
    /// The guest's CPUs go on.
    Resume,
}

impl Verb {
    /// All verbs.
    pub const ALL: &'static [Verb] = &[
        Verb::Start,
        Verb::Shutdown,
        Verb::PowerOff,
        Verb::Restart,
        Verb::Reboot,
        Verb::Reset,
        Verb::Suspend,
        Verb::Resume,
    ];
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainOperationStatus {
    /// The spec's generation that this was found with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The host that carries it out: the domain's. Set by the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<OperationState>,
    /// When it began, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When it ended, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// Aspects of the state.
    #[serde(default)]
    pub conditions: Conditions,
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperationState {
    /// It has not begun.
    Pending,
    /// It has begun.
    Running,
    /// It is done.
    Succeeded,
    /// It was done before under this name.
    AlreadyDone,
    /// It failed.
    Failed,
    /// It did not begin in time.
    Expired,
}
