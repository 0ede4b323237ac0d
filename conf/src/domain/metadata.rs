//! `<metadata>`: other programs' XML as it is, and our own mark.

use ostler_conf_derive::element;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::values::XmlText;
use crate::xml::foreign::attributes;
use crate::xml::{Element, Reader, Writer};

/// `<metadata>`: what programs keep with a domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Other programs' elements, as XML text, each in a namespace of its own.
    #[serde(rename = "xml", default)]
    pub foreign: XmlText,
    /// Namespaces that these elements share, as attributes of XML.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespaces: String,
    /// Our own mark; never given by a user.
    #[serde(skip)]
    pub ostler: Option<OstlerMark>,
}

/// `<ostler:domain>`: whose domain it is, and what its devices are called.
#[element]
pub struct OstlerMark {
    /// Whose it is.
    #[xml(name = "ostler:owner")]
    pub owner: Option<Owner>,
    /// The devices' names, where they are not the ones that would be made.
    #[xml(name = "ostler:label")]
    pub labels: Vec<DeviceLabel>,
}

/// `<ostler:owner …/>`: the object that a domain, network or pool belongs to.
#[derive(Eq)]
#[element]
pub struct Owner {
    /// The cluster (uid of its namespace kube-system), or the id made once on this host.
    #[xml(attr)]
    pub id: String,
    /// The object's namespace.
    #[xml(attr)]
    pub namespace: String,
    /// The object's name.
    #[xml(attr)]
    pub name: String,
    /// The object's uid.
    #[xml(attr)]
    pub uid: String,
    /// The number of the claim under which it was defined.
    #[xml(attr)]
    pub claim: Option<u64>,
    /// A digest of what the user asked for, to tell a change of ours from a change of theirs.
    #[xml(attr)]
    pub spec: Option<String>,
}

/// `<ostler:label kind='interface' index='0' name='eth0'/>`: a device's name.
#[element]
pub struct DeviceLabel {
    /// The devices' element.
    #[xml(attr)]
    pub kind: String,
    /// Its number among those, from 0.
    #[xml(attr)]
    pub index: u32,
    /// The name.
    #[xml(attr)]
    pub name: String,
}

const OURS: &str = "ostler:domain";

impl Element for Metadata {
    /// Reads as libvirt does, which keeps one element of each namespace and none without. Prefixes that are bound further
    /// out are bound here.
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut ostler = None;
        let mut seen = Vec::new();
        let mut foreign = Vec::new();
        let own: Vec<&str> = reader.all_attributes().filter_map(|(name, _)| name.strip_prefix("xmlns:")).collect();
        let mut outer = Vec::new();
        for child in reader.all_children() {
            if child.is_named(OURS) {
                child.take();
                ostler = Some(OstlerMark::read(&child)?);
                continue;
            }
            let default = || child.all_attributes().chain(reader.all_attributes()).find(|(name, _)| *name == "xmlns");
            let namespace = child.namespace().or_else(|| default().map(|(_, uri)| uri));
            if let Some(namespace) = namespace.filter(|namespace| !seen.contains(namespace)) {
                seen.push(namespace);
                foreign.push(child.take_whole());
                find_outer(&child, &own, &mut outer);
            }
        }
        let outer: Vec<(String, &str)> =
            outer.into_iter().map(|(prefix, uri)| (format!("xmlns:{prefix}"), uri)).collect();
        let own = reader.all_attributes().filter(|(name, _)| *name != "xmlns:ostler");
        let namespaces = attributes(own.chain(outer.iter().map(|(name, uri)| (name.as_str(), *uri))));
        Ok(Metadata { foreign: XmlText(foreign.join("\n")), namespaces, ostler })
    }

    fn attrs(&self, writer: &mut Writer) {
        writer.raw_attrs(&self.namespaces);
    }

    fn body(&self, writer: &mut Writer) {
        writer.foreign(&self.foreign.0);
        if let Some(mark) = &self.ostler {
            writer.element(OURS, true, |writer| {
                writer.bind("ostler");
                mark.attrs(writer);
                mark.body(writer);
            });
        }
    }
}

/// Finds the prefixes, and what they mean, that `element` and what is in it have from further out than `scope`.
fn find_outer<'d>(element: &Reader<'d>, scope: &[&'d str], found: &mut Vec<(&'d str, &'d str)>) {
    let own = element.all_attributes().filter_map(|(name, _)| name.strip_prefix("xmlns:"));
    let scope: Vec<&str> = scope.iter().copied().chain(own).collect();
    if let (Some((prefix, _)), Some(uri)) = (element.name().split_once(':'), element.namespace())
        && !scope.contains(&prefix)
        && !found.iter().any(|(other, _)| *other == prefix)
    {
        found.push((prefix, uri));
    }
    element.all_children().for_each(|child| find_outer(&child, &scope, found));
}
