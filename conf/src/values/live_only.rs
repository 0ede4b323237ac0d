//! What libvirt only tells of something that runs.

use crate::Problem;
use crate::xml::{Element, Reader, Writer};

/// An element that only ever tells how something is now: known, so that what libvirt wrote is read without complaint, and left
/// out of every definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveOnly;

impl Element for LiveOnly {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        reader.take_content();
        Ok(LiveOnly)
    }
    fn attrs(&self, _: &mut Writer) {}
    fn body(&self, _: &mut Writer) {}
}
