//! An element of any shape.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::xml::{Document, Element, Reader, Root, Writer};
use crate::{Invalid, Parsed, Problem};

/// An element that is kept whole, whatever is in it, and written as libvirt would: it belongs to another document. In YAML
/// it is XML text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XmlTree {
    /// Its attributes, in order.
    pub attributes: Vec<(String, String)>,
    /// Its text; blanks around and between elements are none.
    pub text: String,
    /// Its children, by name, in order.
    pub children: Vec<(String, XmlTree)>,
    /// Its content as it was written, in place of text and children: `<metadata>` is other programs' own.
    pub raw: Option<String>,
}

/// The element whose content is written as it was.
const RAW: &str = "metadata";

impl XmlTree {
    /// An attribute's text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&XmlTree> {
        self.children.iter().find(|(known, _)| known == name).map(|(_, child)| child)
    }

    /// The first child of that name, to change.
    pub fn child_mut(&mut self, name: &str) -> Option<&mut XmlTree> {
        self.children.iter_mut().find(|(known, _)| known == name).map(|(_, child)| child)
    }

    /// An element that holds one text child.
    pub fn with_text_child(name: &str, text: impl Into<String>) -> Self {
        let child = XmlTree { text: text.into(), ..XmlTree::default() };
        XmlTree { children: vec![(name.to_owned(), child)], ..XmlTree::default() }
    }

    /// Reads it as the document that it is.
    ///
    /// # Errors
    /// What the document's type refuses.
    pub fn read_as<T: Root>(&self) -> Result<Parsed<T>, Invalid> {
        crate::parse(&self.to_xml(T::NAME))
    }

    /// The tree of a document.
    pub fn of<T: Root>(document: &T) -> Self {
        let text = crate::format(document);
        Self::from_xml(&text).unwrap_or_default()
    }

    /// The element as text, under a name.
    pub fn to_xml(&self, name: &str) -> String {
        let mut writer = Writer::default();
        writer.element(name, true, |writer| {
            self.attrs(writer);
            self.body(writer);
        });
        writer.finish()
    }

    fn from_xml(text: &str) -> Result<Self, Problem> {
        let document = Document::parse(text)?;
        Self::read(&Reader::root(&document))
    }
}

impl Element for XmlTree {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let content = reader.take_content();
        if reader.name() == RAW {
            return Ok(XmlTree { raw: Some(content.to_owned()), ..XmlTree::default() });
        }
        let attributes = reader.all_attributes().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut children = Vec::new();
        // As deep as the document: kept short of frames.
        for child in reader.all_children() {
            children.push((child.name().to_owned(), Self::read(&child)?));
        }
        let text = reader.raw_text();
        let text = if children.is_empty() && !text.trim().is_empty() { text } else { text.trim() };
        Ok(XmlTree { attributes, text: text.to_owned(), children, raw: None })
    }

    fn attrs(&self, writer: &mut Writer) {
        for (name, value) in &self.attributes {
            writer.attr_text(name, value);
        }
    }

    fn body(&self, writer: &mut Writer) {
        if let Some(raw) = &self.raw {
            return writer.raw(raw);
        }
        writer.text(&self.text);
        for (name, child) in &self.children {
            writer.element(name, true, |writer| {
                child.attrs(writer);
                child.body(writer);
            });
        }
    }
}

impl Serialize for XmlTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_xml("xml"))
    }
}

impl<'de> Deserialize<'de> for XmlTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_xml(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for XmlTree {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "XmlTree".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
