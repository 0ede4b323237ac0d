//! `<topology>` of a host: its NUMA nodes.

use ostler_conf_derive::element;
use ostler_util::CpuSet;

use super::HostPages;
use crate::domain::{Distances, Interconnects, NumaCache};
use crate::values::ScaledKib;

/// `<topology>`: a host's NUMA nodes.
#[element]
pub struct HostTopology {
    /// The nodes.
    pub cells: Cells,
    /// How fast they reach each other's memory.
    pub interconnects: Option<Interconnects>,
}

/// `<cells num='2'>`: NUMA nodes.
#[element]
pub struct Cells {
    /// How many.
    #[xml(attr)]
    pub num: u32,
    /// They.
    #[xml(name = "cell")]
    pub cells: Vec<Cell>,
}

/// `<cell id='0'>`: a NUMA node.
#[element]
pub struct Cell {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
    /// How much memory it has.
    pub memory: Option<ScaledKib>,
    /// The same by the sizes of pages.
    pub pages: Vec<HostPages>,
    /// How far the nodes are.
    pub distances: Option<Distances>,
    /// Its caches before its memory.
    #[xml(name = "cache")]
    pub caches: Vec<NumaCache>,
    /// Its processors.
    pub cpus: CellCpus,
}

/// `<cpus num='2'>`: a node's processors.
#[element]
pub struct CellCpus {
    /// How many.
    #[xml(attr)]
    pub num: u32,
    /// They.
    #[xml(name = "cpu")]
    pub cpus: Vec<CellCpu>,
}

/// `<cpu id='0' socket_id='0' die_id='0' cluster_id='0' core_id='0' siblings='0'/>`: where a processor is.
#[element]
pub struct CellCpu {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
    /// Its socket.
    #[xml(attr, name = "socket_id")]
    pub socket_id: Option<u32>,
    /// Its die there.
    #[xml(attr, name = "die_id")]
    pub die_id: Option<u32>,
    /// Its cluster there.
    #[xml(attr, name = "cluster_id")]
    pub cluster_id: Option<u32>,
    /// Its core there.
    #[xml(attr, name = "core_id")]
    pub core_id: Option<u32>,
    /// The threads of that core.
    #[xml(attr)]
    pub siblings: Option<CpuSet>,
}
