//! Folders in which packages and people leave descriptors, of firmware and of programs that speak vhost-user.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The descriptors of `folders`, in the order of their names: the first folder that has a name counts, and an empty file there,
/// or a link to `/dev/null`, says that there is none. A folder that can't be read has none.
pub fn installed(folders: &[&Path]) -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    for folder in folders {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, folder = %folder.display(), "look for descriptors");
                }
                continue;
            }
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".json") && !name.starts_with('.') {
                found.entry(name).or_insert(path);
            }
        }
    }
    let has_content = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0);
    found.into_values().filter(has_content).collect()
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
            ("usr", "80-null.json", "{}"),
            ("usr", "note.txt", "{}"),
        ];
        for (folder, name, content) in files {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join(name), content).unwrap();
        }
        fs::create_dir(usr.join("70-folder.json")).unwrap();
        std::os::unix::fs::symlink("/dev/null", etc.join("80-null.json")).unwrap();
        let found = installed(&[&root.path().join("missing"), &etc, &usr]);
        assert_eq!(found, [usr.join("10-first.json"), etc.join("20-own.json"), etc.join("50-both.json")]);
        assert!(installed(&[&etc.join("20-own.json")]).is_empty(), "a file is no folder");
    }
}
