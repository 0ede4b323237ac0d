//! The qcow2 image format, version 3: making an empty image, making one larger.
//!
//! Source: QEMU, docs/interop/qcow2.txt. Numbers are big-endian. An empty image is four regions of whole clusters:
//! header, reference count table, one reference count block, and the level 1 table.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{EXTENSION_BACKING_FORMAT, MAX_BACKING_LENGTH, Qcow2};

const MAGIC: u32 = 0x5146_49fb;
const HEADER_LENGTH: u32 = 104;
/// Clusters of 64 KiB: QEMU's default.
const CLUSTER_BITS: u32 = 16;
/// Reference counts of 16 bits: QEMU's default.
const REFCOUNT_ORDER: u32 = 4;
/// QEMU refuses a larger level 1 table.
const MAX_L1_BYTES: u64 = 32 << 20;
const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1;

/// What an image is to be.
#[derive(Clone, Debug, Default)]
pub struct Layout<'a> {
    /// Bytes that a guest sees; rounded up to 512.
    pub virtual_size: u64,
    /// The image below and its format.
    pub backing: Option<(&'a str, &'a str)>,
    /// Reference counts are written late.
    pub lazy_refcounts: bool,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.into())
}

/// Bytes of a level 1 table for `virtual_size`, with clusters of `1 << cluster_bits`.
fn l1_entries(virtual_size: u64, cluster_bits: u32) -> u64 {
    let bytes_an_entry = 1_u64 << (cluster_bits + cluster_bits - 3);
    // An image of no bytes has a table of one entry, as QEMU's check wants it.
    virtual_size.div_ceil(bytes_an_entry).max(1)
}

/// Writes an empty image into an empty file. The caller makes it durable.
///
/// # Errors
/// The operating system's; `InvalidInput` for a size or name that the format can't hold.
pub fn create(file: &File, layout: &Layout<'_>) -> io::Result<()> {
    let cluster = 1_u64 << CLUSTER_BITS;
    let virtual_size =
        layout.virtual_size.checked_next_multiple_of(512).ok_or_else(|| invalid("the size is too large"))?;
    let l1_size = l1_entries(virtual_size, CLUSTER_BITS);
    if l1_size * 8 > MAX_L1_BYTES {
        return Err(invalid(format!(
            "{virtual_size} bytes are more than a qcow2 image with clusters of 64 KiB can hold"
        )));
    }
    let l1_clusters = (l1_size * 8).div_ceil(cluster);
    let (table_at, block_at, l1_at) = (cluster, 2 * cluster, 3 * cluster);
    let used_clusters = 3 + l1_clusters;
    file.write_all_at(&header(layout, virtual_size, l1_size, l1_at, table_at)?, 0)?;
    file.write_all_at(&block_at.to_be_bytes(), table_at)?;
    let refcounts: Vec<u8> = (0..used_clusters).flat_map(|_| 1_u16.to_be_bytes()).collect();
    file.write_all_at(&refcounts, block_at)?;
    file.set_len(used_clusters * cluster)
}

fn header(layout: &Layout<'_>, virtual_size: u64, l1_size: u64, l1_at: u64, table_at: u64) -> io::Result<Vec<u8>> {
    let mut extensions = Vec::new();
    if let Some((name, format)) = layout.backing {
        if name.len() > MAX_BACKING_LENGTH {
            return Err(invalid(format!("the backing file's name has more than {MAX_BACKING_LENGTH} bytes")));
        }
        extensions.extend(EXTENSION_BACKING_FORMAT.to_be_bytes());
        extensions
            .extend(u32::try_from(format.len()).map_err(|_| invalid("the format's name is too long"))?.to_be_bytes());
        extensions.extend(format.as_bytes());
        extensions.resize(extensions.len().next_multiple_of(8), 0);
    }
    // The end of the extensions: type 0, length 0.
    extensions.extend([0; 8]);
    let name = layout.backing.map_or("", |(name, _)| name);
    let name_at = if name.is_empty() { 0 } else { u64::from(HEADER_LENGTH) + extensions.len() as u64 };
    let mut header = Vec::with_capacity(512);
    header.extend(MAGIC.to_be_bytes());
    header.extend(3_u32.to_be_bytes());
    header.extend(name_at.to_be_bytes());
    header.extend((name.len() as u32).to_be_bytes());
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(virtual_size.to_be_bytes());
    header.extend(0_u32.to_be_bytes()); // no encryption
    header.extend((l1_size as u32).to_be_bytes());
    header.extend(l1_at.to_be_bytes());
    header.extend(table_at.to_be_bytes());
    header.extend(1_u32.to_be_bytes()); // clusters of the reference count table
    header.extend([0; 4 + 8]); // no snapshots
    header.extend(0_u64.to_be_bytes()); // incompatible features
    header.extend(if layout.lazy_refcounts { COMPATIBLE_LAZY_REFCOUNTS } else { 0 }.to_be_bytes());
    header.extend(0_u64.to_be_bytes()); // autoclear features
    header.extend(REFCOUNT_ORDER.to_be_bytes());
    header.extend(HEADER_LENGTH.to_be_bytes());
    debug_assert_eq!(header.len(), HEADER_LENGTH as usize);
    header.extend(extensions);
    header.extend(name.as_bytes());
    Ok(header)
}

