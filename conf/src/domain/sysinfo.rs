//! `<sysinfo>`: what a guest's firmware tells about the machine.

use ostler_conf_derive::{element, union};

/// What a guest's firmware tells about the machine.
#[union(tag = "type")]
pub enum Sysinfo {
    /// Tables of SMBIOS.
    Smbios(SmbiosInfo),
    /// Files of QEMU's firmware configuration.
    Fwcfg(FirmwareConfig),
}

/// Tables of SMBIOS.
#[element]
pub struct SmbiosInfo {
    /// The firmware.
    pub bios: Option<SmbiosTable>,
    /// The machine.
    pub system: Option<SmbiosTable>,
    /// The main boards.
    #[xml(name = "baseBoard")]
    pub base_boards: Vec<SmbiosTable>,
    /// The case.
    pub chassis: Option<SmbiosTable>,
    /// The maker's own texts.
    pub oem_strings: Option<OemStrings>,
}

/// A table.
#[element]
pub struct SmbiosTable {
    /// Its entries.
    #[xml(name = "entry")]
    pub entries: Vec<SmbiosEntry>,
}

/// `<entry name='serial'>x</entry>`: an entry.
#[element]
pub struct SmbiosEntry {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its value.
    #[xml(text)]
    pub value: String,
}

/// The maker's own texts.
#[element]
pub struct OemStrings {
    /// They.
    #[xml(name = "entry")]
    pub entries: Vec<String>,
}

/// Files of QEMU's firmware configuration.
#[element]
pub struct FirmwareConfig {
    /// They.
    #[xml(name = "entry")]
    pub entries: Vec<FirmwareConfigEntry>,
}

/// `<entry name='opt/x' file='/y'/>`: a file of QEMU's firmware configuration.
#[element]
pub struct FirmwareConfigEntry {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// The host's file with its contents. Needs a grant.
    #[xml(attr)]
    pub file: Option<String>,
    /// Its contents.
    #[xml(text)]
    pub value: Option<String>,
}
