//! What a qcow2 image says that it stands on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The image below another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backing {
    /// As it is written in the header.
    pub(super) name: String,
    /// Its format, where it is recorded.
    pub(super) format: Option<String>,
}

/// QEMU's docs/interop/qcow2.rst.
const MAGIC: [u8; 4] = *b"QFI\xfb";
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
/// The longest name of a backing image.
const MAX_NAME: u32 = 1023;
/// Header and extensions lie in the first cluster, which has 2 MiB at most; more than this is not sound.
const MAX_EXTENSIONS: u32 = 64 << 10;

/// What the image at `path` stands on.
///
/// # Errors
/// The operating system's; "invalid data" for what is no sound qcow2 image.
pub(super) fn backing(path: &Path) -> io::Result<Option<Backing>> {
    let file = File::open(path)?;
    let mut header = [0; 104];
    // Version 2 has 72 bytes; what follows belongs to extensions, which both versions read from where the header ends.
    file.read_exact_at(&mut header[..72], 0).map_err(|_| invalid("it is too short for a header"))?;
    if header[..4] != MAGIC {
        return Err(invalid("it is no qcow2 image"));
    }
    let version = u32_at(&header, 4);
    let extensions = match version {
        2 => 72,
        3 => {
            file.read_exact_at(&mut header, 0).map_err(|_| invalid("it is too short for a header"))?;
            u32_at(&header, 100)
        }
        _ => return Err(invalid("its version is neither 2 nor 3")),
    };
    let (offset, length) = (u64::from_be_bytes(header[8..16].try_into().expect("8 bytes")), u32_at(&header, 16));
    if offset == 0 {
        return Ok(None);
    }
    if length > MAX_NAME {
        return Err(invalid("the name of its backing image is too long"));
    }
    let mut name = vec![0; length as usize];
    file.read_exact_at(&mut name, offset)?;
    let name = String::from_utf8(name).map_err(|_| invalid("the name of its backing image is no text"))?;
    Ok(Some(Backing { name, format: backing_format(&file, extensions)? }))
}

fn backing_format(file: &File, mut at: u32) -> io::Result<Option<String>> {
    let mut head = [0; 8];
    while at < MAX_EXTENSIONS {
        file.read_exact_at(&mut head, at.into())?;
        let (kind, length) = (u32_at(&head, 0), u32_at(&head, 4));
        if kind == 0 || length > MAX_EXTENSIONS {
            break;
        }
        if kind == EXTENSION_BACKING_FORMAT {
            let mut format = vec![0; length as usize];
            file.read_exact_at(&mut format, u64::from(at) + 8)?;
            return Ok(String::from_utf8(format).ok());
        }
        at += 8 + length.next_multiple_of(8);
    }
    Ok(None)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header of version 3 with nothing behind it.
    pub(crate) fn write(path: &Path, backing: Option<(&str, Option<&str>)>) {
        let mut bytes = vec![0; 4096];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&3_u32.to_be_bytes());
        bytes[100..104].copy_from_slice(&104_u32.to_be_bytes());
        if let Some((name, format)) = backing {
            bytes[8..16].copy_from_slice(&1024_u64.to_be_bytes());
            bytes[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
            bytes[1024..1024 + name.len()].copy_from_slice(name.as_bytes());
            if let Some(format) = format {
                bytes[104..108].copy_from_slice(&EXTENSION_BACKING_FORMAT.to_be_bytes());
                bytes[108..112].copy_from_slice(&u32::try_from(format.len()).unwrap().to_be_bytes());
                bytes[112..112 + format.len()].copy_from_slice(format.as_bytes());
            }
        }
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn reads_what_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i");
        write(&path, Some(("base.raw", Some("raw"))));
        assert_eq!(backing(&path).unwrap(), Some(Backing { name: "base.raw".into(), format: Some("raw".into()) }));
        write(&path, Some(("x", None)));
        assert_eq!(backing(&path).unwrap().unwrap().format, None);
        write(&path, None);
        assert_eq!(backing(&path).unwrap(), None);
        std::fs::write(&path, vec![0; 4096]).unwrap();
        assert_eq!(backing(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, "QFI").unwrap();
        assert_eq!(backing(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
