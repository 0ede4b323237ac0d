//! x86: a CPU is a set of bits, of CPUID leaves and of MSRs.

mod baseline;
mod bits;
mod compare;
mod data;
mod decode;
mod host;
mod live;
mod tables;
mod update;

pub(crate) use baseline::baseline;
pub(crate) use compare::{check_partially, compare};
pub use data::CpuData;
pub use decode::{Decoded, Purpose, decode};
pub use host::{describe, dump, probe};
pub use live::expand;
pub(crate) use live::update_live;
pub(crate) use update::{translate, update};

use ostler_conf::domain::{Cpu, CpuFeaturePolicy as Policy};
use ostler_driver::{Error, HostCpu, Result};
use ostler_util::ErrorCode;

use crate::features::policy;
use bits::Bits;
use tables::{Model, TABLES};

/// The names of the models that a guest may name.
pub(crate) fn models() -> Vec<&'static str> {
    TABLES.models.iter().map(|model| model.name).collect()
}

/// The maker of a model.
pub(crate) fn vendor_of(model: &str) -> Option<&'static str> {
    TABLES.model(model).and_then(|model| model.vendor)
}

/// The versioned name of a model.
pub(crate) fn canonical(model: &str) -> Option<&'static str> {
    TABLES.models.iter().find(|version| version.is_version_of == Some(model)).map(|version| version.name)
}

/// The name of a feature here, by the hypervisor's.
pub(crate) fn feature_name(name: &str) -> &str {
    TABLES.feature(name).map_or(name, |feature| feature.name)
}

/// Whether a guest can take a feature along to another host.
pub(crate) fn is_migratable(feature: &str) -> bool {
    TABLES.feature(feature).is_none_or(|feature| feature.is_migratable)
}

/// Whether comparing bits decides about `check='partial'` for this model.
pub(crate) fn is_compared_by_model(model: &str) -> bool {
    TABLES.model(model).is_some_and(|model| model.is_compared)
}

/// Whether `host` has a feature.
///
/// # Errors
/// A model or feature that is unknown.
pub fn has_feature(host: &HostCpu, feature: &str) -> Result<bool> {
    Ok(host_bits(host)?.contains(&feature_bits(feature)?))
}

/// Whether every feature is known.
pub(crate) fn check_features(cpu: &Cpu) -> Result<()> {
    cpu.features.iter().try_for_each(|feature| feature_bits(&feature.name).map(drop))
}

fn model_of(name: &str) -> Result<&'static Model> {
    TABLES.model(name).ok_or_else(|| unknown("model", name))
}

fn feature_bits(name: &str) -> Result<Bits> {
    TABLES.feature(name).map(|feature| feature.bits).ok_or_else(|| unknown("feature", name))
}

fn unknown(what: &str, name: &str) -> Error {
    Error::new(ErrorCode::InternalError, format!("there is no x86 CPU {what} '{name}'"))
}

/// All bits of a host.
fn host_bits(host: &HostCpu) -> Result<Bits> {
    let mut bits = match &host.model {
        Some(model) => model_of(model)?.bits,
        None => Bits::default(),
    };
    for feature in &host.features {
        bits.add(&feature_bits(feature)?);
    }
    Ok(bits)
}

/// The bits that a guest's CPU has: its model with what is forced or required and without what is disabled or forbidden.
fn guest_bits(cpu: &Cpu) -> Result<Bits> {
    let mut bits = match model_name(cpu) {
        Some(model) => model_of(model)?.bits,
        None => Bits::default(),
    };
    for feature in &cpu.features {
        match policy(feature) {
            Policy::Force | Policy::Require => bits.add(&feature_bits(&feature.name)?),
            Policy::Disable | Policy::Forbid => bits.remove(&feature_bits(&feature.name)?),
            Policy::Optional => {}
        }
    }
    Ok(bits)
}

/// The bits of all features with one policy.
fn bits_with(cpu: &Cpu, wanted: Policy) -> Result<Bits> {
    let mut bits = Bits::default();
    for feature in cpu.features.iter().filter(|feature| policy(feature) == wanted) {
        bits.add(&feature_bits(&feature.name)?);
    }
    Ok(bits)
}

fn model_name(cpu: &Cpu) -> Option<&str> {
    cpu.model.as_ref().and_then(|model| model.name.as_deref())
}
