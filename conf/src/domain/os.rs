//! `<os>`: what is booted, on which machine.

use ostler_conf_derive::element;

use super::DiskSource;
use crate::values::YesNo;
use crate::words;

/// `<os>`: what is booted.
#[element]
pub struct Os {
    /// The firmware to choose.
    #[xml(attr)]
    pub firmware: Option<FirmwareKind>,
    /// The kind of guest and its machine.
    #[xml(default)]
    pub r#type: OsType,
    /// What the firmware must have.
    #[xml(name = "firmware")]
    pub firmware_features: Option<FirmwareFeatures>,
    /// A container's first program.
    pub init: Option<String>,
    /// Its arguments.
    #[xml(name = "initarg")]
    pub initargs: Vec<String>,
    /// Its environment.
    #[xml(name = "initenv")]
    pub initenvs: Vec<InitEnv>,
    /// Its folder.
    pub initdir: Option<String>,
    /// Its user.
    pub inituser: Option<String>,
    /// Its group.
    pub initgroup: Option<String>,
    /// The firmware's image.
    pub loader: Option<Loader>,
    /// The firmware's memory.
    pub nvram: Option<Nvram>,
    /// A kernel on the host to boot directly.
    pub kernel: Option<String>,
    /// Its initial RAM disk on the host.
    pub initrd: Option<String>,
    /// Its command line.
    pub cmdline: Option<String>,
    /// The first boot loader on the host, for a directly booted kernel.
    pub shim: Option<String>,
    /// Its device tree on the host.
    pub dtb: Option<String>,
    /// Its root device.
    pub root: Option<String>,
    /// ACPI tables of the host.
    pub acpi: Option<AcpiTables>,
    /// Devices to boot from, in order.
    pub boot: Vec<BootEntry>,
    /// The firmware's boot menu.
    pub bootmenu: Option<BootMenu>,
    /// How the BIOS behaves.
    pub bios: Option<Bios>,
    /// Where the machine's description comes from.
    #[xml(attr, name = "mode", on = "smbios")]
    pub smbios: Option<SmbiosMode>,
}

/// `<type arch='x86_64' machine='q35'>hvm</type>`: the kind of guest.
#[element]
pub struct OsType {
    /// The guest's architecture; absent: the host's.
    #[xml(attr)]
    pub arch: Option<String>,
    /// The machine type; an alias such as `q35` is replaced by its version once, and stays.
    #[xml(attr)]
    pub machine: Option<String>,
    /// The kind; absent: `hvm`.
    #[xml(text)]
    pub kind: Option<OsKind>,
}

words! {
    /// The kind of a guest.
    pub enum OsKind {
        /// Full virtualization.
        Hvm = "hvm",
        /// Xen's paravirtualization.
        Xen = "xen",
        /// A container's program.
        Exe = "exe",
        /// Xen's paravirtualization, by its old name.
        Linux = "linux",
        /// User Mode Linux.
        Uml = "uml",
        /// Xen's paravirtualization inside of full virtualization.
        Xenpvh = "xenpvh",
    }

    /// A firmware.
    pub enum FirmwareKind { Bios = "bios", Efi = "efi", }

    /// What a firmware may have.
    pub enum FirmwareFeatureName { EnrolledKeys = "enrolled-keys", SecureBoot = "secure-boot", }

    /// How the firmware's image is mapped.
    pub enum LoaderKind { Rom = "rom", Pflash = "pflash", }

    /// The format of a firmware's image.
    pub enum FirmwareFormat { Raw = "raw", Qcow2 = "qcow2", }

    /// What an ACPI table is.
    pub enum AcpiTableKind { Raw = "raw", Rawset = "rawset", Slic = "slic", Msdm = "msdm", }

    /// Where the machine's description comes from.
    pub enum SmbiosMode { None = "none", Emulate = "emulate", Host = "host", Sysinfo = "sysinfo", }

    /// A kind of device to boot from.
    pub enum BootDevice {
        /// A floppy disk.
        Fd = "fd",
        /// A hard disk.
        Hd = "hd",
        /// A CD-ROM.
        Cdrom = "cdrom",
        /// The network.
        Network = "network",
    }
}

