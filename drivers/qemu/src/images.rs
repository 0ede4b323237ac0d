//! The image of a disk with those that it stands on, found without guessing what a guest could have written.

mod qcow2;

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use ostler_conf::domain::{BackingChain, Disk, DiskSource, ImageFormatName};
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
    let chain = match &disk.source {
        None => return Ok(None),
        Some(DiskSource::Volume(source)) => {
            let volume = storage.resolve(&source.pool, &source.volume).await.map_err(at_source)?;
            of_volume(disk, volume).map_err(at_source)?
        }
        Some(source) => {
            let Some(path) = source.path().map(PathBuf::from) else { return Ok(None) };
            let (format, backing) = (driver_name(disk.format()).to_owned(), disk.backing_chain.clone());
            let found = tokio::task::spawn_blocking(move || of_file(path, format, backing));
            found
                .await
                .unwrap_or_else(|panic| Err(Error::new(ErrorCode::InternalError, panic.to_string())))
                .map_err(at_source)?
        }
    };
    Ok(Some(chain))
}

fn of_volume(disk: &Disk, volume: ResolvedVolume) -> Result<Chain> {
    let chosen = disk.driver.as_ref().and_then(|driver| driver.r#type).map(|format| driver_name(format).to_owned());
    let images = std::iter::once((volume.path, chosen.unwrap_or(volume.format))).chain(volume.backing);
    let images = images.map(|(path, format)| image(path, plain(&format)));
    Ok(Chain { images: images.collect::<Result<_>>()?, is_whole: true })
}

fn of_file(path: PathBuf, format: String, backing: Option<BackingChain>) -> Result<Chain> {
    let mut images = vec![image(path, &format)?];
    match backing {
        None => follow(&mut images)?,
        Some(BackingChain(given)) => {
            for below in &given {
                let path = below
                    .path()
                    .map(PathBuf::from)
                    .ok_or_else(|| unsupported("a backing image must be a file or a block device".into()))?;
                let format = below.format.as_ref().and_then(|format| format.r#type).map(driver_name);
                images.push(image(path, format.unwrap_or("raw"))?);
            }
            if given.last().is_some_and(|last| last.detect_below) {
                follow(&mut images)?;
            }
        }
    }
    Ok(Chain { images, is_whole: true })
}

/// Adds what the last image says that it stands on, and so on.
fn follow(images: &mut Vec<Image>) -> Result<()> {
    while let Some(last) = images.last().filter(|last| last.format == "qcow2") {
        let path = last.path.clone();
        let header = qcow2::backing(&path)
            .map_err(|error| Error::system(format!("read the header of {}", path.display()), error))?;
        let Some(qcow2::Backing { name, format }) = header else { break };
        let format = format.ok_or_else(|| {
            unsupported(format!(
                "the image {} says that it stands on '{name}', but not of which format that is",
                path.display()
            ))
        })?;
        let is_plain = !name.contains(':') || name.starts_with('/');
        let name = Some(name)
            .filter(|_| is_plain)
            .ok_or_else(|| unsupported(format!("the image {} stands on no file", path.display())))?;
        let below = path.parent().unwrap_or(Path::new("/")).join(name);
        if images.len() >= MAX_DEPTH || images.iter().any(|image| image.path == below) {
            return Err(unsupported(format!("the chain of images below {} has no end", path.display())));
        }
        images.push(image(below, plain(&format))?);
    }
    Ok(())
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, message)
}

fn image(path: PathBuf, format: &str) -> Result<Image> {
    let metadata = std::fs::metadata(&path).map_err(|error| missing(&path, error))?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(unsupported(format!("{} is neither a file nor a block device", path.display())));
    }
    Ok(Image { path, format: format.to_owned(), is_block: kind.is_block_device() })
}

fn missing(path: &Path, error: io::Error) -> Error {
    Error::system(format!("open the image {}", path.display()), error)
}

/// A CD image is raw bytes, and so are the formats that a block device may be said to have.
fn plain(format: &str) -> &str {
    match format {
        "iso" | "host_device" | "file" => "raw",
        other => other,
    }
}

/// QEMU's name of a format.
pub(crate) const fn driver_name(format: ImageFormatName) -> &'static str {
    match format {
        ImageFormatName::Iso => "raw",
        other => other.word(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn names(chain: Result<Chain>) -> Vec<(String, String)> {
        let name = |image: &Image| image.path.file_name().unwrap().to_str().unwrap().to_owned();
        chain.unwrap().images.iter().map(|image| (name(image), image.format.clone())).collect()
    }

    #[test]
    fn follows_recorded_formats_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("base"), vec![0; 512]).unwrap();
        qcow2::tests::write(&path("middle"), Some(("base", Some("raw"))));
        qcow2::tests::write(&path("top"), Some((path("middle").to_str().unwrap(), Some("qcow2"))));
        qcow2::tests::write(&path("unsaid"), Some(("base", None)));
        qcow2::tests::write(&path("loop"), Some(("loop", Some("qcow2"))));
        qcow2::tests::write(&path("remote"), Some(("nbd://host/x", Some("raw"))));
        qcow2::tests::write(&path("lost"), Some(("nowhere", Some("raw"))));
        let chain = |name: &str| of_file(path(name), "qcow2".into(), None);
        let expected =
            [("top", "qcow2"), ("middle", "qcow2"), ("base", "raw")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(names(chain("top")), expected);
        for (name, code) in [
            ("unsaid", ErrorCode::ConfigUnsupported),
            ("loop", ErrorCode::ConfigUnsupported),
            ("remote", ErrorCode::ConfigUnsupported),
            ("lost", ErrorCode::SystemError),
        ] {
            assert_eq!(chain(name).unwrap_err().code, code, "{name}");
        }
        // The same bytes as raw are just bytes.
        assert_eq!(names(of_file(path("top"), "raw".into(), None)).len(), 1);
        assert_eq!(names(of_file(path("top"), "qcow2".into(), Some(BackingChain::default()))).len(), 1);
    }
}
