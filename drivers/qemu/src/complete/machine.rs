//! Architecture, machine type, emulator, and what each family of machines has by itself.

use std::path::PathBuf;

use ostler_conf::Domain;
use ostler_conf::domain::{ControllerModel as Model, DomainType};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::Host;
use crate::probe::{Accelerator, Flag};

/// What machine types of different versions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineFamily {
    /// `pc`: a PCI bus.
    I440fx,
    /// `q35`: PCI Express.
    Q35,
    /// `isapc`: no PCI.
    Isapc,
    /// `microvm`: next to nothing.
    Microvm,
    /// `virt` of ARM.
    ArmVirt,
    /// `virt` of RISC-V.
    RiscvVirt,
    /// `virt` of LoongArch.
    LoongarchVirt,
    /// `s390-ccw-virtio`.
    S390Ccw,
    /// `pseries` of POWER.
    Pseries,
    /// Any other.
    Other,
}

use MachineFamily as Family;

/// Names of machine types by family: what is the whole name, or how it begins.
const X86: &[(&str, Family)] = &[
    ("pc", Family::I440fx),
    ("pc-0.*", Family::I440fx),
    ("pc-1.*", Family::I440fx),
    ("pc-i440*", Family::I440fx),
    ("rhel*", Family::I440fx),
    ("q35", Family::Q35),
    ("pc-q35*", Family::Q35),
    ("isapc", Family::Isapc),
    ("microvm", Family::Microvm),
];

/// The family of a canonical machine type of x86.
pub(crate) fn family(machine: &str) -> Option<MachineFamily> {
    let is_named = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => machine.starts_with(beginning),
        None => machine == pattern,
    };
    X86.iter().find(|(pattern, _)| is_named(pattern)).map(|(_, family)| *family)
}

/// The family of a guest's machine.
pub(crate) fn machine(domain: &Domain) -> MachineFamily {
    let machine = domain.os.r#type.machine.as_deref().unwrap_or_default();
    let is_virt = machine == "virt" || machine.starts_with("virt-");
    match domain.os.r#type.arch.as_deref().unwrap_or(std::env::consts::ARCH) {
        "x86_64" | "i686" => family(machine).unwrap_or(Family::Other),
        "aarch64" | "armv7l" | "armv6l" if is_virt => Family::ArmVirt,
        "riscv64" | "riscv32" if is_virt => Family::RiscvVirt,
        "loongarch64" if is_virt => Family::LoongarchVirt,
        "s390x" | "s390" if machine.starts_with("s390-ccw") => Family::S390Ccw,
        "ppc64" | "ppc64le" if machine == "pseries" || machine.starts_with("pseries-") => Family::Pseries,
        _ => Family::Other,
    }
}

/// The architecture of a guest, by groups that share defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    X86,
    Aarch64,
    Arm,
    Ppc64,
    Ppc,
    S390,
    Riscv,
    Loongarch,
    Sparc,
    Mips,
    Other,
}

/// The architecture of a guest.
pub(crate) fn arch(domain: &Domain) -> Arch {
    match domain.os.r#type.arch.as_deref().unwrap_or(std::env::consts::ARCH) {
        "x86_64" | "i686" => Arch::X86,
        "aarch64" => Arch::Aarch64,
        "armv7l" | "armv6l" | "armv7b" => Arch::Arm,
        "ppc64" | "ppc64le" => Arch::Ppc64,
        "ppc" | "ppcemb" | "ppcle" => Arch::Ppc,
        "s390" | "s390x" => Arch::S390,
        "riscv64" | "riscv32" => Arch::Riscv,
        "loongarch64" => Arch::Loongarch,
        "sparc" | "sparc64" => Arch::Sparc,
        "mips" | "mipsel" | "mips64" | "mips64el" => Arch::Mips,
        _ => Arch::Other,
    }
}

/// What a machine has by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BuiltIn {
    /// A USB controller.
    pub(super) usb: bool,
    /// A SATA controller.
    pub(super) sata: bool,
    /// The first bus.
    pub(super) root: Option<Model>,
    /// A memory balloon.
    pub(super) balloon: bool,
    /// A panic device.
    pub(super) panic: bool,
    /// The watchdog of the chipset.
    pub(super) itco: bool,
    /// USB keyboard and mouse, where there is a screen.
    pub(super) usb_inputs: bool,
}

