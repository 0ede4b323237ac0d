//! Rules of disks.

use ostler_conf::Domain;
use ostler_conf::domain::{Disk, DiskBus as Bus, DiskCache, DiskDevice as Device, DiskErrorPolicy, DiskIo, DiskSource};
use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::complete::{MachineFamily, family};

pub(super) fn check(domain: &Domain, disk: &Disk, problems: &mut Problems) {
    let path = format!("devices.disks[{}]", disk.name);
    let at = |field: &str| format!("{path}.{field}");
    let Some(bus) = disk.target.bus else {
        return problems.add(Code::InternalError, at("target.bus"), "the target's name stands for no bus: give one");
    };
    if disk.name.ends_with(|last: char| last.is_ascii_digit()) {
        problems.add(Code::XmlError, at("name"), "a target is a whole disk, as in vda, not a partition");
    }
    let is_q35 = domain.os.r#type.machine.as_deref().and_then(family) == Some(MachineFamily::Q35);
    match bus {
        Bus::Ide => problems.unless(!is_q35, at("target.bus"), "the machine type q35 has no IDE bus: take sata"),
        Bus::Fdc => problems.unless(!is_q35, at("target.bus"), "floppy drives of q35 are not supported"),
        Bus::Virtio | Bus::Scsi | Bus::Sata | Bus::Usb => {}
        Bus::Xen | Bus::Uml | Bus::Sd | Bus::Nvme => {
            problems.unsupported(at("target.bus"), format!("QEMU has no disk on the bus '{bus}'"))
        }
    }
    check_device(disk, bus, problems);
    if let Some(source) = &disk.source {
        problems.absolute(source.path(), at("source"));
    }
    let on = |buses: &[Bus]| buses.contains(&bus);
    problems.unless(
        disk.wwn.is_none() || on(&[Bus::Ide, Bus::Scsi, Bus::Sata]),
        at("wwn"),
        "only IDE, SATA and SCSI disks have a world wide name",
    );
    if disk.wwn.as_ref().is_some_and(|wwn| wwn.len() != 16 || !wwn.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        problems.add(Code::XmlError, at("wwn"), "a world wide name has 16 hexadecimal digits");
    }
    let is_rotating = disk.target.rotation_rate.is_some();
    problems.unless(
        !is_rotating || on(&[Bus::Ide, Bus::Scsi, Bus::Sata]),
        at("target.rotationRate"),
        "only IDE, SATA and SCSI disks have a rotation rate",
    );
    problems.unless(
        disk.target.removable.is_none() || on(&[Bus::Usb, Bus::Scsi]),
        at("target.removable"),
        "only USB and SCSI disks can be removable",
    );
    let has_tray = matches!(disk.device(), Device::Cdrom | Device::Floppy);
    problems.unless(
        disk.target.tray.is_none() || has_tray,
        at("target.tray"),
        "only CD-ROM and floppy drives have a tray",
    );
    let is_serial =
        |serial: &String| serial.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_ .+".contains(&byte));
    problems.unless(
        disk.serial.as_ref().is_none_or(is_serial),
        at("serial"),
        "a serial number holds letters, digits, blanks and -_.+ only",
    );
    check_driver(disk, bus, problems);
}

fn check_device(disk: &Disk, bus: Bus, problems: &mut Problems) {
    let field = format!("devices.disks[{}].device", disk.name);
    match disk.device() {
        Device::Lun => {
            problems.unless(
                bus == Bus::Scsi,
                field.clone(),
                format!("a disk with device 'lun' sits on the bus 'scsi', not '{bus}'"),
            );
            problems.unless(disk.source.is_some(), field, "a disk with device 'lun' needs a source");
        }
        Device::Cdrom => {
            let can = matches!(bus, Bus::Ide | Bus::Sata | Bus::Scsi);
            problems.unless(can, field, format!("a CD-ROM drive sits on the bus ide, sata or scsi, not '{bus}'"));
        }
        Device::Disk => {
            let has_source = disk
                .source
                .as_ref()
                .is_some_and(|source| source.path().is_some() || matches!(source, DiskSource::Volume(_)));
            problems.unless(has_source, format!("devices.disks[{}].source", disk.name), "a hard disk needs a source");
            let is_ata = matches!(bus, Bus::Ide | Bus::Sata);
            problems.unless(
                !is_ata || !disk.readonly,
                format!("devices.disks[{}].readonly", disk.name),
                format!("{bus} disks can't be read-only: take virtio or scsi"),
            );
        }
        Device::Floppy => {}
    }
}

fn check_driver(disk: &Disk, bus: Bus, problems: &mut Problems) {
    let Some(driver) = &disk.driver else { return };
    let at = |field: &str| format!("devices.disks[{}].driver.{field}", disk.name);
    if let Some(name) = driver.name.as_deref().filter(|name| *name != "qemu") {
        problems.unsupported(at("name"), format!("the disk driver '{name}' is not QEMU's: 'qemu' is"));
    }
    let is_direct = matches!(driver.cache, Some(DiskCache::None | DiskCache::Directsync));
    problems.unless(
        driver.io != Some(DiskIo::Native) || is_direct,
        at("io"),
        "native I/O needs the cache mode none or directsync",
    );
    problems.unless(
        driver.rerror_policy != Some(DiskErrorPolicy::Enospace),
        at("rerrorPolicy"),
        "a read never finds the host's disk full",
    );
    problems.unless(driver.queues.is_none() || bus == Bus::Virtio, at("queues"), "only virtio disks have queues");
    problems.unless(driver.queues.is_none_or(|queues| (1..=1024).contains(&queues)), at("queues"), "1 to 1024 queues");
}
