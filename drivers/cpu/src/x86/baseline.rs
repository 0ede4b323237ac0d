//! The best CPU that several hosts can give.

use ostler_conf::domain::{Cpu, CpuFeaturePolicy as Policy, CpuMatch, CpuMode, CpuModel, CpuModelFallback};
use ostler_driver::{BaselineOptions, Error, Result};
use ostler_util::ErrorCode;

use super::bits::Bits;
use super::decode::{Purpose, decode};
use super::tables::TABLES;
use super::{CpuData, expand, guest_bits, model_name, model_of};
use crate::features::set;

/// What all of `cpus` have, as one of their models or the nearest.
pub(crate) fn baseline(cpus: &[Cpu], options: BaselineOptions<'_>) -> Result<Cpu> {
    let failed = |message: &str| Error::new(ErrorCode::OperationFailed, message);
    let mut common: Option<Bits> = None;
    let mut vendor: Option<&'static str> = None;
    for cpu in cpus {
        let bits = guest_bits(cpu)?;
        match &mut common {
            None => common = Some(bits),
            Some(common) => common.keep(&bits),
        }
        let of_model = model_name(cpu).map(model_of).transpose()?.and_then(|model| model.vendor);
        if let (Some(own), Some(of_model)) = (&cpu.vendor, of_model)
            && own != of_model
        {
            return Err(failed(&format!("a CPU of {own} can't be of a model of {of_model}")));
        }
        // The first CPU's own word counts, not its model's.
        let Some(name) = cpu.vendor.as_deref().or(of_model.filter(|_| !std::ptr::eq(cpu, &cpus[0]))) else { continue };
        let known = TABLES.vendors.iter().find(|vendor| vendor.name == name).map(|vendor| vendor.name);
        let known = known.ok_or_else(|| failed(&format!("there is no CPU vendor '{name}'")))?;
        if vendor.is_some_and(|vendor| vendor != known) {
            return Err(failed("CPUs of several vendors have no baseline"));
        }
        vendor = Some(known);
    }
    let bits = common.filter(|bits| !bits.is_empty()).ok_or_else(|| failed("the CPUs have nothing in common"))?;
    let first = cpus.first().and_then(model_name);
    let same = first.filter(|first| cpus.iter().all(|cpu| model_name(cpu) == Some(*first)));
    let inputs: Vec<&str> = cpus.iter().filter_map(model_name).collect();
    let data = CpuData { bits, vendor, signature: None };
    let BaselineOptions { offered, expand: expanded, migratable } = options;
    let purpose = Purpose { is_host: false, offered, preferred: same, migratable, inputs: &inputs };
    let decoded = decode(&data, purpose)?;
    let fallback = if same == Some(decoded.model) { CpuModelFallback::Forbid } else { CpuModelFallback::Allow };
    let mut cpu = Cpu {
        mode: Some(CpuMode::Custom),
        r#match: Some(CpuMatch::Exact),
        model: Some(CpuModel { fallback: Some(fallback), name: Some(decoded.model.to_owned()), ..CpuModel::default() }),
        ..Cpu::default()
    };
    if cpus.iter().all(|cpu| cpu.vendor.is_some()) {
        cpu.vendor = vendor.map(str::to_owned);
    }
    decoded.features.iter().for_each(|(name, policy): &(_, Policy)| set(&mut cpu, name, *policy));
    if expanded {
        expand(&mut cpu)?;
    }
    Ok(cpu)
}
