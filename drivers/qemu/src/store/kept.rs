//! A stored definition as it is kept in memory.

use std::sync::Arc;

use ostler_conf::{Domain, format, parse};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

/// A definition as its text, which takes a third of the room of what it says: a host has many domains and seldom asks what one
/// that does not run is like. Reading it again takes some 20 us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    name: Box<str>,
    text: Arc<str>,
}

impl Kept {
    /// The definition's text as it is stored, of which it is known that it can be read.
    pub(super) fn read(definition: &Domain, text: &str) -> Self {
        Kept { name: definition.name.as_str().into(), text: text.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    ///
    /// # Errors
    /// `InternalError`, if what was written can't be read: a fault of ours.
    pub(crate) fn definition(&self) -> Result<Domain> {
        let parsed = parse::<Domain>(&self.text).and_then(ostler_conf::xml::Parsed::strict);
        parsed.map_err(|invalid| {
            Error::new(
                ErrorCode::InternalError,
                format!("the stored definition of {} can't be read: {invalid}", self.name),
            )
        })
    }
}

impl From<&Domain> for Kept {
    fn from(definition: &Domain) -> Self {
        Kept::read(definition, &format(definition))
    }
}
