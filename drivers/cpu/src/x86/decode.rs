//! Which named model is nearest to what a CPU has.

use ostler_conf::domain::CpuFeaturePolicy as Policy;
use ostler_driver::{CpuSignature, Error, Offered, Result};
use ostler_util::ErrorCode;

use super::bits::Bits;
use super::data::CpuData;
use super::tables::{Model, TABLES};

/// For what a model is sought.
#[derive(Clone, Copy, Debug, Default)]
pub struct Purpose<'a> {
    /// To describe a host: nothing is missing of the model, and its versions may be named.
    pub is_host: bool,
    /// The models that may be named.
    pub offered: Offered<'a>,
    /// This one, if it may.
    pub preferred: Option<&'a str>,
    /// Leave out what a guest can't take along to another host.
    pub migratable: bool,
    /// The models that were named already: one of them that needs less disabled is worth any number of features.
    pub inputs: &'a [&'a str],
}

/// A model and how a CPU differs from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The model.
    pub model: &'static str,
    /// The maker.
    pub vendor: Option<&'static str>,
    /// What the CPU has besides, then what it lacks.
    pub features: Vec<(&'static str, Policy)>,
}

/// The model that is nearest to `data`.
///
/// The newest models are looked at first. Models with the CPU's signature win over those without; among equals, the one
/// with the least cost.
///
/// # Errors
/// `InternalError`: no model fits.
pub fn decode(data: &CpuData, purpose: Purpose<'_>) -> Result<Decoded> {
    let bits = without_broken_transactions(data);
    let mut best: Option<Candidate> = None;
    for model in TABLES.models.iter().rev() {
        let has_signature = data.signature.is_some_and(|signature| model.has_signature(signature));
        // A model with the CPU's signature is in no danger from one without.
        if !has_signature && purpose.preferred != Some(model.name) && best.as_ref().is_some_and(|it| it.has_signature) {
            continue;
        }
        let Some(candidate) = Candidate::new(model, has_signature, bits, data, purpose) else { continue };
        if purpose.preferred == Some(model.name) {
            best = Some(candidate);
            break;
        }
        let is_input = purpose.inputs.contains(&model.name);
        if best.as_ref().is_none_or(|best| candidate.is_better_than(best, is_input)) {
            best = Some(candidate);
        }
    }
    let message = || Error::new(ErrorCode::InternalError, "no x86 CPU model fits what this CPU has");
    let Candidate { model, extra, missing, .. } = best.ok_or_else(message)?;
    let mut features: Vec<_> = TABLES.names_in(extra).map(|name| (name, Policy::Require)).collect();
    if purpose.migratable {
        features.retain(|(name, _)| TABLES.feature(name).is_some_and(|feature| feature.is_migratable));
    }
    features.extend(TABLES.names_in(missing).map(|name| (name, Policy::Disable)));
    if !purpose.is_host {
        features.extend(removed_from(model, bits).map(|name| (name, Policy::Disable)));
    }
    Ok(Decoded { model: model.name, vendor: data.vendor, features })
}

/// Intel's 4th generation can't hold to its transactions; microcode may yet say that it can.
fn without_broken_transactions(data: &CpuData) -> Bits {
    let mut bits = data.bits;
    let is_broken = |CpuSignature { family, model, stepping }| {
        family == 6 && (matches!(model, 60 | 69 | 70) || (model == 63 && stepping < 4))
    };
    if data.vendor == Some("Intel") && data.signature.is_some_and(is_broken) {
        for feature in ["hle", "rtm"].into_iter().filter_map(|name| TABLES.feature(name)) {
            bits.remove(&feature.bits);
        }
    }
    bits
}

/// What went from the model later, as far as this CPU has it not either.
fn removed_from(model: &Model, bits: Bits) -> impl Iterator<Item = &'static str> {
    let is_absent = move |name: &&str| TABLES.feature(name).is_some_and(|feature| !bits.contains(&feature.bits));
    model.removed.clone().into_iter().filter(is_absent)
}

/// A model that could be named.
struct Candidate {
    model: &'static Model,
    has_signature: bool,
    extra: Bits,
    missing: Bits,
    cost: Cost,
}

/// What it costs to name a model: the fewer features must be named besides it the better, and worse than one that must be
/// required is one that must be disabled, the more so the more there are. Of the disabled ones, the first costs as much as
/// two required, the third as three, the fifth as four and so on, and those between as one. At the same cost, fewer are better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    total: usize,
    disabled: usize,
}

impl Cost {
    fn new(required: usize, disabled: usize) -> Cost {
        let dear = disabled.div_ceil(2);
        Cost { total: required + disabled / 2 + dear * (dear + 3) / 2, disabled: dear }
    }
}

impl Candidate {
    /// `None`: not for this purpose.
    fn new(
        model: &'static Model,
        has_signature: bool,
        bits: Bits,
        data: &CpuData,
        purpose: Purpose<'_>,
    ) -> Option<Candidate> {
        if !(if purpose.is_host { model.is_for_host } else { model.is_for_guest })
            || data.vendor.is_some_and(|vendor| model.vendor.is_some_and(|of_model| of_model != vendor))
        {
            return None;
        }
        let offered = match purpose.offered {
            None => None,
            Some(offered) => Some(offered.iter().find(|offered| offered.name == model.name)?),
        };
        let extra = bits.without(&model.bits);
        let mut missing = model.bits.without(&bits);
        for blocker in offered.iter().flat_map(|offered| &offered.blockers) {
            if let Some(feature) = TABLES.feature(blocker) {
                missing.add(&feature.bits);
            }
        }
        if purpose.is_host && !missing.is_empty() {
            return None;
        }
        let required = TABLES.names_in(extra).count();
        let disabled = TABLES.names_in(missing).count() + removed_from(model, bits).count();
        let cost = Cost::new(required, if purpose.is_host { 0 } else { disabled });
        Some(Candidate { model, has_signature, extra, missing, cost })
    }

    fn is_better_than(&self, other: &Candidate, is_input: bool) -> bool {
        if self.has_signature != other.has_signature {
            return self.has_signature;
        }
        self.cost < other.cost || (is_input && self.cost.disabled < other.cost.disabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_features_cost_more_and_more() {
        let totals: Vec<usize> = (0..7).map(|disabled| Cost::new(0, disabled).total).collect();
        assert_eq!(totals, [0, 2, 3, 6, 7, 11, 12]);
    }
}
