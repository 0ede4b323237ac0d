//! Folders in which packages and people leave descriptors, of firmware and of programs that speak vhost-user.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The descriptors of `folders`, in the order of their names: the first folder that has a name counts, and an empty file there
/// says that there is none. A folder that is missing has none.
///
/// # Errors
/// The operating system's, for a folder that is there.
pub fn installed(folders: &[&Path]) -> io::Result<Vec<PathBuf>> {
    let mut found: BTreeMap<std::ffi::OsString, PathBuf> = BTreeMap::new();
    for folder in folders {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry.file_name();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if !is_hidden && fs::metadata(entry.path()).is_ok_and(|file| file.is_file()) {
                found.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    // One that has vanished meanwhile is none.
    let has_content = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 0);
    Ok(found.into_values().filter(has_content).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_folder_that_counts_more_hides_those_of_its_name() {
        let root = tempfile::tempdir().unwrap();
        let (etc, usr) = (root.path().join("etc"), root.path().join("usr"));
        let files = [
            ("etc", "20-own.json", "{}"),
            ("etc", "50-both.json", "{}"),
            ("etc", "60-masked.json", ""),
            ("usr", ".hidden.json", "{}"),
            ("usr", "10-first.json", "{}"),
            ("usr", "50-both.json", "{}"),
            ("usr", "60-masked.json", "{}"),
        ];
        for (folder, name, content) in files {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join(name), content).unwrap();
        }
        fs::create_dir(usr.join("70-folder.json")).unwrap();
        let found = installed(&[&root.path().join("missing"), &etc, &usr]).unwrap();
        assert_eq!(found, [usr.join("10-first.json"), etc.join("20-own.json"), etc.join("50-both.json")]);
        assert!(installed(&[&etc.join("20-own.json")]).is_err(), "a file is no folder");
    }
}
