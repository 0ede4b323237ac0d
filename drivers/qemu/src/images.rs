//! The image of a disk with those that it stands on, found without guessing what a guest could have written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use ostler_conf::domain::{
    BackingChain, DataStore, DataStoreFile, DataStoreSource, Disk, DiskSource, FileSource, ImageFormat,
    ImageFormatName, VolumeSource,
};
use ostler_conf::values::Rare;
use ostler_driver::image::{self, ImageError};
use ostler_driver::{Error, ResolvedVolume, Result, Storage};
use ostler_util::ErrorCode;

use crate::args::{Chain, Image};

/// The longest chain that is followed.
const MAX_DEPTH: usize = 200;

/// The images of `disk`; `None` for an empty drive.
///
/// # Errors
/// `SystemError` for a file that is missing; the storage driver's for a volume; `ConfigUnsupported` for an image whose
/// backing image has no recorded format.
pub(crate) async fn resolve(disk: &Disk, storage: &dyn Storage) -> Result<Option<Chain>> {
    let at_source = |error: Error| Error {
        field: error.field.or_else(|| Some(format!("devices.disks[{}].source", disk.name))),
        ..error
    };
    let chain = if let Some(DiskSource::Volume(source)) = &disk.source {
        let volume = storage.resolve(&source.pool, &source.volume).await.map_err(at_source)?;
        let (disk, source) = (disk.clone(), source.clone());
        tokio::task::spawn_blocking(move || of_volume(&disk, &source, volume))
    } else {
        let Some(given) = Chain::defined(disk) else { return Ok(None) };
        let backing = disk.backing_chain.clone();
        tokio::task::spawn_blocking(move || found(given, backing.as_ref()))
    };
    let chain = chain.await.unwrap_or_else(|panic| Err(Error::new(ErrorCode::InternalError, panic.to_string())));
    chain.map(Some).map_err(at_source)
}

