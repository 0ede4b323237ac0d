//! Whether a host can give a CPU.

use ostler_conf::domain::{Cpu, CpuFeaturePolicy as Policy, CpuMatch};
use ostler_driver::{Comparison, HostCpu, Result};

use super::{bits_with, feature_bits, guest_bits, host_bits, model_name, model_of};
use crate::features::policy;

/// Whether `host` can give `cpu`, bit by bit.
pub(crate) fn compare(host: &HostCpu, cpu: &Cpu) -> Result<Comparison> {
    if cpu.vendor.is_some() && cpu.vendor != host.vendor {
        return Ok(Comparison::Incompatible);
    }
    let host = host_bits(host)?;
    let (optional, disabled) = (bits_with(cpu, Policy::Optional)?, bits_with(cpu, Policy::Disable)?);
    if !host.common(&bits_with(cpu, Policy::Forbid)?).is_empty() {
        return Ok(Comparison::Incompatible);
    }
    let mut required = bits_with(cpu, Policy::Require)?;
    if let Some(model) = model_name(cpu) {
        required.add(&model_of(model)?.bits);
    }
    let required = required.without(&optional).without(&disabled);
    if !host.contains(&required) {
        return Ok(Comparison::Incompatible);
    }
    let forced = bits_with(cpu, Policy::Force)?;
    let more = host.without(&optional).without(&required).without(&disabled).without(&forced);
    Ok(match more.is_empty() {
        true => Comparison::Identical,
        false if cpu.r#match == Some(CpuMatch::Strict) => Comparison::Incompatible,
        false => Comparison::Superset,
    })
}

/// As [`compare`]; where the hypervisor told what it lacks of the model, that decides instead of the host's bits: nothing that
/// the guest keeps may be among it, and what the guest requires besides must be in the host.
pub(crate) fn check_partially(host: &HostCpu, cpu: &Cpu, unavailable: Option<&[String]>) -> Result<Comparison> {
    let Some(unavailable) = unavailable else { return compare(host, cpu) };
    let wanted = guest_bits(cpu)?;
    for name in unavailable {
        // What the tables don't know can't be wanted by name, and not be done without either.
        if feature_bits(name).map_or(true, |bits| wanted.contains(&bits)) {
            return Ok(Comparison::Incompatible);
        }
    }
    let has = host_bits(host)?;
    for feature in &cpu.features {
        let is_there = has.contains(&feature_bits(&feature.name)?);
        match policy(feature) {
            Policy::Require if !is_there => return Ok(Comparison::Incompatible),
            Policy::Forbid if is_there => return Ok(Comparison::Incompatible),
            _ => {}
        }
    }
    Ok(Comparison::Superset)
}
