//! `#[element]` and `#[union]`: the faces of a conf type, written once as its fields.
//!
//! `#[element]` on a struct makes it an XML element: reading, writing, serde in camelCase and, with the crate's feature
//! `schema`, a JSON schema. Attributes are written in the order of the fields, and so are children; both are read in any
//! order. It derives `Clone`, `Debug`, `PartialEq`, and `Default` where no field must be there.
//!
//! | struct option | meaning |
//! |---|---|
//! | `root = "name"` | the element is a document's root of that name |
//! | `root = "name", after_read` | and an inherent `fn after_read(&mut self)` settles what one element alone could not know |
//! | `root = "name", live` | and a status document: `live` fields are read and written in it |
//! | `before_write` | and an inherent `fn before_write(&self) -> Option<Self>` gives what is written in its place |
//! | `open` | written as a start and an end tag even when nothing is inside |
//! | `closed = "ConfigUnsupported"` | a child that no field takes is refused with this error code, in every level of reading |
//! | `single = "child"` | a second child of that name is refused, in every level of reading |
//! | `most = 4096` | more children than so many are refused, in every level of reading |
//! | `deepest = 16` | one that stands deeper in its document is refused, in every level of reading: it holds others of its kind |
//!
//! | `#[xml(…)]` on a field | meaning |
//! |---|---|
//! | (nothing) | a child: `T` must be there, `Option<T>` may, `Vec<T>` any number; `T` is an element or a value |
//! | `attr` | an attribute: `T` or `Option<T>` of a value |
//! | `on = "child"` | with any of these: it stands in that child, which another field holds (attributes only), or which all fields with the same `on` make |
//! | `text` | the element's text |
//! | `flag` | a `bool`: whether the empty child is there |
//! | `flatten` | an element whose attributes and children stand in this one |
//! | `choice = "attr"` | a `#[union]`: the attribute names the variant, the child holds it; with `flatten` this element holds it; with `absent = "tag"` the attribute may lack, and with `empty = "function"` that tag counts, too, where the function says of the given tag and the child that nothing is said. Such an attribute is written first, or with `in_place` in the field's place |
//! | `any` | a `#[union]` whose variants are named by the child elements themselves: `T` exactly one, `Option<T>`, `Vec<T>` |
//! | `skip` | not in XML |
//! | `live` | with any of these: only in status documents, and not in YAML; an `Option`, a `Vec`, or with `default` |
//! | `code = "NoName"` | the error code where this field is missing or can't be read; else `XmlError` |
//! | `name = "x"` | the name in XML; else the field's name in camelCase; a prefix means the namespace |
//! | `default` | a child that may lack though its type is no `Option` |
//! | `required` | an `Option` attribute that XML must have, though YAML may leave it to us |
//! | `blank` | an attribute that must be there, though reading takes one that lacks as an empty text: a rule refuses it |
//! | `confidential` | an `Option<Confidential>` attribute: the text, or in our namespace where it is kept |
//! | `keep` | a child that is written even when empty |
//! | `bind` | the root binds the name's prefix when the field is there |
//!
//! `#[union]` on an enum of one-field variants makes it a choice: `#[xml(name = "x")]` on a variant, else its name in
//! kebab-case. With `#[union(tag = "attr")]` it is an element as well, which holds attribute and content; with
//! `absent = "tag"` the attribute may lack, and `code = "ConfigUnsupported"` is the error code of one that names no variant.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod element;
mod field;
mod names;
mod union;

use proc_macro::TokenStream;

/// Makes a struct an XML element, see the crate's page.
#[proc_macro_attribute]
pub fn element(options: TokenStream, item: TokenStream) -> TokenStream {
    element::expand(options.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum a choice that an attribute names, see the crate's page.
#[proc_macro_attribute]
pub fn union(options: TokenStream, item: TokenStream) -> TokenStream {
    union::expand(options.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
