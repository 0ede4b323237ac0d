//! Rules of the machine's features, of its firmware and of memory that comes and goes.

use ostler_conf::Domain;
use ostler_conf::domain::{CpuFeaturePolicy, CpuMode, DomainType, FirmwareKind, LoaderKind, MaxPhysAddrMode};
use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::complete::{Arch, Host, MachineFamily, arch, machine};
use crate::probe::{Accelerator, Flag};

pub(super) fn check(domain: &Domain, host: &Host, problems: &mut Problems) {
    check_accelerator(domain, host, problems);
    check_machine_features(domain, host, problems);
    check_acpi(domain, host, problems);
    check_firmware(domain, problems);
    check_cpu(domain, problems);
    let has_cells = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).is_some_and(|numa| !numa.cells.is_empty());
    problems.unless(
        domain.max_memory.is_none() || has_cells || arch(domain) == Arch::Ppc64,
        "maxMemory",
        "memory can be added to a guest with NUMA nodes only: give one at least",
    );
}

fn check_accelerator(domain: &Domain, host: &Host, problems: &mut Problems) {
    let Some(r#type) = domain.r#type else { return };
    let is_there = match r#type {
        DomainType::Hvf => !host.capabilities.accelerated(Accelerator::Hvf).is_empty(),
        DomainType::Kvm | DomainType::Qemu => true,
        _ => false,
    };
    problems.unless(is_there, "type", format!("the emulator runs no guests of the type '{type}'"));
}

fn check_machine_features(domain: &Domain, host: &Host, problems: &mut Problems) {
    let Some(features) = &domain.features else { return };
    let family = machine(domain);
    let is_pseries = family == MachineFamily::Pseries;
    let of_pseries = [
        ("hpt", features.hpt.is_some()),
        ("htm", features.htm.is_some()),
        ("nestedHv", features.nested_hv.is_some()),
        ("ccfAssist", features.ccf_assist.is_some()),
        ("cfpc", features.cfpc.is_some()),
        ("sbbc", features.sbbc.is_some()),
        ("ibs", features.ibs.is_some()),
    ];
    for (name, is_said) in of_pseries {
        problems.unless(!is_said || is_pseries, format!("features.{name}"), "only pseries machines have it");
    }
    problems.unless(
        features.gic.is_none() || family == MachineFamily::ArmVirt,
        "features.gic",
        "only the virt machines of ARM have it",
    );
    problems.unless(
        features.ras.is_none() || family == MachineFamily::ArmVirt,
        "features.ras",
        "only the virt machines of ARM have it",
    );
    problems.unless(
        features.aia.is_none() || family == MachineFamily::RiscvVirt,
        "features.aia",
        "only the virt machines of RISC-V have it",
    );
    problems.unless(
        features.ps2.is_none() || host.capabilities.has(Flag::MachineI8042Opt),
        "features.ps2",
        "the emulator can't leave the PS/2 controller out",
    );
    let is_off = |state: Option<ostler_conf::values::OnOff>| state.is_some_and(|state| !state.0);
    let is_on = |state: Option<ostler_conf::values::OnOff>| state.is_none_or(|state| state.0);
    let has_ps2 = features.ps2.as_ref().is_none_or(|ps2| !is_off(ps2.state));
    let has_vmport = features.vmport.as_ref().is_some_and(|vmport| is_on(vmport.state));
    problems.unless(!has_vmport || has_ps2, "features.vmport", "it needs the PS/2 controller");
    if let Some(tseg) = features.smm.as_ref().and_then(|smm| smm.tseg.as_ref()) {
        let at = "features.smm.tseg";
        problems.unless(family == MachineFamily::Q35, at, "only the machine type q35 has it");
        problems.unless(tseg.0.bytes() % (1 << 20) == 0, at, "whole MiB are expected");
    }
}

fn check_acpi(domain: &Domain, host: &Host, problems: &mut Problems) {
    let has_acpi = domain.features.as_ref().is_some_and(|features| features.acpi);
    let name = domain.os.r#type.machine.as_deref();
    let lacks = host.capabilities.machine(name).is_some_and(|machine| machine.acpi == Some(false));
    problems.unless(!has_acpi || !lacks, "features.acpi", "the machine type has no ACPI");
    let os = &domain.os;
    let is_flash = os.loader.as_ref().is_some_and(|loader| loader.r#type == Some(LoaderKind::Pflash));
    let is_efi = os.firmware == Some(FirmwareKind::Efi) || is_flash;
    if matches!(arch(domain), Arch::Aarch64) {
        problems.unless(!has_acpi || is_efi, "features.acpi", "without UEFI there is no ACPI on this architecture");
    }
    if arch(domain) == Arch::X86 {
        problems.unless(has_acpi || !is_efi, "features.acpi", "there is no UEFI without ACPI on this architecture");
    }
}

fn check_firmware(domain: &Domain, problems: &mut Problems) {
    let os = &domain.os;
    if os.firmware.is_none() && os.firmware_features.is_some() {
        problems.add(Code::XmlDetail, "os.firmwareFeatures", "features choose a firmware: give os.firmware");
    }
}

fn check_cpu(domain: &Domain, problems: &mut Problems) {
    let Some(cpu) = &domain.cpu else { return };
    if let Some(bits) = &cpu.maxphysaddr {
        problems.unless(
            bits.mode != MaxPhysAddrMode::Passthrough || bits.bits.is_none(),
            "cpu.maxphysaddr.bits",
            "the host's own number is taken: leave the number out",
        );
        let is_hosts = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
        problems.unless(
            bits.mode != MaxPhysAddrMode::Passthrough || is_hosts,
            "cpu.maxphysaddr.mode",
            "only a CPU of the mode host-passthrough has the host's own number",
        );
    }
    if matches!(arch(domain), Arch::Aarch64 | Arch::Arm) {
        let is_off = |policy: Option<CpuFeaturePolicy>| {
            matches!(policy, Some(CpuFeaturePolicy::Disable | CpuFeaturePolicy::Forbid))
        };
        let is_length = |name: &str| name.strip_prefix("sve").is_some_and(|bits| bits.parse::<u32>().is_ok());
        let wants = cpu.features.iter().any(|feature| is_length(&feature.name) && !is_off(feature.policy));
        let refuses = cpu.features.iter().any(|feature| feature.name == "sve" && is_off(feature.policy));
        problems.unless(
            !(wants && refuses),
            "cpu.features",
            "vectors have lengths, and are off: leave one of both out",
        );
    }
    let threads = cpu.topology.as_ref().map_or(1, |topology| topology.threads).max(1);
    if machine(domain) == MachineFamily::Pseries {
        let current = domain.vcpu.as_ref().and_then(|vcpu| vcpu.current).unwrap_or(domain.vcpus());
        problems.unless(
            domain.vcpus().is_multiple_of(threads) && current.is_multiple_of(threads),
            "vcpu",
            format!("virtual CPUs come in cores of {threads}"),
        );
    }
}
