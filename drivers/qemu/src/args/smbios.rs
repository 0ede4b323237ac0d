//! What the firmware tells about the machine, and files that the firmware hands on.

use ostler_conf::domain::{SmbiosMode, SmbiosTable, Sysinfo};
use ostler_driver::Result;

use super::{Args, Setup, escape};

/// libvirt's names of entries, with QEMU's, in QEMU's order; by table.
const BIOS: &[(&str, &str)] = &[("vendor", "vendor"), ("version", "version"), ("date", "date"), ("release", "release")];
const SYSTEM: &[(&str, &str)] = &[
    ("manufacturer", "manufacturer"),
    ("product", "product"),
    ("version", "version"),
    ("serial", "serial"),
    ("uuid", "uuid"),
    ("sku", "sku"),
    ("family", "family"),
];
const BASE_BOARD: &[(&str, &str)] = &[
    ("manufacturer", "manufacturer"),
    ("product", "product"),
    ("version", "version"),
    ("serial", "serial"),
    ("asset", "asset"),
    ("location", "location"),
];
const CHASSIS: &[(&str, &str)] = &[
    ("manufacturer", "manufacturer"),
    ("version", "version"),
    ("serial", "serial"),
    ("asset", "asset"),
    ("sku", "sku"),
];

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for sysinfo in &setup.domain.sysinfo {
        match sysinfo {
            Sysinfo::Smbios(info) if setup.domain.os.smbios == Some(SmbiosMode::Sysinfo) => {
                write(args, 0, info.bios.as_ref(), BIOS);
                write(args, 1, info.system.as_ref(), SYSTEM);
                for board in &info.base_boards {
                    write(args, 2, Some(board), BASE_BOARD);
                }
                write(args, 3, info.chassis.as_ref(), CHASSIS);
                if let Some(strings) = info.oem_strings.as_ref().filter(|strings| !strings.entries.is_empty()) {
                    let values = strings.entries.iter().map(|value| format!(",value={}", escape(value)));
                    args.option("-smbios", format!("type=11{}", values.collect::<String>()));
                }
            }
            Sysinfo::Smbios(_) | Sysinfo::Fwcfg(_) => {}
        }
    }
    for sysinfo in &setup.domain.sysinfo {
        let Sysinfo::Fwcfg(config) = sysinfo else { continue };
        for entry in &config.entries {
            // These are taken as they are: a comma is no end of a value that is the last.
            let name = &entry.name;
            let text = match (&entry.value, &entry.file) {
                (Some(value), _) if !value.is_empty() => format!("name={name},string={value}"),
                (_, Some(file)) => format!("name={name},file={file}"),
                _ => continue,
            };
            args.option("-fw_cfg", text);
        }
    }
    Ok(())
}

fn write(args: &mut Args, number: u32, table: Option<&SmbiosTable>, names: &[(&str, &str)]) {
    let Some(table) = table else { return };
    let mut text = format!("type={number}");
    for (name, option) in names {
        match table.entries.iter().find(|entry| entry.name == *name) {
            Some(entry) => text.push_str(&format!(",{option}={}", escape(&entry.value))),
            // A chassis always has a maker, if only an empty one.
            None if number == 3 && *name == "manufacturer" => text.push_str(&format!(",{option}=")),
            None => {}
        }
    }
    args.option("-smbios", text);
}
