//! Conditions, as kubectl, Flux and Helm read them.

use k8s_openapi::jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One aspect of an object's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect, as in `Ready`.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub type_: String,
    /// How it is.
    pub status: ConditionStatus,
    /// Why, in one CamelCase word.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// Since when the status is so, in RFC 3339.
    pub last_transition_time: String,
    /// The spec's generation that this was found with.
    pub observed_generation: i64,
}

/// How an aspect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is not known.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(status: bool) -> Self {
        if status { ConditionStatus::True } else { ConditionStatus::False }
    }
}

/// Types of conditions.
pub mod types {
    #![allow(missing_docs, reason = "the names say it")]
    pub const READY: &str = "Ready";
    pub const RECONCILING: &str = "Reconciling";
    pub const STALLED: &str = "Stalled";
    pub const RUNNING: &str = "Running";
    pub const PAUSED: &str = "Paused";
    pub const CONFIGURATION_APPLIED: &str = "ConfigurationApplied";
    pub const VOLUMES_READY: &str = "VolumesReady";
    pub const NETWORKS_READY: &str = "NetworksReady";
    pub const COMPLETE: &str = "Complete";
    pub const FAILED: &str = "Failed";
}

/// Reasons that more than one reconciler gives.
pub mod reasons {
    #![allow(missing_docs, reason = "the names say it")]
    pub const RECONCILING: &str = "Reconciling";
    pub const READY: &str = "Ready";
    pub const INVALID: &str = "Invalid";
    pub const CONFLICT: &str = "Conflict";
    pub const IN_USE: &str = "InUse";
    pub const WAITING_FOR_FIRST_USE: &str = "WaitingForFirstUse";
    pub const RESTART_PENDING: &str = "RestartPending";
    pub const CRASH_LOOP: &str = "CrashLoop";
    pub const SHUTDOWN_TIMEOUT: &str = "ShutdownTimeout";
    pub const MISSING: &str = "Missing";
    pub const DAMAGED: &str = "StateDamaged";
    pub const MONITOR_SILENT: &str = "MonitorSilent";
    pub const IO_ERROR: &str = "IOError";
    pub const PROTECTED: &str = "Protected";
    pub const DELETING: &str = "Deleting";
    pub const RECORD_LOST: &str = "RecordLost";
    pub const UNSUPPORTED: &str = "Unsupported";
    pub const CLAIM_OUTDATED: &str = "ClaimOutdated";
    pub const HOST_FENCED: &str = "HostFenced";
    pub const HOST_MAINTENANCE: &str = "HostMaintenance";
    pub const MOVE_PENDING: &str = "MovePending";
    pub const NOT_ALLOWED: &str = "NotAllowed";
}

/// An object's conditions, one a type. The time of a transition changes only with the status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Conditions(pub Vec<Condition>);

impl Conditions {
    /// Sets a condition.
    pub fn set(
        &mut self,
        type_: &str,
        status: impl Into<ConditionStatus>,
        reason: &str,
        message: impl Into<String>,
        generation: i64,
    ) {
        let (status, message) = (status.into(), message.into());
        let since = match self.get(type_) {
            Some(old) if old.status == status => old.last_transition_time.clone(),
            _ => now(),
        };
        let condition = Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message,
            last_transition_time: since,
            observed_generation: generation,
        };
        match self.0.iter_mut().find(|c| c.type_ == type_) {
            Some(place) => *place = condition,
            None => self.0.push(condition),
        }
    }

    /// Takes a condition away.
    pub fn clear(&mut self, type_: &str) {
        self.0.retain(|condition| condition.type_ != type_);
    }

    /// The condition of this type.
    pub fn get(&self, type_: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether the condition is there and true.
    pub fn is_true(&self, type_: &str) -> bool {
        self.get(type_).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Ready: nothing is left that we may do by ourselves.
    pub fn ready(&mut self, reason: &str, message: impl Into<String>, generation: i64) {
        self.clear(types::RECONCILING);
        self.clear(types::STALLED);
        self.set(types::READY, true, reason, message, generation);
    }

    /// We are at it, or will try again.
    pub fn reconciling(&mut self, reason: &str, message: impl Into<String>, generation: i64) {
        let message = message.into();
        self.clear(types::STALLED);
        self.set(types::READY, false, reason, message.clone(), generation);
        self.set(types::RECONCILING, true, reason, message, generation);
    }

    /// Only a person can mend it.
    pub fn stalled(&mut self, reason: &str, message: impl Into<String>, generation: i64) {
        let message = message.into();
        self.clear(types::RECONCILING);
        self.set(types::READY, false, reason, message.clone(), generation);
        self.set(types::STALLED, true, reason, message, generation);
    }
}

fn now() -> String {
    // Kubernetes' times have whole seconds.
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::{ConditionStatus, Conditions, types};

    #[test]
    fn the_transition_time_changes_with_the_status_only() {
        let mut conditions = Conditions::default();
        conditions.set(types::READY, true, "A", "", 1);
        conditions.0[0].last_transition_time = "2000-01-01T00:00:00Z".into();
        conditions.set(types::READY, true, "B", "", 2);
        assert_eq!(conditions.0[0].last_transition_time, "2000-01-01T00:00:00Z");
        conditions.set(types::READY, ConditionStatus::Unknown, "C", "", 2);
        assert_ne!(conditions.0[0].last_transition_time, "2000-01-01T00:00:00Z");
    }

    #[test]
    fn ready_reconciling_and_stalled_exclude_each_other() {
        let mut conditions = Conditions::default();
        conditions.stalled("Invalid", "", 1);
        conditions.reconciling("Reconciling", "", 1);
        assert!(conditions.get(types::STALLED).is_none());
        conditions.ready("Ready", "", 1);
        assert!(conditions.get(types::RECONCILING).is_none() && conditions.is_true(types::READY));
    }
}
