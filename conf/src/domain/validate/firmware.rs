//! Rules of what a guest boots.

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{Domain, FirmwareKind, LoaderKind, Os, OsKind, Sysinfo};

/// The longest time that a failed boot waits for the next, in milliseconds.
const MAX_REBOOT_TIMEOUT: i32 = 0xffff;

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    check_loader(&domain.os, problems);
    if domain.os.r#type.kind == Some(OsKind::Exe) && domain.os.init.is_none() {
        problems.add(Code::XmlError, "os.init", "name the program that the container runs first");
    }
    let timeout = domain.os.bios.as_ref().and_then(|bios| bios.reboot_timeout);
    if timeout.is_some_and(|timeout| !(-1..=MAX_REBOOT_TIMEOUT).contains(&timeout)) {
        problems.add(
            Code::ConfigUnsupported,
            "os.bios.rebootTimeout",
            format!("give milliseconds, {MAX_REBOOT_TIMEOUT} at most, or -1 for never"),
        );
    }
    check_identity(domain, problems);
}

/// A loader is named, or chosen by what it must be; one that keeps nothing has nowhere to keep it.
fn check_loader(os: &Os, problems: &mut Problems) {
    let has_nvram = os.nvram.is_some();
    let keeps = |stateless: bool| os.loader.as_ref().is_some_and(|l| l.stateless.is_some_and(|s| s.0 == stateless));
    if keeps(true) && has_nvram {
        problems.add(Code::XmlDetail, "os.nvram", "a stateless loader keeps nothing: leave one of both out");
    }
    let Some(firmware) = os.firmware else {
        let path = os.loader.as_ref().and_then(|loader| loader.path.as_ref());
        if (os.loader.is_some() || has_nvram) && path.is_none() {
            problems.add(
                Code::XmlDetail,
                "os.loader.path",
                "name the loader's file, or let one be chosen by os.firmware",
            );
        }
        let kind = os.loader.as_ref().and_then(|loader| loader.r#type);
        if kind != Some(LoaderKind::Pflash) && keeps(false) {
            problems.add(Code::XmlDetail, "os.loader.type", "only a loader of type 'pflash' keeps anything");
        }
        return;
    };
    if firmware != FirmwareKind::Efi && (has_nvram || keeps(false)) {
        problems.add(Code::XmlDetail, "os.nvram", "only firmware 'efi' keeps anything");
    }
}

/// The firmware tells the guest's own identity.
fn check_identity(domain: &Domain, problems: &mut Problems) {
    let Some(uuid) = domain.uuid else { return };
    for sysinfo in &domain.sysinfo {
        let Sysinfo::Smbios(smbios) = sysinfo else { continue };
        let entries = smbios.system.iter().flat_map(|table| &table.entries);
        for entry in entries.filter(|entry| entry.name == "uuid") {
            match entry.value.parse::<uuid::Uuid>() {
                Ok(told) if told == uuid => {}
                Ok(told) => {
                    problems.add(
                        Code::XmlDetail,
                        "sysinfo",
                        format!("it tells the uuid {told}, the guest's is {uuid}"),
                    );
                }
                Err(_) => {
                    problems.add(Code::XmlDetail, "sysinfo", format!("'{}' is not a UUID", entry.value));
                }
            }
        }
    }
}
