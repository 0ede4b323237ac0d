//! Reading fields of a header.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::unsound;

/// An image's bytes, read field by field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a File);

impl Bytes<'_> {
    pub(super) fn array<const N: usize>(self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        match self.0.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(unsound("it ends within its header")),
            read => read.map(|()| bytes),
        }
    }

    pub(super) fn be_u32(self, at: u64) -> io::Result<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(super) fn be_u64(self, at: u64) -> io::Result<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    pub(super) fn le_u16(self, at: u64) -> io::Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn le_u32(self, at: u64) -> io::Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn le_u64(self, at: u64) -> io::Result<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// Whether these bytes stand there; an image may be too short for them.
    pub(super) fn has(self, at: u64, expected: &[u8]) -> io::Result<bool> {
        Ok(self.up_to(at, expected.len())? == expected)
    }

    /// What there is from `at` on, at most `length` bytes.
    pub(super) fn up_to(self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.0.read_at(&mut bytes[filled..], at.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// A text of this length.
    pub(super) fn text(self, at: u64, length: usize) -> io::Result<String> {
        let bytes = self.up_to(at, length)?;
        if bytes.len() < length {
            return Err(unsound("a text in it ends after the image does"));
        }
        String::from_utf8(bytes).map_err(|_| unsound("a text in it is not UTF-8"))
    }

    pub(super) fn len(self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}
