//! A text that nobody may read but who needs it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Problem;
use crate::xml::{Element, Reader, Writer};

/// A password, a cookie: libvirt's XML holds the text itself. YAML never does: it names the Secret that keeps it, and so does
/// our own XML, in an attribute of our namespace.
#[derive(Clone, PartialEq, Eq)]
pub enum Confidential {
    /// The text. In YAML nothing is said of it.
    Text(String),
    /// Where the text is kept.
    Kept(SecretKeyRef),
}

/// A key of a Secret in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretKeyRef {
    /// The Secret's name.
    pub name: String,
    /// The key whose value is the text.
    pub key: String,
}

/// Its face in YAML.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", expecting = "valueFrom.secretKeyRef, with a Secret's name and key")]
struct Face {
    /// Where the text is kept.
    value_from: ValueFrom,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    /// A key of a Secret.
    secret_key_ref: SecretKeyRef,
}

impl Confidential {
    /// The text, where it is at hand.
    pub fn text(&self) -> Option<&str> {
        match self {
            Confidential::Text(text) => Some(text),
            Confidential::Kept(_) => None,
        }
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Confidential::Text(_) => f.write_str("Text(…)"),
            Confidential::Kept(place) => f.debug_tuple("Kept").field(place).finish(),
        }
    }
}

impl fmt::Display for SecretKeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.key)
    }
}

/// Neither a Secret's name nor a key can hold a slash.
fn place(text: &str) -> Option<Confidential> {
    let (name, key) = text.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty())?;
    Some(Confidential::Kept(SecretKeyRef { name: name.to_owned(), key: key.to_owned() }))
}

/// The attribute that says where the text of `name` is kept.
fn kept(name: &str) -> String {
    format!("ostler:{name}")
}

/// The attribute of an element whose own text is confidential.
const OWN: &str = "kept";

impl Reader<'_> {
    /// The confidential text of an attribute.
    ///
    /// # Errors
    /// A place that is none.
    pub fn confidential(&self, name: &str) -> Result<Option<Confidential>, Problem> {
        let text = || self.attr_text(name).map(|text| Confidential::Text(text.to_owned()));
        Ok(self.kept(name)?.or_else(text))
    }

    fn kept(&self, name: &str) -> Result<Option<Confidential>, Problem> {
        let name = kept(name);
        let Some(text) = self.attr_text(&name) else { return Ok(None) };
        let wrong = || self.invalid_attr(&name, text, "a Secret's name, a slash, and a key");
        place(text).map(Some).ok_or_else(wrong)
    }
}

impl Writer {
    /// Writes a confidential text as an attribute, or where it is kept.
    pub fn confidential(&mut self, name: &str, value: &Confidential) {
        match value {
            Confidential::Text(text) => self.attr_text(name, text),
            Confidential::Kept(place) => {
                self.bind("ostler");
                self.attr_text(&kept(name), &place.to_string());
            }
        }
    }
}

/// As an element's own text.
impl Element for Confidential {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        match reader.kept(OWN)? {
            Some(kept) => Ok(kept),
            None => Ok(Confidential::Text(reader.text()?)),
        }
    }

    fn attrs(&self, writer: &mut Writer) {
        if let Confidential::Kept(_) = self {
            writer.confidential(OWN, self);
        }
    }

    fn body(&self, writer: &mut Writer) {
        writer.text(self.text().unwrap_or_default());
    }
}

impl Serialize for Confidential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = match self {
            Confidential::Text(_) => None,
            Confidential::Kept(place) => Some(Face { value_from: ValueFrom { secret_key_ref: place.clone() } }),
        };
        match place {
            Some(face) => face.serialize(serializer),
            None => serializer.collect_map(std::iter::empty::<((), ())>()),
        }
    }
}

impl<'de> Deserialize<'de> for Confidential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Confidential::Kept(Face::deserialize(deserializer)?.value_from.secret_key_ref))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Confidential {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Confidential".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Face::json_schema(generator)
    }
}
