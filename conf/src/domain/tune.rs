//! `<cputune>`, `<numatune>`, `<blkiotune>`, `<resource>`, `<iothreadids>`: how much of the host a guest gets.

use ostler_conf_derive::element;
use ostler_util::CpuSet;
use serde::{Deserialize, Serialize};

use super::IoTune;
use crate::Problem;
use crate::values::{YesNo, pretty};
use crate::words;
use crate::xml::{Element, Reader, Writer};

/// `<cputune>`: how much of the host's processors a guest gets, and which.
#[element]
pub struct CpuTune {
    /// Its share beside other guests.
    pub shares: Option<u64>,
    /// Virtual CPUs: the period, in microseconds.
    pub period: Option<u64>,
    /// Virtual CPUs: how much they run in a period, in microseconds; -1: all of it.
    pub quota: Option<i64>,
    /// The whole guest: the period, in microseconds.
    #[xml(name = "global_period")]
    pub global_period: Option<u64>,
    /// The whole guest: how much it runs in a period, in microseconds.
    #[xml(name = "global_quota")]
    pub global_quota: Option<i64>,
    /// The hypervisor's own threads: the period, in microseconds.
    #[xml(name = "emulator_period")]
    pub emulator_period: Option<u64>,
    /// The hypervisor's own threads: how much they run in a period, in microseconds.
    #[xml(name = "emulator_quota")]
    pub emulator_quota: Option<i64>,
    /// I/O threads: the period, in microseconds.
    #[xml(name = "iothread_period")]
    pub iothread_period: Option<u64>,
    /// I/O threads: how much they run in a period, in microseconds.
    #[xml(name = "iothread_quota")]
    pub iothread_quota: Option<i64>,
    /// Where virtual CPUs run.
    #[xml(name = "vcpupin")]
    pub vcpupins: Vec<VcpuPin>,
    /// Where the hypervisor's own threads run.
    #[xml(attr, name = "cpuset", on = "emulatorpin")]
    pub emulatorpin: Option<CpuSet>,
    /// Where I/O threads run.
    #[xml(name = "iothreadpin")]
    pub iothreadpins: Vec<IothreadPin>,
    /// How the hypervisor's own threads are scheduled.
    pub emulatorsched: Option<EmulatorSched>,
    /// How virtual CPUs are scheduled.
    #[xml(name = "vcpusched")]
    pub vcpuscheds: Vec<VcpuSched>,
    /// How I/O threads are scheduled.
    #[xml(name = "iothreadsched")]
    pub iothreadscheds: Vec<IothreadSched>,
    /// Which parts of the host's caches are theirs.
    #[xml(name = "cachetune")]
    pub cachetunes: Vec<CacheTune>,
    /// How much of the host's memory bandwidth is theirs.
    #[xml(name = "memorytune")]
    pub memorytunes: Vec<MemoryBandwidthTune>,
}

/// `<vcpupin vcpu='0' cpuset='1-4'/>`: where a virtual CPU runs.
#[element]
pub struct VcpuPin {
    /// The virtual CPU.
    #[xml(attr)]
    pub vcpu: u32,
    /// The host's processors.
    #[xml(attr)]
    pub cpuset: CpuSet,
}

/// `<iothreadpin iothread='1' cpuset='5'/>`: where an I/O thread runs.
#[element]
pub struct IothreadPin {
    /// The I/O thread.
    #[xml(attr)]
    pub iothread: u32,
    /// The host's processors.
    #[xml(attr)]
    pub cpuset: CpuSet,
}

/// `<vcpusched vcpus='0-3' scheduler='fifo' priority='1'/>`: how virtual CPUs are scheduled.
#[element]
pub struct VcpuSched {
    /// The virtual CPUs.
    #[xml(attr)]
    pub vcpus: CpuSet,
    /// By which scheduler.
    #[xml(attr)]
    pub scheduler: Scheduler,
    /// With which priority, from 1 to 99.
    #[xml(attr)]
    pub priority: Option<i32>,
}

/// `<iothreadsched iothreads='2' scheduler='batch'/>`: how I/O threads are scheduled.
#[element]
pub struct IothreadSched {
    /// The I/O threads.
    #[xml(attr)]
    pub iothreads: CpuSet,
    /// By which scheduler.
    #[xml(attr)]
    pub scheduler: Scheduler,
    /// With which priority, from 1 to 99.
    #[xml(attr)]
    pub priority: Option<i32>,
}

/// `<emulatorsched scheduler='fifo' priority='2'/>`: how the hypervisor's own threads are scheduled.
#[element]
pub struct EmulatorSched {
    /// By which scheduler.
    #[xml(attr)]
    pub scheduler: Scheduler,
    /// With which priority, from 1 to 99.
    #[xml(attr)]
    pub priority: Option<i32>,
}

/// `<cachetune vcpus='0-1'>`: parts of the host's caches.
#[element]
pub struct CacheTune {
    /// The virtual CPUs that they belong to.
    #[xml(attr)]
    pub vcpus: CpuSet,
    /// The running guest's name for them; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub id: Option<String>,
    /// The parts.
    #[xml(name = "cache")]
    pub caches: Vec<CachePart>,
    /// What is measured.
    #[xml(name = "monitor")]
    pub monitors: Vec<CacheMonitor>,
}

