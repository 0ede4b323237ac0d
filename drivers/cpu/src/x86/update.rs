//! A guest's CPU in terms of its host, and of the models that its hypervisor has.

use ostler_conf::domain::{Cpu, CpuFeature, CpuFeaturePolicy as Policy, CpuMatch, CpuMode};
use ostler_driver::{HostCpu, Offered, RemovedFeatures, Result};

use super::decode::{Purpose, decode};
use super::tables::{Model, TABLES};
use super::{CpuData, guest_bits, host_bits, model_name, model_of};
use crate::features::{policy, set, set_if_missing};

/// Settles what depends on the host.
pub(crate) fn update(cpu: &mut Cpu, host: &HostCpu, removed: RemovedFeatures) -> Result<()> {
    match (cpu.mode, cpu.r#match) {
        (Some(CpuMode::HostPassthrough | CpuMode::Maximum), _) => return Ok(()),
        (Some(CpuMode::HostModel), _) | (_, Some(CpuMatch::Minimum)) => take_host(cpu, host),
        _ => {
            let bits = host_bits(host)?;
            for feature in cpu.features.iter_mut().filter(|feature| policy(feature) == Policy::Optional) {
                let is_there = bits.contains(&super::feature_bits(&feature.name)?);
                feature.policy = Some(if is_there { Policy::Require } else { Policy::Disable });
            }
        }
    }
    let model = model_name(cpu).map(model_of).transpose()?;
    for name in model.into_iter().flat_map(|model| &model.removed) {
        let policy = match removed {
            RemovedFeatures::Required => Policy::Require,
            RemovedFeatures::Disabled => Policy::Disable,
        };
        set_if_missing(cpu, name, policy);
    }
    Ok(())
}

/// The guest's CPU becomes the host's, but for the features that the guest names.
fn take_host(cpu: &mut Cpu, host: &HostCpu) {
    let own = std::mem::take(&mut cpu.features);
    let required = |name: &String| CpuFeature { policy: Some(Policy::Require), name: name.clone() };
    cpu.features = host.features.iter().map(required).collect();
    own.iter().for_each(|feature| set(cpu, &feature.name, policy(feature)));
    let model = cpu.model.get_or_insert_default();
    model.name = host.model.clone();
    if cpu.mode == Some(CpuMode::HostModel) {
        cpu.vendor = host.vendor.clone();
    }
    cpu.mode = Some(CpuMode::Custom);
    cpu.r#match = Some(CpuMatch::Exact);
}

/// Says the same CPU with one of the models on offer.
pub(crate) fn translate(cpu: &mut Cpu, offered: Offered<'_>) -> Result<()> {
    let model: Option<&Model> = model_name(cpu).map(model_of).transpose()?;
    let data = CpuData {
        bits: guest_bits(cpu)?,
        vendor: model.and_then(|model| model.vendor),
        signature: model.and_then(|model| model.signatures.first()).map(|pattern| pattern.example()),
    };
    let decoded = decode(&data, Purpose { offered, ..Purpose::default() })?;
    let own = std::mem::take(&mut cpu.features);
    decoded.features.iter().for_each(|(name, policy)| set(cpu, name, *policy));
    for feature in &own {
        // One name for a feature: the tables'.
        let name = TABLES.feature(&feature.name).map_or(feature.name.as_str(), |feature| feature.name);
        set(cpu, name, policy(feature));
    }
    cpu.model.get_or_insert_default().name = Some(decoded.model.to_owned());
    Ok(())
}
