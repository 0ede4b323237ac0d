//! QEMU's copy-on-write format, all versions. Source: QEMU, docs/interop/qcow2.rst. Numbers are big-endian.

pub mod new;

use std::fs::File;
use std::io;

use ostler_conf::domain::EncryptionFormat;

use super::bytes::Bytes;
use super::{Backing, Header, unsound};

/// QEMU refuses longer names of backing files.
pub const MAX_BACKING_LENGTH: usize = 1023;
/// The header extension that names the format of the image below.
pub const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
pub(super) const EXTENSION_DATA_FILE: u32 = 0x4441_5441;
pub(super) const INCOMPATIBLE_DATA_FILE: u64 = 4;
const HEADER_LENGTH_2: u64 = 72;

/// What the header of version 2 or 3 says of the image's shape.
#[derive(Clone, Debug)]
pub struct Qcow2 {
    /// Clusters have two to the power of this many bytes.
    pub cluster_bits: u32,
    /// Bytes that a guest sees.
    pub virtual_size: u64,
    /// 0: none.
    pub encryption: u32,
    /// Entries of the level 1 table.
    pub l1_size: u32,
    /// How many snapshots are inside.
    pub snapshots: u32,
    /// Features without which it can't be read.
    pub incompatible: u64,
    header_length: u64,
}

impl Qcow2 {
    /// Reads it from an image.
    ///
    /// # Errors
    /// The operating system's; "invalid data" for what is no such image.
    pub fn read(file: &File) -> io::Result<Qcow2> {
        let bytes = Bytes(file);
        if !bytes.has(0, b"QFI\xfb")? {
            return Err(unsound("no qcow2 image: its first bytes are others"));
        }
        let version = bytes.be_u32(4)?;
        if !(2..=3).contains(&version) {
            return Err(unsound("no qcow2 image: its version is neither 2 nor 3"));
        }
        let cluster_bits = bytes.be_u32(20)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(unsound("no qcow2 image: its cluster size is impossible"));
        }
        // Version 2 ends before the feature bits.
        let (incompatible, header_length) = match version {
            2 => (0, HEADER_LENGTH_2),
            _ => (bytes.be_u64(72)?, u64::from(bytes.be_u32(100)?)),
        };
        if header_length > 1 << cluster_bits {
            return Err(unsound("its header is longer than a cluster"));
        }
        Ok(Qcow2 {
            cluster_bits,
            virtual_size: bytes.be_u64(24)?,
            encryption: bytes.be_u32(32)?,
            l1_size: bytes.be_u32(36)?,
            snapshots: bytes.be_u32(60)?,
            incompatible,
            header_length,
        })
    }

    pub(super) fn header(&self, bytes: Bytes<'_>) -> io::Result<Header> {
        let backing = backing_name(bytes)?;
        let format = match &backing {
            Some(_) => self.extension(bytes, EXTENSION_BACKING_FORMAT)?,
            None => None,
        };
        let data_file = match self.incompatible & INCOMPATIBLE_DATA_FILE {
            0 => None,
            _ => match self.extension(bytes, EXTENSION_DATA_FILE)? {
                Some(name) if !name.is_empty() => Some(name),
                _ => return Err(unsound("its data is in another file, whose name is missing")),
            },
        };
        Ok(Header {
            capacity: Some(self.virtual_size),
            backing: backing.map(|name| Backing { name, format }),
            data_file,
            encryption: encryption(self.encryption)?,
        })
    }

    /// The text of an extension of this kind. All extensions lie in the first cluster.
    fn extension(&self, bytes: Bytes<'_>, wanted: u32) -> io::Result<Option<String>> {
        let end = 1_u64 << self.cluster_bits;
        let mut at = self.header_length;
        while at + 8 <= end {
            let (kind, length) = (bytes.be_u32(at)?, u64::from(bytes.be_u32(at + 4)?));
            if kind == 0 {
                break;
            }
            if length > end - at - 8 {
                return Err(unsound("an extension of its header is longer than a cluster"));
            }
            if kind == wanted {
                return bytes.text(at + 8, length as usize).map(Some);
            }
            at += 8 + length.next_multiple_of(8);
        }
        Ok(None)
    }
}

/// Version 1 records no format of what it stands on.
pub(super) fn version_1(bytes: Bytes<'_>) -> io::Result<Header> {
    if !bytes.has(0, b"QFI\xfb\0\0\0\x01")? {
        return Err(unsound("no qcow image: its first bytes are others"));
    }
    Ok(Header {
        capacity: Some(bytes.be_u64(24)?),
        backing: backing_name(bytes)?.map(|name| Backing { name, format: None }),
        data_file: None,
        encryption: encryption(bytes.be_u32(36)?)?,
    })
}

/// All versions have it in the same place.
fn backing_name(bytes: Bytes<'_>) -> io::Result<Option<String>> {
    let (at, length) = (bytes.be_u64(8)?, bytes.be_u32(16)? as usize);
    if at == 0 || length == 0 {
        return Ok(None);
    }
    if length > MAX_BACKING_LENGTH {
        return Err(unsound("the name of the image below it is longer than 1023 bytes"));
    }
    bytes.text(at, length).map(Some)
}

fn encryption(method: u32) -> io::Result<Option<EncryptionFormat>> {
    match method {
        0 => Ok(None),
        1 => Ok(Some(EncryptionFormat::Qcow)),
        2 => Ok(Some(EncryptionFormat::Luks)),
        _ => Err(unsound("its encryption is unknown")),
    }
}