crate::scaled_attrs! {
    /// A part's size.
    pub struct CacheSize("size", "unit", "bytes", pretty);
}

/// `<cache id='0' level='3' type='both' size='3' unit='MiB'/>`: a part of a cache.
#[element]
pub struct CachePart {
    /// The cache's number on the host.
    #[xml(attr)]
    pub id: u32,
    /// Its level.
    #[xml(attr)]
    pub level: u32,
    /// What it holds.
    #[xml(attr)]
    pub r#type: CacheContent,
    /// How much.
    #[xml(flatten)]
    pub size: CacheSize,
}

/// `<monitor level='3' vcpus='0'/>`: how much of a cache is used, measured.
#[element]
pub struct CacheMonitor {
    /// The cache's level.
    #[xml(attr)]
    pub level: u32,
    /// By which virtual CPUs.
    #[xml(attr)]
    pub vcpus: CpuSet,
}

/// `<memorytune vcpus='0-3'>`: a share of the host's memory bandwidth.
#[element]
pub struct MemoryBandwidthTune {
    /// The virtual CPUs that it belongs to.
    #[xml(attr)]
    pub vcpus: CpuSet,
    /// The running guest's name for it; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub id: Option<String>,
    /// The shares.
    #[xml(name = "node")]
    pub nodes: Vec<NodeBandwidth>,
    /// What is measured.
    #[xml(name = "monitor")]
    pub monitors: Vec<BandwidthMonitor>,
}

/// `<node id='0' bandwidth='60'/>`: a share of one NUMA node's bandwidth.
#[element]
pub struct NodeBandwidth {
    /// The host's node.
    #[xml(attr)]
    pub id: u32,
    /// How much, in per cent.
    #[xml(attr)]
    pub bandwidth: u32,
}

/// `<monitor vcpus='0'/>`: how much bandwidth is used, measured.
#[element]
pub struct BandwidthMonitor {
    /// By which virtual CPUs.
    #[xml(attr)]
    pub vcpus: CpuSet,
}

/// `<numatune>`: which of the host's NUMA nodes the guest's memory comes from.
#[element]
pub struct NumaTune {
    /// All of it.
    pub memory: Option<NumaMemory>,
    /// One of the guest's nodes.
    #[xml(name = "memnode")]
    pub memnodes: Vec<NumaMemnode>,
}

/// `<memory mode='strict' nodeset='0-3'/>`: where the guest's memory comes from.
#[element]
pub struct NumaMemory {
    /// What happens when a node is full.
    #[xml(attr)]
    pub mode: Option<NumaMode>,
    /// The host's nodes.
    #[xml(attr, code = "ConfigUnsupported")]
    pub nodeset: Option<CpuSet>,
    /// Who chooses them.
    #[xml(attr)]
    pub placement: Option<super::VcpuPlacement>,
}

/// `<memnode cellid='0' mode='strict' nodeset='1'/>`: where the memory of one of the guest's nodes comes from.
#[element]
pub struct NumaMemnode {
    /// The guest's node.
    #[xml(attr)]
    pub cellid: u32,
    /// What happens when a node is full.
    #[xml(attr)]
    pub mode: Option<NumaMode>,
    /// The host's nodes.
    #[xml(attr)]
    pub nodeset: CpuSet,
}

/// `<blkiotune>`: how much of the host's disks a guest gets.
#[element]
pub struct BlkioTune {
    /// Its share beside other guests.
    pub weight: Option<u32>,
    /// By device.
    #[xml(name = "device")]
    pub devices: Vec<BlkioDevice>,
}

/// `<device>`: how much of one of the host's disks a guest gets.
#[element]
pub struct BlkioDevice {
    /// The device.
    pub path: String,
    /// The share beside other guests.
    pub weight: Option<u32>,
    /// Read operations a second.
    #[xml(name = "read_iops_sec")]
    pub read_iops_sec: Option<u32>,
    /// Write operations a second.
    #[xml(name = "write_iops_sec")]
    pub write_iops_sec: Option<u32>,
    /// Bytes read a second.
    #[xml(name = "read_bytes_sec")]
    pub read_bytes_sec: Option<u64>,
    /// Bytes written a second.
    #[xml(name = "write_bytes_sec")]
    pub write_bytes_sec: Option<u64>,
}

/// `<resource>`: the group of guests that this one shares the host with.
#[element]
pub struct Resource {
    /// Its path.
    pub partition: Option<String>,
    /// How fibre channel switches know the guest.
    #[xml(attr, name = "appid", on = "fibrechannel")]
    pub fibrechannel: Option<String>,
}

/// `<iothreadids>`: the numbers of I/O threads.
#[element]
pub struct IothreadIds {
    /// They.
    #[xml(name = "iothread")]
    pub iothreads: Vec<IothreadId>,
}

