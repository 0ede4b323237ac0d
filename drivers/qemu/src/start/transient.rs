//! Disks whose writes are lost at the guest's end: these go to an image of this run, which lies over the disk's own and is in
//! the guest's own folder. The disk's own image is only read.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;

use ostler_conf::Domain;
use ostler_conf::domain::{Disk, ImageFormatName};
use ostler_driver::image;
use ostler_driver::image::qcow::new::{Layout, create};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::passwd::Credentials;

use crate::args::{Chain, Image, Runtime};

/// Lays the image of this run, which is going to be in `folder`, over the own images of a disk that is transient; gives
/// whether it is.
pub(super) fn lay_over(disk: &Disk, folder: &Path, chain: &mut Chain) -> bool {
    if disk.transient.is_none() {
        return false;
    }
    let path = folder.join(format!("{}.qcow2", disk.name));
    chain.images.insert(0, Image::new(&path, ImageFormatName::Qcow2, false));
    true
}

/// Makes the images of this run, empty and the guests' user's own.
///
/// # Errors
/// Nobody knows how much the disk holds.
pub(super) fn make(domain: &Domain, runtime: &Runtime, owner: Option<&Credentials>) -> Result<()> {
    for disk in domain.devices.disks.iter().filter(|disk| disk.transient.is_some()) {
        let Some([over, own, ..]) = runtime.images.get(&disk.name).map(|chain| chain.images.as_slice()) else {
            continue;
        };
        let field = format!("devices.disks[{}].transient", disk.name);
        let capacity = capacity(own).map_err(|error| Error::system("find out how much the disk holds", error));
        let Some(virtual_size) = capacity? else {
            let message = "nobody knows how much this disk holds, so that nothing can be laid over it";
            return Err(Error::new(ErrorCode::ConfigUnsupported, message).at(field));
        };
        let path = over.path().unwrap_or(Path::new(""));
        let make = || {
            let mut options = File::options();
            let file = options.write(true).read(true).create_new(true).mode(0o600).open(path)?;
            owner.map_or(Ok(()), |owner| fchown(&file, Some(owner.uid), Some(owner.gid)))?;
            create(&file, &Layout { virtual_size, ..Layout::default() })
        };
        make().map_err(|error| Error::system(format!("make {}", path.display()), error).at(field))?;
    }
    Ok(())
}

/// The bytes that a guest sees of an image on this host; `None`: that is not known.
fn capacity(image: &Image) -> io::Result<Option<u64>> {
    let slices = image.source.common().slices.as_ref();
    let slice = slices.and_then(|slices| slices.slices.first());
    let Some(path) = image.path() else { return Ok(None) };
    match (image.format, slice) {
        (ImageFormatName::Raw, Some(slice)) => Ok(Some(slice.size)),
        (ImageFormatName::Raw, None) => File::open(path)?.seek(SeekFrom::End(0)).map(Some),
        // Its header is not where the file begins.
        (_, Some(_)) => Ok(None),
        (format, None) => Ok(image::header(&File::open(path)?, format)?.capacity),
    }
}

#[cfg(test)]
mod tests {
    use ostler_conf::domain::{Slice, SliceKind, Slices};

    use super::*;

    #[test]
    fn a_disk_holds_what_its_image_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        File::create(path("raw")).unwrap().set_len(3 << 20).unwrap();
        let qcow2 = File::options().create(true).truncate(true).write(true).open(path("qcow2")).unwrap();
        create(&qcow2, &Layout { virtual_size: 7 << 20, ..Layout::default() }).unwrap();
        let of = |name: &str, format, slices: Option<Slices>| {
            let mut image = Image::new(&path(name), format, false);
            image.source.common_mut().slices = slices;
            capacity(&image).unwrap()
        };
        let slices = Slices { slices: vec![Slice { r#type: SliceKind::Storage, offset: 512, size: 1 << 20 }] };
        assert_eq!(of("raw", ImageFormatName::Raw, None), Some(3 << 20));
        assert_eq!(of("raw", ImageFormatName::Raw, Some(slices.clone())), Some(1 << 20));
        assert_eq!(of("qcow2", ImageFormatName::Qcow2, None), Some(7 << 20));
        assert_eq!(of("qcow2", ImageFormatName::Qcow2, Some(slices)), None);
    }
}
