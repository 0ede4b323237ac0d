//! Volumes: made whole or not at all, and never over a file that is there.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ostler_conf::StorageVolume;
use ostler_conf::storage_volume::VolumeFormatName;
use ostler_driver::image::qcow::{self, Qcow2};
use ostler_driver::{Error, Progress, ResolvedVolume, Result, VolumeFill, VolumeOwner, VolumeSummary};
use ostler_util::{ErrorCode, file};
use rustix::fs::{CWD, OFlags, RenameFlags};

use crate::download;
use crate::lock;
use crate::pools::{Pool, check_name};
use crate::record::{FileId, Record};

/// The deepest chain of images: QEMU's and libvirt's limit.
const MAX_CHAIN: usize = 200;

/// A volume that was asked for.
pub(crate) enum Made {
    Now(VolumeSummary),
    Before(VolumeSummary),
}

impl Pool {
    fn volume_path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The volume's record; the one that its image carries, if the power went before the other was on the disk.
    fn record(&self, name: &str) -> Result<Option<Record>> {
        let record = self
            .records
            .get(name)
            .map_err(|error| Error::system(format!("read the record of volume '{name}'"), error))?;
        Ok(record.or_else(|| Record::of_file(&self.volume_path(name))))
    }

    /// Writes again what went with the power and stands on an image still: who stands on whom is found in records alone.
    pub(crate) fn recover_records(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if check_name(&name, "name").is_err() || !matches!(self.records.get(&name), Ok(None)) {
                continue;
            }
            if let Some(record) = Record::of_file(&self.volume_path(&name)) {
                self.records.begin(&name, &record)?.sync()?;
                self.records.complete(&name)?;
            }
        }
        Ok(())
    }

    /// The volume's file; `None`: there is none.
    fn file(&self, name: &str) -> Result<Option<Metadata>> {
        let path = self.volume_path(name);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::system(format!("look at {}", path.display()), error)),
        }
    }

    /// A volume that we made.
    fn ours(&self, name: &str) -> Result<(Record, Metadata)> {
        check_name(name, "name")?;
        let missing =
            || Error::new(ErrorCode::NoStorageVol, format!("no volume '{name}' in pool '{}'", self.definition.name));
        let metadata = self.file(name)?.ok_or_else(missing)?;
        match self.record(name)?.filter(|record| record.is_of(&metadata)) {
            Some(record) => Ok((record, metadata)),
            None => Err(Error::new(
                ErrorCode::OperationDenied,
                format!("{} was not made by Ostler and is left alone", self.volume_path(name).display()),
            )),
        }
    }

    /// Makes a volume, or finds it made.
    pub(crate) fn create(
        &self,
        volume: &StorageVolume,
        owner: &VolumeOwner,
        fill: &VolumeFill,
        progress: Option<&Progress>,
    ) -> Result<Made> {
        volume_is_valid(volume, fill)?;
        let name = volume.name.as_str();
        check_name(name, "name")?;
        if let Some(metadata) = self.file(name)? {
            return match self.record(name)? {
                Some(record) if record.is_of(&metadata) && record.owner == owner.uuid => {
                    let is_known = record.mark == owner.mark || owner.mark.is_none();
                    let record = if is_known { record } else { record.handed_to(owner) };
                    if !record.complete || !is_known {
                        self.record_again(name, &record)?;
                    }
                    self.summary_of(name, Some(&record), &metadata).map(Made::Before)
                }
                _ => {
                    let message = format!(
                        "{} exists and was not made for this volume: it is left alone",
                        self.volume_path(name).display()
                    );
                    Err(Error::new(ErrorCode::StorageVolExist, message).at("name"))
                }
            };
        }
        let system = |error| Error::system(format!("read the record of volume '{name}'"), error);
        if self.records.get(name).map_err(system)?.is_some_and(|record| record.complete) {
            let message = format!(
                "{} was made and is gone: is its file system mounted? It is not made anew",
                self.volume_path(name).display()
            );
            return Err(Error::new(ErrorCode::OperationFailed, message).at("name"));
        }
        let new = self.path.join(format!(".{name}.ostler-new"));
        let result = self.make(volume, owner, fill, progress, &new);
        if result.is_err() && !matches!(fill, VolumeFill::Http { .. }) {
            // The first error is the one that counts.
            let _ = std::fs::remove_file(&new);
        }
        result.map(Made::Now)
    }

    /// Hands a volume, with what is in it, to another owner.
    pub(crate) fn adopt(&self, name: &str, owner: &VolumeOwner) -> Result<VolumeSummary> {
        let (record, metadata) = self.ours(name)?;
        let record = record.handed_to(owner);
        self.record_again(name, &record)?;
        self.summary_of(name, Some(&record), &metadata)
    }

    /// Writes the record of an image that is there anew.
    fn record_again(&self, name: &str, record: &Record) -> Result<()> {
        let begun = self.records.begin(name, record).and_then(|begun| begun.sync());
        let completed = begun.and_then(|()| self.records.complete(name));
        completed.map_err(|error| Error::system("record a volume", error))?;
        // Another host that sees the image knows by this alone whose it is. Where there are no such attributes, none does.
        let path = self.volume_path(name);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(&path);
        let marked = file.and_then(|file| if record.is_of(&file.metadata()?) { record.mark(&file) } else { Ok(()) });
        if let Err(error) = marked {
            tracing::debug!(path = %path.display(), %error, "the image does not carry its record");
        }
        Ok(())
    }

    fn make(
        &self,
        volume: &StorageVolume,
        owner: &VolumeOwner,
        fill: &VolumeFill,
        progress: Option<&Progress>,
        new: &Path,
    ) -> Result<VolumeSummary> {
        let name = volume.name.as_str();
        let system = |what: &str, error: io::Error| {
            Error::system(format!("{what} volume '{name}' in {}", self.path.display()), error)
        };
        let (file, new, backing) = match fill {
            VolumeFill::Http { url, sha256 } => {
                // Not one of the temporary files that the pool's start clears: what came so far is worth keeping.
                let partial = self.path.join(format!(".{name}.ostler-part"));
                (download::fetch(url, sha256, &partial, progress)?, partial, None)
            }
            VolumeFill::Empty | VolumeFill::Backing { .. } => {
                let file = make_anew(new).map_err(|error| system("make", error))?;
                let backing = self.lay_out(&file, volume, fill)?;
                (file, new.to_owned(), backing)
            }
        };
        let mode = volume.target.as_ref().and_then(|t| t.permissions.as_ref()?.mode).map_or(0o600, |mode| mode.0);
        let mut metadata = file.metadata().map_err(|error| system("look at", error))?;
        if metadata.mode() & 0o7777 != mode {
            file.set_permissions(std::fs::Permissions::from_mode(mode))
                .map_err(|error| system("set the mode of", error))?;
        }
        let record = Record {
            owner: owner.uuid,
            mark: owner.mark.clone(),
            format: volume.format().word().to_owned(),
            backing,
            file: FileId::of(&metadata),
            complete: false,
        };
        // An image with a name must be known as ours. Where it carries its record, both become durable side by side;
        // else the record goes first.
        let is_marked = record.mark(&file).is_ok();
        let begun = self.records.begin(name, &record).map_err(|error| system("record", error))?;
        if !is_marked {
            begun.sync().map_err(|error| system("record", error))?;
        }
        std::thread::scope(|scope| {
            let recording = is_marked.then(|| scope.spawn(|| begun.sync_content()));
            file.sync_all().map_err(|error| system("write", error))?;
            match rustix::fs::renameat_with(CWD, &new, CWD, self.volume_path(name), RenameFlags::NOREPLACE) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => {
                    let message = format!("{} appeared meanwhile and is left alone", self.volume_path(name).display());
                    return Err(Error::new(ErrorCode::StorageVolExist, message).at("name"));
                }
                Err(error) => return Err(system("name", error.into())),
            }
            file::sync_directory(&self.path).map_err(|error| system("name", error))?;
            let panicked = |_| Err(io::Error::other("the thread that writes it panicked"));
            let recorded = recording.map_or(Ok(()), |recording| recording.join().unwrap_or_else(panicked));
            recorded.map_err(|error| system("record", error))
        })?;
        self.records.complete(name).map_err(|error| system("record", error))?;
        metadata = file.metadata().map_err(|error| system("look at", error))?;
        let capacity = capacity_of(&file, &record.format).map_err(|error| system("read", error))?;
        Ok(self.told(name, Some(&record), &metadata, capacity))
    }

    /// Writes an empty image; gives the volume that it stands on.
    fn lay_out(&self, file: &File, volume: &StorageVolume, fill: &VolumeFill) -> Result<Option<String>> {
        let system = |error: io::Error| Error::system(format!("write volume '{}'", volume.name), error);
        let backing = match fill {
            VolumeFill::Backing { volume: name } => {
                let (record, metadata) = self.ours(name)?;
                Some((
                    name.clone(),
                    self.volume_path(name),
                    record.format.clone(),
                    self.summary_of(name, Some(&record), &metadata)?.capacity_bytes,
                ))
            }
            VolumeFill::Empty | VolumeFill::Http { .. } => None,
        };
        let below = backing.as_ref().map_or(0, |(_, _, _, capacity)| *capacity);
        let capacity = volume.capacity.map_or(below, |capacity| capacity.0.bytes());
        if capacity < below {
            let message = format!("a volume that stands on one of {below} bytes can't be smaller");
            return Err(Error::new(ErrorCode::InvalidArg, message).at("capacity"));
        }
        match volume.format() {
            VolumeFormatName::Raw => {
                file.set_len(capacity).map_err(system)?;
                let allocation = volume.allocation.map_or(0, |allocation| allocation.0.bytes()).min(capacity);
                if allocation > 0 {
                    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, allocation)
                        .map_err(|error| system(error.into()))?;
                }
            }
            VolumeFormatName::Qcow2 => {
                let path = backing.as_ref().map(|(_, path, format, _)| (path.display().to_string(), format.clone()));
                let features = volume.target.as_ref().and_then(|target| target.features.as_ref());
                let layout = qcow::new::Layout {
                    virtual_size: capacity,
                    backing: path.as_ref().map(|(path, format)| (path.as_str(), format.as_str())),
                    lazy_refcounts: features.is_some_and(|features| features.lazy_refcounts),
                };
                qcow::new::create(file, &layout).map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidInput => Error::new(ErrorCode::InvalidArg, error.to_string()).at("capacity"),
                    _ => system(error),
                })?;
            }
            other => return Err(unsupported_format(other)),
        }
        Ok(backing.map(|(name, ..)| name))
    }

    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        match self.ours(name) {
            // A crash between the two removals left the record.
            Err(error) if error.code == ErrorCode::NoStorageVol => {
                self.records
                    .remove(name)
                    .map_err(|source| Error::system(format!("remove the record of volume '{name}'"), source))?;
                return Err(error);
            }
            found => drop(found?),
        }
        for other in self.records.names().map_err(|error| Error::system("read the volumes' records", error))? {
            if self.record(&other)?.is_some_and(|record| record.backing.as_deref() == Some(name)) {
                return Err(Error::new(
                    ErrorCode::ResourceBusy,
                    format!("the volume '{name}' is in use: '{other}' stands on it"),
                ));
            }
        }
        let path = self.volume_path(name);
        let _lock = lock::open_exclusively(&path)?;
        // From here on a missing file is our own doing.
        self.records
            .reopen(name)
            .map_err(|error| Error::system(format!("record the end of volume '{name}'"), error))?;
        let system = |error| Error::system(format!("delete {}", path.display()), error);
        file::remove_durably(&path).map_err(system)?;
        self.records.remove(name).map_err(system)
    }

    pub(crate) fn resize(&self, name: &str, capacity: u64) -> Result<VolumeSummary> {
        let (record, _) = self.ours(name)?;
        let path = self.volume_path(name);
        let file = lock::open_exclusively(&path)?;
        let old = capacity_of(&file, &record.format)
            .map_err(|error| Error::system(format!("read {}", path.display()), error))?;
        if capacity < old {
            return Err(Error::new(
                ErrorCode::InvalidArg,
                format!("the volume '{name}' has {old} bytes: it is never made smaller"),
            )
            .at("capacity"));
        }
        let grown = match record.format.as_str() {
            "raw" => file.set_len(capacity),
            "qcow2" => qcow::new::grow(&file, capacity),
            other => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("volumes of format '{other}' can't be made larger"),
            )),
        };
        grown.and_then(|()| file.sync_all()).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => Error::new(ErrorCode::OperationUnsupported, error.to_string()).at("capacity"),
            _ => Error::system(format!("make {} larger", path.display()), error),
        })?;
        let metadata = file.metadata().map_err(|error| Error::system(format!("look at {}", path.display()), error))?;
        self.summary_of(name, Some(&record), &metadata)
    }

    pub(crate) fn list(&self) -> Result<Vec<VolumeSummary>> {
        let system = |error| Error::system(format!("list {}", self.path.display()), error);
        let mut volumes = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(system)? {
            let entry = entry.map_err(system)?;
            // A name that is no UTF-8 can't be told in XML or YAML.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if check_name(&name, "name").is_ok() && entry.file_type().map_err(system)?.is_file() {
                volumes.push(self.get_volume(&name)?);
            }
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    pub(crate) fn get_volume(&self, name: &str) -> Result<VolumeSummary> {
        check_name(name, "name")?;
        let missing =
            || Error::new(ErrorCode::NoStorageVol, format!("no volume '{name}' in pool '{}'", self.definition.name));
        let metadata = self.file(name)?.filter(Metadata::is_file).ok_or_else(missing)?;
        let record = self.record(name)?.filter(|record| record.is_of(&metadata));
        self.summary_of(name, record.as_ref(), &metadata)
    }

    /// A volume as a guest uses it, with the chain below it by our own records.
    pub(crate) fn resolve(&self, name: &str) -> Result<ResolvedVolume> {
        let summary = self.get_volume(name)?;
        let mut backing = Vec::new();
        let mut next = self.record(name)?.and_then(|record| record.backing);
        while let Some(below) = next {
            if backing.len() >= MAX_CHAIN {
                return Err(Error::new(
                    ErrorCode::OperationUnsupported,
                    format!("more than {MAX_CHAIN} images stand on each other below volume '{name}'"),
                ));
            }
            let summary = self.get_volume(&below)?;
            next = self.record(&below)?.and_then(|record| record.backing);
            backing.push((summary.path, summary.format));
        }
        Ok(ResolvedVolume { path: summary.path, format: summary.format, backing })
    }

    fn summary_of(&self, name: &str, record: Option<&Record>, metadata: &Metadata) -> Result<VolumeSummary> {
        let path = self.volume_path(name);
        let capacity = match record {
            Some(record) if record.format == "qcow2" => File::open(&path)
                .and_then(|file| capacity_of(&file, &record.format))
                .map_err(|error| Error::system(format!("read {}", path.display()), error))?,
            _ => metadata.len(),
        };
        Ok(self.told(name, record, metadata, capacity))
    }

    fn told(&self, name: &str, record: Option<&Record>, metadata: &Metadata, capacity_bytes: u64) -> VolumeSummary {
        VolumeSummary {
            name: name.to_owned(),
            path: self.volume_path(name),
            // What is not recorded is never guessed: its first bytes may be a guest's work.
            format: record.map_or("raw", |record| record.format.as_str()).to_owned(),
            capacity_bytes,
            allocation_bytes: metadata.blocks() * 512,
            backing: record.and_then(|record| record.backing.as_deref()).map(|backing| self.volume_path(backing)),
            owner: record.map(|record| record.owner),
            mark: record.and_then(|record| record.mark.clone()),
        }
    }
}