/// `<iothread id='2' thread_pool_min='8'>`: an I/O thread.
#[element]
pub struct IothreadId {
    /// Its number, from 1.
    #[xml(attr)]
    pub id: u32,
    /// How many workers it has at least.
    #[xml(attr, name = "thread_pool_min")]
    pub thread_pool_min: Option<i32>,
    /// How many workers it has at most.
    #[xml(attr, name = "thread_pool_max")]
    pub thread_pool_max: Option<i32>,
    /// How long it waits awake.
    pub poll: Option<IothreadPoll>,
}

/// `<poll max='123' grow='456' shrink='789'/>`: how long an I/O thread waits awake.
#[element]
pub struct IothreadPoll {
    /// At most, in nanoseconds.
    #[xml(attr)]
    pub max: Option<u64>,
    /// By what it grows.
    #[xml(attr)]
    pub grow: Option<u64>,
    /// By what it shrinks.
    #[xml(attr)]
    pub shrink: Option<u64>,
}

/// `<defaultiothread thread_pool_min='8'/>`: the hypervisor's main loop.
#[element]
pub struct DefaultIothread {
    /// How many workers it has at least.
    #[xml(attr, name = "thread_pool_min")]
    pub thread_pool_min: Option<i32>,
    /// How many workers it has at most.
    #[xml(attr, name = "thread_pool_max")]
    pub thread_pool_max: Option<i32>,
}

/// `<throttlegroups>`: limits that disks share.
#[element]
pub struct ThrottleGroups {
    /// They.
    #[xml(name = "throttlegroup")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<IoTune>"))]
    pub groups: Vec<ThrottleGroup>,
}

/// `<throttlegroup>`: limits that disks share. Unlike a disk's own they end with their name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThrottleGroup(pub IoTune);

impl Element for ThrottleGroup {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        IoTune::read(reader).map(ThrottleGroup)
    }

    fn attrs(&self, writer: &mut Writer) {
        self.0.attrs(writer);
    }

    fn body(&self, writer: &mut Writer) {
        IoTune { group_name: None, ..self.0.clone() }.body(writer);
        if let Some(name) = &self.0.group_name {
            writer.element("group_name", true, |writer| writer.text(name));
        }
    }
}

/// `<vcpus>`: virtual CPUs one by one.
#[element]
pub struct Vcpus {
    /// They.
    #[xml(name = "vcpu")]
    pub vcpus: Vec<VcpuState>,
}

/// `<vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>`: a virtual CPU.
#[element]
pub struct VcpuState {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
    /// Whether it is there.
    #[xml(attr)]
    pub enabled: YesNo,
    /// Whether it can be unplugged.
    #[xml(attr)]
    pub hotpluggable: Option<YesNo>,
    /// When it was plugged in, among all.
    #[xml(attr)]
    pub order: Option<u32>,
}

/// `<idmap>`: how a container's users and groups are the host's.
#[element]
pub struct IdMap {
    /// Users.
    #[xml(name = "uid")]
    pub uids: Vec<IdRange>,
    /// Groups.
    #[xml(name = "gid")]
    pub gids: Vec<IdRange>,
}

/// `<uid start='0' target='1000' count='10'/>`: a range.
#[element]
pub struct IdRange {
    /// The container's first.
    #[xml(attr)]
    pub start: u32,
    /// The host's first.
    #[xml(attr)]
    pub target: u32,
    /// How many.
    #[xml(attr)]
    pub count: u32,
}

/// `<perf>`: events of the host's processors that are counted.
#[element]
pub struct Perf {
    /// They.
    #[xml(name = "event")]
    pub events: Vec<PerfEvent>,
}

/// `<event name='cmt' enabled='yes'/>`: an event.
#[element]
pub struct PerfEvent {
    /// The event.
    #[xml(attr)]
    pub name: PerfEventName,
    /// Whether it is counted.
    #[xml(attr)]
    pub enabled: YesNo,
}

words! {
    /// A scheduler of the host.
    pub enum Scheduler { Batch = "batch", Idle = "idle", Fifo = "fifo", Rr = "rr", }

    /// What a cache holds.
    pub enum CacheContent { Both = "both", Code = "code", Data = "data", }

    /// What happens when a NUMA node is full.
    pub enum NumaMode { Strict = "strict", Preferred = "preferred", Interleave = "interleave", Restrictive = "restrictive", }

    /// An event of the host's processors.
    pub enum PerfEventName {
        Cmt = "cmt", Mbmt = "mbmt", Mbml = "mbml", CpuCycles = "cpu_cycles", Instructions = "instructions",
        CacheReferences = "cache_references", CacheMisses = "cache_misses", BranchInstructions = "branch_instructions",
        BranchMisses = "branch_misses", BusCycles = "bus_cycles", StalledCyclesFrontend = "stalled_cycles_frontend",
        StalledCyclesBackend = "stalled_cycles_backend", RefCpuCycles = "ref_cpu_cycles", CpuClock = "cpu_clock",
        TaskClock = "task_clock", PageFaults = "page_faults", ContextSwitches = "context_switches",
        CpuMigrations = "cpu_migrations", PageFaultsMin = "page_faults_min", PageFaultsMaj = "page_faults_maj",
        AlignmentFaults = "alignment_faults", EmulationFaults = "emulation_faults",
    }
}
