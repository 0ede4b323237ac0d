//! Defaults of the machine and its CPU.

use crate::domain::{CpuModelFallback, Domain, HypervMode, LoaderKind};

pub(super) fn complete(domain: &mut Domain) {
    if let Some(topology) = domain.cpu.as_mut().and_then(|cpu| cpu.topology.as_mut()) {
        topology.dies.get_or_insert(1);
        topology.clusters.get_or_insert(1);
    }
    if let Some(model) = domain.cpu.as_mut().and_then(|cpu| cpu.model.as_mut()) {
        model.fallback.get_or_insert(CpuModelFallback::Allow);
    }
    if let Some(hyperv) = domain.features.as_mut().and_then(|features| features.hyperv.as_mut()) {
        hyperv.mode.get_or_insert(HypervMode::Custom);
    }
    if let Some(loader) = domain.os.loader.as_mut().filter(|loader| loader.path.is_some()) {
        loader.r#type.get_or_insert(LoaderKind::Rom);
    }
}
