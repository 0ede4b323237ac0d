//! The parameters of a migration as QEMU tells and takes them, and as a running guest's status keeps them, so that what was
//! changed for one migration can be set back after it.

use ostler_conf::xml::{Element, Reader, Writer};
use ostler_conf::{ErrorCode, Problem};
use serde_json::{Map, Value};

/// What kind of value a parameter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Flag,
}

/// Every parameter that we set, in the order in which they are told. Source: QEMU, qapi/migration.json.
const PARAMETERS: &[(&str, Kind)] = &[
    ("compress-level", Kind::Number),
    ("compress-threads", Kind::Number),
    ("decompress-threads", Kind::Number),
    ("cpu-throttle-initial", Kind::Number),
    ("cpu-throttle-increment", Kind::Number),
    ("tls-creds", Kind::Text),
    ("tls-hostname", Kind::Text),
    ("max-bandwidth", Kind::Number),
    ("downtime-limit", Kind::Number),
    ("block-incremental", Kind::Flag),
    ("xbzrle-cache-size", Kind::Number),
    ("max-postcopy-bandwidth", Kind::Number),
    ("multifd-channels", Kind::Number),
    ("multifd-compression", Kind::Text),
    ("multifd-zlib-level", Kind::Number),
    ("multifd-zstd-level", Kind::Number),
    ("avail-switchover-bandwidth", Kind::Number),
    ("direct-io", Kind::Flag),
];

/// Parameters with their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MigrationParameters(Map<String, Value>);

impl MigrationParameters {
    /// What QEMU answers to `query-migrate-parameters`. Those that we never set are left out.
    pub fn of_reply(reply: &Value) -> Self {
        let known = PARAMETERS.iter().filter_map(|(name, kind)| {
            let value = reply.get(name).filter(|value| kind.is_of(value))?;
            Some(((*name).to_owned(), value.clone()))
        });
        MigrationParameters(known.collect())
    }

    /// The arguments of `migrate-set-parameters`.
    pub fn arguments(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

impl Kind {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Kind::Number => value.is_u64(),
            Kind::Text => value.is_string(),
            Kind::Flag => value.is_boolean(),
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        match self {
            Kind::Number => text.parse::<u64>().ok().map(Value::from),
            Kind::Text => Some(Value::from(text)),
            Kind::Flag => match text {
                "yes" => Some(true.into()),
                "no" => Some(false.into()),
                _ => None,
            },
        }
    }
}

/// `<migParams><param name='max-bandwidth' value='1'/></migParams>`
impl Element for MigrationParameters {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut parameters = Map::new();
        let wrong = |message: String| Problem::new(ErrorCode::XmlError, "migParams", message);
        for param in reader.children("param") {
            let name: String = param.required_attr("name")?;
            let text: String = param.required_attr("value")?;
            let (_, kind) = PARAMETERS
                .iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(|| wrong(format!("there is no migration parameter '{name}'")))?;
            let value = kind
                .read(&text)
                .ok_or_else(|| wrong(format!("'{text}' is no value of the migration parameter '{name}'")))?;
            parameters.insert(name, value);
        }
        // The order is that of the table, whatever it was.
        Ok(Self::of_reply(&Value::Object(parameters)))
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, writer: &mut Writer) {
        writer.open();
        for (name, value) in &self.0 {
            let text = match value {
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            writer.element("param", true, |writer| {
                writer.attr_text("name", name);
                writer.attr_text("value", &text);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_parameter_stands_twice() {
        for (at, (name, _)) in PARAMETERS.iter().enumerate() {
            assert!(PARAMETERS[at + 1..].iter().all(|(other, _)| other != name), "{name}");
        }
    }

    #[test]
    fn only_what_we_set_and_what_has_its_kind_is_kept() {
        let reply = json!({"max-bandwidth": 1, "tls-creds": null, "announce-max": 550, "downtime-limit": "3"});
        assert_eq!(MigrationParameters::of_reply(&reply).arguments(), json!({"max-bandwidth": 1}));
    }
}
