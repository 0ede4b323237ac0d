//! Our mark on a volume: a durable record, in a folder of our own and, where the file system can, on the image itself.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ostler_conf::domain::Owner;
use ostler_driver::VolumeOwner;
use ostler_util::file;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What we know of a volume that we made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// For whom.
    pub(crate) owner: Uuid,
    /// The object that stood for it; absent where an earlier release made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<Owner>,
    /// Its format; never read back from the image, which a guest can write.
    pub(crate) format: String,
    /// The volume of the same pool that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backing: Option<String>,
    /// Which file it is: another one of the same name is not ours.
    pub(crate) file: FileId,
    /// Whether the file got its name: one that had it and is gone was not taken away by us. Told by the record's own name.
    #[serde(skip)]
    pub(crate) complete: bool,
}

impl Record {
    /// Whether the file is the one that was recorded.
    pub(crate) fn is_of(&self, metadata: &Metadata) -> bool {
        self.file == FileId::of(metadata)
    }

    /// The same image, as another's.
    pub(crate) fn handed_to(self, owner: &VolumeOwner) -> Self {
        Record { owner: owner.uuid, mark: owner.mark.clone(), ..self }
    }
}

/// Tells a file from all others of its pool: inode numbers are used again, so the time of its birth belongs to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct FileId {
    /// For earlier releases, which read it. It says nothing: a disk may get another number at the next boot, and a file system on the
    /// network has another one on each host and at each mount.
    device: u64,
    inode: u64,
    /// Nanoseconds since the epoch, where the file system knows.
    born: Option<u64>,
}

impl PartialEq for FileId {
    fn eq(&self, other: &Self) -> bool {
        // Not every kernel asks a server for the time of birth.
        let is_as_old = self.born.is_none() || other.born.is_none() || self.born == other.born;
        self.inode == other.inode && is_as_old
    }
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

/// The records of one pool: `NAME.json`, or `NAME.begun` as long as the image may not have its name.
///
/// A record is written once, and changes its own name when its image got one: that needs no second flush.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    directory: PathBuf,
}

const COMPLETE: &str = "json";
const BEGUN: &str = "begun";

impl Records {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Records { directory }
    }

    fn path(&self, volume: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{volume}.{extension}"))
    }

    /// The volume's record. One that can't be read is an error, not an absence: the volume is left alone.
    pub(crate) fn get(&self, volume: &str) -> io::Result<Option<Record>> {
        if let Some(text) = read(&self.path(volume, COMPLETE))? {
            let record =
                serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            return Ok(Some(Record { complete: true, ..record }));
        }
        // Half written: its image never got a name.
        Ok(read(&self.path(volume, BEGUN))?.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Records that the image is to get its name; durable once [`Begun::sync`] is done.
    pub(crate) fn begin(&self, volume: &str, record: &Record) -> io::Result<Begun<'_>> {
        let path = self.path(volume, BEGUN);
        let open = || File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&self.directory)?;
                open()?
            }
            file => file?,
        };
        let text = serde_json::to_vec_pretty(record).expect("a record has only text keys");
        // The first error is the one that counts.
        file.write_all(&text).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(Begun { file, directory: &self.directory })
    }

    /// The image has its name, durably. A crash may forget this: then [`Self::get`] gives a record that was begun, of an image that is there.
    pub(crate) fn complete(&self, volume: &str) -> io::Result<()> {
        std::fs::rename(self.path(volume, BEGUN), self.path(volume, COMPLETE))
    }

    /// Records, durably, that the image is about to go.
    pub(crate) fn reopen(&self, volume: &str) -> io::Result<()> {
        match std::fs::rename(self.path(volume, COMPLETE), self.path(volume, BEGUN)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.and_then(|()| file::sync_directory(&self.directory)),
        }
    }

    /// Forgets a volume, durably.
    pub(crate) fn remove(&self, volume: &str) -> io::Result<()> {
        if !self.directory.exists() {
            return Ok(());
        }
        file::remove_durably(&self.path(volume, COMPLETE))?;
        file::remove_durably(&self.path(volume, BEGUN))
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
                    .and_then(|name| name.rsplit_once('.'))
                    .filter(|(name, extension)| !name.starts_with('.') && [COMPLETE, BEGUN].contains(extension))
                    .map(|(name, _)| name.to_owned()),
            );
        }
        names.sort();
        names.dedup();
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

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// A record that is written, but may not be on the disk yet.
pub(crate) struct Begun<'a> {
    file: File,
    directory: &'a Path,
}

impl Begun<'_> {
    /// Makes it durable, and its name in the folder as well.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.sync_content()?;
        file::sync_directory(self.directory)
    }

    /// Makes it durable, where the image vouches for it if its name is lost with the power.
    pub(crate) fn sync_content(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Where a file carries its own record: only the host's root can write such an attribute, never a guest.
const MARK: &str = "trusted.ostler.record";
/// Far more than a record needs.
const MAX_MARK_BYTES: usize = 4096;

impl Record {
    /// Puts the record on the image itself, to become durable together with it.
    ///
    /// # Errors
    /// A file system without such attributes, or an agent that may not set them.
    pub(crate) fn mark(&self, file: &File) -> io::Result<()> {
        let text = serde_json::to_vec(self).expect("a record has only text keys");
        Ok(rustix::fs::fsetxattr(file, MARK, &text, rustix::fs::XattrFlags::empty())?)
    }

    /// The record that the image at this path carries, if it is this image's.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        let mut text = Vec::with_capacity(MAX_MARK_BYTES);
        rustix::fs::lgetxattr(path, MARK, rustix::buffer::spare_capacity(&mut text)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        record.is_of(&std::fs::symlink_metadata(path).ok()?).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_under_another_device_number_and_another_by_inode_or_birth() {
        let file = FileId { device: 1, inode: 7, born: Some(11) };
        assert_eq!(file, FileId { device: 2, ..file }, "mounted again");
        assert_eq!(file, FileId { born: None, ..file }, "by a kernel that does not ask");
        assert_ne!(file, FileId { inode: 8, ..file });
        assert_ne!(file, FileId { born: Some(12), ..file });
    }
}
