//! `<shmem>`: memory that guests share.

use ostler_conf::domain::{Shmem, ShmemModel, ShmemRole};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::chardev::{self, Backend};
use super::{Args, Props, Setup, alias};

/// What there is to share unless it is said: 4 MiB.
const SIZE: u64 = 4 << 20;

/// Where the memory is, by its name.
pub(crate) const FOLDER: &str = "/dev/shm";

/// How much there is to share, in bytes.
pub(crate) fn size(shmem: &Shmem) -> u64 {
    shmem.size.as_ref().map_or(SIZE, |size| size.0.bytes())
}

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for shmem in &setup.domain.devices.shmems {
        let name = alias(&shmem.alias);
        let role = shmem.role.map(|role| if role == ShmemRole::Master { "on" } else { "off" });
        // libvirt writes the socket of a server behind the device; QEMU makes character devices first at any rate.
        let mut server = None;
        let props = match shmem.model {
            Some(ShmemModel::Plain) => {
                let memory = format!("shmmem-{name}");
                args.object(
                    Props::object("memory-backend-file", &*memory)
                        .put("mem-path", format!("{FOLDER}/{}", shmem.name))
                        .put("size", size(shmem))
                        .put("share", true),
                );
                Props::driver("ivshmem-plain").put("id", name).put("memdev", memory).maybe("master", role)
            }
            Some(ShmemModel::Doorbell) => {
                let chardev = format!("char{name}");
                let path =
                    shmem.server.clone().unwrap_or_else(|| format!("/var/lib/libvirt/shmem-{}-sock", shmem.name));
                server = Some((chardev.clone(), path));
                let msi = shmem.msi.as_ref();
                Props::driver("ivshmem-doorbell")
                    .put("id", name)
                    .put("chardev", chardev)
                    .maybe("vectors", msi.and_then(|msi| msi.vectors))
                    .maybe("ioeventfd", msi.and_then(|msi| msi.ioeventfd).map(|on| on.0))
                    .maybe("master", role)
            }
            Some(ShmemModel::Ivshmem) | None => {
                let message =
                    format!("QEMU has no shared memory of the model 'ivshmem' (that of '{}') any more", shmem.name);
                return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("devices.shmems"));
            }
        };
        let props = props.address(setup.domain, &shmem.address)?.acpi_index(shmem.acpi.as_ref());
        args.device(setup, props);
        if let Some((chardev, path)) = server {
            chardev::write(setup, args, &chardev, Backend::connecting(&path));
        }
    }
    Ok(())
}
