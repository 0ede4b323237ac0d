//! A small borrowed tree of an XML document, with offsets, made from quick-xml's events.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use ostler_util::ErrorCode;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::{Position, Problem};

/// The longest document that is read, in bytes. libvirt's RPC takes 4 MiB for an XML string; the largest known document is 30 kB.
pub const MAX_LENGTH: usize = 4 << 20;

/// The deepest nesting that is read. Backing chains are the deepest thing in libvirt's format, with 200 layers.
pub const MAX_DEPTH: usize = 512;

/// The most elements that are read, and the most attributes of one of them: real documents have some thousands, and a few
/// dozen. Without a bound a hostile document of 4 MiB would take a hundred times its size in memory.
pub const MAX_ELEMENTS: usize = 1 << 17;
/// See [`MAX_ELEMENTS`].
pub const MAX_ATTRIBUTES: usize = 256;

/// A parsed document. Nodes are numbered in document order; the root is node 0.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: Vec<Node<'a>>,
    /// What was asked for, by node: names of children, and of attributes with an `@`. Kept only when something unknown was
    /// found and the document is read once more, to say what was perhaps meant.
    pub(super) asked: Option<RefCell<HashMap<usize, Vec<String>>>>,
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    /// The URI that the name's prefix is bound to.
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    /// All character data directly inside, joined.
    pub(super) text: Cow<'a, str>,
    /// Offset of `<`, ends of the start tag and of the content, and the end of the element.
    pub(super) start: usize,
    pub(super) content: std::ops::Range<usize>,
    pub(super) end: usize,
    pub(super) taken: Cell<bool>,
    pub(super) text_taken: Cell<bool>,
    /// Taken whole, unread: whatever is inside is the taker's.
    pub(super) opaque: Cell<bool>,
}

impl Node<'_> {
    /// Nothing of it is taken any more.
    pub(super) fn give_back(&self) {
        self.taken.set(false);
        self.text_taken.set(false);
        self.opaque.set(false);
        self.attributes.iter().for_each(|attribute| attribute.taken.set(false));
    }
}

#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: Cow<'a, str>,
    pub(super) offset: usize,
    pub(super) taken: Cell<bool>,
}