/// `<boot dev='hd'/>`: a device to boot from.
#[element]
pub struct BootEntry {
    /// The kind of device.
    #[xml(attr)]
    pub dev: BootDevice,
}

/// `<bootmenu enable='yes' timeout='3000'/>`: the firmware's boot menu.
#[element]
pub struct BootMenu {
    /// Whether it is shown.
    #[xml(attr)]
    pub enable: Option<YesNo>,
    /// For how long, in milliseconds.
    #[xml(attr, code = "ConfigUnsupported")]
    pub timeout: Option<u16>,
}

/// `<firmware><feature enabled='yes' name='secure-boot'/></firmware>`: what the firmware must have.
#[element]
pub struct FirmwareFeatures {
    /// Features of the firmware, wanted or unwanted.
    #[xml(name = "feature")]
    pub features: Vec<FirmwareFeature>,
}

/// `<feature enabled='yes' name='secure-boot'/>`: whether the firmware must have something.
#[element]
pub struct FirmwareFeature {
    /// Whether it must have the feature, or must lack it.
    #[xml(attr)]
    pub enabled: YesNo,
    /// The feature.
    #[xml(attr)]
    pub name: FirmwareFeatureName,
}

/// `<loader readonly='yes' type='pflash'>/x.fd</loader>`: the firmware's image.
#[element]
pub struct Loader {
    /// Whether the guest can't write it.
    #[xml(attr)]
    pub readonly: Option<YesNo>,
    /// Whether only its own code may write its memory.
    #[xml(attr)]
    pub secure: Option<YesNo>,
    /// How it is mapped.
    #[xml(attr)]
    pub r#type: Option<LoaderKind>,
    /// Whether it keeps nothing.
    #[xml(attr)]
    pub stateless: Option<YesNo>,
    /// Its format.
    #[xml(attr)]
    pub format: Option<FirmwareFormat>,
    /// Its path. Needs a grant.
    #[xml(text)]
    pub path: Option<String>,
}

/// `<nvram template='/x_VARS.fd'>/y_VARS.fd</nvram>`: the firmware's memory.
#[element]
pub struct Nvram {
    /// What it is made from at first. Needs a grant.
    #[xml(attr)]
    pub template: Option<String>,
    /// The format of that.
    #[xml(attr)]
    pub template_format: Option<FirmwareFormat>,
    /// What holds it.
    #[xml(choice = "type", in_place)]
    pub source: Option<DiskSource>,
    /// Its format.
    #[xml(attr)]
    pub format: Option<FirmwareFormat>,
    /// Its path, where it is a file. Needs a grant.
    #[xml(text)]
    pub path: Option<String>,
}

/// `<initenv name='A'>b</initenv>`: a variable.
#[element]
pub struct InitEnv {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its value.
    #[xml(text)]
    pub value: String,
}

/// `<acpi><table type='slic'>/x.bin</table></acpi>`: ACPI tables of the host.
#[element]
pub struct AcpiTables {
    /// They.
    #[xml(name = "table")]
    pub tables: Vec<AcpiTable>,
}

/// `<table type='slic'>/x.bin</table>`: an ACPI table of the host.
#[element]
pub struct AcpiTable {
    /// What it is.
    #[xml(attr)]
    pub r#type: AcpiTableKind,
    /// Its path. Needs a grant.
    #[xml(text)]
    pub path: String,
}

/// `<bios useserial='yes' rebootTimeout='0'/>`: how the BIOS behaves.
#[element]
pub struct Bios {
    /// Whether it talks on the first serial port.
    #[xml(attr)]
    pub useserial: Option<YesNo>,
    /// When it tries again, in milliseconds; -1: never.
    #[xml(attr)]
    pub reboot_timeout: Option<i32>,
}
