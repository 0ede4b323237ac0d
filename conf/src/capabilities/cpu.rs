//! `<cpu>` of a host: its processors.

use ostler_conf_derive::element;

use crate::domain::{MaxPhysAddr, Topology};
use crate::values::YesNo;

/// `<cpu>`: a host's processors.
#[element]
#[derive(Default)]
pub struct HostCpu {
    /// Their architecture.
    pub arch: String,
    /// What they could do long ago.
    #[xml(name = "features")]
    pub abilities: Option<HostCpuAbilities>,
    /// The nearest named model.
    pub model: Option<String>,
    /// Their maker.
    pub vendor: Option<String>,
    /// Their microcode.
    pub microcode: Option<Microcode>,
    /// Which they are of their maker's.
    pub signature: Option<CpuSignature>,
    /// Their clocks.
    #[xml(name = "counter")]
    pub counters: Vec<Counter>,
    /// Sockets, dies, cores and threads.
    pub topology: Option<Topology>,
    /// How long a physical address is.
    pub maxphysaddr: Option<MaxPhysAddr>,
    /// What they have besides the model.
    #[xml(name = "feature")]
    pub features: Vec<HostFeature>,
    /// The sizes of pages.
    pub pages: Vec<HostPages>,
}

/// `<features>`: what processors could do long ago.
#[element]
pub struct HostCpuAbilities {
    /// Physical addresses of 36 bits.
    #[xml(flag)]
    pub pae: bool,
    /// And without.
    #[xml(flag)]
    pub nonpae: bool,
    /// Guests by Intel's VT-x.
    #[xml(flag)]
    pub vmx: bool,
    /// Guests by AMD's SVM.
    #[xml(flag)]
    pub svm: bool,
}

/// `<microcode version='16777317'/>`: a processor's microcode.
#[element]
pub struct Microcode {
    /// Its version.
    #[xml(attr)]
    pub version: u32,
}

/// `<signature family='25' model='17' stepping='1'/>`: which of its maker's a processor is.
#[element]
pub struct CpuSignature {
    /// Its family.
    #[xml(attr)]
    pub family: u32,
    /// Its model.
    #[xml(attr)]
    pub model: u32,
    /// Its stepping.
    #[xml(attr)]
    pub stepping: u32,
}

/// `<counter name='tsc' frequency='2596144000' scaling='no'/>`: a processor's clock.
#[element]
pub struct Counter {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// How often it counts in a second.
    #[xml(attr)]
    pub frequency: u64,
    /// Whether guests can have another frequency.
    #[xml(attr)]
    pub scaling: Option<YesNo>,
}

/// `<feature name='avx2'/>`: what a processor has besides its model.
#[element]
pub struct HostFeature {
    /// Its name.
    #[xml(attr)]
    pub name: String,
}

/// `<pages unit='KiB' size='4'>2048</pages>`: a size of pages.
#[element]
pub struct HostPages {
    /// The size's unit.
    #[xml(attr)]
    pub unit: String,
    /// The size.
    #[xml(attr)]
    pub size: u64,
    /// How many there are, where they are a node's.
    #[xml(text)]
    pub count: Option<u64>,
}
