//! Which CPUs guests can have.

use ostler_conf::capabilities::HostFeature;
use ostler_conf::domain::{
    Cpu as GuestCpu, CpuFeature, CpuFeaturePolicy, CpuMode, CpuModelFallback, DomainType, MaxPhysAddr, MaxPhysAddrMode,
};
use ostler_conf::domain_capabilities::{
    Choice, CpuBlockers, CpuModeSupport, CpuModelSupport, CpuModels as Models, CpuModes, Fallback, HostModel,
    ModelEntry, Usable,
};
use ostler_conf::values::YesNo;
use ostler_driver::{CpuSignature, Cpus, OfferedModel, Property};

use super::DomainHost;
use crate::probe::{Accelerated, Accelerator, Capabilities, Cpu, CpuValue, Flag, HostCpu};

pub(super) fn modes(emulator: &Capabilities, r#type: DomainType, host: &DomainHost, cpus: &dyn Cpus) -> CpuModes {
    let accelerated = emulator.accelerated(Accelerator::of(r#type));
    let is_hardware = matches!(r#type, DomainType::Kvm | DomainType::Hvf);
    let on_off = |name: &str, can_choose| {
        let values: &[&str] = if can_choose { &["on", "off"] } else { &["off"] };
        Choice::of(name, values)
    };
    let mode = |name, is_so, enums: Vec<Choice>, content: CpuModelSupport| CpuModeSupport {
        name,
        supported: YesNo(is_so),
        enums: if is_so { enums } else { Vec::new() },
        content,
    };
    let host = host_model(emulator, r#type, host, cpus).map_or(CpuModelSupport::None, CpuModelSupport::Host);
    let has_host = host != CpuModelSupport::None;
    let models = models(&emulator.arch, &accelerated.cpus, cpus);
    let has_models = !models.is_empty();
    let models = if has_models { CpuModelSupport::Models(Models { models }) } else { CpuModelSupport::None };
    let passthrough = on_off("hostPassthroughMigratable", emulator.has(Flag::CpuMigratable));
    let modes = vec![
        mode(CpuMode::HostPassthrough, is_hardware, vec![passthrough], CpuModelSupport::None),
        mode(
            CpuMode::Maximum,
            emulator.has(Flag::CpuMax),
            vec![on_off("maximumMigratable", true)],
            CpuModelSupport::None,
        ),
        mode(CpuMode::HostModel, has_host, Vec::new(), host),
        mode(CpuMode::Custom, has_models, Vec::new(), models),
    ];
    CpuModes { modes }
}

/// Models that guests can be given, by name.
fn models(arch: &str, models: &[Cpu], cpus: &dyn Cpus) -> Vec<(ModelEntry, Option<CpuBlockers>)> {
    let named = cpus.models(arch);
    let known = |cpu: &Cpu| {
        let name = cpu.name.as_str();
        // Of some architectures there are tables of models; of the others whatever QEMU has is good, but the host's own.
        let (vendor, canonical) = match arch {
            "x86_64" | "i686" | "ppc64" | "ppc64le" => {
                named.contains(&name).then(|| (cpus.vendor_of(arch, name), cpus.canonical(arch, name)))?
            }
            _ if name == "host" => return None,
            "s390x" if name != "qemu" && name != "max" => (Some("IBM"), None),
            _ => (None, None),
        };
        let blockers = (!cpu.blockers.is_empty()).then(|| {
            let mut names: Vec<&str> = cpu.blockers.iter().map(|name| cpus.feature_name(arch, name)).collect();
            names.sort_unstable();
            // QEMU names a feature once for each word of it that is lacking.
            names.dedup();
            let features = names.into_iter().map(|name| HostFeature { name: name.to_owned() }).collect();
            CpuBlockers { model: cpu.name.clone(), features }
        });
        let entry = ModelEntry {
            usable: match cpu.usable {
                Some(true) => Usable::Yes,
                Some(false) => Usable::No,
                None => Usable::Unknown,
            },
            deprecated: cpu.deprecated.then_some(YesNo(true)),
            vendor: vendor.unwrap_or("unknown").to_owned(),
            canonical: canonical.map(str::to_owned),
            name: cpu.name.clone(),
        };
        Some((entry, blockers))
    };
    let mut entries: Vec<_> = models.iter().filter_map(known).collect();
    entries.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    entries
}

/// On s390 QEMU's own expansion is the model; on x86 the one that is nearest to it; elsewhere the one that the host has.
fn host_model(emulator: &Capabilities, r#type: DomainType, host: &DomainHost, cpus: &dyn Cpus) -> Option<HostModel> {
    let accelerator = Accelerator::of(r#type);
    let accelerated = emulator.accelerated(accelerator);
    let is_hardware = accelerator != Accelerator::Tcg;
    let offered = offered(accelerated);
    let own = host.cpu.as_ref().filter(|own| is_hardware && own.arch == emulator.arch);
    let (fallback, cpu) = match (emulator.arch.as_str(), &accelerated.host_cpu) {
        ("s390x", expanded) => return expanded.as_ref().map(as_expanded),
        (arch @ ("x86_64" | "i686"), Some(expanded)) => {
            (CpuModelFallback::Forbid, cpus.described(arch, &properties(expanded), Some(&offered)))
        }
        _ => (CpuModelFallback::Allow, cpus.host_model(own?, Some(&offered))),
    };
    let GuestCpu { model, vendor, features, .. } = cpu.ok()?;
    let limit = host.physical_address_bits.filter(|_| is_hardware);
    Some(HostModel {
        // On ppc64 the emulator knows what it is, and the host's own name tells.
        model: Fallback { fallback, name: model.and_then(|model| model.name).or_else(|| own?.model.clone())? },
        vendor,
        maxphysaddr: limit.map(|limit| MaxPhysAddr {
            mode: MaxPhysAddrMode::Passthrough,
            bits: None,
            limit: Some(limit),
        }),
        features,
    })
}

/// The models that the emulator has, as the tables of models are asked.
pub(crate) fn offered(accelerated: &Accelerated) -> Vec<OfferedModel> {
    let model = |cpu: &Cpu| OfferedModel { name: cpu.name.clone(), blockers: cpu.blockers.clone() };
    accelerated.cpus.iter().map(model).collect()
}

/// What the emulator says of the host's CPU, as the tables of models are asked.
pub(crate) fn properties(cpu: &HostCpu) -> Vec<Property<'_>> {
    let number = |wanted: &str| {
        let found = cpu.properties.iter().find(|property| property.name == wanted)?;
        let CpuValue::Number(number) = found.value else { return None };
        u32::try_from(number).ok()
    };
    let said = cpu.properties.iter().filter_map(|property| match &property.value {
        CpuValue::Boolean(true) => Some(Property::Feature(&property.name)),
        CpuValue::Text(text) if property.name == "vendor" => Some(Property::Vendor(text)),
        CpuValue::Boolean(false) | CpuValue::Text(_) | CpuValue::Number(_) => None,
    });
    let signature = || {
        let (family, model, stepping) = (number("family")?, number("model")?, number("stepping")?);
        Some(Property::Signature(CpuSignature { family, model, stepping }))
    };
    said.chain(signature()).collect()
}

fn as_expanded(cpu: &HostCpu) -> HostModel {
    let feature = |(name, is_on): (&String, bool)| CpuFeature {
        policy: Some(if is_on { CpuFeaturePolicy::Require } else { CpuFeaturePolicy::Disable }),
        name: name.clone(),
    };
    let switches = cpu.properties.iter().filter_map(|property| match property.value {
        CpuValue::Boolean(is_on) => Some((&property.name, is_on)),
        CpuValue::Number(_) | CpuValue::Text(_) => None,
    });
    HostModel {
        model: Fallback { fallback: CpuModelFallback::Forbid, name: cpu.model.clone() },
        vendor: None,
        maxphysaddr: None,
        features: switches.map(feature).collect(),
    }
}
