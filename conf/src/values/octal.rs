//! File modes.

use crate::xml::Value;

/// A file mode: octal digits in XML and YAML alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Octal(pub u32);

impl Value for Octal {
    fn parse(text: &str) -> Result<Self, String> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Octal)
            .ok_or_else(|| "a mode: three octal digits such as 0644".to_owned())
    }
    fn format(&self) -> std::borrow::Cow<'_, str> {
        format!("0{:o}", self.0).into()
    }
}

impl serde::Serialize for Octal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format())
    }
}

impl<'de> serde::Deserialize<'de> for Octal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Value::parse(&text).map_err(|expected| serde::de::Error::custom(format!("'{text}' is not {expected}")))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Octal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Octal".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 5, "pattern": "^[0-7]{1,5}$" })
    }
}
