//! What was found out, on disk, for as long as it holds.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ostler_util::file::{create_directory, write_atomic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::host::HostState;

/// Raised when what is asked changes, so that what an older version found is asked again.
const FORMAT: u32 = 3;

/// The program, and what else its abilities depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    format: u32,
    path: PathBuf,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
    kernel: String,
    host: HostState,
    /// For what holds for one boot only.
    pub(super) boot_id: Option<String>,
}

impl Identity {
    pub(super) fn of(program: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(program)?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no program"));
        }
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Ok(Identity {
            format: FORMAT,
            path: program.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
            kernel,
            host: HostState::now(),
            boot_id: None,
        })
    }

    /// A file name for this program: one program, one file, so that old findings are replaced.
    pub(super) fn digest(&self) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, self.path.as_os_str().as_encoded_bytes()).simple().to_string()
    }
}

#[derive(Serialize)]
struct Stored<'a, T> {
    identity: &'a Identity,
    found: &'a T,
}

#[derive(Deserialize)]
struct Loaded<T> {
    identity: Identity,
    found: T,
}

/// What was stored for `identity`. Anything unreadable counts as not stored: it can be asked again.
pub(super) fn load<T: DeserializeOwned>(file: &Path, identity: &Identity) -> Option<T> {
    let text = std::fs::read(file).ok()?;
    let loaded: Loaded<T> = serde_json::from_slice(&text).ok()?;
    (loaded.identity == *identity).then_some(loaded.found)
}

/// What a file holds, whatever it was found out of.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    #[derive(Deserialize)]
    struct Kept<T> {
        found: T,
    }
    Ok(serde_json::from_str::<Kept<T>>(text)?.found)
}

/// Stores what was found. If that fails, it will be asked again.
pub(super) fn store<T: Serialize>(file: &Path, identity: &Identity, found: &T) {
    let text = serde_json::to_vec(&Stored { identity, found }).expect("plain structs of texts and numbers");
    let written = file
        .parent()
        .map_or(Ok(()), |parent| create_directory(parent, 0o700))
        .and_then(|()| write_atomic(file, &text, 0o600));
    if let Err(error) = written {
        tracing::warn!(%error, file = %file.display(), "what was found out about the emulator could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_for_the_same_program_only() {
        let directory = tempfile::tempdir().unwrap();
        let (program, file) = (directory.path().join("qemu"), directory.path().join("cache/x.json"));
        std::fs::write(&program, "1").unwrap();
        let identity = Identity::of(&program).unwrap();
        assert_eq!(load::<bool>(&file, &identity), None);
        store(&file, &identity, &true);
        assert_eq!(load::<bool>(&file, &identity), Some(true));
        std::fs::write(&program, "22").unwrap();
        assert_eq!(load::<bool>(&file, &Identity::of(&program).unwrap()), None);
        let other_boot = Identity { boot_id: Some("x".into()), ..identity.clone() };
        assert_eq!((load::<bool>(&file, &other_boot), other_boot.digest()), (None, identity.digest()));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(load::<bool>(&file, &identity), None);
    }
}
