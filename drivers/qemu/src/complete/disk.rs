//! Disks: their order and their driver.

use ostler_conf::Domain;
use ostler_conf::domain::{Disk, DiskSource, EncryptionEngine, EncryptionFormat, ImageFormatName};

/// Puts disks in an order that a change of the list does not change: those of `last` as they were, each new one behind those
/// of its bus with an earlier target. As libvirt does, only a bus that is written down counts.
pub(super) fn sort(disks: &mut Vec<Disk>, last: &[Disk]) {
    let place = |disk: &Disk| last.iter().position(|old| old.name == disk.name);
    let (mut sorted, new): (Vec<Disk>, Vec<Disk>) =
        std::mem::take(disks).into_iter().partition(|disk| place(disk).is_some());
    sorted.sort_by_key(place);
    for disk in new {
        let of_bus = |other: &Disk| other.target.bus == disk.target.bus;
        let is_later = |other: &Disk| letters(&other.name) > letters(&disk.name);
        let behind = sorted.iter().rposition(|other| of_bus(other) && !is_later(other)).map(|at| at + 1);
        let before = || sorted.iter().position(of_bus);
        let at = behind.or_else(before).unwrap_or(sorted.len());
        sorted.insert(at, disk);
    }
    *disks = sorted;
}

/// What counts in a target: `vdb` comes before `vdaa`.
fn letters(name: &str) -> (usize, &str) {
    const PREFIXES: &[&str] = &["fd", "hd", "vd", "sd", "xvd", "ubd"];
    let letters = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    (letters.len(), letters)
}

pub(super) fn complete(domain: &mut Domain) {
    for disk in &mut domain.devices.disks {
        let of_source = disk.source.as_mut().and_then(|source| source.common_mut().encryption.as_mut());
        for encryption in of_source.into_iter().chain(&mut disk.encryption) {
            if encryption.format == EncryptionFormat::Luks {
                encryption.engine.get_or_insert(EncryptionEngine::Qemu);
            }
        }
        let driver = disk.driver.get_or_insert_default();
        driver.name.get_or_insert_with(|| "qemu".to_owned());
        // A volume's pool knows its format; for anything else it is raw unless said, since looking could be tricked by the guest.
        if !matches!(disk.source, Some(DiskSource::Volume(_))) {
            driver.r#type.get_or_insert(ImageFormatName::Raw);
        }
    }
}
