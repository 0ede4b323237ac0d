//! What stands in image files: their format, what their headers say, and the images that they stand on.
//!
//! A guest can write whatever it likes into a raw image, a header of another format among it, so a format comes from a
//! definition, from a record, or from the header of an image that stands on it; it is guessed from an image's own bytes
//! only where nobody said it, and then only for an image whose data is nowhere else ([`Chain::detect`]). Each header is read
//! within bounds, and nothing that it says is opened here but files.

mod bytes;
mod chain;
mod find;
mod formats;
mod others;
pub mod qcow;
#[cfg(any(test, feature = "behaviour"))]
pub mod samples;
mod vmdk;

use std::fs::File;
use std::io;

use ostler_conf::domain::{EncryptionFormat, ImageFormatName};

pub use chain::{Chain, ImageError, Layer};
pub use find::Found;

use bytes::Bytes;

/// What an image's own bytes say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bytes that a guest sees, where the format tells.
    pub capacity: Option<u64>,
    /// What it stands on.
    pub backing: Option<Backing>,
    /// The file that holds its data in its place.
    pub data_file: Option<String>,
    /// How it is encrypted.
    pub encryption: Option<EncryptionFormat>,
}

/// What an image says that it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Where that is, as it is written: see [`ostler_conf::domain::BackingString`].
    pub name: String,
    /// Its format's name, where it is recorded.
    pub format: Option<String>,
}

/// Reads the header of an image of this format.
///
/// # Errors
/// The operating system's; "invalid data" for one that is not sound.
pub fn header(file: &File, format: ImageFormatName) -> io::Result<Header> {
    formats::header(&Bytes(file), format)
}

/// The format that an image's bytes look like; raw where they look like none.
///
/// # Caveats
/// A guess: whoever could write to the image chose its outcome.
///
/// # Errors
/// The operating system's.
pub fn probe(file: &File) -> io::Result<ImageFormatName> {
    formats::probe(&Bytes(file))
}

/// An image that contradicts its format.
fn unsound(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
