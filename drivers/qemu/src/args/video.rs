//! `<video>`: graphics cards.

use ostler_conf::domain::{Address, Video, VideoDriverName, VideoKind, VideoModel};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::chardev::{self, Backend};
use super::{Args, Props, Setup, address, alias, virtio};
use crate::probe::Flag;

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for (at, video) in setup.domain.devices.videos.iter().enumerate() {
        let Some(model) = &video.model else { continue };
        if model.r#type == VideoKind::None {
            continue;
        }
        if let Some(zpci) = address::zpci(setup.domain, &video.address, &video.alias) {
            args.device(setup, zpci);
        }
        device(setup, video, model, at, args)?;
    }
    Ok(())
}

fn device(setup: &Setup<'_>, video: &Video, model: &VideoModel, at: usize, args: &mut Args) -> Result<()> {
    let name = alias(&video.alias);
    let driver = video.driver.as_ref();
    let is_program = driver.and_then(|driver| driver.name) == Some(VideoDriverName::Vhostuser);
    let is_primary = model.primary.is_some_and(|on| on.0);
    let chardev = format!("chr-vu-{name}");
    if is_program && model.r#type == VideoKind::Virtio {
        let socket = setup.runtime.videos.get(name).copied().ok_or_else(|| {
            Error::new(ErrorCode::InternalError, format!("nothing was opened for the video device '{name}'"))
        })?;
        chardev::write(setup, args, &chardev, Backend::descriptor(socket));
    }
    let Some(kind) = driver_of(setup, video, model, is_primary, is_program) else {
        let message = format!("QEMU has no video device '{}'", model.r#type.word());
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at(format!("devices.videos[{at}].model.type")));
    };
    let is_virtio = model.r#type == VideoKind::Virtio;
    let props = Props::driver(kind);
    // What is compatible with VGA is no plain virtio device.
    let has_options = is_virtio && !is_vga(setup, video, model);
    let props = if has_options { props.virtio(driver.map(|driver| &driver.virtio)) } else { props };
    let mut props = props.put("id", name);
    let mib = |kib: u64| kib >> 10;
    match model.r#type {
        VideoKind::Virtio => {
            props = props.maybe("max_outputs", model.heads.filter(|heads| *heads > 0));
        }
        VideoKind::Qxl => {
            props = props
                .maybe("max_outputs", model.heads.filter(|heads| *heads > 0))
                .maybe("ram_size", model.ram.map(|kib| kib << 10))
                .maybe("vram_size", model.vram.map(|kib| kib << 10))
                .put("vram64_size_mb", mib(model.vram64.unwrap_or(0)))
                .maybe("vgamem_mb", model.vgamem.map(mib));
        }
        VideoKind::Vga | VideoKind::Vmvga => {
            props = props.maybe("vgamem_mb", model.vram.filter(|vram| *vram > 0).map(mib));
        }
        VideoKind::Bochs => props = props.maybe("vgamem", model.vram.filter(|vram| *vram > 0).map(|kib| kib << 10)),
        _ => {}
    }
    if is_program && is_virtio {
        props = props.put("chardev", chardev);
    }
    if let Some(resolution) = &model.resolution {
        props = props.put("xres", resolution.x).put("yres", resolution.y);
    }
    props = props.maybe("edid", model.edid.map(|on| on.0));
    props = props.maybe("blob", model.blob.map(|on| on.0));
    let props = props.address(setup.domain, &video.address)?.acpi_index(video.acpi.as_ref());
    args.device(setup, props);
    Ok(())
}

/// QEMU's name of a graphics card. The first card of a guest is compatible with VGA where there is one that is.
fn driver_of(
    setup: &Setup<'_>,
    video: &Video,
    model: &VideoModel,
    is_primary: bool,
    is_program: bool,
) -> Option<String> {
    let is_ccw = matches!(video.address, Some(Address::Ccw(_)));
    Some(match model.r#type {
        VideoKind::Vga => "VGA".to_owned(),
        VideoKind::Cirrus => "cirrus-vga".to_owned(),
        VideoKind::Vmvga => "vmware-svga".to_owned(),
        VideoKind::Qxl if is_primary => "qxl-vga".to_owned(),
        VideoKind::Qxl => "qxl".to_owned(),
        VideoKind::Bochs => "bochs-display".to_owned(),
        VideoKind::Ramfb => "ramfb".to_owned(),
        VideoKind::Virtio => {
            let has_gl =
                model.acceleration.as_ref().and_then(|acceleration| acceleration.accel3d).is_some_and(|on| on.0);
            let is_vga = is_vga(setup, video, model);
            match (is_program, is_vga) {
                (true, true) => "vhost-user-vga".to_owned(),
                (true, false) => virtio::driver("vhost-user-gpu", None, &video.address),
                (false, true) if has_gl && setup.capabilities.has(Flag::VirtioVgaGl) => "virtio-vga-gl".to_owned(),
                (false, true) => "virtio-vga".to_owned(),
                (false, false) if has_gl && !is_ccw && setup.capabilities.has(Flag::VirtioGpuGlPci) => {
                    "virtio-gpu-gl-pci".to_owned()
                }
                (false, false) => virtio::driver("virtio-gpu", None, &video.address),
            }
        }
        _ => return None,
    })
}

/// Whether a virtio card is the machine's VGA.
fn is_vga(setup: &Setup<'_>, video: &Video, model: &VideoModel) -> bool {
    model.primary.is_some_and(|on| on.0)
        && !matches!(video.address, Some(Address::Ccw(_)))
        && setup.capabilities.has(Flag::VirtioVga)
        && !super::platform::is_arm(setup.domain)
}
