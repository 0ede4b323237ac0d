//! The memory of a host's NUMA nodes.

use std::path::{Path, PathBuf};

use super::files;

/// The size of ordinary pages where nothing else is known, in KiB.
const PAGE_KIB: u64 = 4;

/// What a NUMA node's memory is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// How much, in KiB; absent: not known.
    pub kib: Option<u64>,
    /// Sizes of pages in KiB, ascending, with how many there are.
    pub pages: Vec<(u64, u64)>,
    /// How far the other nodes are, by their numbers.
    pub distances: Vec<(u32, u32)>,
}

/// The memory of a node of the host below `root`; without nodes, all of it is node 0's.
pub fn node_memory(root: &Path, node: u32) -> NodeMemory {
    let own = root.join(format!("sys/devices/system/node/node{node}"));
    let has_nodes = own.is_dir();
    let (meminfo, hugepages): (PathBuf, PathBuf) = match has_nodes {
        true => (own.join("meminfo"), own.join("hugepages")),
        false => (root.join("proc/meminfo"), root.join("sys/kernel/mm/hugepages")),
    };
    let kib = files::text(&meminfo).and_then(|text| total(&text));
    let huge = huge_pages(&hugepages);
    let taken: u64 = huge.iter().map(|(size, count)| size.saturating_mul(*count)).sum();
    let page = page_kib(root);
    let small = kib.map(|kib| (page, kib.saturating_sub(taken) / page));
    let online = files::set(&root.join("sys/devices/system/node/online")).unwrap_or_default();
    let distances = files::text(&own.join("distance")).unwrap_or_default();
    let distances = distances.split_whitespace().map_while(|distance| distance.parse().ok());
    NodeMemory {
        kib,
        pages: small.into_iter().chain(huge).collect(),
        distances: online.iter().zip(distances).collect(),
    }
}

/// The size of ordinary pages, as the kernel tells every process.
fn page_kib(root: &Path) -> u64 {
    const AT_PAGESZ: u64 = 6;
    let facts = std::fs::read(root.join("proc/self/auxv")).unwrap_or_default();
    let mut words = facts.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        if key == AT_PAGESZ && value >= 1024 {
            return value / 1024;
        }
    }
    PAGE_KIB
}

/// `MemTotal` of the kernel's table, in KiB. A node's has the node before the name.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.contains("MemTotal:"))?;
    line.split_once("MemTotal:")?.1.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn huge_pages(folder: &Path) -> Vec<(u64, u64)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut pages: Vec<(u64, u64)> = entries
        .filter_map(|entry| {
            let size = entry.file_name().to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            Some((size, files::number(&entry.path().join("nr_hugepages"))?))
        })
        .collect();
    pages.sort_unstable();
    pages
}
