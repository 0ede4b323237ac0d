//! The guest's own NUMA nodes.

use ostler_conf::domain::{AccessKind, CachePolicy, Numa, NumaCell};
use ostler_driver::Result;
use ostler_util::CpuSet;

use super::memory::{self, Piece};
use super::{Args, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(numa) = setup.domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).filter(|numa| !numa.cells.is_empty())
    else {
        return Ok(());
    };
    let mut backends = Vec::new();
    for (at, cell) in numa.cells.iter().enumerate() {
        backends.push(Piece::of_cell(number(cell, at), cell.memory.0).backend(setup)?);
    }
    // Old machine types take sizes: with them, a guest can come from a host that gave no more.
    let takes_sizes = setup.machine_type().is_some_and(|machine| machine.numa_mem_supported);
    let has_objects = !takes_sizes || backends.iter().any(|backend| !backend.is_plain);
    if !has_objects {
        memory::legacy(setup, args)?;
    }
    let has_hmat = numa.interconnects.is_some() || numa.cells.iter().any(|cell| !cell.caches.is_empty());
    for ((at, cell), backend) in numa.cells.iter().enumerate().zip(backends) {
        let id = number(cell, at);
        if has_objects {
            backend.write(args);
        }
        let mut text = format!("node,nodeid={id}");
        for range in cell.cpus.iter().flat_map(ranges) {
            text.push_str(&format!(",cpus={range}"));
        }
        if has_hmat {
            text.push_str(&format!(",initiator={}", initiator(numa, cell, id)));
        }
        if has_objects {
            text.push_str(&format!(",memdev=ram-node{id}"));
        } else {
            text.push_str(&format!(",mem={}", cell.memory.0.kib() >> 10));
        }
        args.option("-numa", text);
    }
    distances(numa, args);
    if has_hmat {
        attributes(numa, args);
    }
    Ok(())
}

fn number(cell: &NumaCell, at: usize) -> u32 {
    cell.id.unwrap_or(u32::try_from(at).unwrap_or(u32::MAX))
}

/// The ranges of a set, as QEMU reads them.
fn ranges(cpus: &CpuSet) -> Vec<String> {
    cpus.to_string().split(',').filter(|range| !range.is_empty()).map(str::to_owned).collect()
}

/// The node whose processors reach this one's memory best: itself, or the one with the best known link.
fn initiator(numa: &Numa, cell: &NumaCell, id: u32) -> u32 {
    if cell.cpus.as_ref().is_some_and(|cpus| !cpus.is_empty()) {
        return id;
    }
    let has_cpus = |initiator: u32| {
        let known = numa.cells.iter().enumerate().find(|(at, cell)| number(cell, *at) == initiator);
        known.is_some_and(|(_, cell)| cell.cpus.as_ref().is_some_and(|cpus| !cpus.is_empty()))
    };
    let links = numa.interconnects.as_ref();
    let bandwidths =
        links.iter().flat_map(|links| &links.bandwidths).filter(|link| link.target == id && link.cache.is_none());
    let latencies =
        links.iter().flat_map(|links| &links.latencies).filter(|link| link.target == id && link.cache.is_none());
    let widest = bandwidths.filter(|link| has_cpus(link.initiator)).max_by_key(|link| link.value.0.bytes());
    let fastest = latencies.filter(|link| has_cpus(link.initiator)).min_by_key(|link| link.value);
    let first = numa.cells.iter().enumerate().map(|(at, cell)| number(cell, at)).find(|id| has_cpus(*id));
    widest.map(|link| link.initiator).or(fastest.map(|link| link.initiator)).or(first).unwrap_or(id)
}

/// All distances, once any is known: those that are not are QEMU's own, 10 to itself and 20 to others.
fn distances(numa: &Numa, args: &mut Args) {
    if numa.cells.iter().all(|cell| cell.distances.is_none()) {
        return;
    }
    for (at, cell) in numa.cells.iter().enumerate() {
        for (to, _) in numa.cells.iter().enumerate() {
            let (src, dst) = (number(cell, at), number(&numa.cells[to], to));
            let known =
                cell.distances.iter().flat_map(|distances| &distances.siblings).find(|sibling| sibling.id == dst);
            let value = known.map_or(if src == dst { 10 } else { 20 }, |sibling| sibling.value);
            args.option("-numa", format!("dist,src={src},dst={dst},val={value}"));
        }
    }
}

const HIERARCHY: [&str; 4] = ["memory", "first-level", "second-level", "third-level"];

fn hierarchy(cache: Option<u32>) -> &'static str {
    HIERARCHY.get(cache.unwrap_or(0) as usize).copied().unwrap_or("third-level")
}

/// The heterogeneous memory attributes.
fn attributes(numa: &Numa, args: &mut Args) {
    let kind = |kind: AccessKind| match kind {
        AccessKind::Access => "access",
        AccessKind::Read => "read",
        AccessKind::Write => "write",
    };
    for link in numa.interconnects.iter().flat_map(|links| &links.latencies) {
        args.option(
            "-numa",
            format!(
                "hmat-lb,initiator={},target={},hierarchy={},data-type={}-latency,latency={}",
                link.initiator,
                link.target,
                hierarchy(link.cache),
                kind(link.r#type),
                link.value
            ),
        );
    }
    for link in numa.interconnects.iter().flat_map(|links| &links.bandwidths) {
        args.option(
            "-numa",
            format!(
                "hmat-lb,initiator={},target={},hierarchy={},data-type={}-bandwidth,bandwidth={}K",
                link.initiator,
                link.target,
                hierarchy(link.cache),
                kind(link.r#type),
                link.value.0.kib()
            ),
        );
    }
    for (at, cell) in numa.cells.iter().enumerate() {
        for cache in &cell.caches {
            let policy = match cache.policy {
                CachePolicy::None => "none",
                CachePolicy::Writeback => "write-back",
                CachePolicy::Writethrough => "write-through",
            };
            let associativity = match cache.associativity {
                ostler_conf::domain::Associativity::Full => "complex",
                other => other.word(),
            };
            args.option(
                "-numa",
                format!(
                    "hmat-cache,node-id={},size={}K,level={},associativity={associativity},policy={policy},line={}",
                    number(cell, at),
                    cache.size.0.kib(),
                    cache.level,
                    cache.line.0.bytes()
                ),
            );
        }
    }
}
