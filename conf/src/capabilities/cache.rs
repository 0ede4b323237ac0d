//! `<cache>` and `<memory_bandwidth>` of a host, and how they can be shared out.

use ostler_conf_derive::element;
use ostler_util::CpuSet;

use crate::words;

/// `<cache>`: a host's caches.
#[element]
pub struct HostCaches {
    /// They.
    #[xml(name = "bank")]
    pub banks: Vec<CacheBank>,
    /// How their use is watched.
    pub monitor: Option<CacheMonitor>,
}

words! {
    /// What a cache holds.
    pub enum BankType {
        /// Instructions and data.
        Both = "both",
        /// Instructions.
        Code = "code",
        /// Data.
        Data = "data",
    }
}

/// `<bank id='0' level='3' type='both' size='15' unit='MiB' cpus='0-5'>`: a cache.
#[element]
pub struct CacheBank {
    /// Its number in its level.
    #[xml(attr)]
    pub id: u32,
    /// Its level.
    #[xml(attr)]
    pub level: u32,
    /// What it holds.
    #[xml(attr)]
    pub r#type: BankType,
    /// How much.
    #[xml(attr)]
    pub size: u64,
    /// In which unit.
    #[xml(attr)]
    pub unit: String,
    /// The processors before it.
    #[xml(attr)]
    pub cpus: CpuSet,
    /// How it can be shared out.
    #[xml(name = "control")]
    pub controls: Vec<CacheControl>,
}

/// `<control granularity='768' min='1536' unit='KiB' type='both' maxAllocs='4'/>`: how a cache can be shared out.
#[element]
pub struct CacheControl {
    /// In steps of.
    #[xml(attr)]
    pub granularity: u64,
    /// At least, where that is not a step.
    #[xml(attr)]
    pub min: Option<u64>,
    /// In which unit.
    #[xml(attr)]
    pub unit: String,
    /// What for.
    #[xml(attr)]
    pub r#type: BankType,
    /// In how many parts.
    #[xml(attr)]
    pub max_allocs: u32,
}

/// `<monitor level='3' reuseThreshold='270336' maxMonitors='176'>`: how use is watched.
#[element]
pub struct CacheMonitor {
    /// Of which cache.
    #[xml(attr)]
    pub level: Option<u32>,
    /// From how many bytes on a number is not used again.
    #[xml(attr)]
    pub reuse_threshold: Option<u32>,
    /// In how many parts.
    #[xml(attr)]
    pub max_monitors: u32,
    /// What can be watched.
    #[xml(name = "feature")]
    pub features: Vec<MonitorFeature>,
}

/// `<feature name='llc_occupancy'/>`: what can be watched.
#[element]
pub struct MonitorFeature {
    /// Its name.
    #[xml(attr)]
    pub name: String,
}

/// `<memory_bandwidth>`: how the bandwidth of a host's memory can be shared out.
#[element]
pub struct MemoryBandwidth {
    /// By controller.
    #[xml(name = "node")]
    pub nodes: Vec<MemoryBandwidthNode>,
    /// How its use is watched.
    pub monitor: Option<CacheMonitor>,
}

/// `<node id='0' cpus='0-5'>`: a controller of memory.
#[element]
pub struct MemoryBandwidthNode {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
    /// The processors before it.
    #[xml(attr)]
    pub cpus: CpuSet,
    /// How it can be shared out.
    pub control: Option<MemoryBandwidthControl>,
}

/// `<control granularity='10' min='10' maxAllocs='4'/>`: how bandwidth can be shared out, in per cent.
#[element]
pub struct MemoryBandwidthControl {
    /// In steps of.
    #[xml(attr)]
    pub granularity: u32,
    /// At least.
    #[xml(attr)]
    pub min: Option<u32>,
    /// In how many parts.
    #[xml(attr)]
    pub max_allocs: u32,
}
