//! The CPU that a guest gets at a start: what its definition leaves to the host is settled, in words of its emulator.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{Cpu, CpuCheck, CpuFeature, CpuFeaturePolicy, CpuMatch, CpuMode, DomainType};
use ostler_driver::{Comparison, Cpus, Error, HostCpu, RemovedFeatures, Result};
use ostler_util::ErrorCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain_capabilities::{offered, properties};
use crate::monitor::Monitor;
use crate::probe::{Accelerator, Capabilities};

/// The guest's CPU on a host; `None`: the definition's is it already.
///
/// `own` is the host's CPU, where it counts in place of what the emulator says of it.
///
/// # Errors
/// The emulator has no such model, and no other may stand for it.
pub fn settle(domain: &Domain, emulator: &Capabilities, own: Option<&HostCpu>, cpus: &dyn Cpus) -> Result<Option<Cpu>> {
    let arch = emulator.arch.as_str();
    // Elsewhere QEMU knows itself what a host's CPU is.
    let Some(wanted) = domain.cpu.as_ref().filter(|_| matches!(arch, "x86_64" | "i686")) else { return Ok(None) };
    let is_settled = match wanted.mode {
        Some(CpuMode::HostPassthrough | CpuMode::Maximum) => true,
        Some(CpuMode::HostModel) => false,
        Some(CpuMode::Custom) | None => wanted.model.as_ref().is_none_or(|model| model.name.is_none()),
    };
    if is_settled {
        return Ok(None);
    }
    let accelerated = emulator.accelerated(Accelerator::of(domain.r#type.unwrap_or(DomainType::Qemu)));
    let offered = offered(accelerated);
    // What `host-model` means here.
    let host = match (own, &accelerated.host_cpu) {
        (Some(own), _) => Some(cpus.migratable(own).as_cpu()),
        (None, Some(said)) => {
            let mut host = cpus.described(arch, &properties(said), Some(&offered))?;
            // A guest is not to depend on what it could not take along.
            let stays = |feature: &CpuFeature| {
                let mut of_it =
                    said.properties.iter().filter(|said| cpus.feature_name(arch, &said.name) == feature.name);
                of_it.any(|said| said.migratable == Some(false))
            };
            host.features.retain(|feature| !stays(feature));
            Some(host)
        }
        (None, None) => None,
    };
    let mut cpu = wanted.clone();
    if let (Some(CpuMode::HostModel), Some(host)) = (cpu.mode, &host) {
        take(&mut cpu, host);
    }
    let unknown = || HostCpu { arch: arch.to_owned(), ..HostCpu::default() };
    let host = host.as_ref().map_or_else(unknown, |host| as_host(arch, host));
    cpus.update(&mut cpu, &host, RemovedFeatures::Disabled)?;
    cpus.translate(arch, &mut cpu, Some(&offered))?;
    if let Some(said) = &accelerated.host_cpu {
        let known: BTreeSet<&str> =
            said.properties.iter().map(|property| cpus.feature_name(arch, &property.name)).collect();
        // What this emulator has never heard of is absent anyway.
        cpu.features.retain(|feature| !is_off(feature) || known.contains(feature.name.as_str()));
    }
    Ok(Some(cpu))
}

/// The guest's CPU becomes the host's, but for the features that the guest names.
fn take(cpu: &mut Cpu, host: &Cpu) {
    let own = std::mem::replace(&mut cpu.features, host.features.clone());
    for feature in own {
        match cpu.features.iter_mut().find(|there| there.name == feature.name) {
            Some(there) => *there = feature,
            None => cpu.features.push(feature),
        }
    }
    cpu.model.get_or_insert_default().name = host.model.as_ref().and_then(|model| model.name.clone());
    cpu.vendor = host.vendor.clone();
    (cpu.mode, cpu.r#match) = (Some(CpuMode::Custom), Some(CpuMatch::Exact));
}

/// A description of a host as a host.
fn as_host(arch: &str, cpu: &Cpu) -> HostCpu {
    let has = |feature: &&CpuFeature| !is_off(feature);
    HostCpu {
        arch: arch.to_owned(),
        model: cpu.model.as_ref().and_then(|model| model.name.clone()),
        vendor: cpu.vendor.clone(),
        signature: None,
        features: cpu.features.iter().filter(has).map(|feature| feature.name.clone()).collect(),
    }
}

/// Whether this host can give a guest the CPU that was settled for it (`check='partial'`).
///
/// # Errors
/// `CpuIncompatible`: it can't.
pub(crate) fn check_partially(domain: &Domain, cpu: &Cpu, emulator: &Capabilities, cpus: &dyn Cpus) -> Result<()> {
    let arch = emulator.arch.as_str();
    let accelerated = emulator.accelerated(Accelerator::of(domain.r#type.unwrap_or(DomainType::Qemu)));
    let Some(said) = &accelerated.host_cpu else { return Ok(()) };
    let host = as_host(arch, &cpus.described(arch, &properties(said), Some(&offered(accelerated)))?);
    let name = cpu.model.as_ref().and_then(|model| model.name.as_deref()).unwrap_or_default();
    let told = accelerated.cpus.iter().find(|known| known.name == name && known.usable.is_some());
    let blockers = told.map(|known| known.blockers.as_slice()).filter(|_| !cpus.is_compared_by_model(arch, name));
    if cpus.check_partially(&host, cpu, blockers)? != Comparison::Incompatible {
        return Ok(());
    }
    let lacks = if blockers.is_some_and(|list| !list.is_empty()) {
        format!(": it lacks {}", blockers.unwrap_or_default().join(", "))
    } else {
        String::new()
    };
    let message = format!("this host can't give a guest the CPU '{name}'{lacks}");
    Err(Error::new(ErrorCode::CpuIncompatible, message).at("cpu"))
}

/// Holds what QEMU could not give a guest against a definition that wants all of it (`check='full'`).
///
/// # Errors
/// `OperationFailed`, with what is missing.
pub(crate) async fn check_fully(monitor: &Monitor, domain: &Domain) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Vcpu {
        qom_path: String,
    }
    let is_x86 = matches!(domain.os.r#type.arch.as_deref(), Some("x86_64" | "i686"));
    if domain.cpu.as_ref().and_then(|cpu| cpu.check) != Some(CpuCheck::Full) || !is_x86 {
        return Ok(());
    }
    let vcpus: Vec<Vcpu> = monitor.execute("query-cpus-fast", Value::Null).await?;
    let Some(first) = vcpus.first() else { return Ok(()) };
    let property = json!({ "path": first.qom_path, "property": "unavailable-features" });
    let missing: Vec<String> = monitor.execute("qom-get", property).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("the guest's CPU is not what the definition wants: {} can't be given", missing.join(", "));
    Err(Error::new(ErrorCode::OperationFailed, message).at("cpu"))
}

fn is_off(feature: &CpuFeature) -> bool {
    feature.policy == Some(CpuFeaturePolicy::Disable)
}
