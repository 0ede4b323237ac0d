//! What a running guest has really got.

use std::fmt::Write as _;

use ostler_conf::domain::{Cpu, CpuCheck, CpuFeaturePolicy as Policy, CpuMode};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::tables::TABLES;
use super::{CpuData, bits_with, guest_bits, model_name, model_of};
use crate::features::{set, set_if_missing};

/// Writes into `cpu` what the hypervisor gave besides, and what it left out.
pub(crate) fn update_live(cpu: &mut Cpu, enabled: &CpuData, disabled: &CpuData) -> Result<()> {
    let expected = guest_bits(cpu)?;
    let unwanted = bits_with(cpu, Policy::Disable)?;
    let is_passthrough = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
    let (mut extra, mut missing) = (Vec::new(), Vec::new());
    for feature in &TABLES.features {
        let (is_on, is_off) = (enabled.bits.contains(&feature.bits), disabled.bits.contains(&feature.bits));
        let is_expected = expected.contains(&feature.bits);
        let is_unexpected = !is_expected && (!is_passthrough || unwanted.contains(&feature.bits));
        if is_unexpected && is_on {
            extra.push(feature.name);
        }
        if is_off || (is_expected && !is_on) {
            missing.push(feature.name);
        }
    }
    if cpu.check == Some(CpuCheck::Full) {
        let missing: Vec<_> = missing.into_iter().filter(|name| !is_done_without(cpu, name)).collect();
        return match extra.is_empty() && missing.is_empty() {
            true => Ok(()),
            false => Err(differs(&extra, &missing)),
        };
    }
    extra.iter().for_each(|name| set(cpu, name, Policy::Require));
    missing.iter().for_each(|name| set(cpu, name, Policy::Disable));
    Ok(())
}

/// Names every feature that the model has, too, and sorts them.
///
/// # Errors
/// `InternalError`: the model is unknown.
pub fn expand(cpu: &mut Cpu) -> Result<()> {
    if let Some(model) = model_name(cpu) {
        for name in TABLES.names_in(model_of(model)?.bits) {
            set_if_missing(cpu, name, Policy::Require);
        }
    }
    cpu.features.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}

fn is_done_without(cpu: &Cpu, name: &str) -> bool {
    let is_off = |policy| matches!(policy, Some(Policy::Disable | Policy::Forbid));
    cpu.features.iter().any(|feature| feature.name == name && is_off(feature.policy))
}

fn differs(extra: &[&str], missing: &[&str]) -> Error {
    let mut message = "the guest's CPU is not what check='full' asks for".to_owned();
    for (what, names) in [("more", extra), ("less", missing)] {
        if !names.is_empty() {
            let _ = write!(message, "; it has {what}: {}", names.join(", "));
        }
    }
    Error::new(ErrorCode::OperationFailed, message)
}
