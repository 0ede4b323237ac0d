//! The firmware: a file in place of the machine's own, or flash of the guest's own.

use ostler_conf::Domain;
use ostler_conf::domain::{FirmwareFormat, LoaderKind};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::json;

use super::{Args, Setup, object};

/// The flash images, as QEMU's block layer knows them.
pub(super) fn flash(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let os = &setup.domain.os;
    if os.firmware.is_some() && os.loader.as_ref().is_none_or(|loader| loader.path.is_none()) {
        let message = "the host has no firmware of the kind that is wanted";
        return Err(Error::new(ErrorCode::OperationFailed, message).at("os.firmware"));
    }
    for (at, image) in images(setup.domain).into_iter().enumerate() {
        let storage = format!("libvirt-pflash{at}-storage");
        match image.place {
            Place::File(path) => {
                let mut node =
                    vec![("driver", json!("file")), ("filename", json!(path)), ("node-name", json!(storage))];
                if image.has_format {
                    node.extend([("auto-read-only", json!(true)), ("discard", json!("unmap"))]);
                } else {
                    node.push(("read-only", json!(image.is_read_only)));
                }
                args.json("-blockdev", &object(node));
            }
            Place::Elsewhere => {
                let message = "firmware variables can only be in a file of the host yet";
                return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("os.nvram.source"));
            }
        }
        if image.has_format {
            let node = [
                ("node-name", json!(format!("libvirt-pflash{at}-format"))),
                ("read-only", json!(image.is_read_only)),
                ("driver", json!(image.format.word())),
                ("file", json!(storage)),
            ];
            args.json("-blockdev", &object(node));
        }
    }
    Ok(())
}

/// The node on top of each flash image.
pub(super) fn nodes(domain: &Domain) -> Vec<String> {
    let layer = |image: &FlashImage<'_>| if image.has_format { "format" } else { "storage" };
    let images = images(domain);
    images.iter().enumerate().map(|(at, image)| format!("libvirt-pflash{at}-{}", layer(image))).collect()
}

/// Where an image of a flash is.
enum Place<'a> {
    File(&'a str),
    Elsewhere,
}

struct FlashImage<'a> {
    place: Place<'a>,
    format: FirmwareFormat,
    is_read_only: bool,
    /// Whether the format has a node of its own: a raw image that is written has none.
    has_format: bool,
}

fn images(domain: &Domain) -> Vec<FlashImage<'_>> {
    let Some(loader) = domain.os.loader.as_ref().filter(|loader| loader.r#type == Some(LoaderKind::Pflash)) else {
        return Vec::new();
    };
    let Some(path) = &loader.path else { return Vec::new() };
    let format = loader.format.unwrap_or(FirmwareFormat::Raw);
    // The program is shared by guests: QEMU is told its format at any rate.
    let is_read_only = loader.readonly.is_some_and(|on| on.0);
    let mut images = vec![FlashImage { place: Place::File(path), format, is_read_only, has_format: true }];
    if let Some(nvram) = &domain.os.nvram {
        let format = nvram.format.unwrap_or(FirmwareFormat::Raw);
        let place = match (&nvram.path, &nvram.source) {
            (Some(path), _) => Place::File(path),
            (None, Some(source)) => match source.path() {
                Some(path) if matches!(source, ostler_conf::domain::DiskSource::File(_)) => Place::File(path),
                _ => Place::Elsewhere,
            },
            (None, None) => return images,
        };
        images.push(FlashImage { place, format, is_read_only: false, has_format: format != FirmwareFormat::Raw });
    }
    images
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
