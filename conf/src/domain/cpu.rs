//! `<cpu>`: the virtual CPU's model.

use ostler_conf_derive::element;

use super::Numa;
use crate::values::OnOff;
use crate::words;

/// `<cpu>`: what the guest sees as its CPU.
#[element]
pub struct Cpu {
    /// Where the model comes from.
    #[xml(attr)]
    pub mode: Option<CpuMode>,
    /// How exactly the guest's CPU must match.
    #[xml(attr)]
    pub r#match: Option<CpuMatch>,
    /// What is checked before start.
    #[xml(attr)]
    pub check: Option<CpuCheck>,
    /// Whether features that forbid migration are left out.
    #[xml(attr)]
    pub migratable: Option<OnOff>,
    /// Whether features that go away with the next processors are kept.
    #[xml(attr, name = "deprecated_features")]
    pub deprecated_features: Option<OnOff>,
    /// The named model.
    pub model: Option<CpuModel>,
    /// Its maker.
    pub vendor: Option<String>,
    /// Sockets, dies, cores and threads.
    pub topology: Option<Topology>,
    /// What the guest sees of the cache.
    pub cache: Option<CpuCache>,
    /// How long a physical address is.
    pub maxphysaddr: Option<MaxPhysAddr>,
    /// Single features.
    #[xml(name = "feature")]
    pub features: Vec<CpuFeature>,
    /// NUMA nodes.
    pub numa: Option<Numa>,
}

/// `<cache level='3' mode='emulate'/>`: what the guest sees of the cache.
#[element]
pub struct CpuCache {
    /// Down to which level; absent: all.
    #[xml(attr)]
    pub level: Option<u32>,
    /// What the guest sees of it.
    #[xml(attr)]
    pub mode: CpuCacheMode,
}

/// `<maxphysaddr mode='emulate' bits='42'/>`: how long a physical address is.
#[element]
pub struct MaxPhysAddr {
    /// As the host's, or as given.
    #[xml(attr)]
    pub mode: MaxPhysAddrMode,
    /// How many bits.
    #[xml(attr)]
    pub bits: Option<u32>,
    /// How many bits at most, where the host's count.
    #[xml(attr)]
    pub limit: Option<u32>,
}

words! {
    /// Where a CPU model comes from.
    pub enum CpuMode {
        /// As described.
        Custom = "custom",
        /// The named model nearest to the host's.
        HostModel = "host-model",
        /// The host's own.
        HostPassthrough = "host-passthrough",
        /// All that the hypervisor can give.
        Maximum = "maximum",
    }

    /// How exactly the guest's CPU must match.
    pub enum CpuMatch {
        /// At least this.
        Minimum = "minimum",
        /// Just this.
        Exact = "exact",
        /// Just this, or no start.
        Strict = "strict",
    }

    /// What is checked before start.
    pub enum CpuCheck {
        /// Nothing.
        None = "none",
        /// What the host lacks for sure.
        Partial = "partial",
        /// The whole CPU.
        Full = "full",
    }

    /// What happens when the hypervisor doesn't know a model.
    pub enum CpuModelFallback {
        /// The nearest is taken.
        Allow = "allow",
        /// No start.
        Forbid = "forbid",
    }

    /// What the guest sees of the cache.
    pub enum CpuCacheMode { Emulate = "emulate", Passthrough = "passthrough", Disable = "disable", }

    /// Where the length of a physical address comes from.
    pub enum MaxPhysAddrMode { Emulate = "emulate", Passthrough = "passthrough", }

    /// What is wanted of a feature.
    pub enum CpuFeaturePolicy {
        /// On, whatever the host has.
        Force = "force",
        /// On, or no start.
        Require = "require",
        /// On where the host has it.
        Optional = "optional",
        /// Off.
        Disable = "disable",
        /// Off, and no start where the host has it.
        Forbid = "forbid",
    }
}

/// `<model fallback='allow'>qemu64</model>`: a named CPU model.
#[element]
pub struct CpuModel {
    /// What happens when the hypervisor doesn't know it.
    #[xml(attr)]
    pub fallback: Option<CpuModelFallback>,
    /// The maker that the guest sees, 12 characters.
    #[xml(attr, name = "vendor_id")]
    pub vendor_id: Option<String>,
    /// The name.
    #[xml(text)]
    pub name: Option<String>,
}

/// `<topology sockets='1' dies='1' cores='2' threads='1'/>`: how virtual CPUs are grouped.
#[element]
pub struct Topology {
    /// Sockets.
    #[xml(attr)]
    pub sockets: u32,
    /// Dies a socket.
    #[xml(attr)]
    pub dies: Option<u32>,
    /// Clusters a die.
    #[xml(attr)]
    pub clusters: Option<u32>,
    /// Cores a cluster.
    #[xml(attr)]
    pub cores: u32,
    /// Threads a core.
    #[xml(attr)]
    pub threads: u32,
}

/// `<feature policy='require' name='vmx'/>`: a single CPU feature.
#[element]
pub struct CpuFeature {
    /// What is wanted of it; absent: `require`.
    #[xml(attr)]
    pub policy: Option<CpuFeaturePolicy>,
    /// Its name.
    #[xml(attr)]
    pub name: String,
}
