//! The guests that an emulator can run, as the `<guest>` of libvirt's `<capabilities>`.

use ostler_conf::capabilities::{Guest, GuestArch, GuestDomain, GuestFeatures, GuestMachine, Toggle};
use ostler_conf::domain::DomainType;
use ostler_conf::values::{OnOff, YesNo};

use crate::probe::{Capabilities, Flag, Machine};

/// Architectures of which a word has 32 bits.
const NARROW: &[&str] = &[
    "armv7l",
    "hppa",
    "i686",
    "m68k",
    "microblaze",
    "mips",
    "mipsel",
    "or32",
    "ppc",
    "riscv32",
    "sh4",
    "sparc",
    "xtensa",
];

/// Architectures whose guests can have ACPI, or not.
const WITH_ACPI: &[&str] = &["aarch64", "i686", "loongarch64", "x86_64"];

/// The guests that `emulator` can run here: under KVM, if the host lets them.
pub fn guest_capabilities(emulator: &Capabilities, has_kvm: bool) -> Guest {
    let arch = emulator.arch.as_str();
    let is_x86 = matches!(arch, "i686" | "x86_64");
    let toggle = |is_so: bool, may_say| is_so.then_some(Toggle { default: OnOff(true), toggle: YesNo(may_say) });
    let types = [
        (DomainType::Qemu, emulator.has(Flag::Tcg)),
        (DomainType::Kvm, has_kvm && emulator.has(Flag::Kvm)),
        (DomainType::Hvf, emulator.has(Flag::Hvf)),
    ];
    let domain = |r#type| GuestDomain { r#type, emulator: None, loader: None, machines: Vec::new() };
    let machines = &emulator.accelerated(emulator.best_accelerator()).machines;
    Guest {
        os_type: "hvm".to_owned(),
        arch: GuestArch {
            name: arch.to_owned(),
            wordsize: if NARROW.contains(&arch) { 32 } else { 64 },
            emulator: Some(emulator.emulator.clone()),
            loader: None,
            machines: machines.iter().flat_map(names).collect(),
            domains: types.into_iter().filter(|(_, is_so)| *is_so).map(|(r#type, _)| domain(r#type)).collect(),
        },
        features: Some(GuestFeatures {
            pae: arch == "i686",
            nonpae: arch == "i686",
            ia64_be: false,
            acpi: toggle(WITH_ACPI.contains(&arch), true),
            apic: toggle(is_x86, false),
            cpuselection: true,
            deviceboot: true,
            disksnapshot: toggle(true, false),
            hap: None,
            external_snapshot: true,
        }),
    }
}

/// A machine type under its own name, then under its alias.
fn names(machine: &Machine) -> impl Iterator<Item = GuestMachine> {
    let entry = |name: &String, canonical: Option<&String>| GuestMachine {
        canonical: canonical.cloned(),
        max_cpus: Some(machine.max_cpus).filter(|max| *max > 0),
        deprecated: machine.deprecated.then_some(YesNo(true)),
        name: name.clone(),
    };
    let alias = machine.alias.as_ref().map(|alias| entry(alias, Some(&machine.name)));
    std::iter::once(entry(&machine.name, None)).chain(alias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::qemu_10;

    #[test]
    fn a_machine_with_an_alias_stands_under_both_names() {
        let mut emulator = qemu_10();
        emulator.arch = "x86_64".to_owned();
        let guest = guest_capabilities(&emulator, true);
        let machines: Vec<_> =
            guest.arch.machines.iter().map(|machine| (machine.name.as_str(), machine.canonical.as_deref())).collect();
        assert_eq!(machines[..2], [("pc-i440fx-10.0", None), ("pc", Some("pc-i440fx-10.0"))]);
        assert_eq!(guest.arch.wordsize, 64);
    }
}
