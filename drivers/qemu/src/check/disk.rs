//! Rules of disks.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Disk, DiskBus as Bus, DiskCache, DiskDevice as Device, DiskErrorPolicy, DiskIo, DiskSource,
    EncryptionFormat, ImageFormatName as Format, NetworkProtocol,
};
use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::complete::{Host, MachineFamily, machine};
use crate::probe::Flag;

/// Formats that QEMU can't open by their names.
const FORMATS: &[(Format, &str)] = &[
    (Format::Cow, "QEMU reads it no more"),
    (Format::Dir, "take a source of the type 'dir'"),
    (Format::Iso, "take 'raw'"),
    (Format::Fat, "take a source of the type 'dir'"),
];

pub(super) fn check(domain: &Domain, disk: &Disk, host: &Host, problems: &mut Problems) {
    let path = format!("devices.disks[{}]", disk.name);
    let at = |field: &str| format!("{path}.{field}");
    let Some(bus) = disk.target.bus else {
        return problems.add(Code::InternalError, at("target.bus"), "the target's name stands for no bus: give one");
    };
    if disk.name.ends_with(|last: char| last.is_ascii_digit()) {
        problems.unsupported(at("name"), "a target is a whole disk, as in vda, not a partition");
    }
    let is_q35 = machine(domain) == MachineFamily::Q35;
    match bus {
        Bus::Ide => problems.unless(!is_q35, at("target.bus"), "the machine type q35 has no IDE bus: take sata"),
        Bus::Fdc | Bus::Virtio | Bus::Scsi | Bus::Sata | Bus::Usb | Bus::Sd | Bus::Nvme => {}
        Bus::Xen | Bus::Uml => problems.unsupported(at("target.bus"), format!("QEMU has no disk on the bus '{bus}'")),
    }
    problems.unless(
        disk.transient.is_none() || !disk.readonly,
        at("transient"),
        "a disk that is only read loses nothing at the guest's end",
    );
    check_device(disk, bus, host, problems);
    check_format(disk, problems);
    check_encryption(disk, host, &path, problems);
    check_network(disk, host, &path, problems);
    let fits = match (bus, &disk.address) {
        (Bus::Usb, Some(Address::Usb(_)) | None) => true,
        (Bus::Usb, Some(_)) => false,
        _ => true,
    };
    if !fits {
        problems.add(Code::InternalError, at("address"), "a USB disk has an address of the type 'usb'");
    }
    let on = |buses: &[Bus]| buses.contains(&bus);
    problems.unless(
        disk.wwn.is_none() || on(&[Bus::Ide, Bus::Scsi, Bus::Sata]),
        at("wwn"),
        "only IDE, SATA and SCSI disks have a world wide name",
    );
    let wwn = disk.wwn.as_deref().map(|wwn| wwn.strip_prefix("0x").unwrap_or(wwn));
    if wwn.is_some_and(|wwn| wwn.len() != 16 || !wwn.bytes().all(|byte| byte.is_ascii_hexdigit())) {
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

fn is_empty(disk: &Disk) -> bool {
    match &disk.source {
        None => true,
        Some(DiskSource::File(file)) => file.file.is_none() && file.fdgroup.is_none(),
        Some(DiskSource::Block(block)) => block.dev.is_none(),
        Some(DiskSource::Dir(dir)) => dir.dir.is_none(),
        Some(_) => false,
    }
}

fn check_device(disk: &Disk, bus: Bus, host: &Host, problems: &mut Problems) {
    let field = format!("devices.disks[{}].device", disk.name);
    match disk.device() {
        Device::Lun => {
            let has_scsi = bus == Bus::Virtio && host.capabilities.has(Flag::VirtioBlkPciScsiDefaultDisabled);
            problems.unless(
                bus == Bus::Scsi || has_scsi,
                field.clone(),
                format!("a disk with device 'lun' sits on the bus 'scsi', not '{bus}'"),
            );
            problems.unless(!is_empty(disk), field, "a disk with device 'lun' needs a source");
        }
        Device::Cdrom => {
            let can = matches!(bus, Bus::Ide | Bus::Sata | Bus::Scsi | Bus::Usb | Bus::Sd);
            problems.unless(
                can,
                field.clone(),
                format!("a CD-ROM drive sits on the bus ide, sata or scsi, not '{bus}'"),
            );
            problems.unless(
                bus != Bus::Usb || !is_empty(disk),
                format!("devices.disks[{}].source", disk.name),
                "a USB disk can't be empty",
            );
        }
        Device::Disk => {
            problems.unless(
                !is_empty(disk),
                format!("devices.disks[{}].source", disk.name),
                "a hard disk needs a source",
            );
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

fn check_format(disk: &Disk, problems: &mut Problems) {
    let format = disk.driver.as_ref().and_then(|driver| driver.r#type);
    let is_dir = matches!(disk.source, Some(DiskSource::Dir(_)));
    let found = FORMATS.iter().find(|(of, _)| Some(*of) == format && !(is_dir && *of == Format::Fat));
    if let Some((format, hint)) = found {
        let path = format!("devices.disks[{}].driver.type", disk.name);
        problems.unsupported(path, format!("QEMU opens no image of the format '{format}': {hint}"));
    }
}

fn check_encryption(disk: &Disk, host: &Host, path: &str, problems: &mut Problems) {
    let of_source = disk.source.as_ref().and_then(|source| source.common().encryption.as_ref());
    let Some(encryption) = disk.encryption.as_ref().or(of_source) else { return };
    problems.unless(
        !encryption.cipher,
        format!("{path}.encryption.cipher"),
        "the image's own header tells the cipher: leave it out",
    );
    let needed = match encryption.format {
        EncryptionFormat::LuksAny => Some(Flag::RbdEncryptionLuksAny),
        EncryptionFormat::Luks | EncryptionFormat::Luks2 if encryption.secrets.len() > 1 => {
            Some(Flag::RbdEncryptionLayering)
        }
        _ => None,
    };
    problems.unless(
        needed.is_none_or(|flag| host.capabilities.has(flag)),
        format!("{path}.encryption"),
        "the emulator can't decrypt such an image",
    );
}

fn check_network(disk: &Disk, host: &Host, path: &str, problems: &mut Problems) {
    let Some(DiskSource::Network(network)) = &disk.source else { return };
    if network.protocol == NetworkProtocol::Nbd && network.tls_hostname.is_some() {
        problems.unless(
            host.capabilities.has(Flag::BlockdevNbdTlsHostname),
            format!("{path}.source.network.tlsHostname"),
            "the emulator can't check another name than the host's",
        );
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
