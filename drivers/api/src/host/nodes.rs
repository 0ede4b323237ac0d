//! A host's NUMA nodes with their processors.

use std::path::Path;

use ostler_conf::Size;
use ostler_conf::capabilities::{Cell, CellCpu, CellCpus, Cells, HostPages, HostTopology};
use ostler_conf::domain::{
    AccessKind, Associativity, BandwidthAmount, CacheAmount, CachePolicy, Distances, Interconnects, Latency,
    LineAmount, LinkBandwidth, NumaCache, Sibling,
};
use ostler_conf::values::ScaledKib;
use ostler_util::CpuSet;

use super::NodeMemory;
use super::files;

/// The nodes below `system` (`/sys/devices/system`); a kernel that knows none has one with all processors. `memory` tells of
/// their memory.
pub fn topology(system: &Path, memory: &dyn Fn(u32) -> NodeMemory) -> HostTopology {
    let nodes = files::set(&system.join("node/online")).filter(|nodes| !nodes.is_empty());
    let nodes: Vec<u32> = nodes.map_or_else(|| vec![0], |nodes| nodes.iter().collect());
    let cells: Vec<Cell> = nodes.iter().map(|node| cell(system, *node, memory(*node))).collect();
    HostTopology { cells: Cells { num: count(&cells), cells }, interconnects: interconnects(system, &nodes) }
}

fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

fn cell(system: &Path, node: u32, memory: NodeMemory) -> Cell {
    let folder = system.join(format!("node/node{node}"));
    let numbers =
        files::set(&folder.join("cpulist")).or_else(|| files::set(&system.join("cpu/online"))).unwrap_or_default();
    let cpus: Vec<CellCpu> = numbers.iter().map(|number| cpu(system, number)).collect();
    let NodeMemory { kib, pages, distances } = memory;
    let page = |(size, count)| HostPages { unit: "KiB".to_owned(), size, count: Some(count) };
    let siblings: Vec<Sibling> = distances.into_iter().map(|(id, value)| Sibling { id, value }).collect();
    Cell {
        id: node,
        memory: kib.map(|kib| ScaledKib(Size::from_kib(kib))),
        pages: pages.into_iter().map(page).collect(),
        distances: (!siblings.is_empty()).then_some(Distances { siblings }),
        caches: memory_caches(&folder.join("memory_side_cache")),
        cpus: CellCpus { num: count(&cpus), cpus },
    }
}

/// Where a processor is. One that is not online has no place.
fn cpu(system: &Path, number: u32) -> CellCpu {
    let folder = system.join(format!("cpu/cpu{number}/topology"));
    let fact = |name: &str| files::number::<u32>(&folder.join(name));
    let place = || {
        let siblings = files::set(&folder.join("thread_siblings_list")).unwrap_or_else(|| CpuSet::from_iter([number]));
        Some((fact("physical_package_id")?, fact("core_id")?, siblings))
    };
    let Some((socket, core, siblings)) = place() else {
        let none = None;
        return CellCpu { id: number, socket_id: none, die_id: none, cluster_id: none, core_id: none, siblings: None };
    };
    CellCpu {
        id: number,
        socket_id: Some(socket),
        die_id: Some(fact("die_id").unwrap_or_default()),
        cluster_id: Some(fact("cluster_id").unwrap_or_default()),
        core_id: Some(core),
        siblings: Some(siblings),
    }
}

/// The caches before a node's memory.
fn memory_caches(folder: &Path) -> Vec<NumaCache> {
    let levels = files::numbered(folder, "index").into_iter();
    let cache = |level| {
        let fact = |name: &str| files::number::<u64>(&folder.join(format!("index{level}")).join(name));
        Some(NumaCache {
            level,
            associativity: if fact("indexing")? == 0 { Associativity::Direct } else { Associativity::Full },
            policy: if fact("write_policy")? == 0 { CachePolicy::Writeback } else { CachePolicy::Writethrough },
            size: CacheAmount(Size::from_bytes(fact("size")?)),
            line: LineAmount(Size::from_bytes(fact("line_size")?)),
        })
    };
    levels.filter_map(cache).collect()
}

/// How fast nodes reach each other's memory, where the firmware tells.
fn interconnects(system: &Path, nodes: &[u32]) -> Option<Interconnects> {
    let (mut latencies, mut bandwidths) = (Vec::new(), Vec::new());
    for target in nodes {
        // The second class counts processors only, the first whatever reaches memory.
        let class = |class: u32| system.join(format!("node/node{target}/access{class}/initiators"));
        let Some(folder) = [class(1), class(0)].into_iter().find(|folder| folder.is_dir()) else { continue };
        let fact = |name: &str| files::number::<u64>(&folder.join(name)).filter(|value| *value > 0);
        for initiator in files::numbered(&folder, "node") {
            for (r#type, word) in [(AccessKind::Read, "read"), (AccessKind::Write, "write")] {
                let target = *target;
                let latency = fact(&format!("{word}_latency"));
                latencies.extend(latency.map(|value| Latency { initiator, target, cache: None, r#type, value }));
                let bandwidth = fact(&format!("{word}_bandwidth"));
                bandwidths.extend(bandwidth.map(|mib| LinkBandwidth {
                    initiator,
                    target,
                    cache: None,
                    r#type,
                    value: BandwidthAmount(Size::from_mib(mib)),
                }));
            }
        }
    }
    latencies.sort_by_key(|latency| (latency.initiator, latency.target));
    bandwidths.sort_by_key(|bandwidth| (bandwidth.initiator, bandwidth.target));
    (!latencies.is_empty() || !bandwidths.is_empty()).then_some(Interconnects { latencies, bandwidths })
}
