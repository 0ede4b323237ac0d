//! An element that most documents lack.

use crate::Problem;
use crate::xml::{Element, Reader, Writer};

/// An element that is rarely there, and takes no room where it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rare<T>(pub Option<Box<T>>);

impl<T> Rare<T> {
    /// One that is there.
    pub fn new(value: T) -> Self {
        Rare(Some(Box::new(value)))
    }

    /// What is there.
    pub fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }
}

impl<T: Default> Rare<T> {
    /// What is there, made if it was not.
    pub fn get_or_default(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare(None)
    }
}

impl<T: Element> Element for Rare<T> {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        T::read(reader).map(Rare::new)
    }

    fn attrs(&self, writer: &mut Writer) {
        if let Some(value) = &self.0 {
            value.attrs(writer);
        }
    }

    fn body(&self, writer: &mut Writer) {
        if let Some(value) = &self.0 {
            value.body(writer);
        }
    }
}
