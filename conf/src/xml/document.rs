//! A small borrowed tree of an XML document, with offsets, made from quick-xml's events.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::BufRead;

use ostler_util::ErrorCode;
use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesStart, Event};

use super::traits::NAMESPACES;
use crate::{Position, Problem};

/// The longest document that is read, in bytes. libvirt's RPC takes 4 MiB for an XML string; the largest known document is 30 kB.
pub const MAX_LENGTH: usize = 4 << 20;

/// The deepest nesting that is read. Backing chains are the deepest thing in libvirt's format, with 200 layers.
pub const MAX_DEPTH: usize = 512;

/// The most elements that are read, and the most attributes of one of them: real documents have some thousands, and a few
/// dozen. Without a bound a hostile document of 4 MiB would take a hundred times its size in memory.
pub const MAX_ELEMENTS: usize = 1 << 17;
/// See [`MAX_ELEMENTS`].
pub const MAX_ATTRIBUTES: usize = 255;

/// The length of the shortest element: `<a/>`.
const SHORTEST: usize = 4;

/// Room for the elements of an ordinary document.
const FIRST_NODES: usize = 64;

/// A parsed document. Nodes are numbered in document order; the root is node 0.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: Vec<Node<'a>>,
    attributes: Vec<Attribute<'a>>,
    /// Whether it is a status document.
    pub(super) is_live: bool,
    /// What was asked for, by node: names of children, and of attributes with an `@`. Kept only of elements with something
    /// unknown, when the document is read once more to say what was perhaps meant.
    pub(super) asked: Option<RefCell<HashMap<usize, Vec<String>>>>,
    /// Whether only names and words count, not whether they make sense together.
    pub(crate) is_grammar_only: bool,
}

/// An element. Small, so that a document of nothing but empty elements takes no more than twenty times its length: offsets
/// and numbers have 32 bits, and siblings are chained.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// All character data directly inside, joined.
    pub(super) text: Cow<'a, str>,
    /// Which names its children may have: one bit for each, see [`Mark`].
    child_names: u64,
    /// Which names its attributes may have.
    attribute_names: u32,
    /// Offset of `<`, behind which the name stands, ends of the start tag and of the content, and the end of the element.
    start: u32,
    name_length: u32,
    content_start: u32,
    content_end: u32,
    end: u32,
    parent: u32,
    first_child: u32,
    next_sibling: u32,
    attributes_start: u32,
    /// The attribute that binds the name's prefix, or a namespace for names without one.
    binding: u32,
    attribute_count: u8,
    pub(super) taken: Taken,
    mark: Mark,
}

/// What of an element was taken.
#[derive(Debug, Default)]
pub(super) struct Taken(Cell<u8>);

impl Taken {
    /// The element itself.
    pub(super) const ITSELF: u8 = 1;
    /// Its text.
    pub(super) const TEXT: u8 = 2;
    /// All of it, unread: whatever is inside is the taker's.
    pub(super) const WHOLE: u8 = 4;

    pub(super) fn add(&self, what: u8) {
        self.0.set(self.0.get() | what);
    }

    pub(super) fn has(&self, what: u8) -> bool {
        self.0.get() & what != 0
    }
}

/// Nearly all names that differ have different marks, so that a name is rarely compared with one that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u16);

impl Mark {
    #[inline(always)]
    pub(super) fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let at = |index: usize| u16::from(bytes.get(index).copied().unwrap_or_default());
        let length = bytes.len();
        // Any mixture does; a name's length and ends tell most from one another.
        let last = at(length.wrapping_sub(1));
        Mark(at(0) ^ at(length / 2) << 3 ^ last << 6 ^ (length as u16) << 11)
    }

    /// The bit for names with this mark, in a set of names.
    #[inline(always)]
    fn bit(self) -> u64 {
        1 << (self.0.wrapping_mul(0x9E37) >> 10)
    }

    /// The same in a set of half the size.
    #[inline(always)]
    fn half_bit(self) -> u32 {
        1 << (self.0.wrapping_mul(0x9E37) >> 11)
    }
}

