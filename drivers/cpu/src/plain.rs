//! s390x, riscv64, loongarch64: only the hypervisor knows the models and what they have.
//!
//! What [`crate::CpuDriver`] does for them needs no table: descriptions are laid over each other by name.

use ostler_conf::domain::{Cpu, CpuFeaturePolicy as Policy, CpuMatch};
use ostler_driver::{Error, HostCpu, Result};
use ostler_util::ErrorCode;

use crate::features::policy;
use crate::named::take_host;

/// s390x: the model that a host has, and the features that the guest names besides.
///
/// # Errors
/// `ConfigUnsupported`: `match='minimum'` and optional features would need to know what is in a model.
pub(crate) fn update_s390(cpu: &mut Cpu, host: &HostCpu) -> Result<()> {
    let refuse = |what: &str| {
        let message = format!("{what} can't be settled on s390x, where only the hypervisor knows what is in a model");
        Err(Error::new(ErrorCode::ConfigUnsupported, message))
    };
    if cpu.r#match == Some(CpuMatch::Minimum) {
        return refuse("match='minimum'");
    }
    if let Some(other) =
        cpu.features.iter().find(|feature| !matches!(policy(feature), Policy::Require | Policy::Disable))
    {
        return refuse(&format!("the policy '{}' of the feature '{}'", policy(other), other.name));
    }
    take_host(cpu, host);
    Ok(())
}
