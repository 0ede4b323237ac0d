//! Images for tests: headers with nothing behind them.

use std::path::Path;

use super::qcow::{EXTENSION_BACKING_FORMAT, EXTENSION_DATA_FILE, INCOMPATIBLE_DATA_FILE};

/// Where the first extension is.
const EXTENSIONS: usize = 104;
/// Where the name of what it stands on is.
const NAME: usize = 1024;

/// A qcow2 image of version 3 that says what it stands on, and perhaps of which format that is.
pub fn qcow2(path: &Path, backing: Option<(&str, Option<&str>)>) {
    let mut bytes = vec![0; 64 << 10];
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    put(&mut bytes, 20, 16);
    put(&mut bytes, 100, EXTENSIONS as u32);
    if let Some((name, format)) = backing {
        put(&mut bytes, 12, NAME as u32);
        put(&mut bytes, 16, name.len() as u32);
        bytes[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
        if let Some(format) = format {
            extension(&mut bytes, EXTENSION_BACKING_FORMAT, format);
        }
    }
    std::fs::write(path, bytes).expect("a test's folder can be written to");
}

/// A qcow2 image that keeps its data in another file.
pub fn qcow2_with_data_in(path: &Path, name: &str) {
    qcow2(path, None);
    let mut bytes = std::fs::read(path).expect("it was just written");
    bytes[72..80].copy_from_slice(&INCOMPATIBLE_DATA_FILE.to_be_bytes());
    extension(&mut bytes, EXTENSION_DATA_FILE, name);
    std::fs::write(path, bytes).expect("a test's folder can be written to");
}

fn extension(bytes: &mut [u8], kind: u32, text: &str) {
    put(bytes, EXTENSIONS, kind);
    put(bytes, EXTENSIONS + 4, text.len() as u32);
    bytes[EXTENSIONS + 8..EXTENSIONS + 8 + text.len()].copy_from_slice(text.as_bytes());
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
}
