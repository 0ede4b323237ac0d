//! Folders of one guest in which its QEMU makes things: sockets, and files behind its memory. They belong to the guests' user
//! and end with the run.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_driver::{Error, Result};
use ostler_util::file::create_directory;
use uuid::Uuid;

use crate::args::HugepageMount;
use crate::driver::Core;

/// Where a guest's QEMU listens: QEMU's home.
pub(crate) fn own(core: &Core, uuid: Uuid) -> PathBuf {
    core.running.path().join("own").join(uuid.to_string())
}

/// Below which guests have files behind their memory.
pub(super) fn memory(core: &Core) -> PathBuf {
    core.config.state_dir.join("qemu/ram")
}

/// Where guests write what is lost at their end.
pub(super) fn transient(core: &Core, uuid: Uuid) -> PathBuf {
    core.config.state_dir.join("qemu/transient").join(uuid.to_string())
}

/// Makes the folders that this guest needs, empty and its user's own.
pub(super) fn make(core: &Core, uuid: Uuid, domain: &Domain, mounts: &[HugepageMount]) -> Result<()> {
    let mut folders = vec![own(core, uuid)];
    let has_files = domain.memory_backing.is_some()
        || !domain.devices.memories.is_empty()
        || domain.cpu.as_ref().is_some_and(|cpu| cpu.numa.is_some());
    if has_files {
        folders.push(memory(core).join(uuid.to_string()));
        folders.extend(mounts.iter().map(|mount| mount.dir.join(uuid.to_string())));
    }
    if domain.devices.disks.iter().any(|disk| disk.transient.is_some()) {
        folders.push(transient(core, uuid));
    }
    folders.iter().try_for_each(|folder| {
        let make = || {
            // The guests' user passes through those above, and can't list.
            folder.parent().map_or(Ok(()), |parent| create_directory(parent, 0o711))?;
            remove_one(folder)?;
            fs::create_dir(folder)?;
            create_directory(folder, 0o700)?;
            core.credentials.as_ref().map_or(Ok(()), |owner| lchown(folder, Some(owner.uid), Some(owner.gid)))
        };
        make().map_err(|error| Error::system(format!("make the folder {}", folder.display()), error))
    })
}

/// Removes whatever there is of them.
pub(crate) fn remove(core: &Core, uuid: Uuid) -> Result<()> {
    let mounts = super::hugepages::mounts();
    let below = mounts.into_iter().map(|mount| mount.dir).chain([memory(core)]);
    let others = [own(core, uuid), transient(core, uuid)];
    below.map(|folder| folder.join(uuid.to_string())).chain(others).try_for_each(|folder| {
        remove_one(&folder).map_err(|error| Error::system(format!("remove the folder {}", folder.display()), error))
    })
}

/// The guests for which any of them is left.
pub(crate) fn owners(core: &Core) -> BTreeSet<Uuid> {
    let below = [memory(core), core.running.path().join("own"), core.config.state_dir.join("qemu/transient")];
    let entries = below.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn remove_one(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
