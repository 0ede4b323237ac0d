//! Small files of the kernel's. What is missing, or says what nobody expects, is not known.

use std::fs;
use std::path::Path;

use ostler_util::CpuSet;

/// A file's text.
pub(super) fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A file's number.
pub(super) fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// A file's set of numbers. An empty file has none.
pub(super) fn set(path: &Path) -> Option<CpuSet> {
    let text = text(path)?;
    if text.is_empty() { Some(CpuSet::default()) } else { text.parse().ok() }
}

/// The numbers of a folder's entries that begin with `prefix`, ascending.
pub(super) fn numbered(folder: &Path, prefix: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok();
    let mut numbers: Vec<u32> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}
