//! What an image's header says that it stands on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ostler_conf::domain::ImageFormatName;

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// The image below.
    pub(super) backing: Option<Backing>,
    /// Where the data is, if not in the image itself.
    pub(super) data_file: Option<String>,
}

/// The image below another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backing {
    /// As it is written in the header.
    pub(super) name: String,
    /// The word for its format, where it is recorded.
    pub(super) format: Option<String>,
}

/// QEMU's docs/interop/qcow2.rst.
const QCOW2: [u8; 4] = *b"QFI\xfb";
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;
const FEATURE_DATA_FILE: u64 = 1 << 2;
/// QEMU's docs/interop/qed_spec.rst.
const QED: [u8; 4] = *b"QED\0";
const QED_BACKING: u64 = 1 << 0;
const QED_BACKING_IS_RAW: u64 = 1 << 2;
/// The longest name of another image.
const MAX_NAME: u32 = 1023;
/// Header and extensions lie in the first cluster, which has 2 MiB at most; more than this is not sound.
const MAX_EXTENSIONS: u32 = 64 << 10;

/// The header of the image at `path`; `None` for a format whose images stand on nothing.
///
/// # Errors
/// The operating system's; "invalid data" for what is no sound image of the format.
pub(super) fn read(path: &Path, format: ImageFormatName) -> io::Result<Option<Header>> {
    match format {
        ImageFormatName::Qcow2 => qcow2(&File::open(path)?).map(Some),
        ImageFormatName::Qed => qed(&File::open(path)?).map(Some),
        _ => Ok(None),
    }
}

/// What an image looks like. A guest may have written that: it is to be believed only where nothing comes of it.
///
/// # Errors
/// The operating system's.
pub(super) fn looks_like(path: &Path) -> io::Result<ImageFormatName> {
    let mut magic = [0; 4];
    Ok(match File::open(path)?.read_exact_at(&mut magic, 0) {
        Ok(()) if magic == QCOW2 => ImageFormatName::Qcow2,
        Ok(()) if magic == QED => ImageFormatName::Qed,
        _ => ImageFormatName::Raw,
    })
}

fn qcow2(file: &File) -> io::Result<Header> {
    let mut header = [0; 104];
    // Version 2 has 72 bytes; what follows belongs to extensions, which both versions read from where the header ends.
    file.read_exact_at(&mut header[..72], 0).map_err(|_| invalid("it is too short for a header"))?;
    if header[..4] != QCOW2 {
        return Err(invalid("it is no qcow2 image"));
    }
    let (extensions, features) = match u32_at(&header, 4) {
        2 => (72, 0),
        3 => {
            file.read_exact_at(&mut header, 0).map_err(|_| invalid("it is too short for a header"))?;
            (u32_at(&header, 100), u64_at(&header, 72))
        }
        _ => return Err(invalid("its version is neither 2 nor 3")),
    };
    let (offset, length) = (u64_at(&header, 8), u32_at(&header, 16));
    let has_data_file = features & FEATURE_DATA_FILE != 0;
    // What follows the header is read only where something is to be found.
    let found = if offset != 0 || has_data_file { extensions_of(file, extensions)? } else { Vec::new() };
    let text = |kind: u32| found.iter().find(|(found, _)| *found == kind).map(|(_, text)| text.clone());
    let data_file = text(EXTENSION_DATA_FILE).filter(|_| has_data_file);
    if data_file.as_ref().is_some_and(String::is_empty) {
        return Err(invalid("the name of its data file is empty"));
    }
    let backing = match offset {
        0 => None,
        offset => Some(Backing { name: name(file, offset, length)?, format: text(EXTENSION_BACKING_FORMAT) }),
    };
    Ok(Header { backing, data_file })
}

/// The extensions that are texts.
fn extensions_of(file: &File, mut at: u32) -> io::Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    let mut head = [0; 8];
    while at < MAX_EXTENSIONS {
        file.read_exact_at(&mut head, at.into())?;
        let (kind, length) = (u32_at(&head, 0), u32_at(&head, 4));
        if kind == 0 || length > MAX_EXTENSIONS {
            break;
        }
        if matches!(kind, EXTENSION_BACKING_FORMAT | EXTENSION_DATA_FILE) {
            let mut text = vec![0; length as usize];
            file.read_exact_at(&mut text, u64::from(at) + 8)?;
            found.extend(String::from_utf8(text).ok().map(|text| (kind, text)));
        }
        at += 8 + length.next_multiple_of(8);
    }
    Ok(found)
}

fn qed(file: &File) -> io::Result<Header> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0).map_err(|_| invalid("it is too short for a header"))?;
    if header[..4] != QED {
        return Err(invalid("it is no QED image"));
    }
    let small = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    let large = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
    let features = large(16);
    let backing = if features & QED_BACKING == 0 {
        None
    } else {
        let format = (features & QED_BACKING_IS_RAW != 0).then(|| "raw".to_owned());
        Some(Backing { name: name(file, small(56).into(), small(60))?, format })
    };
    Ok(Header { backing, data_file: None })
}

fn name(file: &File, offset: u64, length: u32) -> io::Result<String> {
    if length > MAX_NAME {
        return Err(invalid("the name of its backing image is too long"));
    }
    let mut name = vec![0; length as usize];
    file.read_exact_at(&mut name, offset)?;
    String::from_utf8(name).map_err(|_| invalid("the name of its backing image is no text"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
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
        bytes[..4].copy_from_slice(&QCOW2);
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

    /// Makes the image at `path` one that keeps its data elsewhere.
    pub(crate) fn add_data_file(path: &Path, name: &str) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[72..80].copy_from_slice(&FEATURE_DATA_FILE.to_be_bytes());
        bytes[104..108].copy_from_slice(&EXTENSION_DATA_FILE.to_be_bytes());
        bytes[108..112].copy_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
        bytes[112..112 + name.len()].copy_from_slice(name.as_bytes());
        std::fs::write(path, bytes).unwrap();
    }

    fn qcow2_at(path: &Path) -> io::Result<Header> {
        read(path, ImageFormatName::Qcow2).map(Option::unwrap)
    }

    #[test]
    fn reads_what_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i");
        write(&path, Some(("base.raw", Some("raw"))));
        let backing = Backing { name: "base.raw".into(), format: Some("raw".into()) };
        assert_eq!(qcow2_at(&path).unwrap().backing, Some(backing));
        assert_eq!(looks_like(&path).unwrap(), ImageFormatName::Qcow2);
        write(&path, Some(("x", None)));
        assert_eq!(qcow2_at(&path).unwrap().backing.unwrap().format, None);
        write(&path, None);
        assert_eq!(qcow2_at(&path).unwrap(), Header::default());
        add_data_file(&path, "data");
        assert_eq!(qcow2_at(&path).unwrap().data_file.as_deref(), Some("data"));
        for bytes in [vec![0; 4096], b"QFI".to_vec()] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(qcow2_at(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(looks_like(&path).unwrap(), ImageFormatName::Raw);
        }
        write(&path, None);
        add_data_file(&path, "");
        assert_eq!(qcow2_at(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
