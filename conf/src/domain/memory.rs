//! `<memory>`, `<memoryBacking>`, `<memtune>`: how much memory a guest has, and what is behind it.

use ostler_conf_derive::element;
use ostler_util::CpuSet;

use crate::values::{OnOff, ScaledKib};
use crate::words;

/// `<memory>`: an amount; any unit is read, KiB is written.
#[element]
pub struct Memory {
    /// Whether a core dump of the hypervisor holds the guest's memory.
    #[xml(attr)]
    pub dump_core: Option<OnOff>,
    /// The amount, rounded up to KiB.
    #[xml(flatten)]
    pub size: ScaledKib,
}

/// `<currentMemory>`: an amount; any unit is read, KiB is written.
#[element]
pub struct CurrentMemory {
    /// The amount, rounded up to KiB.
    #[xml(flatten)]
    pub size: ScaledKib,
}

/// `<maxMemory slots='16' unit='KiB'>`: how much there can be with memory devices.
#[element]
pub struct MaxMemory {
    /// How many memory devices there can be.
    #[xml(attr)]
    pub slots: Option<u32>,
    /// The amount, rounded up to KiB.
    #[xml(flatten)]
    pub size: ScaledKib,
}

/// `<memoryBacking>`: what is behind the guest's memory.
#[element]
pub struct MemoryBacking {
    /// Huge pages of the host.
    #[xml(keep)]
    pub hugepages: Option<Hugepages>,
    /// Pages are not merged with other guests'.
    #[xml(flag)]
    pub nosharepages: bool,
    /// The guest's memory is never swapped out.
    #[xml(flag)]
    pub locked: bool,
    /// What it is made of.
    #[xml(attr, name = "type", on = "source")]
    pub source: Option<MemorySourceKind>,
    /// Whether others may map it.
    #[xml(attr, name = "mode", on = "access")]
    pub access: Option<MemoryAccessMode>,
    /// When it is taken from the host.
    pub allocation: Option<Allocation>,
    /// It is thrown away at the end rather than written back.
    #[xml(flag)]
    pub discard: bool,
}

/// `<hugepages>`: huge pages of the host.
#[element]
pub struct Hugepages {
    /// Which; none given: of the default size.
    #[xml(name = "page")]
    pub pages: Vec<Hugepage>,
}

crate::scaled_attrs! {
    /// A page's size.
    pub struct PageSize("size", "unit", "KiB", |size| (size.kib(), "KiB"));
}

/// `<page size='2048' unit='KiB' nodeset='0'/>`: huge pages of one size.
#[element]
pub struct Hugepage {
    /// Their size.
    #[xml(flatten)]
    pub size: PageSize,
    /// The guest's NUMA nodes that have them; absent: the others.
    #[xml(attr)]
    pub nodeset: Option<CpuSet>,
}

/// `<allocation mode='immediate' threads='8'/>`: when memory is taken from the host.
#[element]
pub struct Allocation {
    /// When.
    #[xml(attr)]
    pub mode: Option<AllocationMode>,
    /// By how many threads.
    #[xml(attr)]
    pub threads: Option<u32>,
}

/// `<memtune>`: how much of the host's memory the guest may use.
#[element]
pub struct MemoryTune {
    /// At most.
    #[xml(name = "hard_limit")]
    pub hard_limit: Option<ScaledKib>,
    /// At most, when memory is scarce.
    #[xml(name = "soft_limit")]
    pub soft_limit: Option<ScaledKib>,
    /// At least.
    #[xml(name = "min_guarantee")]
    pub min_guarantee: Option<ScaledKib>,
    /// At most, with swap.
    #[xml(name = "swap_hard_limit")]
    pub swap_hard_limit: Option<ScaledKib>,
}

words! {
    /// What memory is made of.
    pub enum MemorySourceKind { File = "file", Anonymous = "anonymous", Memfd = "memfd", }

    /// Whether others may map memory.
    pub enum MemoryAccessMode { Shared = "shared", Private = "private", }

    /// When memory is taken from the host.
    pub enum AllocationMode { Immediate = "immediate", Ondemand = "ondemand", }
}
