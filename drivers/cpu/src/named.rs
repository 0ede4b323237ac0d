//! ppc64 and arm: a CPU is a model by the value of its version register, and a model is a name.
//!
//! | line of a table | meaning |
//! |---|---|
//! | `vendor NAME VALUE` | a maker; on arm, with what its processors say |
//! | `feature NAME` | |
//! | `model NAME vendor=NAME VALUE/MASK…` | hexadecimal; on arm, the number of the part |
//!
//! Tabs stand between the words: one model has a blank in its name.

use std::sync::LazyLock;

use ostler_conf::domain::{Cpu, CpuFeature, CpuFeaturePolicy as Policy, CpuMatch, CpuMode, CpuModel, CpuModelFallback};
use ostler_driver::{Comparison, Error, HostCpu, Result};
use ostler_util::ErrorCode;

use crate::features::{policy, set};

/// The CPUs of ppc64.
pub(crate) static PPC64: LazyLock<Names> = LazyLock::new(|| Names::read(include_str!("../data/ppc64.txt")));
/// The CPUs of arm.
pub(crate) static ARM: LazyLock<Names> = LazyLock::new(|| Names::read(include_str!("../data/arm.txt")));

/// Names that ppc64's models once had.
const OLD_PPC64: &[(&str, &str)] =
    &[("POWER7+_v2.1", "POWER7"), ("POWER7_v2.1", "POWER7"), ("POWER7_v2.3", "POWER7"), ("POWER8_v1.0", "POWER8")];

/// The generations that a ppc64 guest may be compatible with, from old to new, and the models of each.
const PPC64_COMPATIBLE: &[(&str, &str)] = &[
    ("power6", "POWER6"),
    ("power7", "POWER7"),
    ("power8", "POWER8"),
    ("power9", "POWER9"),
    ("power10", "POWER10"),
    ("power11", "POWER11"),
];

/// The makers, models and features of one architecture.
#[derive(Debug, Default)]
pub(crate) struct Names {
    vendors: Vec<(&'static str, u32)>,
    features: Vec<&'static str>,
    models: Vec<NamedModel>,
}

#[derive(Debug)]
struct NamedModel {
    name: &'static str,
    vendor: Option<&'static str>,
    /// Values of the version register under a mask.
    versions: Vec<(u32, u32)>,
}

impl Names {
    /// The names of the models.
    pub(crate) fn models(&self) -> Vec<&'static str> {
        self.models.iter().map(|model| model.name).collect()
    }

    /// The maker of a model.
    pub(crate) fn vendor_of(&self, model: &str) -> Option<&'static str> {
        self.models.iter().find(|known| known.name == model).and_then(|known| known.vendor)
    }

    /// Whether every feature is known.
    pub(crate) fn check_features(&self, cpu: &Cpu) -> Result<()> {
        let unknown = cpu.features.iter().find(|feature| !self.features.contains(&feature.name.as_str()));
        unknown.map_or(Ok(()), |feature| Err(unknown_name("feature", &feature.name)))
    }

    /// The model of a maker, or of any, that has this version.
    fn by_version(&self, vendor: Option<&str>, version: u32) -> Option<&NamedModel> {
        let is_it = |model: &&NamedModel| {
            let is_of_maker = vendor.is_none() || model.vendor == vendor;
            is_of_maker && model.versions.iter().any(|(value, mask)| version & mask == *value)
        };
        self.models.iter().find(is_it)
    }

    fn model(&self, name: &str) -> Result<&NamedModel> {
        self.models.iter().find(|model| model.name == name).ok_or_else(|| unknown_name("model", name))
    }

    fn read(text: &'static str) -> Names {
        let mut names = Names::default();
        let hexadecimal = |text| u32::from_str_radix(text, 16).expect("the tables' values are hexadecimal");
        for line in text.lines() {
            let mut words = line.split('\t');
            let (kind, name) = (words.next(), words.next().unwrap_or_default());
            match kind {
                Some("vendor") => names.vendors.push((name, words.next().map_or(0, hexadecimal))),
                Some("feature") => names.features.push(name),
                Some("model") => {
                    let mut model = NamedModel { name, vendor: None, versions: Vec::new() };
                    for word in words {
                        if let Some(vendor) = word.strip_prefix("vendor=") {
                            model.vendor = Some(vendor);
                        } else if let Some((value, mask)) = word.split_once('/') {
                            model.versions.push((hexadecimal(value), hexadecimal(mask)));
                        }
                    }
                    names.models.push(model);
                }
                _ => {}
            }
        }
        names
    }
}

fn unknown_name(what: &str, name: &str) -> Error {
    Error::new(ErrorCode::InternalError, format!("there is no CPU {what} '{name}'"))
}

/// A ppc64 host by the processor version register.
pub fn ppc64_host(pvr: u32) -> Option<HostCpu> {
    let model = PPC64.by_version(None, pvr)?;
    Some(host_of("ppc64", Some(model.name), model.vendor))
}

