//! Rules of memory and of the guest's NUMA nodes.

use std::collections::BTreeSet;

use ostler_util::{CpuSet, ErrorCode as Code};

use super::Problems;
use crate::domain::{Domain, Hugepage, NumaMode, NumaTune, VcpuPlacement};

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let cells = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map_or(0, |numa| numa.cells.len());
    if domain.max_memory.as_ref().is_some_and(|max| max.size.0.kib() < domain.memory_kib()) {
        problems.add(Code::XmlError, "maxMemory.size", "it is less than the memory at boot");
    }
    let pages = domain.memory_backing.as_ref().and_then(|backing| backing.hugepages.as_ref());
    check_hugepages(pages.map_or(&[][..], |pages| &pages.pages), cells, problems);
    if let Some(tune) = &domain.numatune {
        check_tune(tune, cells, problems);
    }
    for memory in &domain.devices.memories {
        if let Some(node) = memory.target.node.filter(|node| cells > 0 && *node as usize >= cells) {
            problems.add(
                Code::XmlDetail,
                format!("devices.memories[{}].target.node", memory.name),
                format!("the guest has no NUMA node {node}"),
            );
        }
    }
}

/// One size for all nodes that no other is for; a guest without NUMA nodes has node 0.
fn check_hugepages(pages: &[Hugepage], cells: usize, problems: &mut Problems) {
    let path = "memoryBacking.hugepages.pages";
    if pages.iter().filter(|page| page.nodeset.is_none()).count() > 1 {
        problems.add(Code::XmlDetail, path, "two sizes are for all nodes: say which node the other is for");
    }
    if cells == 0 && pages.len() > 1 {
        problems.add(Code::XmlDetail, path, "a guest without NUMA nodes has pages of one size");
    }
    let mut seen = BTreeSet::new();
    for node in pages.iter().filter_map(|page| page.nodeset.as_ref()).flat_map(CpuSet::iter) {
        if !seen.insert(node) {
            problems.add(Code::XmlDetail, path, format!("two sizes are for node {node}"));
        }
        if node as usize >= cells.max(1) {
            problems.add(Code::XmlDetail, path, format!("the guest has no NUMA node {node}"));
        }
    }
}

fn check_tune(tune: &NumaTune, cells: usize, problems: &mut Problems) {
    let path = "numatune.memnodes";
    if !tune.memnodes.is_empty() && cells == 0 {
        problems.add(Code::XmlError, path, "the guest has no NUMA nodes of its own");
    }
    let mut seen = BTreeSet::new();
    for memnode in &tune.memnodes {
        if cells > 0 && memnode.cellid as usize >= cells {
            problems.add(Code::XmlError, path, format!("the guest has no NUMA node {}", memnode.cellid));
        }
        if !seen.insert(memnode.cellid) {
            problems.add(Code::XmlError, path, format!("node {} is named twice", memnode.cellid));
        }
        let memory = tune.memory.as_ref().map(|memory| memory.mode.unwrap_or(NumaMode::Strict));
        let is_restrictive = |mode: NumaMode| mode == NumaMode::Restrictive;
        let mode = memnode.mode.unwrap_or(NumaMode::Strict);
        if memory.is_some_and(|memory| is_restrictive(memory) != is_restrictive(mode)) {
            problems.add(Code::XmlError, path, "mode 'restrictive' is for all nodes and the guest, or for none");
        }
    }
    if let Some(memory) = &tune.memory {
        if memory.placement == Some(VcpuPlacement::Auto) && !tune.memnodes.is_empty() {
            problems.add(Code::ConfigUnsupported, path, "nodes are bound one by one, or placed by the host: not both");
        }
        if memory.placement == Some(VcpuPlacement::Static) && memory.nodeset.is_none() {
            problems.add(Code::ConfigUnsupported, "numatune.memory.nodeset", "say which of the host's nodes");
        }
    }
}
