//! What reaches the host: which fields need which grant, as one table for everybody who asks.
//!
//! The API server asks by policies made from the table (`cel`), an agent by [`needs`], and people read it in docs/grants.md,
//! which a test makes from it too. What the table doesn't list is not free.

mod cel;
mod doc;
mod table;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Kind, Object};
use table::{Fields, Rule};

pub use cel::policies;
pub use doc::fields_by_grant;

/// The right to let guests, networks and pools reach the host in one way: in a cluster the verb `use` on the resource of this
/// name in the group ostler.dev.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// Files, folders and sockets of the host.
    HostPaths,
    /// Devices of the host.
    HostDevices,
    /// Networks, addresses and ports of the host.
    HostNetworks,
    /// Raw XML, and names, uuids and secrets by which the host knows things.
    RawXml,
    /// Arguments and settings of the hypervisor and its processes.
    HypervisorArgs,
}

impl Grant {
    /// All grants.
    pub const ALL: &'static [Grant] =
        &[Grant::HostPaths, Grant::HostDevices, Grant::HostNetworks, Grant::RawXml, Grant::HypervisorArgs];

    /// Its resource in the group ostler.dev.
    pub const fn resource(self) -> &'static str {
        match self {
            Grant::HostPaths => "hostpaths",
            Grant::HostDevices => "hostdevices",
            Grant::HostNetworks => "hostnetworks",
            Grant::RawXml => "rawxml",
            Grant::HypervisorArgs => "hypervisorargs",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource())
    }
}

/// No grant has this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no grant '{0}': there are hostpaths, hostdevices, hostnetworks, rawxml and hypervisorargs")]
pub struct UnknownGrant(String);

impl FromStr for Grant {
    type Err = UnknownGrant;

    fn from_str(name: &str) -> Result<Self, UnknownGrant> {
        let found = Grant::ALL.iter().copied().find(|grant| grant.resource() == name);
        found.ok_or_else(|| UnknownGrant(name.to_owned()))
    }
}

/// What a field needs that no table lists: it may be anything.
const UNLISTED: Grant = Grant::RawXml;

/// A part of a spec that reaches the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where it stands, as in `spec.domain.devices.disks[vda].source.file`.
    pub field: String,
    /// What it needs.
    pub grant: Grant,
}

/// The parts of an object's spec that reach the host.
pub fn needs(object: &Object) -> Vec<Part> {
    needs_of(object.kind(), &object.to_value()["spec"])
}

/// The same of a spec that is no object yet.
pub fn needs_of(kind: Kind, spec: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    if let (Some(fields), Some(spec)) = (table::of(kind), spec.as_object()) {
        look(spec, "spec", fields, &mut parts);
    }
    parts
}

fn look(object: &Map<String, Value>, path: &str, fields: Fields, parts: &mut Vec<Part>) {
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let field = format!("{path}.{name}");
        let rule = table::rule_of(fields, name);
        let grant = match (rule, value) {
            (Some(Rule::Free), _) => None,
            (Some(Rule::Needs(grant)), _) => Some(*grant),
            (Some(Rule::Only(words, grant)), value) => {
                (!value.as_str().is_some_and(|word| words.contains(&word))).then_some(*grant)
            }
            (Some(Rule::Empty(grant)), value) => (!is_empty(value)).then_some(*grant),
            (Some(Rule::AnyItem(names, grant, otherwise)), Value::Array(items)) => {
                let has = |item: &Value| names.iter().any(|name| item.get(name).is_some());
                match (items.iter().any(has), items.is_empty()) {
                    (true, _) => Some(*grant),
                    (false, true) => None,
                    (false, false) => *otherwise,
                }
            }
            (Some(Rule::Within(fields)), Value::Object(object)) => {
                look(object, &field, fields, parts);
                None
            }
            (Some(Rule::Named(fields)), Value::Array(items)) => {
                for object in items.iter().filter_map(Value::as_object) {
                    let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
                    look(object, &format!("{field}[{name}]"), fields, parts);
                }
                None
            }
            (Some(Rule::Items(fields)), Value::Array(items)) => {
                for object in items.iter().filter_map(Value::as_object) {
                    look(object, &format!("{field}[]"), fields, parts);
                }
                None
            }
            // What has not the form of its schema is not free either.
            (None | Some(Rule::AnyItem(..) | Rule::Within(_) | Rule::Named(_) | Rule::Items(_)), _) => Some(UNLISTED),
        };
        parts.extend(grant.map(|grant| Part { field, grant }));
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests;
