//! Families of architectures: those whose CPUs are told in the same way.

/// A family of architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// i686, x86_64.
    X86,
    /// ppc64, ppc64le.
    Ppc64,
    /// aarch64 and 32-bit arm.
    Arm,
    /// s390, s390x.
    S390,
    /// riscv32, riscv64.
    Riscv,
    /// loongarch64.
    Loongarch,
}

const FAMILIES: &[(Family, &[&str])] = &[
    (Family::X86, &["i686", "x86_64"]),
    (Family::Ppc64, &["ppc64", "ppc64le"]),
    (Family::Arm, &["aarch64", "armv6l", "armv7b", "armv7l"]),
    (Family::S390, &["s390", "s390x"]),
    (Family::Riscv, &["riscv32", "riscv64"]),
    (Family::Loongarch, &["loongarch64"]),
];

impl Family {
    /// The family of an architecture, by libvirt's name.
    pub(crate) fn of(arch: &str) -> Option<Family> {
        FAMILIES.iter().find(|(_, archs)| archs.contains(&arch)).map(|(family, _)| *family)
    }
}
