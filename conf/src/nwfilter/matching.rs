//! The traffic that a rule is about.

use std::collections::BTreeMap;

use ostler_util::ErrorCode;
use serde::{Deserialize, Serialize};

use super::Protocol;
use super::attributes::{attributes, followers};
use crate::Problem;
use crate::xml::{Element, Reader, Writer};

/// The traffic that a rule is about; none: all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Matching(pub Option<Match>);

/// `<tcp srcipaddr='10.1.2.3' dstportstart='22'/>`: traffic of a protocol, by attributes of libvirt's names. A value may be a
/// variable, `$NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// The protocol.
    pub protocol: Protocol,
    /// What holds of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub is: BTreeMap<String, String>,
    /// What does not hold of it (`match='no'`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub is_not: BTreeMap<String, String>,
}

/// Set in which direction an address is looked up, where a rule does not say.
const DEFAULT_IPSET_FLAGS: &str = "src";

impl Matching {
    /// Whether the rule is about all traffic.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Writes values as libvirt does.
    pub(super) fn complete(&mut self) {
        let Some(found) = &mut self.0 else { return };
        for (name, kind) in attributes(found.protocol) {
            for values in [&mut found.is, &mut found.is_not] {
                if let Some(value) = values.get_mut(*name)
                    && let Some(canonical) = kind.canonical(value)
                {
                    *value = canonical;
                }
            }
        }
    }
}

impl Match {
    /// A mask is negated with its address, the end of a range with its start.
    fn follow(&mut self) {
        for (follower, leader) in followers(self.protocol) {
            let (from, to) = match self.is_not.contains_key(*leader) {
                true => (&mut self.is, &mut self.is_not),
                false => (&mut self.is_not, &mut self.is),
            };
            if let Some((name, value)) = from.remove_entry(*follower) {
                to.insert(name, value);
            }
        }
    }

    /// libvirt (11.3) keeps a set with its flags in rules about all of IP only. In the others it fills in the flags where they
    /// lack, and drops both where they don't.
    fn settle_ipset(&mut self) {
        if matches!(self.protocol, Protocol::All | Protocol::AllIpv6) {
            return;
        }
        let has = |name: &str| self.is.contains_key(name) || self.is_not.contains_key(name);
        if has("ipset") && !has("ipsetflags") {
            self.is.insert("ipsetflags".to_owned(), DEFAULT_IPSET_FLAGS.to_owned());
        } else {
            for name in ["ipset", "ipsetflags"] {
                self.is.remove(name);
                self.is_not.remove(name);
            }
        }
    }
}

impl Element for Matching {
    /// The first element of a known protocol says which; further ones of the same say more.
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut found: Option<Match> = None;
        for child in reader.all_children() {
            let Some(protocol) = Protocol::ALL.iter().copied().find(|protocol| child.is_named(protocol.word())) else {
                continue;
            };
            let found = found.get_or_insert_with(|| Match { protocol, is: BTreeMap::new(), is_not: BTreeMap::new() });
            if found.protocol != protocol {
                continue;
            }
            child.take();
            let is_negated = child.attr_text("match") == Some("no");
            for (name, kind) in attributes(protocol) {
                let Some(text) = child.attr_text(name) else { continue };
                let Some(value) = kind.canonical(text) else {
                    let problem = child.invalid_attr(name, text, kind.expected());
                    return Err(Problem { code: ErrorCode::InternalError, ..problem });
                };
                found.is.remove(*name);
                found.is_not.remove(*name);
                let values = if is_negated { &mut found.is_not } else { &mut found.is };
                values.insert((*name).to_owned(), value);
            }
        }
        if let Some(found) = &mut found {
            found.follow();
            found.settle_ipset();
        }
        Ok(Matching(found))
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, writer: &mut Writer) {
        let Some(Match { protocol, is, is_not }) = &self.0 else { return };
        let mut write = |values: &BTreeMap<String, String>, is_negated: bool| {
            writer.element(protocol.word(), true, |writer| {
                if is_negated {
                    writer.attr_text("match", "no");
                }
                for (name, _) in attributes(*protocol) {
                    if let Some(value) = values.get(*name) {
                        writer.attr_text(name, value);
                    }
                }
            });
        };
        if !is.is_empty() || is_not.is_empty() {
            write(is, false);
        }
        if !is_not.is_empty() {
            write(is_not, true);
        }
    }
}
