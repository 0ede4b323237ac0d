//! `<memory model='dimm'>`: memory that comes and goes.

use ostler_conf_derive::element;
use ostler_util::CpuSet;
use uuid::Uuid;

use super::{AcpiIndex, Address, Alias, MemoryAccessMode};
use crate::values::{HexLong, ScaledKib, YesNo};
use crate::words;

/// A memory device.
#[element]
pub struct MemoryDevice {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model.
    #[xml(attr)]
    pub model: MemoryModel,
    /// Whether others may map it.
    #[xml(attr)]
    pub access: Option<MemoryAccessMode>,
    /// Whether it is thrown away at the end rather than written back.
    #[xml(attr)]
    pub discard: Option<YesNo>,
    /// Its identity, with `nvdimm` on POWER.
    pub uuid: Option<Uuid>,
    /// What of the host's is behind it.
    pub source: Option<MemorySource>,
    /// What the guest sees.
    pub target: MemoryTarget,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<source>`: what of the host's is behind a memory device.
#[element]
pub struct MemorySource {
    /// The host's NUMA nodes.
    pub nodemask: Option<CpuSet>,
    /// The size of its pages.
    pub pagesize: Option<ScaledKib>,
    /// A file. Needs a grant.
    pub path: Option<String>,
    /// What its place in memory is a multiple of.
    pub alignsize: Option<ScaledKib>,
    /// The file is persistent memory.
    #[xml(flag)]
    pub pmem: bool,
}

/// `<target>`: what the guest sees.
#[element]
pub struct MemoryTarget {
    /// Whether the memory is handed over in pieces.
    #[xml(attr)]
    pub dynamic_memslots: Option<YesNo>,
    /// How much it is, at most.
    #[xml(default)]
    pub size: ScaledKib,
    /// The guest's NUMA node.
    pub node: Option<u32>,
    /// How much comes and goes at once.
    pub block: Option<ScaledKib>,
    /// How much the guest should have.
    pub requested: Option<ScaledKib>,
    /// How much the running guest has; never in a definition.
    #[serde(skip)]
    pub current: Option<ScaledKib>,
    /// The part that holds namespaces' labels.
    pub label: Option<MemoryLabel>,
    /// The guest can't write.
    #[xml(flag)]
    pub readonly: bool,
    /// Where it starts in the guest's memory.
    #[xml(attr, name = "base", on = "address")]
    pub base: Option<HexLong<1>>,
}

/// `<label><size unit='KiB'>128</size></label>`: the part that holds labels.
#[element]
pub struct MemoryLabel {
    /// Its size.
    pub size: ScaledKib,
}

words! {
    /// The model of a memory device.
    pub enum MemoryModel {
        Dimm = "dimm", Nvdimm = "nvdimm", VirtioPmem = "virtio-pmem", VirtioMem = "virtio-mem", SgxEpc = "sgx-epc",
    }
}
