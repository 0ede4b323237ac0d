//! `<filesystem>`: directories of the host, by 9p or by virtiofs.

use ostler_conf::domain::{
    Filesystem, FilesystemAccess, FilesystemDriverKind, FilesystemMultidevs, FilesystemSource, FilesystemWritePolicy,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::{Args, Props, Setup, alias, chardev, escape, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for filesystem in &setup.domain.devices.filesystems {
        let kind = filesystem.driver.as_ref().and_then(|driver| driver.r#type);
        match kind {
            Some(FilesystemDriverKind::Virtiofs) => virtiofs(setup, args, filesystem)?,
            Some(FilesystemDriverKind::Mtp) => media(setup, args, filesystem)?,
            _ => plan9(setup, args, filesystem)?,
        }
    }
    Ok(())
}

fn tag(filesystem: &Filesystem) -> &str {
    filesystem.target.as_ref().map_or("", |target| &target.dir)
}

/// The daemon's socket is the guest's disk.
fn virtiofs(setup: &Setup<'_>, args: &mut Args, filesystem: &Filesystem) -> Result<()> {
    let name = alias(&filesystem.alias);
    let given = match &filesystem.source {
        FilesystemSource::Mount(mount) => mount.socket.clone(),
        _ => None,
    };
    let own = || setup.runtime.dir.join(format!("{name}-fs.sock")).to_string_lossy().into_owned();
    let socket = given.unwrap_or_else(own);
    chardev::write(setup, args, &format!("chr-vu-{name}"), chardev::Backend::connecting(&socket));
    let driver = filesystem.driver.as_ref();
    let props = virtio::device("vhost-user-fs", filesystem.model, &filesystem.address, driver.map(|d| &d.virtio))
        .put("id", name)
        .put("chardev", format!("chr-vu-{name}"))
        .maybe("queue-size", driver.and_then(|driver| driver.queue).filter(|size| *size > 0))
        .put("tag", tag(filesystem))
        .maybe("bootindex", filesystem.boot.as_ref().map(|boot| boot.order))
        .address(setup.domain, &filesystem.address)?;
    args.zpci(setup, &filesystem.address, &filesystem.alias);
    args.device(setup, props);
    Ok(())
}

/// A camera or player on USB.
fn media(setup: &Setup<'_>, args: &mut Args, filesystem: &Filesystem) -> Result<()> {
    let dir = match &filesystem.source {
        FilesystemSource::Mount(mount) => mount.dir.as_deref(),
        _ => None,
    };
    let props = Props::driver("usb-mtp")
        .put("id", alias(&filesystem.alias))
        .maybe("rootdir", dir)
        .put("desc", tag(filesystem))
        .put("readonly", filesystem.readonly)
        .address(setup.domain, &filesystem.address)?;
    args.device(setup, props);
    Ok(())
}

fn plan9(setup: &Setup<'_>, args: &mut Args, filesystem: &Filesystem) -> Result<()> {
    let name = alias(&filesystem.alias);
    let FilesystemSource::Mount(mount) = &filesystem.source else {
        let message = "QEMU shows its guests directories of the host, and nothing else as a file system";
        return Err(Error::new(ErrorCode::ConfigUnsupported, message)
            .at(format!("devices.filesystems[{}].source", filesystem.name)));
    };
    let driver = filesystem.driver.as_ref();
    let is_handle = driver.and_then(|driver| driver.r#type) == Some(FilesystemDriverKind::Handle);
    let mut options = vec![if is_handle { "handle" } else { "local" }.to_owned()];
    if !is_handle {
        let model = match filesystem.accessmode {
            Some(FilesystemAccess::Mapped) => "mapped",
            Some(FilesystemAccess::Squash) => "none",
            Some(FilesystemAccess::Passthrough) | None => "passthrough",
        };
        options.push(format!("security_model={model}"));
        let multidevs = filesystem.multidevs.map(FilesystemMultidevs::word);
        options.extend(multidevs.map(|word| format!("multidevs={word}")));
        // Modes are octal: a leading zero says so.
        let octal = |mode: &Option<String>| mode.as_ref().map(|mode| format!("{:0>4}", mode.trim_start_matches('0')));
        options.extend(octal(&filesystem.fmode).map(|mode| format!("fmode={mode}")));
        options.extend(octal(&filesystem.dmode).map(|mode| format!("dmode={mode}")));
    }
    if driver.and_then(|driver| driver.wrpolicy) == Some(FilesystemWritePolicy::Immediate) {
        options.push("writeout=immediate".to_owned());
    }
    options.push(format!("id=fsdev-{name}"));
    options.push(format!("path={}", escape(mount.dir.as_deref().unwrap_or_default())));
    if filesystem.readonly {
        options.push("readonly".to_owned());
    }
    args.option("-fsdev", options.join(","));
    let props = virtio::device("virtio-9p", filesystem.model, &filesystem.address, driver.map(|d| &d.virtio))
        .put("id", name)
        .put("fsdev", format!("fsdev-{name}"))
        .put("mount_tag", tag(filesystem))
        .address(setup.domain, &filesystem.address)?;
    args.zpci(setup, &filesystem.address, &filesystem.alias);
    args.device(setup, props);
    Ok(())
}
