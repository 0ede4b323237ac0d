//! `<features>` of domain capabilities.

use ostler_conf_derive::element;

use super::Support;
use crate::values::{ScaledKib, YesNo};

/// `<features>`: what else guests can have. What a driver doesn't tell is absent.
#[element(open)]
pub struct FeatureSupport {
    /// Interrupt controllers of ARM.
    pub gic: Option<Support>,
    /// Facts about a crash, for who reads a dump.
    pub vmcoreinfo: Option<Support>,
    /// An identity that changes with each copy.
    pub genid: Option<Support>,
    /// Backing chains that the definition gives.
    pub backing_store_input: Option<Support>,
    /// Backups.
    pub backup: Option<Support>,
    /// A fast end, with memory given back later.
    #[xml(name = "async-teardown")]
    pub async_teardown: Option<Support>,
    /// Guests that an s390 host can't look into.
    #[xml(name = "s390-pv")]
    pub s390_pv: Option<Support>,
    /// Keyboard and mouse of old.
    pub ps2: Option<Support>,
    /// Guests that a host of Intel's can't look into.
    pub tdx: Option<Support>,
    /// AMD's memory encryption.
    pub sev: Option<SevSupport>,
    /// Intel's enclaves.
    pub sgx: Option<SgxSupport>,
    /// What guests see of Hyper-V.
    pub hyperv: Option<Support>,
    /// What keeps the host out.
    pub launch_security: Option<Support>,
}

/// `<sev supported='yes'>`: AMD's memory encryption.
#[element]
pub struct SevSupport {
    /// Whether guests can have it.
    #[xml(attr)]
    pub supported: YesNo,
    /// The bit of an address that means "encrypted".
    pub cbitpos: Option<u32>,
    /// How many address bits are lost.
    pub reduced_phys_bits: Option<u32>,
    /// How many such guests there may be.
    pub max_guests: Option<u32>,
    /// How many with encrypted registers.
    #[xml(name = "maxESGuests")]
    pub max_es_guests: Option<u32>,
    /// The identity of the first CPU.
    pub cpu0_id: Option<String>,
}

/// `<sgx supported='yes'>`: Intel's enclaves.
#[element]
pub struct SgxSupport {
    /// Whether guests can have them.
    #[xml(attr)]
    pub supported: YesNo,
    /// Whether who may launch them can be chosen.
    pub flc: Option<YesNo>,
    /// The first set of instructions.
    pub sgx1: Option<YesNo>,
    /// The second.
    pub sgx2: Option<YesNo>,
    /// All their memory.
    #[xml(name = "section_size")]
    pub section_size: Option<ScaledKib>,
    /// The same by NUMA node.
    pub sections: Option<SgxSections>,
}

/// `<sections>`: enclaves' memory by NUMA node.
#[element]
pub struct SgxSections {
    /// By node.
    #[xml(name = "section")]
    pub sections: Vec<SgxSection>,
}

/// `<section node='0' size='262144' unit='KiB'/>`: a node's memory for enclaves.
#[element]
pub struct SgxSection {
    /// The node.
    #[xml(attr)]
    pub node: u32,
    /// How much.
    #[xml(attr)]
    pub size: u64,
    /// In which unit.
    #[xml(attr)]
    pub unit: String,
}
