//! The firmware: a file in place of the machine's own, or flash of the guest's own.

use ostler_conf::Domain;
use ostler_conf::domain::{DiskSource, FileSource, FirmwareFormat, ImageFormatName, LoaderKind};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::{Args, Setup};

/// The flash images, as QEMU's block layer knows them.
pub(super) fn flash(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let os = &setup.domain.os;
    if os.firmware.is_some() && os.loader.as_ref().is_none_or(|loader| loader.path.is_none()) {
        let message = "the host has no firmware of the kind that is wanted";
        return Err(Error::new(ErrorCode::OperationFailed, message).at("os.firmware"));
    }
    for (at, image) in images(setup.domain).into_iter().enumerate() {
        let flash =
            super::disk::Flash { at, source: image.source, format: image.format, read_only: image.is_read_only };
        super::disk::flash(setup, args, flash, image.is_program)?;
    }
    Ok(())
}

/// The node on top of each flash image.
pub(super) fn nodes(setup: &Setup<'_>) -> Vec<String> {
    let layer = |image: &FlashImage| {
        if super::disk::flash_has_format(setup, image.format, image.is_program) { "format" } else { "storage" }
    };
    let images = images(setup.domain);
    images.iter().enumerate().map(|(at, image)| format!("libvirt-pflash{at}-{}", layer(image))).collect()
}

struct FlashImage {
    source: DiskSource,
    format: ImageFormatName,
    is_read_only: bool,
    /// The program is shared by guests: QEMU is told its format at any rate.
    is_program: bool,
}

fn images(domain: &Domain) -> Vec<FlashImage> {
    let Some(loader) = domain.os.loader.as_ref().filter(|loader| loader.r#type == Some(LoaderKind::Pflash)) else {
        return Vec::new();
    };
    let Some(path) = &loader.path else { return Vec::new() };
    let is_read_only = loader.readonly.is_some_and(|on| on.0);
    let (source, format) = (file(path), image_format(loader.format));
    let mut images = vec![FlashImage { source, format, is_read_only, is_program: true }];
    if let Some(nvram) = &domain.os.nvram {
        let source = match (&nvram.path, &nvram.source) {
            (Some(path), _) => file(path),
            (None, Some(source)) => source.clone(),
            (None, None) => return images,
        };
        let format = image_format(nvram.format);
        images.push(FlashImage { source, format, is_read_only: false, is_program: false });
    }
    images
}

fn file(path: &str) -> DiskSource {
    DiskSource::File(FileSource { file: Some(path.to_owned()), ..FileSource::default() })
}

fn image_format(format: Option<FirmwareFormat>) -> ImageFormatName {
    match format {
        Some(FirmwareFormat::Qcow2) => ImageFormatName::Qcow2,
        Some(FirmwareFormat::Raw) | None => ImageFormatName::Raw,
    }
}

/// A file in place of the machine's own firmware; and whether flash is out of the guest's reach but in System Management Mode.
pub(super) fn rom(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(loader) = &setup.domain.os.loader else { return Ok(()) };
    match (loader.r#type, &loader.path) {
        (Some(LoaderKind::Rom) | None, Some(path)) => args.option("-bios", path.clone()),
        (Some(LoaderKind::Pflash), _) if loader.secure.is_some_and(|on| on.0) => {
            args.option("-global", "driver=cfi.pflash01,property=secure,value=on");
        }
        _ => {}
    }
    Ok(())
}
