//! Amounts of memory, and the slots of memory that comes and goes.

use std::collections::BTreeSet;

use ostler_conf::domain::{Address, CellMemory, DimmAddress, MemoryModel, Numa, NumaCell, ScaledKib};
use ostler_conf::{Domain, Size};

use super::Host;
use super::machine::{Arch, arch};

/// POWER hands out memory in blocks of 256 MiB.
const POWER_BLOCK_KIB: u64 = 256 << 10;

/// A guest that memory can be added to has a NUMA node; on POWER, what comes and goes is whole blocks.
pub(super) fn complete(domain: &mut Domain, host: &Host) {
    if !host.is_new {
        return;
    }
    let is_power = arch(domain) == Arch::Ppc64;
    let total = domain.memory_kib();
    let of_devices =
        |domain: &Domain| -> u64 { domain.devices.memories.iter().map(|memory| memory.target.size.0.kib()).sum() };
    let of_cells: u64 = domain
        .cpu
        .iter()
        .filter_map(|cpu| cpu.numa.as_ref())
        .flat_map(|numa| &numa.cells)
        .map(|cell| cell.memory.0.kib())
        .sum();
    let at_boot = if of_cells > 0 { of_cells } else { total.saturating_sub(of_devices(domain)) };
    for memory in &mut domain.devices.memories {
        let size = memory.target.size.0.kib();
        let label = memory.target.label.as_ref().map_or(0, |label| label.size.0.kib());
        let whole = match memory.model {
            _ if !is_power => size,
            MemoryModel::Nvdimm => (size.saturating_sub(label) / POWER_BLOCK_KIB) * POWER_BLOCK_KIB + label,
            MemoryModel::Dimm => size.next_multiple_of(POWER_BLOCK_KIB),
            MemoryModel::VirtioPmem | MemoryModel::VirtioMem | MemoryModel::SgxEpc => size,
        };
        memory.target.size = ScaledKib(Size::from_kib(whole));
    }
    let has_cells = |domain: &Domain| {
        domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).is_some_and(|numa| !numa.cells.is_empty())
    };
    if domain.max_memory.is_some() && !has_cells(domain) {
        let cell = NumaCell {
            id: Some(0),
            cpus: Some((0..domain.vcpus()).collect()),
            memory: CellMemory(Size::from_kib(at_boot)),
            mem_access: None,
            discard: None,
            distances: None,
            caches: Vec::new(),
        };
        let numa =
            domain.cpu.get_or_insert_default().numa.get_or_insert(Numa { cells: Vec::new(), interconnects: None });
        numa.cells.push(cell);
        for memory in &mut domain.devices.memories {
            memory.target.node.get_or_insert(0);
        }
    }
    let total = at_boot + of_devices(domain);
    if let Some(memory) = &mut domain.memory {
        memory.size = ScaledKib(Size::from_kib(total));
    }
    // What is less now than it was said to be is not all there at once.
    if let Some(current) = domain.current_memory.as_mut().filter(|current| current.size.0.kib() > total) {
        current.size = ScaledKib(Size::from_kib(total));
    }
}

/// Gives modules without a slot the first free one.
pub(super) fn assign(domain: &mut Domain) {
    let is_module = |model: MemoryModel| matches!(model, MemoryModel::Dimm | MemoryModel::Nvdimm);
    let memories = &mut domain.devices.memories;
    let mut taken: BTreeSet<u32> = memories
        .iter()
        .filter_map(|memory| match &memory.address {
            Some(Address::Dimm(address)) => address.slot,
            _ => None,
        })
        .collect();
    for memory in memories.iter_mut().filter(|memory| is_module(memory.model)) {
        let base = match &memory.address {
            None => None,
            Some(Address::Dimm(address)) if address.slot.is_none() => address.base,
            Some(_) => continue,
        };
        let slot = (0..).find(|slot| taken.insert(*slot));
        memory.address = Some(Address::Dimm(DimmAddress { slot, base }));
    }
}
