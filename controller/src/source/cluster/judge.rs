//! Whether an object of the API server is one that we can carry out whole.

use ostler_crds::{Conditions, Kind, Object, manifest, reasons};
use serde_json::Value;

use crate::admission;

/// An object that is not applied: the guest keeps its last definition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// The spec's generation that was refused.
    pub(super) generation: i64,
    pub(super) why: Why,
    pub(super) message: String,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// An agent that is as new as the CRDs takes it.
    AgentTooOld,
    /// Its author: admission was off when it came.
    Invalid,
}

/// Reads an object whole, or says why it is not applied.
///
/// # Errors
/// What this agent does not know, or what admission would have refused.
pub(super) fn judge(kind: Kind, value: &Value) -> Result<Object, Refusal> {
    let generation = value.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    let too_old = |message: String| Refusal {
        generation,
        why: Why::AgentTooOld,
        message: format!("this agent ({}) does not know all of the spec: {message}", env!("CARGO_PKG_VERSION")),
    };
    let unknown = manifest::check_value(kind, value);
    if !unknown.is_empty() {
        let fields: Vec<String> =
            unknown.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        return Err(too_old(fields.join("; ")));
    }
    let object = Object::from_value(kind, value).map_err(|error| too_old(error.to_string()))?;
    if kind == Kind::Host {
        return Ok(object);
    }
    let problems = admission::validate(&object);
    if problems.is_empty() {
        return Ok(object);
    }
    let message = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect::<Vec<_>>();
    Err(Refusal { generation, why: Why::Invalid, message: message.join("; ") })
}

impl Refusal {
    /// Says so in a status, over what else is known of the object.
    pub(super) fn show_in(&self, status: &mut Value) {
        if !status.is_object() {
            *status = Value::Object(serde_json::Map::new());
        }
        let mut conditions: Conditions =
            status.get("conditions").cloned().and_then(|c| serde_json::from_value(c).ok()).unwrap_or_default();
        match self.why {
            Why::AgentTooOld => conditions.reconciling(AGENT_TOO_OLD, self.message.clone(), self.generation),
            Why::Invalid => conditions.stalled(reasons::INVALID, self.message.clone(), self.generation),
        }
        status["conditions"] = serde_json::to_value(conditions).expect("our types have only text keys");
        status["observedGeneration"] = self.generation.into();
    }
}

/// The agent must be upgraded before it applies the spec.
const AGENT_TOO_OLD: &str = "AgentTooOld";

#[cfg(test)]
mod tests {
    use ostler_crds::{Kind, types};
    use serde_json::{Value, json};

    use super::{Why, judge};

    fn domain(change: impl FnOnce(&mut Value)) -> Value {
        let mut value = json!({
            "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain",
            "metadata": { "name": "web", "namespace": "shop", "uid": "u1", "generation": 3 },
            "spec": { "domain": { "vcpu": { "count": 1 }, "memory": { "size": "64Mi" }, "os": { "type": {} } } },
            "status": { "observedGeneration": -1, "host": "a", "claim": 1 },
        });
        change(&mut value);
        value
    }

    #[test]
    fn what_the_schema_knows_and_admission_allows_is_taken() {
        judge(Kind::Domain, &domain(|_| {})).unwrap();
    }

    #[test]
    fn an_unknown_field_or_word_makes_the_agent_too_old_and_is_named() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 3] = [
            ("spec.domain.nestedMagic", |value| value["spec"]["domain"]["nestedMagic"] = json!(true)),
            ("spec.runStrategy", |value| value["spec"]["runStrategy"] = json!("Sometimes")),
            ("spec.domain.devices.disks[0].flavour", |value| {
                value["spec"]["domain"]["devices"] = json!({ "disks": [{ "name": "vda", "flavour": "x" }] });
            }),
        ];
        for (field, change) in cases {
            let refusal = judge(Kind::Domain, &domain(change)).unwrap_err();
            assert_eq!((refusal.why, refusal.generation), (Why::AgentTooOld, 3), "{field}");
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn what_admission_would_refuse_is_invalid() {
        let refusal = judge(
            Kind::Domain,
            &domain(|value| value["spec"]["placement"] = json!({ "host": "a", "hostSelector": { "matchLabels": {} } })),
        )
        .unwrap_err();
        assert_eq!(refusal.why, Why::Invalid);
        assert!(refusal.message.contains("spec.placement"), "{}", refusal.message);
    }

    #[test]
    fn a_refusal_keeps_what_else_the_status_says() {
        let refusal = judge(Kind::Domain, &domain(|value| value["spec"]["new"] = json!(1))).unwrap_err();
        let mut status = json!({ "phase": "Running", "observedGeneration": 2, "conditions": [{
            "type": "Running", "status": "True", "reason": "Booted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 2
        }] });
        refusal.show_in(&mut status);
        assert_eq!((&status["phase"], &status["observedGeneration"]), (&json!("Running"), &json!(3)));
        let types: Vec<_> =
            status["conditions"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["Running", types::READY, types::RECONCILING]);
        let mut nothing = Value::Null;
        refusal.show_in(&mut nothing);
        assert_eq!(nothing["conditions"][0]["reason"], "AgentTooOld");
    }
}
