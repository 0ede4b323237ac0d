//! Which device the firmware tries when, and what is booted without it.

use ostler_conf::Domain;
use ostler_conf::domain::{AcpiTableKind, Boot, BootDevice, DiskDevice};
use ostler_driver::Result;

use super::{Args, Setup, escape, on_off};

/// The boot indices of devices, by the place in their lists.
#[derive(Debug, Default)]
pub(crate) struct BootOrder {
    disks: Vec<Option<u32>>,
    interfaces: Vec<Option<u32>>,
    loadparm: Option<String>,
}

impl BootOrder {
    pub(super) fn of(domain: &Domain) -> Self {
        let devices = &domain.devices;
        let own = |boot: &Option<Boot>| boot.as_ref().map(|boot| boot.order);
        let boots = devices.disks.iter().map(|disk| &disk.boot);
        let boots = boots.chain(devices.interfaces.iter().map(|interface| &interface.boot)).flatten();
        let first = boots.clone().filter(|boot| boot.loadparm.is_some()).min_by_key(|boot| boot.order);
        let mut order = BootOrder {
            disks: devices.disks.iter().map(|disk| own(&disk.boot)).collect(),
            interfaces: devices.interfaces.iter().map(|interface| own(&interface.boot)).collect(),
            loadparm: first.and_then(|boot| boot.loadparm.clone()),
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

    pub(crate) fn disk(&self, at: usize) -> Option<u32> {
        self.disks.get(at).copied().flatten()
    }

    pub(crate) fn interface(&self, at: usize) -> Option<u32> {
        self.interfaces.get(at).copied().flatten()
    }

    /// The parameter that the boot loader of s390 gets from the first device that has one.
    pub(super) fn loadparm(&self) -> Option<&str> {
        self.loadparm.as_deref()
    }
}

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let os = &setup.domain.os;
    let mut list = Vec::new();
    let enable = os.bootmenu.as_ref().and_then(|menu| menu.enable);
    list.extend(enable.map(|enable| format!("menu={}", on_off(enable.0))));
    let reboot = os.bios.as_ref().and_then(|bios| bios.reboot_timeout);
    list.extend(reboot.map(|ms| format!("reboot-timeout={ms}")));
    let timeout = os.bootmenu.as_ref().and_then(|menu| menu.timeout).filter(|_| enable.is_some_and(|on| on.0));
    list.extend(timeout.map(|ms| format!("splash-time={ms}")));
    list.push("strict=on".to_owned());
    args.option("-boot", list.join(","));
    let files = [
        ("-kernel", &os.kernel),
        ("-initrd", &os.initrd),
        ("-append", &os.cmdline),
        ("-shim", &os.shim),
        ("-dtb", &os.dtb),
    ];
    for (option, value) in files {
        if let Some(value) = value {
            args.option(option, value.clone());
        }
    }
    for table in os.acpi.iter().flat_map(|acpi| &acpi.tables) {
        let path = escape(&table.path);
        let text = match table.r#type {
            AcpiTableKind::Raw => format!("file={path}"),
            AcpiTableKind::Rawset => format!("data={path}"),
            AcpiTableKind::Slic => format!("sig=SLIC,file={path}"),
            AcpiTableKind::Msdm => format!("sig=MSDM,file={path}"),
        };
        args.option("-acpitable", text);
    }
    Ok(())
}