/// No node, no attribute.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: Cow<'a, str>,
    mark: Mark,
    pub(super) taken: Cell<bool>,
}

/// An element whose end was not seen yet, and the last of its children.
struct Open {
    node: u32,
    last_child: u32,
}

impl Node<'_> {
    pub(super) fn start(&self) -> usize {
        self.start as usize
    }

    pub(super) fn end(&self) -> usize {
        self.end as usize
    }

    pub(super) fn content(&self) -> std::ops::Range<usize> {
        self.content_start as usize..self.content_end as usize
    }

    pub(super) fn parent(&self) -> Option<usize> {
        (self.parent != NONE).then_some(self.parent as usize)
    }

    /// Whether a child may have the name of this mark; mostly none has.
    #[inline(always)]
    pub(super) fn may_have_child(&self, mark: Mark) -> bool {
        self.child_names & mark.bit() != 0
    }

    /// Whether an attribute may have the name of this mark.
    #[inline(always)]
    pub(super) fn may_have_attribute(&self, mark: Mark) -> bool {
        self.attribute_names & mark.half_bit() != 0
    }

    pub(super) fn has_namespace(&self) -> bool {
        self.binding != NONE
    }
}

impl<'a> Document<'a> {
    /// Reads `text`. A document type declaration is refused: nothing of ours needs one, and entities can be an attack.
    ///
    /// # Errors
    /// Text that is not well-formed, too long or too deep; the code is `XmlDetail`.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        // A byte order mark is no part of the document.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut document = Document {
            source: text,
            nodes: Vec::new(),
            attributes: Vec::new(),
            is_live: false,
            asked: None,
            is_grammar_only: false,
        };
        // The reader would pass over a second one, and count wrong from there on.
        if text.starts_with('\u{feff}') {
            return Err(document.malformed(0, "U+FEFF before the root element"));
        }
        if text.len() > MAX_LENGTH {
            return Err(document.malformed(0, format!("the document has {} bytes, more than {MAX_LENGTH}", text.len())));
        }
        if has_suspect(text.as_bytes())
            && let Some((at, character)) = text.char_indices().find(|(_, character)| !is_character(*character))
        {
            return Err(document.malformed(at, format!("U+{:04X} is no character of XML", u32::from(character))));
        }
        document.nodes.reserve_exact(FIRST_NODES.min(text.len() / SHORTEST + 1));
        document.attributes.reserve_exact(FIRST_NODES);
        let mut reader = quick_xml::Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        let mut open: Vec<Open> = Vec::with_capacity(16);
        loop {
            let mut start = position(&reader);
            if !document.nodes.is_empty() {
                let blanks = take_blanks(&mut reader);
                if blanks > 0 {
                    document.append(&open, start, Cow::Borrowed(&text[start..start + blanks]))?;
                    start += blanks;
                }
            }
            let event = reader.read_event().map_err(|error| {
                let offset = usize::try_from(reader.error_position()).unwrap_or(start);
                document.malformed(offset, error.to_string())
            })?;
            let end = position(&reader);
            match event {
                Event::Start(tag) => {
                    let node = document.push(&tag, &mut open, start, end)?;
                    open.push(Open { node, last_child: NONE });
                    if open.len() > MAX_DEPTH {
                        return Err(document.malformed(start, format!("more than {MAX_DEPTH} nested elements")));
                    }
                }
                Event::Empty(tag) => {
                    document.push(&tag, &mut open, start, end)?;
                }
                Event::End(_) => {
                    // The reader checked that names match, so there is an open element.
                    let open = open.pop().ok_or_else(|| document.malformed(start, "an end tag without a start tag"))?;
                    let node = &mut document.nodes[open.node as usize];
                    (node.content_end, node.end) = (offset(start), offset(end));
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
                let node = &document.nodes[node.node as usize];
                Err(document.malformed(node.start(), format!("<{}> is not closed", document.name(node))))
            }
            (None, true) => Err(document.malformed(0, "no root element")),
            (None, false) => Ok(document),
        }
    }

    /// An element's name as written.
    pub(super) fn name(&self, node: &Node<'a>) -> &'a str {
        let start = node.start() + 1;
        &self.source[start..start + node.name_length as usize]
    }

    /// Whether the name is this one, of which `mark` is the mark.
    pub(super) fn is_called(&self, node: &Node<'a>, name: &str, mark: Mark) -> bool {
        node.mark == mark && self.name(node) == name
    }

    /// Nothing of the element is taken any more.
    pub(super) fn give_back(&self, node: &Node<'a>) {
        node.taken.0.set(0);
        self.attributes(node).iter().for_each(|attribute| attribute.taken.set(false));
    }

    /// Forgets what was taken, and keeps from now on what these elements are asked for.
    pub(crate) fn read_again(&mut self, nodes: Vec<usize>) {
        self.nodes.iter().for_each(|node| self.give_back(node));
        self.asked = Some(RefCell::new(nodes.into_iter().map(|node| (node, Vec::new())).collect()));
    }

    pub(super) fn attributes(&self, node: &Node<'a>) -> &[Attribute<'a>] {
        let start = node.attributes_start as usize;
        &self.attributes[start..start + usize::from(node.attribute_count)]
    }

    pub(super) fn attribute(&self, node: &Node<'a>, name: &str, mark: Mark) -> Option<&Attribute<'a>> {
        self.attributes(node).iter().find(|attribute| attribute.mark == mark && attribute.name == name)
    }

    /// Offset of an attribute: its name is a slice of the source.
    pub(super) fn attribute_offset(&self, attribute: &Attribute<'a>) -> usize {
        offset_in(self.source, attribute.name)
    }

    pub(super) fn children(&self, node: &Node<'a>) -> Children<'_, 'a> {
        Children { nodes: &self.nodes, next: node.first_child }
    }

    /// As [`children`](Self::children); without an element none.
    pub(super) fn children_of(&self, node: Option<&Node<'a>>) -> Children<'_, 'a> {
        Children { nodes: &self.nodes, next: node.map_or(NONE, |node| node.first_child) }
    }

    /// The URI that the name's prefix is bound to.
    pub(super) fn namespace(&self, node: &Node<'a>) -> Option<&str> {
        node.has_namespace().then(|| self.attributes[node.binding as usize].value.as_ref())
    }

    /// The places of all elements of a name that hold something, or of an attribute of them.
    pub fn places(&self, element: &str, attribute: Option<&str>) -> Vec<Position> {
        let nodes = self.nodes.iter().filter(|node| self.name(node) == element);
        let offsets = nodes.filter_map(|node| match attribute {
            Some(name) => self.attribute(node, name, Mark::of(name)).map(|found| self.attribute_offset(found)),
            None => (!node.content().is_empty()).then_some(node.start()),
        });
        offsets.map(|offset| self.position(offset)).collect()
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

    fn push(&mut self, tag: &BytesStart<'_>, open: &mut [Open], start: usize, end: usize) -> Result<u32, Problem> {
        if open.is_empty() && !self.nodes.is_empty() {
            return Err(self.malformed(start, "more than one root element"));
        }
        let index = offset(self.nodes.len());
        if self.nodes.len() == MAX_ELEMENTS {
            return Err(self.malformed(start, format!("the document has more than {MAX_ELEMENTS} elements")));
        }
        let source = self.source;
        let name_length = tag.name().as_ref().len();
        let attributes_start = self.attributes.len();
        let name = &source[start + 1..start + 1 + name_length];
        let attribute_count = self.push_attributes(tag, start, start + 1 + name_length)?;
        let attributes = &self.attributes[attributes_start..];
        let mut node = Node {
            text: Cow::Borrowed(""),
            start: offset(start),
            content_start: offset(end),
            content_end: offset(end),
            end: offset(end),
            parent: NONE,
            first_child: NONE,
            next_sibling: NONE,
            attributes_start: offset(attributes_start),
            binding: NONE,
            attribute_count,
            taken: Taken::default(),
            mark: Mark::of(name),
            name_length: offset(name_length),
            child_names: 0,
            attribute_names: attributes.iter().fold(0, |names, attribute| names | attribute.mark.half_bit()),
        };
        if let Some(parent) = open.last_mut() {
            node.parent = parent.node;
            match parent.last_child {
                NONE => self.nodes[parent.node as usize].first_child = index,
                last => self.nodes[last as usize].next_sibling = index,
            }
            parent.last_child = index;
        }
        if let Some((prefix, _)) = name.split_once(':') {
            node.binding = self
                .find_binding(&node, prefix)
                .ok_or_else(|| self.malformed(start, format!("the namespace prefix '{prefix}' is not bound")))?;
        } else {
            node.binding = self.default_binding(&node);
        }
        if let Some(parent) = node.parent() {
            // A name in a namespace is known by more than its letters.
            self.nodes[parent].child_names |= if node.has_namespace() { u64::MAX } else { node.mark.bit() };
        }
        if self.nodes.len() == self.nodes.capacity() {
            // Once, for all that may still come.
            let rest = &source.as_bytes()[start..];
            let more = rest.iter().filter(|byte| **byte == b'<').count();
            self.nodes.reserve_exact(more.min(rest.len() / SHORTEST + 1).min(MAX_ELEMENTS));
        }
        self.nodes.push(node);
        Ok(index)
    }

    /// Reads the attributes of a tag that starts at `start` and whose name ends at `after_name`; gives their number.
    fn push_attributes(&mut self, tag: &BytesStart<'_>, start: usize, after_name: usize) -> Result<u8, Problem> {
        let source = self.source;
        let first = self.attributes.len();
        // That no name stands twice is looked at here, without a list of its own.
        let content = &source[start + 1..start + 1 + tag.len()];
        for attribute in Attributes::new(content, after_name - start - 1).with_checks(false) {
            let attribute = attribute.map_err(|error| self.malformed(start, error.to_string()))?;
            if self.attributes.len() - first == MAX_ATTRIBUTES {
                let name = &source[start + 1..after_name];
                return Err(self.malformed(start, format!("<{name}> has more than {MAX_ATTRIBUTES} attributes")));
            }
            let name: &'a str = attribute.key.into_inner();
            let at = offset_in(source, name);
            let mark = Mark::of(name);
            if self.attributes[first..].iter().any(|other| other.mark == mark && other.name == name) {
                return Err(self.malformed(at, format!("the attribute '{name}' stands here twice")));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| self.malformed(at, error.to_string()))?;
            if matches!(value, Cow::Owned(_)) && !value.chars().all(is_character) {
                return Err(self.malformed(at, "a character reference stands for no character of XML"));
            }
            if self.attributes.len() == self.attributes.capacity() {
                self.attributes.reserve_exact(self.attributes.len() / 4);
            }
            self.attributes.push(Attribute { name, value, mark, taken: Cell::new(false) });
        }
        Ok(u8::try_from(self.attributes.len() - first).expect("there is a most"))
    }

    /// The attribute that binds a prefix, of the node or of one around it.
    fn find_binding(&self, node: &Node<'a>, prefix: &str) -> Option<u32> {
        let mut node = node;
        loop {
            let attributes = self.attributes(node);
            if let Some(at) = attributes.iter().position(|a| a.name.strip_prefix("xmlns:") == Some(prefix)) {
                return Some(node.attributes_start + offset(at));
            }
            node = &self.nodes[node.parent()?];
        }
    }

    /// The attribute that puts a node without a prefix into a namespace that is known here; `NONE`: nothing does.
    fn default_binding(&self, node: &Node<'a>) -> u32 {
        if let Some(at) = self.attributes(node).iter().position(|attribute| attribute.name == "xmlns") {
            let uri = &self.attributes(node)[at].value;
            let is_known = NAMESPACES.iter().any(|(_, known)| known == uri);
            return if is_known { node.attributes_start + offset(at) } else { NONE };
        }
        let parent = node.parent().map(|parent| &self.nodes[parent]);
        parent
            .filter(|parent| parent.has_namespace() && !self.name(parent).contains(':'))
            .map_or(NONE, |parent| parent.binding)
    }

    fn append(&mut self, open: &[Open], offset: usize, text: Cow<'a, str>) -> Result<(), Problem> {
        let Some(open) = open.last() else {
            let is_blank = text.trim().is_empty();
            return if is_blank { Ok(()) } else { Err(self.malformed(offset, "text outside the root element")) };
        };
        let node = &mut self.nodes[open.node as usize];
        if node.text.is_empty() {
            node.text = text
        } else if !is_blank(&node.text) || !is_blank(&text) {
            // The blanks between an element's children are nobody's text.
            node.text.to_mut().push_str(&text)
        }
        Ok(())
    }
}

/// An element's children, in order.
#[derive(Clone)]
pub(super) struct Children<'d, 'a> {
    nodes: &'d [Node<'a>],
    next: u32,
}

impl Iterator for Children<'_, '_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.next == NONE {
            return None;
        }
        let index = self.next as usize;
        self.next = self.nodes[index].next_sibling;
        Some(index)
    }
}

