//! VMware's format: VMware, "Virtual Disk Format 5.0". Numbers are little-endian, sizes are in sectors.

use std::io;

use super::bytes::Bytes;
use super::{Backing, Header, unsound};

const SECTOR: u64 = 512;
/// Descriptions are a sector or two long; QEMU reads no more than 20.
const MAX_DESCRIPTION: u64 = 20 * SECTOR;
const NO_PARENT: &str = "ffffffff";

pub(super) fn header(bytes: Bytes<'_>) -> io::Result<Header> {
    let (sectors, description) = if bytes.has(0, b"KDMV")? {
        let sectors = bytes.le_u64(12)?;
        if sectors == 0 {
            return Err(unsound("its data is in other files"));
        }
        (Some(sectors), embedded(bytes)?)
    } else if bytes.has(0, b"COWD")? {
        (Some(bytes.le_u32(12)?.into()), String::new())
    } else if bytes.has(0, b"# Disk DescriptorFile")? {
        let description = text(bytes, 0, MAX_DESCRIPTION)?;
        (extents(&description), description)
    } else {
        return Err(unsound("no VMDK image: its first bytes are others"));
    };
    let capacity = match sectors {
        Some(sectors) => Some(sectors.checked_mul(SECTOR).ok_or_else(|| unsound("its size is impossible"))?),
        None => None,
    };
    Ok(Header { capacity, backing: parent(&description), ..Header::default() })
}

/// The description that a sparse image holds.
fn embedded(bytes: Bytes<'_>) -> io::Result<String> {
    let (at, length) = (bytes.le_u64(28)?, bytes.le_u64(36)?);
    match at.checked_mul(SECTOR) {
        Some(at) if at > 0 => text(bytes, at, length.saturating_mul(SECTOR).min(MAX_DESCRIPTION)),
        _ => Ok(String::new()),
    }
}

fn text(bytes: Bytes<'_>, at: u64, length: u64) -> io::Result<String> {
    let bytes = bytes.up_to(at, length as usize)?;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// `RW 4192256 SPARSE "disk-s001.vmdk"`: the sectors of all.
fn extents(description: &str) -> Option<u64> {
    let sectors = description.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let access = words.next().filter(|word| matches!(*word, "RW" | "RDONLY" | "NOACCESS"));
        access.and(words.next()?.parse::<u64>().ok())
    });
    sectors.reduce(u64::saturating_add)
}

/// What it stands on is always of its own kind.
fn parent(description: &str) -> Option<Backing> {
    let value = |key: &str| {
        let mut lines = description.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    value("parentCID").filter(|parent| !parent.eq_ignore_ascii_case(NO_PARENT))?;
    let name = value("parentFileNameHint").filter(|name| !name.is_empty())?;
    Some(Backing { name, format: Some("vmdk".to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_in_plain_text_is_read() {
        let text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=12\nparentFileNameHint=\"base.vmdk\"\n\
                    RW 100 SPARSE \"a.vmdk\"\nRW 28 FLAT \"b.vmdk\" 0\n";
        assert_eq!(extents(text), Some(128));
        assert_eq!(parent(text), Some(Backing { name: "base.vmdk".into(), format: Some("vmdk".into()) }));
        assert_eq!(parent(&text.replace("=12", "=ffffffff")), None);
    }
}
