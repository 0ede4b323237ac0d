//! Which device the firmware tries when.

use ostler_conf::Domain;
use ostler_conf::domain::{Boot, BootDevice, DiskDevice};

/// The boot indices of devices, by the place in their lists.
#[derive(Debug, Default)]
pub(super) struct BootOrder {
    disks: Vec<Option<u32>>,
    interfaces: Vec<Option<u32>>,
}

impl BootOrder {
    pub(super) fn of(domain: &Domain) -> Self {
        let devices = &domain.devices;
        let own = |boot: &Option<Boot>| boot.as_ref().map(|boot| boot.order);
        let mut order = BootOrder {
            disks: devices.disks.iter().map(|disk| own(&disk.boot)).collect(),
            interfaces: devices.interfaces.iter().map(|interface| own(&interface.boot)).collect(),
        };
        // `<boot dev>` means the first device of its kind.
        for (number, entry) in (1..).zip(&domain.os.boot) {
            let first = |wanted: &[DiskDevice]| devices.disks.iter().position(|disk| wanted.contains(&disk.device()));
            let place = match entry.dev {
                BootDevice::Hd => first(&[DiskDevice::Disk, DiskDevice::Lun]).map(|at| &mut order.disks[at]),
                BootDevice::Cdrom => first(&[DiskDevice::Cdrom]).map(|at| &mut order.disks[at]),
                BootDevice::Fd => first(&[DiskDevice::Floppy]).map(|at| &mut order.disks[at]),
                BootDevice::Network => order.interfaces.first_mut(),
            };
            if let Some(place) = place {
                place.get_or_insert(number);
            }
        }
        order
    }

    pub(super) fn disk(&self, at: usize) -> Option<u32> {
        self.disks.get(at).copied().flatten()
    }

    pub(super) fn interface(&self, at: usize) -> Option<u32> {
        self.interfaces.get(at).copied().flatten()
    }
}
