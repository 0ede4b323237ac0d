//! The virtual CPU: the machine's own where none is named, and how closely the host's is held against it.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{
    CpuCheck, CpuFeature, CpuFeaturePolicy, CpuMatch, CpuMode, CpuModel, CpuModelFallback, DomainType,
};
use ostler_conf::values::OnOff;

use super::Host;
use super::machine::{Arch, arch};
use crate::probe::{Accelerator, Flag};

pub(super) fn complete(domain: &mut Domain, host: &Host) {
    name_default(domain, host);
    place_all_cpus(domain);
    imply_vectors(domain);
    let is_translated = domain.r#type == Some(DomainType::Qemu);
    let Some(cpu) = &mut domain.cpu else { return };
    if let Some(topology) = &mut cpu.topology {
        topology.dies.get_or_insert(1);
        topology.clusters.get_or_insert(1);
    }
    let has_model = cpu.model.as_ref().is_some_and(|model| model.name.is_some());
    match cpu.mode {
        Some(CpuMode::HostPassthrough | CpuMode::Maximum) => {
            cpu.check.get_or_insert(CpuCheck::None);
            let is_hosts = cpu.mode == Some(CpuMode::HostPassthrough) || !is_translated;
            if is_hosts && host.capabilities.has(Flag::CpuMigratable) {
                cpu.migratable.get_or_insert(OnOff(true));
            }
        }
        Some(CpuMode::HostModel) => drop(cpu.check.get_or_insert(CpuCheck::Partial)),
        Some(CpuMode::Custom) | None if has_model => {
            cpu.mode = Some(CpuMode::Custom);
            cpu.r#match.get_or_insert(CpuMatch::Exact);
            // A translated CPU is not held against the host's.
            cpu.check.get_or_insert(if is_translated { CpuCheck::None } else { CpuCheck::Partial });
            if let Some(model) = &mut cpu.model {
                model.fallback.get_or_insert(CpuModelFallback::Allow);
            }
        }
        Some(CpuMode::Custom) | None => {}
    }
}

/// QEMU's own default, written down so that another QEMU does not change it.
fn name_default(domain: &mut Domain, host: &Host) {
    let says_model = |cpu: &ostler_conf::domain::Cpu| {
        !matches!(cpu.mode, None | Some(CpuMode::Custom))
            || cpu.model.as_ref().is_some_and(|model| model.name.is_some())
    };
    if domain.cpu.as_ref().is_some_and(says_model) {
        return;
    }
    // Elsewhere QEMU tells the translator's default, whatever runs the instructions.
    if matches!(arch(domain), Arch::Ppc | Arch::Sparc | Arch::Mips | Arch::Other) {
        return;
    }
    let is_told = matches!(arch(domain), Arch::X86 | Arch::S390 | Arch::Ppc64);
    if !is_told && domain.r#type != Some(DomainType::Qemu) {
        return;
    }
    let accelerated = host.capabilities.accelerated(Accelerator::of(domain.r#type.unwrap_or(DomainType::Qemu)));
    let name = domain.os.r#type.machine.as_deref();
    let machine = accelerated.machine(name).or_else(|| host.capabilities.machine(name));
    let Some(r#type) = machine.and_then(|machine| machine.default_cpu.as_deref()) else { return };
    let of_type = |cpu: &&crate::probe::Cpu| cpu.type_name.as_deref() == Some(r#type);
    let by_name = || r#type.strip_suffix("-cpu")?.rsplit_once('-').map(|(name, _)| name.to_owned());
    let named = accelerated.cpus.iter().find(of_type).map(|cpu| cpu.name.clone());
    let Some(default) = named.or_else(by_name) else { return };
    let is_s390 = arch(domain) == Arch::S390;
    let cpu = domain.cpu.get_or_insert_default();
    if default == "host" {
        cpu.mode = Some(if is_s390 { CpuMode::HostModel } else { CpuMode::HostPassthrough });
        return;
    }
    cpu.mode = Some(CpuMode::Custom);
    cpu.r#match = Some(CpuMatch::Exact);
    cpu.check.get_or_insert(CpuCheck::None);
    cpu.model = Some(CpuModel { fallback: Some(CpuModelFallback::Forbid), vendor_id: None, name: Some(default) });
}

/// Virtual CPUs that no NUMA node names belong to the first.
fn place_all_cpus(domain: &mut Domain) {
    let vcpus = domain.vcpus();
    let Some(numa) = domain.cpu.as_mut().and_then(|cpu| cpu.numa.as_mut()) else { return };
    let placed: BTreeSet<u32> = numa
        .cells
        .iter()
        .filter_map(|cell| cell.cpus.as_ref())
        .flat_map(|cpus| cpus.iter().collect::<Vec<_>>())
        .collect();
    let left: Vec<u32> = (0..vcpus).filter(|cpu| !placed.contains(cpu)).collect();
    if let Some(first) = numa.cells.first_mut().filter(|_| !left.is_empty()) {
        let own = first.cpus.iter().flat_map(|cpus| cpus.iter().collect::<Vec<_>>());
        first.cpus = Some(own.chain(left).collect());
    }
}

/// Who asks for vectors of some length asks for vectors.
fn imply_vectors(domain: &mut Domain) {
    if !matches!(arch(domain), Arch::Aarch64 | Arch::Arm) {
        return;
    }
    let Some(cpu) = &mut domain.cpu else { return };
    let is_length = |name: &str| name.strip_prefix("sve").is_some_and(|bits| bits.parse::<u32>().is_ok());
    let asks = |policy: Option<CpuFeaturePolicy>| {
        !matches!(policy, Some(CpuFeaturePolicy::Disable | CpuFeaturePolicy::Forbid))
    };
    let wanted = cpu.features.iter().any(|feature| is_length(&feature.name) && asks(feature.policy));
    if wanted && !cpu.features.iter().any(|feature| feature.name == "sve") {
        cpu.features.push(CpuFeature { policy: Some(CpuFeaturePolicy::Require), name: "sve".to_owned() });
    }
}
