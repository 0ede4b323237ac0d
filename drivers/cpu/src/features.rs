//! The list of features of a guest's CPU, and how one is added or changed in it.

use ostler_conf::domain::{Cpu, CpuFeature, CpuFeaturePolicy};

/// Gives `name` the policy, in its place or at the end.
pub(crate) fn set(cpu: &mut Cpu, name: &str, policy: CpuFeaturePolicy) {
    match cpu.features.iter_mut().find(|feature| feature.name == name) {
        Some(feature) => feature.policy = Some(policy),
        None => add(cpu, name, policy),
    }
}

/// Gives `name` the policy, unless it has one.
pub(crate) fn set_if_missing(cpu: &mut Cpu, name: &str, policy: CpuFeaturePolicy) {
    if !cpu.features.iter().any(|feature| feature.name == name) {
        add(cpu, name, policy);
    }
}

/// What is wanted of a feature.
pub(crate) fn policy(feature: &CpuFeature) -> CpuFeaturePolicy {
    feature.policy.unwrap_or(CpuFeaturePolicy::Require)
}

fn add(cpu: &mut Cpu, name: &str, policy: CpuFeaturePolicy) {
    cpu.features.push(CpuFeature { policy: Some(policy), name: name.to_owned() });
}
