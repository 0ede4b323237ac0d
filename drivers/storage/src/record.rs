//! Our mark on a volume: a durable record, made before the image appears.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ostler_util::file;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What we know of a volume that we made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// For whom.
    pub(crate) owner: Uuid,
    /// Its format; never read back from the image, which a guest can write.
    pub(crate) format: String,
    /// The volume of the same pool that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backing: Option<String>,
    /// Which file it is: another one of the same name is not ours.
    pub(crate) file: FileId,
    /// Whether the file got its name: one that had it and is gone was not taken away by us.
    pub(crate) complete: bool,
}

impl Record {
    /// Whether the file is the one that was recorded.
    pub(crate) fn is_of(&self, metadata: &Metadata) -> bool {
        self.file == FileId::of(metadata)
    }
}

/// Tells a file from all others: inode numbers are used again, so the time of its birth belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    /// Nanoseconds since the epoch, where the file system knows.
    born: Option<u64>,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()),
        }
    }
}

/// The records of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    directory: PathBuf,
}

impl Records {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Records { directory }
    }

    fn path(&self, volume: &str) -> PathBuf {
        self.directory.join(format!("{volume}.json"))
    }

    /// The volume's record. One that can't be read is an error, not an absence: the volume is left alone.
    pub(crate) fn get(&self, volume: &str) -> io::Result<Option<Record>> {
        match std::fs::read(self.path(volume)) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn put(&self, volume: &str, record: &Record) -> io::Result<()> {
        file::create_directory(&self.directory, 0o700)?;
        let text = serde_json::to_vec_pretty(record).expect("a record has only text keys");
        file::write_atomic(&self.path(volume), &text, 0o600)
    }

    pub(crate) fn remove(&self, volume: &str) -> io::Result<()> {
        if self.directory.exists() { file::remove_durably(&self.path(volume)) } else { Ok(()) }
    }

    /// All volumes that have a record.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            names.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".json"))
                    .filter(|name| !name.starts_with('.'))
                    .map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    /// Removes all records, when the pool itself goes.
    pub(crate) fn clear(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// For whoever looks at the file alone: our mark as an extended attribute, where the file system has them.
pub(crate) fn mark_file(path: &Path, owner: Uuid) {
    // Best effort: the record is what counts.
    let _ =
        rustix::fs::setxattr(path, "user.ostler.owner", owner.to_string().as_bytes(), rustix::fs::XattrFlags::empty());
}
