//! What outlives us: definitions below the state folder, running guests below the run folder. Everything is named by uuid.

mod definitions;
mod kept;
mod readers;
mod record;
mod running;
mod state;

pub(crate) use definitions::{Definitions, Record};
pub(crate) use kept::Kept;
pub(crate) use running::{Phase, Running, Status};

use std::io;

use ostler_driver::Error;

/// Of what is stored with definitions; raised when an older version would misread what we write.
const FORMAT: u32 = 1;

/// A failed write or removal of state; nothing has changed.
fn failed(what: impl Into<String>, error: io::Error) -> Error {
    Error::system(what, error)
}
