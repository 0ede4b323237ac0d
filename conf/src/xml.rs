//! The XML face: a borrowed tree ([`Document`]), a pulling [`Reader`], a [`Writer`] that formats as libvirt does, and
//! the traits that types implement, mostly through `#[element]` and `#[derive(Union)]`.

mod document;
pub(crate) mod foreign;
mod reader;
mod traits;
mod writer;

pub use document::{Document, MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS, MAX_LENGTH, root_name};
pub use reader::Reader;
pub use traits::{Element, NAMESPACES, Root, Union, Value, one_of, read_any, read_choice, read_one, read_scaled};
pub use writer::Writer;

use crate::{Invalid, Problem};

/// A document that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<T> {
    /// What was understood.
    pub value: T,
    /// What was not: elements and attributes that the model does not know, in document order. libvirt ignores these; whoever
    /// persists the document must refuse them, or they would be lost.
    pub unknown: Vec<Problem>,
}

impl<T> Parsed<T> {
    /// The value if all was understood.
    ///
    /// # Errors
    /// Every unknown element and attribute.
    pub fn strict(self) -> Result<T, Invalid> {
        Invalid::check(self.unknown)?;
        Ok(self.value)
    }
}

/// Reads a document whose root element is `T`'s.
///
/// # Errors
/// Text that is not well-formed, a wrong root element, a missing or impossible value: with its place and path.
pub fn parse<T: Root>(text: &str) -> Result<Parsed<T>, Invalid> {
    let mut document = Document::parse(text)?;
    document.is_live = T::IS_LIVE;
    let root = Reader::root(&document);
    if !root.is_named(T::NAME) {
        let message = format!("the root element is <{}>, expected <{}>", root.name(), T::NAME);
        return Err(root.problem(message).into());
    }
    let mut value = T::read(&root)?;
    value.after_read();
    let with_unknown = root.with_unknown();
    if with_unknown.is_empty() {
        return Ok(Parsed { value, unknown: Vec::new() });
    }
    // Rare, so it may cost a second look: now with what such elements were asked for, to say what was perhaps meant.
    document.read_again(with_unknown);
    let root = Reader::root(&document);
    T::read(&root)?;
    Ok(Parsed { value, unknown: root.unknown() })
}

/// Writes a document as libvirt does: two blanks a level, single quotes, a final newline.
pub fn format<T: Root>(value: &T) -> String {
    let settled = value.before_write();
    let value = settled.as_ref().unwrap_or(value);
    let mut writer = if T::IS_LIVE { Writer::roomy().live() } else { Writer::roomy() };
    writer.element(T::NAME, true, |w| {
        value.attrs(w);
        value.body(w);
    });
    writer.finish()
}