/// An arm host by the main ID register: the maker in 8 bits from bit 24, the part in 12 from bit 4.
pub fn arm_host(midr: u64) -> HostCpu {
    let (maker, part) = ((midr >> 24 & 0xff) as u32, (midr >> 4 & 0xfff) as u32);
    let vendor = ARM.vendors.iter().find(|(_, value)| *value == maker).map(|(name, _)| *name);
    let model = vendor.and_then(|vendor| ARM.by_version(Some(vendor), part));
    host_of("aarch64", model.map(|model| model.name), vendor)
}

fn host_of(arch: &str, model: Option<&str>, vendor: Option<&str>) -> HostCpu {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    HostCpu { arch: arch.to_owned(), model: owned(model), vendor: owned(vendor), ..HostCpu::default() }
}

/// The present name of a ppc64 model.
pub(crate) fn present_name(name: &str) -> &str {
    OLD_PPC64.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}

/// ppc64: whether a host can give `cpu`. With `host-model`, the model is the generation to be compatible with.
pub(crate) fn compare_ppc64(host: &HostCpu, cpu: &Cpu) -> Result<Comparison> {
    let name = cpu.model.as_ref().and_then(|model| model.name.as_deref());
    if cpu.vendor.is_some() && cpu.vendor != host.vendor {
        return Ok(Comparison::Incompatible);
    }
    let host_name = host.model.as_deref().map(present_name).unwrap_or_default();
    let host_model = PPC64.model(host_name)?;
    let is_given = match (cpu.mode, name) {
        (Some(CpuMode::HostModel), Some(generation)) => {
            let wanted = PPC64_COMPATIBLE.iter().position(|(name, _)| *name == generation);
            let wanted = wanted.ok_or_else(|| unknown_name("generation", generation))?;
            let has = PPC64_COMPATIBLE.iter().position(|(_, model)| *model == host_model.name);
            has.is_some_and(|has| wanted <= has)
        }
        (Some(CpuMode::HostModel | CpuMode::HostPassthrough | CpuMode::Maximum), _) | (_, None) => true,
        (_, Some(name)) => PPC64.model(present_name(name))?.name == host_model.name,
    };
    Ok(if is_given { Comparison::Identical } else { Comparison::Incompatible })
}

/// ppc64: the one model that all CPUs are of.
pub(crate) fn baseline_ppc64(cpus: &[Cpu]) -> Result<Cpu> {
    let failed = |message: String| Error::new(ErrorCode::OperationFailed, message);
    let mut vendors = cpus.iter().filter_map(|cpu| cpu.vendor.as_deref());
    let first = vendors.clone().next();
    if let Some(other) =
        vendors.find(|vendor| Some(*vendor) != first || PPC64.vendors.iter().all(|(name, _)| name != vendor))
    {
        return Err(failed(format!("CPUs of '{other}' have no baseline with the others, or are no ppc64 ones")));
    }
    let mut models = Vec::new();
    for cpu in cpus {
        let name = cpu
            .model
            .as_ref()
            .and_then(|model| model.name.as_deref())
            .ok_or_else(|| failed("a CPU names no model".to_owned()))?;
        models.push(PPC64.model(present_name(name))?.name);
    }
    match models.first() {
        Some(first) if models.iter().all(|model| model == first) => Ok(Cpu {
            mode: Some(CpuMode::Custom),
            r#match: Some(CpuMatch::Exact),
            model: Some(CpuModel {
                fallback: Some(CpuModelFallback::Forbid),
                name: Some((*first).to_owned()),
                ..CpuModel::default()
            }),
            ..Cpu::default()
        }),
        _ => Err(failed("the CPUs are of several models".to_owned())),
    }
}

/// Where a model is only a name: the guest's CPU becomes the host's, but for the features that the guest names.
pub(crate) fn take_host(cpu: &mut Cpu, host: &HostCpu) {
    let own = std::mem::take(&mut cpu.features);
    let required = |name: &String| CpuFeature { policy: Some(Policy::Require), name: name.clone() };
    cpu.features = host.features.iter().map(required).collect();
    own.iter().for_each(|feature| set(cpu, &feature.name, policy(feature)));
    cpu.model.get_or_insert_default().name = host.model.clone();
    cpu.vendor = host.vendor.clone();
    cpu.mode = Some(CpuMode::Custom);
    cpu.r#match = Some(CpuMatch::Exact);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_a_model() {
        assert_eq!(ppc64_host(0x004d_0200).unwrap().model.as_deref(), Some("POWER8"));
        let host = arm_host(0x410f_d083);
        assert_eq!((host.model.as_deref(), host.vendor.as_deref()), (Some("cortex-a72"), Some("ARM")));
        assert_eq!(arm_host(0x430f_d083).model, None, "no other maker's part of that number is meant");
    }

    #[test]
    fn a_host_gives_its_own_and_older_generations() {
        let host = HostCpu { arch: "ppc64".into(), model: Some("POWER8".into()), ..HostCpu::default() };
        for (generation, expect) in [("power7", Comparison::Identical), ("power9", Comparison::Incompatible)] {
            let model = CpuModel { name: Some(generation.into()), ..CpuModel::default() };
            let cpu = Cpu { mode: Some(CpuMode::HostModel), model: Some(model), ..Cpu::default() };
            assert_eq!(compare_ppc64(&host, &cpu).unwrap(), expect, "{generation}");
        }
    }
}
