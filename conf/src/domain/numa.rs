//! `<numa>`: the guest's NUMA nodes.

use ostler_conf_derive::element;
use ostler_util::CpuSet;

use super::MemoryAccessMode;
use crate::values::YesNo;
use crate::words;

/// `<numa>`: the guest's NUMA nodes.
#[element]
pub struct Numa {
    /// The nodes.
    #[xml(name = "cell")]
    pub cells: Vec<NumaCell>,
    /// How fast they reach each other's memory.
    pub interconnects: Option<Interconnects>,
}

crate::scaled_attrs! {
    /// How much memory a node has.
    pub struct CellMemory("memory", "unit", "KiB", |size| (size.kib(), "KiB"));
    /// The size of a cache or of its lines.
    pub struct CacheAmount("value", "unit", "bytes", |size| (size.kib(), "KiB"));
    /// The size of a cache's lines.
    pub struct LineAmount("value", "unit", "bytes", |size| (size.bytes(), "B"));
}

/// `<cell id='0' cpus='0-3' memory='512000' unit='KiB'>`: a node.
#[element]
pub struct NumaCell {
    /// Its number; absent: the next.
    #[xml(attr)]
    pub id: Option<u32>,
    /// Its virtual CPUs.
    #[xml(attr)]
    pub cpus: Option<CpuSet>,
    /// Its memory.
    #[xml(flatten)]
    pub memory: CellMemory,
    /// Whether others may map its memory.
    #[xml(attr)]
    pub mem_access: Option<MemoryAccessMode>,
    /// Whether its memory is thrown away at the end rather than written back.
    #[xml(attr)]
    pub discard: Option<YesNo>,
    /// How far other nodes are.
    pub distances: Option<Distances>,
    /// Its caches before its memory.
    #[xml(name = "cache")]
    pub caches: Vec<NumaCache>,
}

/// `<distances>`: how far other nodes are.
#[element]
pub struct Distances {
    /// They.
    #[xml(name = "sibling")]
    pub siblings: Vec<Sibling>,
}

/// `<sibling id='1' value='21'/>`: how far a node is.
#[element]
pub struct Sibling {
    /// The node.
    #[xml(attr)]
    pub id: u32,
    /// How far; 10: itself.
    #[xml(attr)]
    pub value: u32,
}

/// `<cache level='1' associativity='direct' policy='writeback'>`: a cache before a node's memory.
#[element]
pub struct NumaCache {
    /// Its level.
    #[xml(attr)]
    pub level: u32,
    /// How it finds lines.
    #[xml(attr)]
    pub associativity: Associativity,
    /// When it writes.
    #[xml(attr)]
    pub policy: CachePolicy,
    /// How much it holds.
    pub size: CacheAmount,
    /// How long its lines are.
    pub line: LineAmount,
}

/// `<interconnects>`: how fast nodes reach each other's memory.
#[element]
pub struct Interconnects {
    /// How soon.
    #[xml(name = "latency")]
    pub latencies: Vec<Latency>,
    /// How much.
    #[xml(name = "bandwidth")]
    pub bandwidths: Vec<LinkBandwidth>,
}

/// `<latency initiator='0' target='0' type='access' value='5'/>`: how soon a node reaches memory.
#[element]
pub struct Latency {
    /// The node that asks.
    #[xml(attr)]
    pub initiator: u32,
    /// The node whose memory it is.
    #[xml(attr)]
    pub target: u32,
    /// The level of that node's cache; absent: its memory.
    #[xml(attr)]
    pub cache: Option<u32>,
    /// For what.
    #[xml(attr)]
    pub r#type: AccessKind,
    /// In nanoseconds.
    #[xml(attr)]
    pub value: u64,
}

crate::scaled_attrs! {
    /// An amount a second.
    pub struct BandwidthAmount("value", "unit", "KiB", |size| (size.kib(), "KiB"));
}

/// `<bandwidth initiator='0' target='0' type='access' value='204800' unit='KiB'/>`: how much passes a second.
#[element]
pub struct LinkBandwidth {
    /// The node that asks.
    #[xml(attr)]
    pub initiator: u32,
    /// The node whose memory it is.
    #[xml(attr)]
    pub target: u32,
    /// The level of that node's cache; absent: its memory.
    #[xml(attr)]
    pub cache: Option<u32>,
    /// For what.
    #[xml(attr)]
    pub r#type: AccessKind,
    /// How much.
    #[xml(flatten)]
    pub value: BandwidthAmount,
}

words! {
    /// How a cache finds lines.
    pub enum Associativity { None = "none", Direct = "direct", Full = "full", }

    /// When a cache writes.
    pub enum CachePolicy { None = "none", Writeback = "writeback", Writethrough = "writethrough", }

    /// For what memory is reached.
    pub enum AccessKind { Access = "access", Read = "read", Write = "write", }
}
