//! Defaults of what a guest has of the host's memory and processors.

use std::collections::{BTreeMap, BTreeSet};

use ostler_util::CpuSet;

use crate::Size;
use crate::domain::numa::{Distances, NumaCell, Sibling};
use crate::domain::{
    CurrentMemory, Domain, IothreadId, IothreadSched, Memory, MemoryTune, NumaMode, ScaledKib, Vcpu, VcpuPlacement,
    VcpuSched,
};

/// A limit of this or more is none.
const UNLIMITED_KIB: u64 = 9_007_199_254_740_991;

/// How far a NUMA node is from itself.
const OF_ITSELF: u32 = 10;

/// The most I/O threads: a set names no larger number.
pub(in crate::domain) const MAX_IOTHREADS: u32 = ostler_util::cpuset::MAX_CPU;

pub(super) fn complete(domain: &mut Domain) {
    complete_memory(domain);
    complete_cells(domain);
    let placement = settle_numatune(domain);
    let vcpu = domain.vcpu.get_or_insert(Vcpu { placement: None, cpuset: None, current: None, count: 1 });
    let tune = domain.cputune.as_ref();
    let is_pinned = tune
        .is_some_and(|tune| !tune.vcpupins.is_empty() || tune.emulatorpin.is_some() || !tune.iothreadpins.is_empty());
    if placement == VcpuPlacement::Auto && vcpu.cpuset.is_none() && !is_pinned {
        vcpu.placement = Some(placement);
    }
    vcpu.placement.get_or_insert(VcpuPlacement::Static);
    vcpu.current.take_if(|current| *current == vcpu.count);
    complete_iothreads(domain);
    if let Some(tune) = &mut domain.memtune {
        for limit in [&mut tune.hard_limit, &mut tune.soft_limit, &mut tune.min_guarantee, &mut tune.swap_hard_limit] {
            limit.take_if(|limit| limit.0.kib() >= UNLIMITED_KIB);
        }
    }
    domain.memtune.take_if(|tune| *tune == MemoryTune::default());
    let vcpus = domain.vcpus();
    if let Some(tune) = &mut domain.cputune {
        let below = |set: &CpuSet| set.iter().filter(|vcpu| *vcpu < vcpus).collect::<CpuSet>();
        tune.cachetunes.iter_mut().for_each(|part| part.vcpus = below(&part.vcpus));
        tune.cachetunes.retain(|part| !part.vcpus.is_empty());
        tune.memorytunes.iter_mut().for_each(|part| part.vcpus = below(&part.vcpus));
        tune.memorytunes.retain(|part| !part.vcpus.is_empty());
        tune.vcpuscheds = one_by_one(&tune.vcpuscheds, |s| &s.vcpus, |s, vcpus| VcpuSched { vcpus, ..s.clone() });
        tune.iothreadscheds =
            one_by_one(&tune.iothreadscheds, |s| &s.iothreads, |s, iothreads| IothreadSched { iothreads, ..s.clone() });
        tune.vcpupins.sort_by_key(|pin| pin.vcpu);
    }
}

/// Cells are counted from 0, in order.
fn complete_cells(domain: &mut Domain) {
    let Some(numa) = domain.cpu.as_mut().and_then(|cpu| cpu.numa.as_mut()) else { return };
    for (at, cell) in (0..).zip(&mut numa.cells) {
        cell.id.get_or_insert(at);
    }
    numa.cells.sort_by_key(|cell| cell.id);
    complete_distances(&mut numa.cells);
}

/// A distance holds both ways unless the way back has its own, and each cell of a pair is at 10 from itself.
fn complete_distances(cells: &mut [NumaCell]) {
    let told: Vec<(u32, u32, u32)> = cells
        .iter()
        .flat_map(|cell| cell.distances.iter().flat_map(|distances| &distances.siblings).map(move |it| (cell.id, it)))
        .filter_map(|(from, sibling)| Some((from?, sibling.id, sibling.value)))
        .collect();
    let mut all: BTreeMap<(u32, u32), u32> = told.iter().map(|(from, to, value)| ((*from, *to), *value)).collect();
    for (from, to, value) in told.iter().filter(|(from, to, _)| from != to) {
        all.entry((*to, *from)).or_insert(*value);
        for cell in [*from, *to] {
            all.entry((cell, cell)).or_insert(OF_ITSELF);
        }
    }
    for cell in cells {
        let Some(id) = cell.id else { continue };
        let siblings: Vec<Sibling> =
            all.range((id, 0)..=(id, u32::MAX)).map(|((_, id), value)| Sibling { id: *id, value: *value }).collect();
        if !siblings.is_empty() {
            cell.distances = Some(Distances { siblings });
        }
    }
}

