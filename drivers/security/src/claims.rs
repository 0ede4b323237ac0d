//! Who claims which file: a record for each, written before the file is changed.

use std::io;
use std::path::{Path, PathBuf};

use ostler_driver::Access;
use ostler_util::file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::file::Original;

/// A claimed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) path: PathBuf,
    pub(crate) original: Original,
    pub(crate) claims: Vec<Claim>,
}

/// One guest's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) owner: Uuid,
    pub(crate) access: Word,
}

/// [`Access`], as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Word {
    Read,
    Write,
    Shared,
}

impl From<Access> for Word {
    fn from(access: Access) -> Self {
        match access {
            Access::Read => Word::Read,
            Access::Write => Word::Write,
            Access::Shared => Word::Shared,
        }
    }
}

impl Word {
    /// Whether two guests may do this and that with one file at the same time.
    pub(crate) fn agrees_with(self, other: Word) -> bool {
        !matches!((self, other), (Word::Write, _) | (_, Word::Write))
    }
}

/// The folder of records.
#[derive(Debug)]
pub(crate) struct Records(PathBuf);

impl Records {
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        file::create_directory(&directory, 0o700)?;
        file::remove_temporary_files(&directory)?;
        Ok(Records(directory))
    }

    fn path(&self, subject: &Path) -> PathBuf {
        let digest = Sha256::digest(subject.as_os_str().as_encoded_bytes());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.0.join(format!("{name}.json"))
    }

    pub(crate) fn get(&self, subject: &Path) -> io::Result<Option<Claimed>> {
        match std::fs::read(self.path(subject)) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn put(&self, claimed: &Claimed) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(claimed).expect("a record has only text keys");
        file::write_atomic(&self.path(&claimed.path), &text, 0o600)
    }

    pub(crate) fn remove(&self, subject: &Path) -> io::Result<()> {
        file::remove_durably(&self.path(subject))
    }

    /// All records. One that can't be read is left alone, and so is its file.
    pub(crate) fn all(&self) -> io::Result<Vec<Claimed>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            match std::fs::read(&path).map(|text| serde_json::from_slice(&text)) {
                Ok(Ok(claimed)) => all.push(claimed),
                Ok(Err(error)) => {
                    tracing::warn!(path = %path.display(), %error, "a record of claims can't be read: its file is left alone")
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}
