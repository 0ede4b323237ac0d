//! What Flux and `helm --wait` make of an object: kstatus' rules, in kstatus' order.

use serde_json::Value;

/// How an object fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    /// It is as wanted.
    Current,
    /// It is on its way.
    InProgress,
    /// It will not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
}

/// How an object fares.
pub fn kstatus(object: &Value) -> Kstatus {
    let status = &object["status"];
    let condition = |type_: &str| {
        let all = status["conditions"].as_array();
        all.and_then(|all| all.iter().find(|c| c["type"] == type_)).and_then(|c| c["status"].as_str())
    };
    let observed = &status["observedGeneration"];
    let is_seen = observed.is_null() || *observed == object["metadata"]["generation"];
    if !object["metadata"]["deletionTimestamp"].is_null() {
        Kstatus::Terminating
    } else if !is_seen || condition("Reconciling") == Some("True") {
        Kstatus::InProgress
    } else if condition("Stalled") == Some("True") {
        Kstatus::Failed
    } else {
        match condition("Ready") {
            Some("True") | None => Kstatus::Current,
            Some(_) => Kstatus::InProgress,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Kstatus::{self, Current, Failed, InProgress, Terminating};
    use super::kstatus;

    fn check(status: Value, expected: Kstatus) {
        assert_eq!(kstatus(&json!({"metadata": {"generation": 2}, "status": status})), expected, "{status}");
    }

    #[test]
    fn the_rules_in_their_order() {
        let with = |type_: &str, status: &str| json!({"observedGeneration": 2, "conditions": [{"type": type_, "status": status}]});
        check(json!({}), Current);
        check(json!({"observedGeneration": -1}), InProgress);
        check(json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}), InProgress);
        check(with("Reconciling", "True"), InProgress);
        check(with("Stalled", "True"), Failed);
        check(with("Ready", "True"), Current);
        check(with("Ready", "False"), InProgress);
        check(with("Ready", "Unknown"), InProgress);
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(kstatus(&deleted), Terminating);
    }
}