fn of_volume(disk: &Disk, source: &VolumeSource, volume: ResolvedVolume) -> Result<Chain> {
    let mut top =
        image(&volume.path, disk.driver.as_ref().and_then(|driver| driver.r#type).unwrap_or(plain(&volume.format)))?;
    *top.source.common_mut() = source.common.clone();
    top.is_host_cdrom = is_cdrom(&volume.path);
    top.metadata_cache = Chain::defined(disk).and_then(|chain| chain.images.first()?.metadata_cache);
    let below = volume.backing.iter().map(|(path, format)| image(path, plain(format)));
    let images: Vec<Image> = std::iter::once(Ok(top)).chain(below).collect::<Result<_>>()?;
    images.iter().try_for_each(holds_its_data)?;
    Ok(Chain { images, is_whole: true })
}

/// A volume's data is in the volume. Who made the image could name any other file of the host, and QEMU would open it.
fn holds_its_data(image: &Image) -> Result<()> {
    let Some(path) = image.path().filter(|_| can_stand_on(image.format)) else { return Ok(()) };
    let header = File::open(path).and_then(|file| image::header(&file, image.format));
    let header = header.map_err(|error| Error::system(format!("read the header of {}", path.display()), error))?;
    match header.data_file {
        Some(name) => {
            Err(unsupported(format!("the image {} keeps its data in another file, '{name}'", path.display())))
        }
        None => Ok(()),
    }
}

/// A chain as the definition tells it, held against what is there.
fn found(given: Chain, backing: Option<&BackingChain>) -> Result<Chain> {
    let mut images = given.images.into_iter().map(present).collect::<Result<Vec<Image>>>()?;
    let is_told = backing.is_some_and(|backing| backing.0.last().is_none_or(|last| !last.detect_below));
    if !is_told {
        follow(&mut images)?;
    }
    Ok(Chain { images, is_whole: true })
}

/// An image that must be there; what it is on this host counts, file or block device.
fn present(given: Image) -> Result<Image> {
    let (DiskSource::File(_) | DiskSource::Block(_), Some(path)) = (&given.source, given.path()) else {
        return Ok(given);
    };
    let mut found = image(path, given.format)?;
    *found.source.common_mut() = given.source.common().clone();
    if let (DiskSource::File(found), DiskSource::File(FileSource { fdgroup, .. })) = (&mut found.source, &given.source)
    {
        found.fdgroup = fdgroup.clone();
    }
    found.is_host_cdrom = is_cdrom(path);
    Ok(Image { metadata_cache: given.metadata_cache, ..found })
}

/// Adds what the last image says that it stands on, and so on.
fn follow(images: &mut Vec<Image>) -> Result<()> {
    let Some(last) = images.last_mut().filter(|last| can_stand_on(last.format)) else { return Ok(()) };
    let Some(path) = last.path().map(Path::to_owned) else {
        let message = "what an image on another machine stands on is not looked up: tell it by <backingStore>";
        return Err(unsupported(message.into()));
    };
    let chain = image::Chain::detect(&path, Some(last.format), MAX_DEPTH).map_err(cant_follow)?;
    let mut layers = chain.layers.into_iter();
    keep_data(last, layers.next().and_then(|layer| layer.data_file));
    for layer in layers {
        let place = layer.source.path().map(PathBuf::from).ok_or_else(|| {
            unsupported(format!("the chain of images below {} leads to another machine", path.display()))
        })?;
        let mut below = image(&place, layer.format)?;
        keep_data(&mut below, layer.data_file);
        images.push(below);
    }
    Ok(())
}

/// An image's data is where its header says, unless the definition says it.
fn keep_data(image: &mut Image, data: Option<DiskSource>) {
    if let Some(path) = data.as_ref().and_then(DiskSource::path) {
        image.source.common_mut().data_store.get_or_insert_with(|| data_store(Path::new(path)));
    }
}

fn cant_follow(error: ImageError) -> Error {
    let message = |error: &dyn std::error::Error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let code = match &error {
        ImageError::Open { .. } | ImageError::Header { .. } => ErrorCode::SystemError,
        _ => ErrorCode::ConfigUnsupported,
    };
    Error::new(code, message(&error)).with_source(error)
}

/// The formats whose images can stand on others.
const fn can_stand_on(format: ImageFormatName) -> bool {
    matches!(format, ImageFormatName::Qcow2 | ImageFormatName::Qed | ImageFormatName::Qcow | ImageFormatName::Vmdk)
}

fn data_store(path: &Path) -> DataStore {
    let file = path.to_string_lossy().into_owned();
    DataStore {
        format: Some(ImageFormat { r#type: Some(ImageFormatName::Raw), metadata_cache: None }),
        source: Some(DataStoreSource::File(DataStoreFile { file, index: None, private_data: Rare::default() })),
    }
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, message)
}

fn image(path: &Path, format: ImageFormatName) -> Result<Image> {
    let metadata = std::fs::metadata(path).map_err(|error| missing(path, error))?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(unsupported(format!("{} is neither a file nor a block device", path.display())));
    }
    let format = if format == ImageFormatName::Iso { ImageFormatName::Raw } else { format };
    Ok(Image::new(path, format, kind.is_block_device()))
}

fn missing(path: &Path, error: io::Error) -> Error {
    Error::system(format!("open the image {}", path.display()), error)
}

/// Whether the kernel names a device as the host's drive for CDs.
fn is_cdrom(path: &Path) -> bool {
    path.starts_with("/dev/cdrom") || path.to_string_lossy().starts_with("/dev/sr")
}

/// The format of that name. A CD image is raw bytes, and so are the formats that a block device may be said to have.
fn plain(word: &str) -> ImageFormatName {
    let known = ImageFormatName::ALL.iter().copied().find(|format| format.word() == word);
    known.filter(|format| *format != ImageFormatName::Iso).unwrap_or(ImageFormatName::Raw)
}

#[cfg(test)]
pub(crate) mod tests {
    use ostler_driver::image::samples;

    use super::*;

    fn names(chain: Result<Chain>) -> Vec<(String, String)> {
        let name = |image: &Image| image.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        chain.unwrap().images.iter().map(|image| (name(image), image.format.word().to_owned())).collect()
    }

    #[test]
    fn follows_recorded_formats_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("base"), vec![0; 512]).unwrap();
        samples::qcow2(&path("middle"), Some(("base", Some("raw"))));
        samples::qcow2(&path("top"), Some((path("middle").to_str().unwrap(), Some("qcow2"))));
        samples::qcow2(&path("unsaid"), Some(("base", None)));
        samples::qcow2(&path("unsaid2"), Some(("middle", None)));
        samples::qcow2_with_data_in(&path("elsewhere"), "base");
        samples::qcow2(&path("loop"), Some(("loop", Some("qcow2"))));
        samples::qcow2(&path("remote"), Some(("nbd://host/x", Some("raw"))));
        samples::qcow2(&path("lost"), Some(("nowhere", Some("raw"))));
        let of = |name: &str, format: ImageFormatName, backing: Option<&BackingChain>| {
            found(Chain { images: vec![Image::new(&path(name), format, false)], is_whole: false }, backing)
        };
        let chain = |name: &str| of(name, ImageFormatName::Qcow2, None);
        let expected =
            [("top", "qcow2"), ("middle", "qcow2"), ("base", "raw")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(names(chain("top")), expected);
        for (name, code) in [
            ("unsaid2", ErrorCode::ConfigUnsupported),
            ("loop", ErrorCode::ConfigUnsupported),
            ("remote", ErrorCode::ConfigUnsupported),
            ("lost", ErrorCode::SystemError),
        ] {
            assert_eq!(chain(name).unwrap_err().code, code, "{name}");
        }
        // What looks like nothing that stands on more needs no word for it.
        assert_eq!(names(chain("unsaid")).len(), 2);
        let stores = chain("elsewhere").unwrap().images[0].source.common().data_store.clone();
        assert_eq!(stores, Some(data_store(&path("base"))));
        // The same bytes as raw are just bytes.
        assert_eq!(names(of("top", ImageFormatName::Raw, None)).len(), 1);
        assert_eq!(names(of("top", ImageFormatName::Qcow2, Some(&BackingChain::default()))).len(), 1);
    }

    #[test]
    fn a_volume_leads_to_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("base"), vec![0; 512]).unwrap();
        samples::qcow2(&path("plain"), Some(("base", Some("raw"))));
        samples::qcow2_with_data_in(&path("elsewhere"), "base");
        let of = |name: &str, format: ImageFormatName| holds_its_data(&Image::new(&path(name), format, false));
        of("plain", ImageFormatName::Qcow2).unwrap();
        assert_eq!(of("elsewhere", ImageFormatName::Qcow2).unwrap_err().code, ErrorCode::ConfigUnsupported);
        // The same bytes as raw are just bytes.
        of("elsewhere", ImageFormatName::Raw).unwrap();
    }
}