/// A new file in place of what a creation before this one may have left.
fn make_anew(path: &Path) -> io::Result<File> {
    let make = || File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            make()
        }
        made => made,
    }
}

fn capacity_of(file: &File, format: &str) -> io::Result<u64> {
    match format {
        "qcow2" => Qcow2::read(file).map(|header| header.virtual_size),
        _ => file.metadata().map(|metadata| metadata.len()),
    }
}

fn unsupported_format(format: VolumeFormatName) -> Error {
    Error::new(
        ErrorCode::ConfigUnsupported,
        format!("volumes of format '{format}' are not supported: 'raw' and 'qcow2' are"),
    )
    .at("target.format.type")
}

/// What no host's driver can make, found without a host: the same rules as when it is made.
///
/// # Errors
/// As [`ostler_driver::Storage::create_volume`]'s.
pub fn check_volume_anywhere(volume: &StorageVolume, fill: &VolumeFill) -> Result<()> {
    volume_is_valid(volume, fill)
}

fn volume_is_valid(volume: &StorageVolume, fill: &VolumeFill) -> Result<()> {
    let mut checked = volume.clone();
    // What fills a volume can also say how large it is.
    if !matches!(fill, VolumeFill::Empty) {
        checked.capacity.get_or_insert_default();
    }
    checked.validate()?;
    crate::unsupported::check_volume(volume)?;
    if volume.backing_store.is_some() {
        return Err(Error::new(ErrorCode::ConfigUnsupported, "the image below is named by spec.source.backing")
            .at("backingStore"));
    }
    let format = volume.format();
    if !matches!(format, VolumeFormatName::Raw | VolumeFormatName::Qcow2) {
        return Err(unsupported_format(format));
    }
    if matches!(fill, VolumeFill::Backing { .. }) && format == VolumeFormatName::Raw {
        return Err(Error::new(ErrorCode::ConfigUnsupported, "a raw volume can't stand on another: use qcow2")
            .at("target.format.type"));
    }
    let Some(target) = &volume.target else { return Ok(()) };
    if target.compat.as_deref().is_some_and(|compat| compat != "1.1") {
        return Err(Error::new(ErrorCode::ConfigUnsupported, "only version 1.1 of qcow2 is made").at("target.compat"));
    }
    if target.cluster_size.is_some_and(|size| size.0.bytes() != 64 << 10) {
        return Err(Error::new(ErrorCode::ConfigUnsupported, "only clusters of 64Ki are made").at("target.clusterSize"));
    }
    if target.features.as_ref().is_some_and(|features| features.extended_l2) {
        return Err(Error::new(ErrorCode::ConfigUnsupported, "images with subclusters are not made")
            .at("target.features.extendedL2"));
    }
    Ok(())
}
