//! Which CPUs guests can have.

use ostler_conf::capabilities::HostFeature;
use ostler_conf::domain::{CpuFeature, CpuFeaturePolicy, CpuMode, CpuModelFallback, DomainType};
use ostler_conf::domain_capabilities::{
    Choice, CpuBlockers, CpuModeSupport, CpuModelSupport, CpuModels as Models, CpuModes, Fallback, HostModel,
    ModelEntry, Usable,
};
use ostler_conf::values::YesNo;

use crate::probe::{Accelerator, Capabilities, Cpu, CpuValue, Flag, HostCpu};

/// What is known of CPU models, besides what an emulator tells of them.
pub trait CpuModels {
    /// What is known of a model of an architecture; none: guests can't be given it by that name.
    fn model(&self, arch: &str, name: &str) -> Option<CpuModelFacts>;

    /// libvirt's name for what QEMU calls so.
    fn feature(&self, arch: &str, qemu_name: &str) -> String;

    /// The host's CPU, which an emulator expanded to properties, as a named model and features.
    fn host_model(&self, arch: &str, r#type: DomainType, emulator: &Capabilities) -> Option<HostModel>;
}

/// What is known of a CPU model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuModelFacts {
    /// Its maker.
    pub vendor: Option<String>,
    /// The versioned name that it stands for.
    pub canonical: Option<String>,
}

pub(super) fn modes(emulator: &Capabilities, r#type: DomainType, cpus: &dyn CpuModels) -> CpuModes {
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
    let host = host_model(emulator, r#type, cpus).map_or(CpuModelSupport::None, CpuModelSupport::Host);
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
fn models(arch: &str, models: &[Cpu], cpus: &dyn CpuModels) -> Vec<(ModelEntry, Option<CpuBlockers>)> {
    let known = |cpu: &Cpu| {
        let facts = facts(arch, &cpu.name, cpus)?;
        let blockers = (!cpu.blockers.is_empty()).then(|| {
            let mut names: Vec<String> = cpu.blockers.iter().map(|name| cpus.feature(arch, name)).collect();
            names.sort();
            let features = names.into_iter().map(|name| HostFeature { name }).collect();
            CpuBlockers { model: cpu.name.clone(), features }
        });
        let entry = ModelEntry {
            usable: match cpu.usable {
                Some(true) => Usable::Yes,
                Some(false) => Usable::No,
                None => Usable::Unknown,
            },
            deprecated: cpu.deprecated.then_some(YesNo(true)),
            vendor: facts.vendor.unwrap_or_else(|| "unknown".to_owned()),
            canonical: facts.canonical,
            name: cpu.name.clone(),
        };
        Some((entry, blockers))
    };
    let mut entries: Vec<_> = models.iter().filter_map(known).collect();
    entries.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    entries
}

/// Of some architectures there are tables of models; of the others whatever QEMU has is good, but the host's own.
fn facts(arch: &str, name: &str, cpus: &dyn CpuModels) -> Option<CpuModelFacts> {
    match arch {
        "x86_64" | "i686" | "ppc64" | "ppc64le" => cpus.model(arch, name),
        _ if name == "host" => None,
        "s390x" if name != "qemu" && name != "max" => {
            Some(CpuModelFacts { vendor: Some("IBM".to_owned()), canonical: None })
        }
        _ => Some(CpuModelFacts::default()),
    }
}

/// On s390 QEMU's own expansion is the model; elsewhere one has to be found that is near.
fn host_model(emulator: &Capabilities, r#type: DomainType, cpus: &dyn CpuModels) -> Option<HostModel> {
    match emulator.arch.as_str() {
        "s390x" => emulator.accelerated(Accelerator::of(r#type)).host_cpu.as_ref().map(as_expanded),
        arch => cpus.host_model(arch, r#type, emulator),
    }
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