/// What the guest's machine has by itself.
pub(super) fn built_in(domain: &Domain, host: &Host) -> BuiltIn {
    let none = BuiltIn::default();
    let name = domain.os.r#type.machine.as_deref().unwrap_or_default();
    match (machine(domain), arch(domain)) {
        (Family::I440fx, _) => BuiltIn { usb: true, root: Some(Model::PciRoot), balloon: true, ..none },
        (Family::Q35, _) => {
            BuiltIn { usb: true, sata: true, root: Some(Model::PcieRoot), balloon: true, itco: true, ..none }
        }
        (Family::Isapc | Family::Microvm, _) => none,
        (Family::ArmVirt | Family::LoongarchVirt, _) => BuiltIn { root: Some(Model::PcieRoot), ..none },
        (Family::RiscvVirt, _) => BuiltIn { root: Some(Model::PcieRoot), balloon: true, ..none },
        (Family::S390Ccw, _) => BuiltIn {
            root: host.capabilities.has(Flag::Zpci).then_some(Model::PciRoot),
            balloon: true,
            panic: true,
            ..none
        },
        (Family::Pseries, _) => {
            BuiltIn { usb: true, root: Some(Model::PciRoot), balloon: true, panic: true, usb_inputs: true, ..none }
        }
        (Family::Other, Arch::Aarch64 | Arch::Arm) if name == "versatilepb" => {
            BuiltIn { usb: true, root: Some(Model::PciRoot), ..none }
        }
        (Family::Other, Arch::Aarch64 | Arch::Arm) if name.starts_with("realview") => BuiltIn { usb: true, ..none },
        (Family::Other, Arch::Ppc | Arch::Ppc64) => {
            BuiltIn { usb: true, root: Some(Model::PciRoot), balloon: true, usb_inputs: true, ..none }
        }
        (Family::Other, Arch::S390) => BuiltIn { balloon: true, panic: true, ..none },
        (Family::Other, Arch::Riscv | Arch::X86) => BuiltIn { balloon: true, ..none },
        (Family::Other, Arch::Aarch64 | Arch::Arm | Arch::Loongarch | Arch::Sparc) => none,
        (Family::Other, Arch::Mips) => BuiltIn { usb: true, root: Some(Model::PciRoot), balloon: true, ..none },
        (Family::Other, Arch::Other) => BuiltIn { usb: true, root: Some(Model::PciRoot), balloon: true, ..none },
    }
}

/// The emulator for guests of the architecture; absent: this host's.
pub(crate) fn default_emulator(arch: Option<&str>) -> PathBuf {
    PathBuf::from(format!(
        "/usr/bin/qemu-system-{}",
        match arch.unwrap_or(std::env::consts::ARCH) {
            "i686" => "i386",
            "armv7l" | "armv6l" => "arm",
            "ppc64le" => "ppc64",
            other => other,
        }
    ))
}

/// Whether an emulator for one architecture runs guests of another; one that doesn't say runs all.
pub(crate) fn runs(emulator: &str, guest: &str) -> bool {
    const ALSO: &[(&str, &str)] = &[("x86_64", "i686"), ("aarch64", "armv7l"), ("ppc64", "ppc64le"), ("ppc64", "ppc")];
    emulator.is_empty() || emulator == guest || ALSO.contains(&(emulator, guest))
}

pub(super) fn complete(domain: &mut Domain, host: &Host) -> Result<()> {
    domain.r#type.get_or_insert(if host.kvm { DomainType::Kvm } else { DomainType::Qemu });
    domain.os.r#type.arch.get_or_insert_with(|| host.settings.arch.clone());
    domain.devices.emulator.get_or_insert_with(|| host.emulator.to_string_lossy().into_owned());
    let arch = domain.os.r#type.arch.as_deref().unwrap_or_default();
    if !runs(&host.capabilities.arch, arch) {
        let message = format!(
            "the emulator {} runs guests of the architecture '{}', not '{arch}'",
            host.emulator.display(),
            host.capabilities.arch
        );
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("os.type.arch"));
    }
    let wanted = domain.os.r#type.machine.as_deref();
    let r#type = domain.r#type.unwrap_or(DomainType::Qemu);
    let accelerated = host.capabilities.accelerated(Accelerator::of(r#type));
    let found = accelerated.machine(wanted).or_else(|| host.capabilities.machine(wanted));
    let Some(machine) = found else {
        let message =
            format!("the emulator {} has no machine type '{}'", host.emulator.display(), wanted.unwrap_or("default"));
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("os.type.machine"));
    };
    domain.os.r#type.machine = Some(machine.name.clone());
    Ok(())
}
