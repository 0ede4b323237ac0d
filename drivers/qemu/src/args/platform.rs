//! What a machine type decides about how its devices are said.

use ostler_conf::Domain;

/// What of the machine types is told apart, by architecture and the start of the name.
const FAMILIES: &[(Platform, &[&str], &[&str])] = &[
    (Platform::I440fx, X86, &["pc-i440fx-", "pc-0.", "pc-1.", "rhel"]),
    (Platform::I440fx, X86, &["=pc"]),
    (Platform::Q35, X86, &["pc-q35", "=q35"]),
    (Platform::Microvm, X86, &["microvm"]),
    (Platform::Isapc, X86, &["=isapc"]),
    (Platform::ArmVirt, &["aarch64", "armv7l", "armv6l"], &["virt-", "=virt"]),
    (Platform::RiscvVirt, &["riscv64", "riscv32"], &["virt-", "=virt"]),
    (Platform::LoongarchVirt, &["loongarch64"], &["virt-", "=virt"]),
    (Platform::Pseries, &["ppc64", "ppc64le"], &["pseries"]),
    (Platform::S390Ccw, &["s390x", "s390"], &["s390-ccw"]),
];

const X86: &[&str] = &["x86_64", "i686"];

/// The families of machine types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    I440fx,
    Q35,
    Microvm,
    Isapc,
    ArmVirt,
    RiscvVirt,
    LoongarchVirt,
    Pseries,
    S390Ccw,
    /// A board of which nothing is special.
    Other,
}

impl Platform {
    pub(crate) fn of(domain: &Domain) -> Platform {
        let (arch, machine) = (arch(domain), domain.os.r#type.machine.as_deref().unwrap_or_default());
        let is_named = |pattern: &&str| match pattern.strip_prefix('=') {
            Some(name) => machine == name,
            None => machine.starts_with(pattern),
        };
        let family = FAMILIES.iter().find(|(_, arches, names)| arches.contains(&arch) && names.iter().any(is_named));
        family.map_or(Platform::Other, |(platform, ..)| *platform)
    }
}

/// The guest's architecture.
pub(crate) fn arch(domain: &Domain) -> &str {
    domain.os.r#type.arch.as_deref().unwrap_or(std::env::consts::ARCH)
}

/// Whether the guest's processor is of the x86 family.
pub(crate) fn is_x86(domain: &Domain) -> bool {
    X86.contains(&arch(domain))
}

/// Whether it is one of ARM's.
pub(crate) fn is_arm(domain: &Domain) -> bool {
    matches!(arch(domain), "aarch64" | "armv7l" | "armv6l")
}

/// Whether it is one of POWER's with 64 bits.
pub(crate) fn is_ppc64(domain: &Domain) -> bool {
    matches!(arch(domain), "ppc64" | "ppc64le")
}

/// Whether it is s390.
pub(crate) fn is_s390(domain: &Domain) -> bool {
    matches!(arch(domain), "s390x" | "s390")
}