/// Makes an image larger; the caller holds its locks and makes the change durable.
///
/// The level 1 table occupies whole clusters, of which the unused rest is zero, so up to their end (4 TiB with clusters of
/// 64 KiB) a larger image is one write into one sector of the header.
///
/// # Errors
/// `Unsupported` where the table would have to move, or for an image with internal snapshots or unknown features;
/// the operating system's.
pub fn grow(file: &File, virtual_size: u64) -> io::Result<()> {
    let header = Qcow2::read(file)?;
    let unsupported = |what: &str| {
        io::Error::new(io::ErrorKind::Unsupported, format!("this qcow2 image can't be made larger here: {what}"))
    };
    if header.incompatible != 0 {
        return Err(unsupported("it is marked dirty or corrupt, or uses features that are not known here"));
    }
    if header.snapshots != 0 {
        return Err(unsupported("it holds internal snapshots"));
    }
    let virtual_size = virtual_size.checked_next_multiple_of(512).ok_or_else(|| invalid("the size is too large"))?;
    if virtual_size < header.virtual_size {
        return Err(invalid("an image is never made smaller"));
    }
    let cluster = 1_u64 << header.cluster_bits;
    let l1_size = l1_entries(virtual_size, header.cluster_bits).max(u64::from(header.l1_size));
    let clusters = |entries: u64| (entries * 8).div_ceil(cluster).max(1);
    if clusters(l1_size) > clusters(u64::from(header.l1_size)) {
        return Err(unsupported("its table of clusters would have to move"));
    }
    let mut bytes = Vec::with_capacity(16);
    bytes.extend(virtual_size.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes()); // no encryption: checked with the incompatible features' kin by QEMU, and never made here
    bytes.extend(u32::try_from(l1_size).map_err(|_| unsupported("its table of clusters is too large"))?.to_be_bytes());
    if header.encryption != 0 {
        return Err(unsupported("it is encrypted"));
    }
    file.write_all_at(&bytes, 24)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ostler_util::run::Run;

    use super::*;

    /// QEMU's own word on an image.
    fn check(path: &Path) {
        let output = Run::new("/usr/bin/qemu-img")
            .args(["check", "-f", "qcow2"])
            .args([path])
            .output()
            .expect("qemu-img is installed");
        assert!(output.status.success(), "{}", output.error_text());
    }

    fn made(layout: &Layout<'_>) -> (tempfile::TempDir, std::path::PathBuf, File) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.qcow2");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        create(&file, layout).unwrap();
        (directory, path, file)
    }

    #[test]
    fn qemu_finds_nothing_wrong_with_an_empty_image() {
        for virtual_size in [0, 1, 512, 64 << 10, (512 << 20) - 1, 10 << 30, 5 << 40, 1 << 50] {
            let (_directory, path, file) = made(&Layout { virtual_size, ..Layout::default() });
            check(&path);
            assert_eq!(Qcow2::read(&file).unwrap().virtual_size, virtual_size.next_multiple_of(512));
        }
    }

    #[test]
    fn a_backing_file_and_its_format_are_recorded() {
        let (_base_directory, base, _) = made(&Layout { virtual_size: 1 << 20, ..Layout::default() });
        let (_directory, path, _) = made(&Layout {
            virtual_size: 2 << 20,
            backing: Some((base.to_str().unwrap(), "qcow2")),
            lazy_refcounts: true,
        });
        check(&path);
        let output = Run::new("/usr/bin/qemu-img").args(["info", "--output=json"]).args([&path]).output().unwrap();
        let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(info["backing-filename"], base.to_str().unwrap());
        assert_eq!(info["backing-filename-format"], "qcow2");
        assert_eq!(info["format-specific"]["data"]["lazy-refcounts"], true);
    }

    #[test]
    fn a_larger_image_is_whole() {
        let (_directory, path, file) = made(&Layout { virtual_size: 1 << 20, ..Layout::default() });
        for virtual_size in [1 << 20, 3 << 30, 1 << 40, 4 << 40] {
            grow(&file, virtual_size).unwrap();
            check(&path);
            assert_eq!(Qcow2::read(&file).unwrap().virtual_size, virtual_size);
        }
        assert_eq!(grow(&file, 5 << 40).unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!(grow(&file, 1 << 20).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        check(&path);
    }

    #[test]
    fn more_than_the_format_holds_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(
            create(&file, &Layout { virtual_size: 1 << 60, ..Layout::default() }).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