/// Memory goes where processors go: what is said of one holds for the other. Returns how processors are placed.
fn settle_numatune(domain: &mut Domain) -> VcpuPlacement {
    let said = domain.vcpu.as_ref().and_then(|vcpu| vcpu.placement);
    let Some(memory) = domain.numatune.as_mut().and_then(|tune| tune.memory.as_mut()) else {
        return VcpuPlacement::Static;
    };
    memory.mode.get_or_insert(NumaMode::Strict);
    if memory.placement.is_none() && memory.nodeset.is_none() && said == Some(VcpuPlacement::Auto) {
        memory.placement = said;
    }
    if memory.placement == Some(VcpuPlacement::Auto) {
        memory.nodeset = None;
        return VcpuPlacement::Auto;
    }
    VcpuPlacement::Static
}

/// A guest without a word about its memory has what its NUMA nodes have together, and all of it at first.
fn complete_memory(domain: &mut Domain) {
    let numa = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref());
    let of_cells = numa.map_or(0, |numa| together(numa.cells.iter().map(|cell| cell.memory.0.kib())));
    if domain.memory_kib() == 0 && of_cells > 0 {
        let of_devices = together(domain.devices.memories.iter().map(|memory| memory.target.size.0.kib()));
        let dump_core = domain.memory.as_ref().and_then(|memory| memory.dump_core);
        domain.memory =
            Some(Memory { dump_core, size: ScaledKib(Size::from_kib(of_cells.saturating_add(of_devices))) });
    }
    if let Some(memory) = &domain.memory {
        let size = memory.size;
        let current = domain.current_memory.get_or_insert(CurrentMemory { size });
        // libvirt lowers what is more than there is.
        if current.size.0 > size.0 || current.size.0.bytes() == 0 {
            current.size = size;
        }
    }
}

fn together(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}

/// As many numbers as threads, up to [`MAX_IOTHREADS`]: the first free ones from 1 are added to those that are given.
fn complete_iothreads(domain: &mut Domain) {
    let Some(ids) = domain.iothreadids.as_mut().filter(|ids| !ids.iothreads.is_empty()) else { return };
    let given = u32::try_from(ids.iothreads.len()).unwrap_or(u32::MAX);
    let count = domain.iothreads.unwrap_or(0).max(given);
    domain.iothreads = Some(count);
    let mut taken: BTreeSet<u32> = ids.iothreads.iter().map(|thread| thread.id).collect();
    let mut numbers = 1..;
    for _ in given..count.min(MAX_IOTHREADS) {
        let id = numbers.find(|id| taken.insert(*id)).expect("there are more numbers than threads");
        ids.iothreads.push(IothreadId { id, thread_pool_min: None, thread_pool_max: None, poll: None });
    }
}

/// One entry for each member of each entry's set, by number. Sets that overlap are left for the check to refuse.
fn one_by_one<T: Clone>(entries: &[T], set: impl Fn(&T) -> &CpuSet, with: impl Fn(&T, CpuSet) -> T) -> Vec<T> {
    let mut all = BTreeMap::new();
    for entry in entries {
        for member in set(entry).iter() {
            if all.insert(member, with(entry, CpuSet::from_iter([member]))).is_some() {
                return entries.to_vec();
            }
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use crate::{Domain, parse};

    #[test]
    fn a_distance_holds_both_ways_unless_the_way_back_has_its_own() {
        let distances = |cells: &[&[(u32, u32)]]| {
            let cell = |(at, siblings): (usize, &&[(u32, u32)])| {
                let told: String =
                    siblings.iter().map(|(id, value)| format!("<sibling id='{id}' value='{value}'/>")).collect();
                let told = if told.is_empty() { told } else { format!("<distances>{told}</distances>") };
                format!("<cell id='{at}' cpus='{at}' memory='1024'>{told}</cell>")
            };
            let cells: String = cells.iter().enumerate().map(cell).collect();
            let text = format!(
                "<domain type='test'><name>g</name><memory>3072</memory><vcpu>3</vcpu><os><type>hvm</type></os>\
                 <cpu><numa>{cells}</numa></cpu></domain>"
            );
            let mut domain = parse::<Domain>(&text).unwrap().strict().unwrap();
            domain.complete();
            let cells = domain.cpu.unwrap().numa.unwrap().cells;
            let of = |distances: Option<super::Distances>| {
                let siblings = distances.into_iter().flat_map(|distances| distances.siblings);
                siblings.map(|it| (it.id, it.value)).collect::<Vec<_>>()
            };
            cells.into_iter().map(|cell| of(cell.distances)).collect::<Vec<_>>()
        };
        assert_eq!(distances(&[&[(1, 21)], &[], &[]]), [vec![(0, 10), (1, 21)], vec![(0, 21), (1, 10)], vec![]]);
        assert_eq!(distances(&[&[(1, 21)], &[(0, 31)]]), [[(0, 10), (1, 21)], [(0, 31), (1, 10)]]);
        assert_eq!(
            distances(&[&[], &[(0, 31), (2, 15)], &[]]),
            [vec![(0, 10), (1, 31)], vec![(0, 31), (1, 10), (2, 15)], vec![(1, 15), (2, 10)]]
        );
        assert_eq!(distances(&[&[(0, 10)], &[]]), [vec![(0, 10)], vec![]]);
    }
}
