//! What a type implements to have an XML face.

use std::borrow::Cow;

use ostler_util::{ErrorCode, Size};

use super::writer::escape;
use super::{Reader, Writer};
use crate::Problem;

/// The prefixes that names in `#[xml(name = "prefix:name")]` may have, with their URIs.
pub const NAMESPACES: &[(&str, &str)] = &[
    ("qemu", "http://libvirt.org/schemas/domain/qemu/1.0"),
    ("lxc", "http://libvirt.org/schemas/domain/lxc/1.0"),
    ("xen", "http://libvirt.org/schemas/domain/xen/1.0"),
    ("bhyve", "http://libvirt.org/schemas/domain/bhyve/1.0"),
    ("vmware", "http://libvirt.org/schemas/domain/vmware/1.0"),
    ("dnsmasq", "http://libvirt.org/schemas/network/dnsmasq/1.0"),
    ("fs", "http://libvirt.org/schemas/storagepool/fs/1.0"),
    ("rbd", "http://libvirt.org/schemas/storagepool/rbd/1.0"),
    ("ostler", "https://ostler.dev/xmlns/domain/1.0"),
];

/// A text with a meaning: an attribute's value, or the text of an element.
pub trait Value: Sized {
    /// Reads the text.
    ///
    /// # Errors
    /// What was expected, to stand behind "is not": "a number", "one of yes, no".
    fn parse(text: &str) -> Result<Self, String>;

    /// Writes it as libvirt does.
    fn format(&self) -> Cow<'_, str>;

    /// Appends what [`format`](Self::format) gives, escaped; for the many that need neither a text of their own nor escapes.
    fn append(&self, out: &mut String) {
        escape(out, &self.format());
    }
}

/// Something that an element holds. Children may come in any order and are written in the order of the fields.
pub trait Element: Sized {
    /// Whether the element is a plain text: then one without any is the same as none, as libvirt reads it.
    const IS_TEXT: bool = false;

    /// Reads the element.
    ///
    /// # Errors
    /// A missing or impossible value.
    fn read(reader: &Reader<'_>) -> Result<Self, Problem>;

    /// Writes the attributes.
    fn attrs(&self, writer: &mut Writer);

    /// Writes the content.
    fn body(&self, writer: &mut Writer);
}

impl<T: Value> Element for T {
    const IS_TEXT: bool = true;

    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        reader.text()
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, writer: &mut Writer) {
        writer.value(self);
    }
}

/// An element that is a document's root.
pub trait Root: Element {
    /// The element's name.
    const NAME: &'static str;
    /// Whether it tells of something that runs what no definition has.
    const IS_LIVE: bool = false;

    /// Settles what one element alone could not know.
    fn after_read(&mut self) {}

    /// What is written in place of this value, where something must be settled first.
    fn before_write(&self) -> Option<Self> {
        None
    }
}

/// A choice that an attribute names.
pub trait Union: Sized {
    /// The attribute's values, in order.
    const TAGS: &'static [&'static str];

    /// Reads the content of the variant that `tag` names; `None` for an unknown one.
    ///
    /// # Errors
    /// What the variant refuses.
    fn read_tagged(tag: &str, reader: &Reader<'_>) -> Result<Option<Self>, Problem>;

    /// The attribute's value.
    fn tag(&self) -> &'static str;

    /// Writes the content's attributes.
    fn attrs(&self, writer: &mut Writer);

    /// Writes the content's content.
    fn body(&self, writer: &mut Writer);
}

/// Reads the variant that `tag` (the value of `attr` on `holder`) names from `content`; `None` without a tag. The derive's.
///
/// # Errors
/// A tag that names no variant; what the variant refuses.
pub fn read_choice<T: Union>(
    holder: &Reader<'_>,
    attr: &str,
    tag: Option<&str>,
    content: &Reader<'_>,
) -> Result<Option<T>, Problem> {
    let Some(tag) = tag else { return Ok(None) };
    match T::read_tagged(tag, content)? {
        Some(value) => Ok(Some(value)),
        None => Err(holder.invalid_attr(attr, tag, &one_of(T::TAGS))),
    }
}

/// Reads the children that name a variant, in order. The derive's.
///
/// # Errors
/// What a variant refuses.
pub fn read_any<T: Union>(reader: &Reader<'_>) -> Result<Vec<T>, Problem> {
    let mut values = Vec::new();
    for child in reader.all_children() {
        if let Some(tag) = T::TAGS.iter().find(|tag| child.is_named(tag)) {
            child.take();
            values.extend(T::read_tagged(tag, &child)?);
        }
    }
    Ok(values)
}

/// Reads the one child that names a variant. The derive's.
///
/// # Errors
/// None, or more than one; what the variant refuses.
pub fn read_one<T: Union>(reader: &Reader<'_>) -> Result<T, Problem> {
    let mut values = read_any(reader)?;
    match (values.pop(), values.is_empty()) {
        (Some(value), true) => Ok(value),
        (None, _) => Err(reader.problem(format!("an element is missing: {}", one_of(T::TAGS)))),
        (Some(_), false) => Err(reader.problem(format!("more than one element: only {} is expected", one_of(T::TAGS)))),
    }
}

/// "one of a, b, c": what an error says was expected.
pub fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

/// Reads an element of the form `<x unit='KiB'>1024</x>`: libvirt's scaled integer. `default_unit` counts where none is given.
///
/// # Errors
/// No number, an unknown unit, or more than 64 bits.
pub fn read_scaled(reader: &Reader<'_>, default_unit: &str) -> Result<Size, Problem> {
    let unit = reader.attr_text("unit").unwrap_or(default_unit);
    let number: u64 = reader.text()?;
    match Size::from_xml_unit(number, unit) {
        Some(Some(size)) => Ok(size),
        Some(None) => {
            let mut problem = reader.problem(format!("{number} {unit} is more than 16 EiB"));
            problem.code = ErrorCode::Overflow;
            Err(problem)
        }
        None => Err(Problem {
            code: ErrorCode::InvalidArg,
            ..reader.invalid_attr("unit", unit, "a unit such as KiB, MiB or GiB")
        }),
    }
}
