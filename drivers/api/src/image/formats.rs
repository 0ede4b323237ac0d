//! Which format has which first bytes, and which reader.

use std::io;

use ostler_conf::domain::{EncryptionFormat, ImageFormatName as Format};

use super::bytes::Bytes;
use super::{Header, others, qcow, vmdk};

/// What an image of a format has where. Formats without such bytes are never guessed. Descriptions of VMware's images in
/// plain text are none of them: these name other files.
const MAGIC: &[(Format, u64, &[u8])] = &[
    (Format::Qcow2, 0, b"QFI\xfb\0\0\0\x02"),
    (Format::Qcow2, 0, b"QFI\xfb\0\0\0\x03"),
    (Format::Qcow, 0, b"QFI\xfb\0\0\0\x01"),
    (Format::Qed, 0, b"QED\0"),
    (Format::Vmdk, 0, b"KDMV"),
    (Format::Vmdk, 0, b"COWD"),
    (Format::Vhdx, 0, b"vhdxfile"),
    (Format::Vpc, 0, b"conectix"),
    (Format::Vdi, 64, b"\x7f\x10\xda\xbe"),
    (Format::Bochs, 0, b"Bochs Virtual HD Image"),
    (Format::Cloop, 0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
    (Format::Cow, 0, b"OOOM\0\0\0\x02"),
    (Format::Ploop, 0, b"WithoutFreeSpace"),
    (Format::Ploop, 0, b"WithouFreSpacExt"),
    (Format::Iso, 32769, b"CD001"),
];

pub(super) fn probe(bytes: &Bytes<'_>) -> io::Result<Format> {
    for (format, at, magic) in MAGIC {
        if bytes.has(*at, magic)? {
            return Ok(*format);
        }
    }
    Ok(Format::Raw)
}

pub(super) fn header(bytes: &Bytes<'_>, format: Format) -> io::Result<Header> {
    let of_capacity = |capacity: io::Result<u64>| Ok(Header { capacity: Some(capacity?), ..Header::default() });
    match format {
        Format::Qcow2 => qcow::Qcow2::read(bytes.0)?.header(*bytes),
        Format::Qcow => qcow::version_1(*bytes),
        Format::Qed => others::qed(*bytes),
        Format::Cow => others::cow(*bytes),
        Format::Vmdk => vmdk::header(*bytes),
        Format::Vdi => of_capacity(others::vdi(*bytes)),
        Format::Vpc | Format::Vhd => of_capacity(others::vpc(*bytes)),
        Format::Vhdx => of_capacity(others::vhdx(*bytes)),
        Format::Ploop => of_capacity(others::ploop(*bytes)),
        Format::Bochs => of_capacity(others::bochs(*bytes)),
        Format::Cloop => of_capacity(others::cloop(*bytes)),
        Format::Dmg => of_capacity(others::dmg(*bytes)),
        // The bytes as they are have no header but that of their encryption.
        Format::Raw => {
            let encryption = bytes.has(0, b"LUKS\xba\xbe")?.then_some(EncryptionFormat::Luks);
            Ok(Header { encryption, ..Header::default() })
        }
        Format::Iso | Format::Fat | Format::Dir => Ok(Header::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_hides_another() {
        for (at, (format, offset, magic)) in MAGIC.iter().enumerate() {
            let hidden = MAGIC[at + 1..].iter().find(|(_, later, bytes)| later == offset && bytes.starts_with(magic));
            assert!(hidden.is_none(), "{format:?} hides {hidden:?}");
        }
    }
}
