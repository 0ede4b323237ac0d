//! What an agent and its cluster's controller say to each other about Secrets: one POST over TLS, one answer.
//!
//! A refusal is Kubernetes' own `Status`, with a reason.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use ostler_conf::values::SecretKeyRef;
use serde::{Deserialize, Serialize};

use super::Fetched;

/// Where it is asked, on the webhook's address.
pub const PATH: &str = "/secrets";
/// For whom the agent's token is.
pub const AUDIENCE: &str = "ostler-controller";
/// What tells where the webhook is, and which CA signs for it.
pub const CONFIGURATION: &str = "ostler-validate";

/// For which domain. What it keeps where stands in its spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The domain's namespace.
    pub namespace: String,
    /// The domain's name.
    pub name: String,
}

/// What there is for it, by `name/key` of its Secrets.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    secrets: BTreeMap<String, ByteString>,
    missing: BTreeMap<String, String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("Answer").field("secrets", &secrets).field("missing", &self.missing).finish()
    }
}

impl From<&Fetched> for Answer {
    fn from(Fetched { secrets, missing }: &Fetched) -> Self {
        Answer {
            secrets: secrets.iter().map(|(place, value)| (place.to_string(), ByteString(value.to_vec()))).collect(),
            missing: missing.iter().map(|(place, why)| (place.to_string(), why.clone())).collect(),
        }
    }
}

impl Answer {
    /// What of it was wanted. What the answer does not know is missing: the spec that it was made by is another.
    pub fn of(mut self, wanted: &[SecretKeyRef]) -> Fetched {
        let mut fetched = Fetched::default();
        for place in wanted {
            let name = place.to_string();
            match (self.secrets.remove(&name), self.missing.remove(&name)) {
                (Some(value), _) => fetched.secrets.insert(place.clone(), value.0),
                (None, why) => {
                    let why = why.unwrap_or_else(|| format!("the controller's spec of the domain has no {name}"));
                    fetched.missing.insert(place.clone(), why);
                }
            }
        }
        fetched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_was_fetched_and_shows_none_of_it() {
        let place = |key: &str| SecretKeyRef { name: "web".to_owned(), key: key.to_owned() };
        let mut fetched = Fetched::default();
        fetched.secrets.insert(place("vnc"), b"hunter2".to_vec());
        fetched.missing.insert(place("spice"), "none".to_owned());
        let sent = serde_json::to_vec(&Answer::from(&fetched)).unwrap();
        let answer: Answer = serde_json::from_slice(&sent).unwrap();
        assert_eq!(format!("{answer:?}"), r#"Answer { secrets: ["web/vnc"], missing: {"web/spice": "none"} }"#);
        assert_eq!(answer.clone().of(&[place("vnc"), place("spice")]), fetched);
        let other = answer.of(&[place("new")]);
        assert_eq!(other.missing[&place("new")], "the controller's spec of the domain has no web/new");
    }
}
