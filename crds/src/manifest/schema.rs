//! A kind's structural schema as the checker needs it: read once from the kept file, of which it borrows its words.
//!
//! As a JSON value the Domain's takes eight times the memory, for as long as the agent lives.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::Kind;
use crate::schema::compact;

type Words = Box<[&'static str]>;

/// What a field may hold.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'static"))]
pub(super) struct Schema {
    #[serde(rename = "type")]
    pub(super) kind: Type,
    #[serde(default)]
    pub(super) properties: Properties,
    #[serde(default)]
    pub(super) items: Option<Box<Schema>>,
    #[serde(default)]
    pub(super) additional_properties: Option<Box<Schema>>,
    #[serde(default)]
    pub(super) required: Words,
    /// Exactly one of these must be there.
    #[serde(default)]
    one_of: Box<[Choice]>,
    #[serde(default, rename = "enum")]
    pub(super) words: Words,
    #[serde(default, rename = "x-kubernetes-list-map-keys")]
    keys: Words,
    #[serde(default)]
    pub(super) pattern: Option<Pattern>,
    #[serde(default)]
    pub(super) minimum: Option<f64>,
    #[serde(default)]
    pub(super) maximum: Option<f64>,
    #[serde(default)]
    pub(super) min_length: Option<u32>,
    #[serde(default)]
    pub(super) max_length: Option<u32>,
    #[serde(default)]
    pub(super) max_items: Option<u32>,
    #[serde(default)]
    pub(super) max_properties: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

#[derive(Debug, serde::Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
struct Choice {
    required: Words,
}

impl Schema {
    /// The fields of which one must be there.
    pub(super) fn choices(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.one_of.iter().filter_map(|choice| choice.required.first().copied())
    }

    /// By which field the items of a list are told apart.
    pub(super) fn key(&self) -> Option<&'static str> {
        self.keys.first().copied()
    }

    /// Whether the field is a size.
    pub(super) fn is_size(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.text.contains("Ki|Mi"))
    }
}

/// Fields by name, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Properties(Box<[(&'static str, Schema)]>);

impl Properties {
    pub(super) fn get(&self, name: &str) -> Option<&Schema> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, schema)| schema)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|(name, _)| *name)
    }
}

impl<'de: 'static> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de: 'static> Visitor<'de> for Fields {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("schemas by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Properties(fields.into()))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A regular expression, compiled when it is first needed.
#[derive(Debug, serde::Deserialize)]
#[serde(from = "Cow<'static, str>")]
pub(super) struct Pattern {
    pub(super) text: Cow<'static, str>,
    compiled: OnceLock<Option<regex::Regex>>,
}

impl From<Cow<'static, str>> for Pattern {
    fn from(text: Cow<'static, str>) -> Self {
        Pattern { text, compiled: OnceLock::new() }
    }
}

impl Pattern {
    pub(super) fn is_match(&self, text: &str) -> bool {
        // The patterns are our own, and a test compiles them all.
        let compiled = self.compiled.get_or_init(|| regex::Regex::new(&self.text).ok());
        compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// What a kind's spec may hold; `None`: it has none.
pub(super) fn spec_of(kind: Kind) -> Option<&'static Schema> {
    #[derive(serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'static"))]
    struct Object {
        properties: Parts,
    }
    // The status is not the user's to write.
    #[derive(serde::Deserialize)]
    #[serde(bound(deserialize = "'de: 'static"))]
    struct Parts {
        spec: Option<Schema>,
    }
    static SCHEMAS: [OnceLock<Option<Schema>>; Kind::ALL.len()] = [const { OnceLock::new() }; Kind::ALL.len()];
    let read = || {
        let object: Object = serde_json::from_str(compact(kind)).expect("a test holds the file against the types");
        object.properties.spec
    };
    SCHEMAS[kind as usize].get_or_init(read).as_ref()
}
