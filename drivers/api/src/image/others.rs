//! The headers of the formats that need little reading. Each names where its layout is described.

use std::io;

use uuid::{Uuid, uuid};

use super::bytes::Bytes;
use super::{Backing, Header, unsound};

const SECTOR: u64 = 512;

fn expect(bytes: Bytes<'_>, at: u64, magic: &[u8]) -> io::Result<()> {
    match bytes.has(at, magic)? {
        true => Ok(()),
        false => Err(unsound("no image of its format: its first bytes are others")),
    }
}

fn in_bytes(sectors: u64) -> io::Result<u64> {
    sectors.checked_mul(SECTOR).ok_or_else(|| unsound("its size is impossible"))
}

/// QEMU's enhanced disk: QEMU, docs/interop/qed_spec.rst.
pub(super) fn qed(bytes: Bytes<'_>) -> io::Result<Header> {
    const HAS_BACKING: u64 = 1;
    const BACKING_IS_RAW: u64 = 4;
    expect(bytes, 0, b"QED\0")?;
    let features = bytes.le_u64(16)?;
    let backing = match features & HAS_BACKING {
        0 => None,
        _ => {
            let (at, length) = (bytes.le_u32(56)?, bytes.le_u32(60)? as usize);
            if length > super::qcow::MAX_BACKING_LENGTH {
                return Err(unsound("the name of the image below it is longer than 1023 bytes"));
            }
            let format = (features & BACKING_IS_RAW != 0).then(|| "raw".to_owned());
            Some(Backing { name: bytes.text(at.into(), length)?, format })
        }
    };
    Ok(Header { capacity: Some(bytes.le_u64(48)?), backing, ..Header::default() })
}

/// User Mode Linux': Linux, Documentation/virt/uml, version 2 of the COW file's header.
pub(super) fn cow(bytes: Bytes<'_>) -> io::Result<Header> {
    expect(bytes, 0, b"OOOM\0\0\0\x02")?;
    let name = bytes.array::<1024>(8)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| unsound("the name of the image below it is not UTF-8"))?;
    // What UML copies on write is always the bytes as they are.
    let backing = Backing { name: name.to_owned(), format: Some("raw".to_owned()) };
    let backing = Some(backing).filter(|backing| !backing.name.is_empty());
    Ok(Header { capacity: Some(bytes.be_u64(1040)?), backing, ..Header::default() })
}

/// VirtualBox': VirtualBox, "VDI disk image", version 1.1.
pub(super) fn vdi(bytes: Bytes<'_>) -> io::Result<u64> {
    expect(bytes, 64, b"\x7f\x10\xda\xbe\x01\0\x01\0")?;
    bytes.le_u64(368)
}

/// Virtual PC's: Microsoft, "Virtual Hard Disk Image Format Specification". A fixed one has its description at its end only.
pub(super) fn vpc(bytes: Bytes<'_>) -> io::Result<u64> {
    const MAGIC: &[u8] = b"conectix";
    let at = if bytes.has(0, MAGIC)? { 0 } else { bytes.len()?.saturating_sub(SECTOR) };
    expect(bytes, at, MAGIC)?;
    bytes.be_u64(at + 48)
}

/// Hyper-V's second: Microsoft, [MS-VHDX].
pub(super) fn vhdx(bytes: Bytes<'_>) -> io::Result<u64> {
    const REGIONS: u64 = 192 << 10;
    const METADATA: Uuid = uuid!("8b7ca206-4790-4b9a-b8fe-575f050f886e");
    const VIRTUAL_DISK_SIZE: Uuid = uuid!("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
    const MAX_ENTRIES: u64 = 2047;
    expect(bytes, 0, b"vhdxfile")?;
    expect(bytes, REGIONS, b"regi")?;
    let entry_of = |first: u64, count: u64, wanted: Uuid| -> io::Result<u64> {
        for at in (first..).step_by(32).take(count.min(MAX_ENTRIES) as usize) {
            if Uuid::from_bytes_le(bytes.array(at)?) == wanted {
                return Ok(at);
            }
        }
        Err(unsound("its size is missing"))
    };
    let region = entry_of(REGIONS + 16, bytes.le_u32(REGIONS + 8)?.into(), METADATA)?;
    let metadata = bytes.le_u64(region + 16)?;
    // Everything lies below 16 EiB, so no sum below overflows.
    if metadata > i64::MAX as u64 / 2 {
        return Err(unsound("its metadata is impossibly far away"));
    }
    expect(bytes, metadata, b"metadata")?;
    let item = entry_of(metadata + 32, bytes.le_u16(metadata + 10)?.into(), VIRTUAL_DISK_SIZE)?;
    bytes.le_u64(metadata + u64::from(bytes.le_u32(item + 16)?))
}

/// Virtuozzo's, which Parallels had before: QEMU, docs/interop/parallels.rst.
pub(super) fn ploop(bytes: Bytes<'_>) -> io::Result<u64> {
    if bytes.has(0, b"WithouFreSpacExt")? {
        return in_bytes(bytes.le_u64(36)?);
    }
    expect(bytes, 0, b"WithoutFreeSpace")?;
    in_bytes(bytes.le_u32(36)?.into())
}

/// Bochs': Bochs, "Redolog header". The second version has a time before the size.
pub(super) fn bochs(bytes: Bytes<'_>) -> io::Result<u64> {
    expect(bytes, 0, b"Bochs Virtual HD Image")?;
    match bytes.le_u32(64)? {
        0x10000 => bytes.le_u64(84),
        0x20000 => bytes.le_u64(88),
        _ => Err(unsound("its version is neither 1 nor 2")),
    }
}

/// A compressed loop image: a shell script of 128 bytes, then the blocks' size and number.
pub(super) fn cloop(bytes: Bytes<'_>) -> io::Result<u64> {
    expect(bytes, 0, b"#!/bin/sh\n#V2.0 Format\n")?;
    Ok(u64::from(bytes.be_u32(128)?) * u64::from(bytes.be_u32(132)?))
}

/// macOS': the last sector describes the others.
pub(super) fn dmg(bytes: Bytes<'_>) -> io::Result<u64> {
    let at = bytes.len()?.saturating_sub(SECTOR);
    expect(bytes, at, b"koly")?;
    in_bytes(bytes.be_u64(at + 492)?)
}
