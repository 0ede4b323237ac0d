//! What the firmware tells, in the order in which it is told.

use uuid::Uuid;

use crate::domain::{SmbiosInfo, SmbiosTable, Sysinfo};

const BIOS: &[&str] = &["vendor", "version", "date", "release"];
const SYSTEM: &[&str] = &["manufacturer", "product", "version", "serial", "uuid", "sku", "family"];
const BASE_BOARD: &[&str] = &["manufacturer", "product", "version", "serial", "asset", "location"];
const CHASSIS: &[&str] = &["manufacturer", "version", "serial", "asset", "sku"];

/// The guest's identity, where the firmware tells one.
pub(in crate::domain) fn uuid(sysinfo: &[Sysinfo]) -> Option<Uuid> {
    let tables = sysinfo.iter().filter_map(|sysinfo| match sysinfo {
        Sysinfo::Smbios(smbios) => smbios.system.as_ref(),
        Sysinfo::Fwcfg(_) => None,
    });
    tables.flat_map(|table| &table.entries).find(|entry| entry.name == "uuid")?.value.parse().ok()
}

pub(super) fn complete(sysinfo: &mut [Sysinfo]) {
    for sysinfo in sysinfo {
        if let Sysinfo::Smbios(smbios) = sysinfo {
            complete_smbios(smbios);
        }
    }
}

fn complete_smbios(smbios: &mut SmbiosInfo) {
    settle(&mut smbios.bios, BIOS);
    settle(&mut smbios.system, SYSTEM);
    settle(&mut smbios.chassis, CHASSIS);
    smbios.base_boards.iter_mut().for_each(|board| sort(board, BASE_BOARD));
    smbios.base_boards.retain(|board| !board.entries.is_empty());
    for entry in smbios.system.iter_mut().flat_map(|table| &mut table.entries) {
        if entry.name == "uuid"
            && let Ok(uuid) = entry.value.parse::<Uuid>()
        {
            entry.value = uuid.to_string();
        }
    }
}

fn settle(table: &mut Option<SmbiosTable>, names: &[&str]) {
    if let Some(table) = table {
        sort(table, names);
    }
    table.take_if(|table| table.entries.is_empty());
}

/// Entries that say nothing are none; those that the table has no place for come last.
fn sort(table: &mut SmbiosTable, names: &[&str]) {
    table.entries.retain(|entry| !entry.value.is_empty());
    table.entries.sort_by_key(|entry| names.iter().position(|name| *name == entry.name).unwrap_or(names.len()));
}
