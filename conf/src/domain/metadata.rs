//! `<metadata>`: other programs' XML as it is, and our own mark.

use ostler_conf_derive::element;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::values::XmlText;
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
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let content = reader.take_content();
        let namespaces = reader.take_attributes().trim().to_owned();
        let Some(ours) = reader.all_children().find(|child| child.is_named(OURS)) else {
            return Ok(Metadata { foreign: XmlText(content.to_owned()), namespaces, ostler: None });
        };
        let mark = OstlerMark::read(&ours)?;
        let whole = ours.take_whole();
        let (before, after) = content.split_once(whole).unwrap_or((content, ""));
        let foreign = format!("{}{after}", before.trim_end());
        let foreign = if foreign.trim().is_empty() { String::new() } else { foreign };
        Ok(Metadata { foreign: XmlText(foreign), namespaces, ostler: Some(mark) })
    }

    fn attrs(&self, writer: &mut Writer) {
        writer.raw_attrs(&self.namespaces);
    }

    fn body(&self, writer: &mut Writer) {
        let foreign = &self.foreign.0;
        let Some(mark) = &self.ostler else { return writer.raw(foreign) };
        let write_mark = |writer: &mut Writer| {
            writer.element(OURS, true, |writer| {
                writer.bind("ostler");
                mark.attrs(writer);
                mark.body(writer);
            });
        };
        if foreign.trim().is_empty() {
            return write_mark(writer);
        }
        let (head, tail) = foreign.split_at(foreign.trim_end().len());
        writer.raw(head);
        writer.raw("\n");
        writer.nested(write_mark);
        writer.raw(tail.strip_prefix('\n').unwrap_or(tail));
    }
}