impl<'a> Document<'a> {
    /// Reads `text`. A document type declaration is refused: nothing of ours needs one, and entities can be an attack.
    ///
    /// # Errors
    /// Text that is not well-formed, too long or too deep; the code is `XmlDetail`.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        // A byte order mark is no part of the document.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut document = Document { source: text, nodes: Vec::with_capacity(64), asked: None };
        if text.len() > MAX_LENGTH {
            return Err(document.malformed(0, format!("the document has {} bytes, more than {MAX_LENGTH}", text.len())));
        }
        let mut reader = quick_xml::Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        let mut open: Vec<usize> = Vec::new();
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|error| {
                let offset = usize::try_from(reader.error_position()).unwrap_or(start);
                document.malformed(offset, error.to_string())
            })?;
            let end = position(&reader);
            match event {
                Event::Start(tag) => {
                    let node = document.push(&tag, &open, start, end)?;
                    open.push(node);
                    if open.len() > MAX_DEPTH {
                        return Err(document.malformed(start, format!("more than {MAX_DEPTH} nested elements")));
                    }
                }
                Event::Empty(tag) => {
                    document.push(&tag, &open, start, end)?;
                }
                Event::End(_) => {
                    // The reader checked that names match, so there is an open element.
                    let node = open.pop().ok_or_else(|| document.malformed(start, "an end tag without a start tag"))?;
                    document.nodes[node].content.end = start;
                    document.nodes[node].end = end;
                }
                Event::Text(content) => {
                    document.append(&open, start, borrow(text, start, end, content.into_inner()))?
                }
                Event::CData(content) => document.append(&open, start, content.into_inner())?,
                Event::GeneralRef(reference) => {
                    let character = resolve(&reference).ok_or_else(|| {
                        document.malformed(start, format!("unknown entity '&{};'", reference.xml10_content()))
                    })?;
                    document.append(&open, start, Cow::Owned(character.to_string()))?;
                }
                Event::DocType(_) => {
                    return Err(document.malformed(start, "a document type declaration is not accepted"));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match (open.last(), document.nodes.is_empty()) {
            (Some(node), _) => {
                let node = &document.nodes[*node];
                Err(document.malformed(node.start, format!("<{}> is not closed", node.name)))
            }
            (None, true) => Err(document.malformed(0, "no root element")),
            (None, false) => Ok(document),
        }
    }

    /// Forgets what was taken, and keeps from now on what is asked for.
    pub(crate) fn read_again(&mut self) {
        self.nodes.iter().for_each(Node::give_back);
        self.asked = Some(RefCell::default());
    }

    /// The place of a byte offset.
    pub fn position(&self, offset: usize) -> Position {
        let before = &self.source.as_bytes()[..offset.min(self.source.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        // A UTF-8 continuation byte starts no character.
        let characters = |bytes: &[u8]| bytes.iter().filter(|b| **b & 0xc0 != 0x80).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: count(before.iter().filter(|b| **b == b'\n').count() + 1),
            column: count(characters(&before[line_start..]) + 1),
        }
    }

    fn malformed(&self, offset: usize, message: impl Into<String>) -> Problem {
        Problem {
            code: ErrorCode::XmlDetail,
            path: String::new(),
            position: Some(self.position(offset)),
            message: message.into(),
        }
    }

    fn push(&mut self, tag: &BytesStart<'_>, open: &[usize], start: usize, end: usize) -> Result<usize, Problem> {
        let parent = open.last().copied();
        if parent.is_none() && !self.nodes.is_empty() {
            return Err(self.malformed(start, "more than one root element"));
        }
        let source = self.source;
        let name_length = tag.name().as_ref().len();
        let name = &source[start + 1..start + 1 + name_length];
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.malformed(start, error.to_string()))?;
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(self.malformed(start, format!("<{name}> has more than {MAX_ATTRIBUTES} attributes")));
            }
            let key: &str = attribute.key.as_ref();
            // The key is a slice of `source`, handed through the tag.
            let offset = start + 1 + name_length + offset_in(tag.attributes_raw(), key);
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| self.malformed(offset, error.to_string()))?;
            let value = borrow_value(source, offset + key.len(), value);
            attributes.push(Attribute {
                name: &source[offset..offset + key.len()],
                value,
                offset,
                taken: Cell::new(false),
            });
        }
        let index = self.nodes.len();
        if index == MAX_ELEMENTS {
            return Err(self.malformed(start, format!("the document has more than {MAX_ELEMENTS} elements")));
        }
        let mut node = Node {
            name,
            namespace: None,
            attributes,
            parent,
            children: Vec::new(),
            text: Cow::Borrowed(""),
            start,
            content: end..end,
            end,
            taken: Cell::new(false),
            text_taken: Cell::new(false),
            opaque: Cell::new(false),
        };
        if let Some((prefix, _)) = name.split_once(':') {
            node.namespace = self.resolve_prefix(&node, prefix);
            if node.namespace.is_none() {
                return Err(self.malformed(start, format!("the namespace prefix '{prefix}' is not bound")));
            }
        }
        self.nodes.push(node);
        if let Some(parent) = parent {
            self.nodes[parent].children.push(index);
        }
        Ok(index)
    }

    fn resolve_prefix(&self, node: &Node<'a>, prefix: &str) -> Option<Cow<'a, str>> {
        let bound = |node: &Node<'a>| {
            let attribute = node.attributes.iter().find(|a| a.name.strip_prefix("xmlns:") == Some(prefix))?;
            Some(attribute.value.clone())
        };
        let mut found = bound(node);
        let mut parent = node.parent;
        while let (None, Some(index)) = (&found, parent) {
            found = bound(&self.nodes[index]);
            parent = self.nodes[index].parent;
        }
        found
    }

    fn append(&mut self, open: &[usize], offset: usize, text: Cow<'a, str>) -> Result<(), Problem> {
        let Some(node) = open.last() else {
            let is_blank = text.trim().is_empty();
            return if is_blank { Ok(()) } else { Err(self.malformed(offset, "text outside the root element")) };
        };
        let node = &mut self.nodes[*node];
        if node.text.is_empty() {
            node.text = text
        } else {
            node.text.to_mut().push_str(&text)
        }
        Ok(())
    }
}

fn position(reader: &quick_xml::Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).expect("an offset into a text in memory")
}

/// Offset of `part`, a slice of `whole`.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// The event's text as a slice of the source where nothing was changed in it.
fn borrow<'a>(source: &'a str, start: usize, end: usize, text: Cow<'_, str>) -> Cow<'a, str> {
    match source.get(start..end) {
        Some(slice) if slice == text => Cow::Borrowed(slice),
        _ => Cow::Owned(text.into_owned()),
    }
}

/// The attribute's value as a slice of the source (behind `=` and a quote) where nothing was changed in it.
fn borrow_value<'a>(source: &'a str, after_name: usize, value: Cow<'_, str>) -> Cow<'a, str> {
    let quote = source[after_name..].find(['"', '\'']).map(|i| after_name + i + 1);
    match quote.and_then(|start| source.get(start..start + value.len())) {
        Some(slice) if slice == value => Cow::Borrowed(slice),
        _ => Cow::Owned(value.into_owned()),
    }
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    match reference.xml10_content().as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}
