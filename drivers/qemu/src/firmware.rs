//! The firmware that is installed on this host: descriptors in the folders that QEMU's `firmware.json` names.

use std::fs;
use std::path::Path;

use ostler_conf::Domain;

use crate::complete::firmware::Descriptor;

/// Where a host's own descriptors take the places of those that distributions put beside them.
const FOLDERS: &[&str] = &["/etc/qemu/firmware", "/usr/share/qemu/firmware"];

/// A descriptor has some hundred bytes; what is longer than this is none.
const MOST: u64 = 64 << 10;

/// Whether it matters to a definition what is installed.
pub(crate) fn concerns(definition: &Domain) -> bool {
    definition.os.firmware.is_some() || definition.os.loader.is_some()
}

/// What is installed now, the preferred first.
pub(crate) fn installed() -> Vec<Descriptor> {
    descriptors(&FOLDERS.iter().map(Path::new).collect::<Vec<_>>())
}

/// What descriptors in `folders` describe, the preferred first; those of a folder that comes first hide others of their names.
pub(crate) fn descriptors(folders: &[&Path]) -> Vec<Descriptor> {
    crate::descriptors::installed(folders).iter().filter_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Option<Descriptor> {
    let metadata = fs::metadata(path).ok()?;
    let text = (metadata.len() <= MOST).then(|| fs::read_to_string(path).ok()).flatten();
    let descriptor = text.as_deref().and_then(Descriptor::read);
    if descriptor.is_none() {
        tracing::debug!(path = %path.display(), "a descriptor of firmware that is not understood is left out");
    }
    descriptor
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::complete::firmware::Mapping;

    #[test]
    fn a_hosts_own_descriptors_take_the_place_of_those_that_came_with_it() {
        let root = tempfile::tempdir().unwrap();
        let (shared, own) = (root.path().join("share"), root.path().join("etc"));
        let write = |folder: &Path, name: &str, file: &str| {
            fs::create_dir_all(folder).unwrap();
            let text = format!(
                r#"{{"interface-types": ["bios"], "mapping": {{"device": "memory", "filename": "{file}"}},
                    "targets": [{{"architecture": "x86_64", "machines": ["pc-*"]}}], "features": [], "description": ""}}"#
            );
            fs::write(folder.join(name), text).unwrap();
        };
        for name in ["30-c.json", "10-a.json", "20-b.json", "40-d.json", "50-e.json", "note.txt", ".60-f.json"] {
            write(&shared, name, &format!("/{name}"));
        }
        write(&own, "20-b.json", "/own");
        fs::write(own.join("30-c.json"), "").unwrap();
        symlink("/dev/null", own.join("40-d.json")).unwrap();
        fs::write(own.join("50-e.json"), "{").unwrap();
        let files = descriptors(&[Path::new("/there/is/none"), &own, &shared]);
        let files: Vec<String> = files
            .into_iter()
            .map(|descriptor| match descriptor.mapping {
                Mapping::Memory { file } => file,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(files, ["/10-a.json", "/own"]);
    }
}
