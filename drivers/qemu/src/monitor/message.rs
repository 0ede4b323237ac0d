//! What QEMU says.

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// One line from QEMU.
#[derive(Debug)]
pub(crate) enum Message {
    /// The first line.
    Greeting,
    /// The answer to the command with this id.
    Answer(u64, Result<Value, Refusal>),
    /// Something happened.
    Event(QmpEvent),
}

/// QEMU's word for why not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Refusal {
    /// `GenericError`, `DeviceNotFound`, …
    pub(crate) class: String,
    /// A sentence for people.
    pub(crate) desc: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.desc)
    }
}

/// Something that happened in QEMU.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct QmpEvent {
    /// `SHUTDOWN`, `STOP`, …
    #[serde(rename = "event")]
    pub(crate) name: String,
    /// What is said about it.
    #[serde(default)]
    pub(crate) data: Value,
}

impl QmpEvent {
    /// A text in the event's data.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.data.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A truth in the event's data.
    pub(crate) fn is(&self, field: &str) -> bool {
        self.data.get(field).and_then(Value::as_bool).unwrap_or_default()
    }
}

impl Message {
    /// Reads one line. Lines of no known kind are none: QEMU may learn new ones.
    pub(crate) fn parse(line: &[u8]) -> Option<Message> {
        #[derive(Deserialize)]
        struct Line {
            id: Option<u64>,
            #[serde(rename = "QMP")]
            greeting: Option<IgnoredAny>,
            event: Option<String>,
            data: Option<Value>,
            // A JSON null is an answer too.
            #[serde(rename = "return", default, deserialize_with = "present")]
            answer: Option<Value>,
            error: Option<Refusal>,
        }
        let line: Line = serde_json::from_slice(line).ok()?;
        match line {
            Line { greeting: Some(_), .. } => Some(Message::Greeting),
            Line { event: Some(name), data, .. } => {
                Some(Message::Event(QmpEvent { name, data: data.unwrap_or_default() }))
            }
            Line { id: Some(id), error: Some(refusal), .. } => Some(Message::Answer(id, Err(refusal))),
            Line { id: Some(id), answer: Some(value), .. } => Some(Message::Answer(id, Ok(value))),
            _ => None,
        }
    }
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_lines_apart() {
        let parse = |text: &str| format!("{:?}", Message::parse(text.as_bytes()));
        assert_eq!(parse(r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#), "Some(Greeting)");
        assert_eq!(parse(r#"{"return": {}, "id": 7}"#), "Some(Answer(7, Ok(Object {})))");
        assert_eq!(parse(r#"{"return": null, "id": 7}"#), "Some(Answer(7, Ok(Null)))");
        let refusal = r#"{"id": 8, "error": {"class": "GenericError", "desc": "no"}}"#;
        assert_eq!(parse(refusal), r#"Some(Answer(8, Err(Refusal { class: "GenericError", desc: "no" })))"#);
        assert_eq!(parse("{}"), "None");
        assert_eq!(parse("not json"), "None");
        let event = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#;
        let Some(Message::Event(event)) = Message::parse(event.as_bytes()) else { panic!("no event") };
        assert_eq!(
            (event.name.as_str(), event.is("guest"), event.text("reason")),
            ("SHUTDOWN", true, "guest-shutdown")
        );
        assert_eq!(event.text("missing"), "");
    }
}