/// What has an offset is no longer than [`MAX_LENGTH`].
fn offset(offset: usize) -> u32 {
    u32::try_from(offset).expect("a document's length is bounded")
}

/// The name of a text's root element, behind declarations and comments; empty where there is none. Nothing else is looked at.
pub fn root_name(text: &str) -> &str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        rest = match after {
            _ if after.starts_with("!--") => after.split_once("-->").map_or("", |(_, after)| after),
            _ if after.starts_with(['?', '!']) => after.split_once('>').map_or("", |(_, after)| after),
            _ => return after.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next().unwrap_or_default(),
        };
    }
    ""
}

fn position(reader: &quick_xml::Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).expect("an offset into a text in memory")
}

/// Takes the blanks before the next tag where nothing else stands there, and tells how many: half of a document's events would
/// be of nothing but them.
fn take_blanks(reader: &mut quick_xml::Reader<&[u8]>) -> usize {
    let rest = *reader.get_ref();
    let blanks = rest.iter().take_while(|byte| is_blank_byte(**byte)).count();
    if blanks == 0 || rest.get(blanks) != Some(&b'<') {
        return 0;
    }
    reader.stream().consume(blanks);
    blanks
}

/// Offset of `part`, a slice of `whole`.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// The event's text as a slice of the source where nothing was changed in it.
fn borrow<'a>(source: &'a str, start: usize, end: usize, text: Cow<'_, str>) -> Cow<'a, str> {
    match source.get(start..end) {
        Some(slice) if std::ptr::eq(slice, &*text) || slice == text => Cow::Borrowed(slice),
        _ => Cow::Owned(text.into_owned()),
    }
}

/// Whether a text is nothing but blanks, as XML knows them.
fn is_blank(text: &str) -> bool {
    text.bytes().all(is_blank_byte)
}

fn is_blank_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether XML 1.0 has the character ("Characters", production 2). Nobody else could read what was written with another.
fn is_character(character: char) -> bool {
    !matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text may hold what is no character of XML. Each byte is looked at by itself, without a branch, so that a processor
/// looks at many at once: that is faster than to stop at the first.
fn has_suspect(text: &[u8]) -> bool {
    // Those that have more than one byte begin with this one.
    const NONCHARACTER: u8 = 0xEF;
    let is_suspect = |byte: u8| {
        let is_control = (byte < b' ') & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
        u8::from(is_control | (byte == NONCHARACTER))
    };
    text.iter().fold(0, |found, byte| found | is_suspect(*byte)) != 0
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return is_character(character).then_some(character);
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
