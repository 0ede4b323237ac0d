//! Defaults of disks.

use crate::domain::{
    Address, Disk, DiskBus, DiskCache, DiskDevice, DiskDriver, DiskSnapshot, DiskSource, DriveAddress, FileSource,
    HostTransport, ImageFormatName, Mirror, MirrorJob, NetworkProtocol, Tray,
};
use crate::xml::Value as _;

pub(super) fn complete(disk: &mut Disk) {
    let device = *disk.device.get_or_insert(DiskDevice::Disk);
    let is_removable = matches!(device, DiskDevice::Cdrom | DiskDevice::Floppy);
    let is_empty = disk.source.as_ref().is_some_and(|source| match source {
        DiskSource::File(source) => source.file.as_deref().is_none_or(str::is_empty) && source.fdgroup.is_none(),
        DiskSource::Block(source) => source.dev.as_deref().is_none_or(str::is_empty),
        DiskSource::Dir(source) => source.dir.as_deref().is_none_or(str::is_empty),
        _ => false,
    });
    if is_removable && is_empty {
        // An empty drive is one without a file, whatever it held before.
        let common = disk.source.as_ref().map(|source| source.common().clone()).unwrap_or_default();
        disk.source = Some(DiskSource::File(FileSource { common, ..FileSource::default() }));
    }
    if let Some(DiskSource::Network(source)) = &mut disk.source {
        if let (NetworkProtocol::Iscsi, Some(name)) = (source.protocol, &mut source.name)
            && !name.contains('/')
        {
            name.push_str("/0");
        }
        for host in &mut source.hosts {
            if host.socket.is_none() && host.transport != Some(HostTransport::Unix) && host.port.is_none() {
                host.port = default_port(source.protocol);
            }
        }
    }
    if let Some(source) = &mut disk.source {
        // A label that says nothing is none.
        source.common_mut().seclabels.retain(|label| {
            label.label.is_some() || label.labelskip.is_some() || label.relabel.is_some_and(|relabel| !relabel.0)
        });
    }
    disk.mirror.iter_mut().for_each(complete_mirror);
    if let Some(driver) = &mut disk.driver {
        driver.cache.take_if(|cache| *cache == DiskCache::Default);
    }
    disk.driver.take_if(|driver| *driver == DiskDriver::default());
    if disk.target.bus.is_none() {
        disk.target.bus = bus_of(&disk.name, device);
    }
    // A drive's door is closed where nothing is said.
    disk.target.tray.take_if(|tray| *tray == Tray::Closed);
    if device == DiskDevice::Cdrom {
        disk.readonly = true;
    }
    if disk.readonly {
        // What can't be written needs no snapshot.
        disk.snapshot.take_if(|snapshot| *snapshot == DiskSnapshot::No);
    }
    if matches!(disk.source, Some(DiskSource::Vhostuser(_))) {
        // What another program serves, QEMU takes no snapshots of.
        disk.snapshot.get_or_insert(DiskSnapshot::No);
    }
    if disk.target.bus == Some(DiskBus::Scsi) {
        disk.target.removable = None;
    }
    if disk.address.is_none() {
        disk.address = drive_address(&disk.name, disk.target.bus).map(Address::Drive);
    }
}

/// Before there were others, a copy was to a file. Such a one is told in both ways.
fn complete_mirror(mirror: &mut Mirror) {
    if let (None, Some(file)) = (&mirror.source, &mirror.file) {
        mirror.source = Some(DiskSource::File(FileSource { file: Some(file.clone()), ..FileSource::default() }));
    }
    let job = *mirror.job.get_or_insert(MirrorJob::Copy);
    let told = mirror.format_name.as_deref().and_then(|name| ImageFormatName::parse(name).ok());
    let format = mirror.format.get_or_insert_default();
    let format = *format.r#type.get_or_insert(told.unwrap_or(ImageFormatName::Raw));
    if let (MirrorJob::Copy, Some(DiskSource::File(source))) = (job, &mirror.source) {
        mirror.file.clone_from(&source.file);
        mirror.format_name = Some(format.word().to_owned());
    }
}

/// The port of a protocol, where one is usual.
const fn default_port(protocol: NetworkProtocol) -> Option<u16> {
    match protocol {
        NetworkProtocol::Http => Some(80),
        NetworkProtocol::Https => Some(443),
        NetworkProtocol::Ftp => Some(21),
        NetworkProtocol::Ftps => Some(990),
        NetworkProtocol::Tftp => Some(69),
        NetworkProtocol::Sheepdog => Some(7000),
        NetworkProtocol::Nbd => Some(10809),
        NetworkProtocol::Iscsi => Some(3260),
        NetworkProtocol::Gluster => Some(24007),
        NetworkProtocol::Ssh => Some(22),
        NetworkProtocol::Vxhs => Some(9999),
        NetworkProtocol::Nfs | NetworkProtocol::Rbd => None,
    }
}

/// The bus that a target's name stands for.
pub(super) fn bus_of(name: &str, device: DiskDevice) -> Option<DiskBus> {
    const PREFIXES: &[(&str, DiskBus)] = &[
        ("hd", DiskBus::Ide),
        ("sd", DiskBus::Scsi),
        ("vd", DiskBus::Virtio),
        ("xvd", DiskBus::Xen),
        ("ubd", DiskBus::Uml),
        ("nvme", DiskBus::Nvme),
    ];
    if device == DiskDevice::Floppy || name.starts_with("fd") {
        return Some(DiskBus::Fdc);
    }
    PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, bus)| *bus)
}

/// `vda` → 0, `vdz` → 25, `vdaa` → 26; a partition's number at the end does not count.
pub(in crate::domain) fn target_index(name: &str) -> Option<u32> {
    const PREFIXES: &[&str] = &["fd", "hd", "vd", "sd", "xvd", "ubd"];
    let letters = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let letters = letters.trim_end_matches(|c: char| c.is_ascii_digit());
    if letters.is_empty() || letters.len() > 5 || !letters.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let index = letters.bytes().fold(0_u32, |index, letter| index * 26 + u32::from(letter - b'a') + 1);
    Some(index - 1)
}

/// Where libvirt puts the disk with this target on a controller of its bus.
fn drive_address(name: &str, bus: Option<DiskBus>) -> Option<DriveAddress> {
    let index = target_index(name)?;
    let (controller, bus, unit) = match bus? {
        // Seven units a controller: the eighth is the controller's own.
        DiskBus::Scsi => (index / 7, 0, index % 7),
        DiskBus::Ide => (index / 4, (index % 4) / 2, index % 2),
        DiskBus::Sata => (index / 6, 0, index % 6),
        DiskBus::Fdc => (index / 2, 0, index % 2),
        DiskBus::Virtio | DiskBus::Xen | DiskBus::Usb | DiskBus::Uml | DiskBus::Sd | DiskBus::Nvme => return None,
    };
    Some(DriveAddress { controller: Some(controller), bus: Some(bus), target: Some(0), unit: Some(unit) })
}

#[cfg(test)]
mod tests {
    use super::target_index;

    #[test]
    fn targets_count_like_spreadsheet_columns() {
        for (name, index) in [
            ("vda", Some(0)),
            ("sdz", Some(25)),
            ("vdaa", Some(26)),
            ("vda1", Some(0)),
            ("vd", None),
            ("zzz", None),
            ("xvdb", Some(1)),
        ] {
            assert_eq!(target_index(name), index, "{name}");
        }
    }
}
