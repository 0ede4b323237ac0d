//! `<domainCapabilities>`: what guests of one type on one machine can have. libvirt: formatdomaincaps.html.

mod cpu;
mod features;

pub use cpu::{
    CpuBlockers, CpuModeSupport, CpuModelSupport, CpuModels, CpuModes, Fallback, HostModel, ModelEntry, Usable,
};
pub use features::{FeatureSupport, SevSupport, SgxSection, SgxSections, SgxSupport};

use ostler_conf_derive::element;

use crate::domain::DomainType;
use crate::values::YesNo;

/// What guests of one type on one machine can have: what libvirt's `<domainCapabilities>` says.
#[element(root = "domainCapabilities", open)]
pub struct DomainCapabilities {
    /// The emulator.
    pub path: String,
    /// The guests' type.
    pub domain: DomainType,
    /// The machine type, under its canonical name.
    pub machine: Option<String>,
    /// The architecture.
    pub arch: String,
    /// How many CPUs.
    pub vcpu: Option<MaxVcpus>,
    /// Threads of their own for disks.
    pub iothreads: Support,
    /// How they boot.
    pub os: OsSupport,
    /// CPUs.
    pub cpu: CpuModes,
    /// Where their memory comes from.
    pub memory_backing: Option<Support>,
    /// Devices.
    pub devices: DeviceSupport,
    /// The rest.
    pub features: FeatureSupport,
}

/// `<vcpu max='255'/>`: how many CPUs.
#[element]
pub struct MaxVcpus {
    /// At most.
    #[xml(attr)]
    pub max: u32,
}

/// `<rng supported='yes'>`: whether something can be had, and with which values.
#[element]
pub struct Support {
    /// Whether it can.
    #[xml(attr)]
    pub supported: YesNo,
    /// What can be said of it.
    #[xml(name = "enum")]
    pub enums: Vec<Choice>,
}

/// `<enum name='model'>`: what an attribute can say.
#[element]
pub struct Choice {
    /// What it is of.
    #[xml(attr)]
    pub name: String,
    /// The values.
    #[xml(name = "value")]
    pub values: Vec<String>,
}

/// `<os supported='yes'>`: how guests boot.
#[element]
pub struct OsSupport {
    /// Whether they do.
    #[xml(attr)]
    pub supported: YesNo,
    /// The kinds of firmware that can be chosen by themselves.
    #[xml(name = "enum")]
    pub enums: Vec<Choice>,
    /// Firmware by its file.
    pub loader: LoaderSupport,
}

/// `<loader supported='yes'>`: firmware by its file.
#[element]
pub struct LoaderSupport {
    /// Whether it can be given.
    #[xml(attr)]
    pub supported: YesNo,
    /// The files that the host has.
    #[xml(name = "value")]
    pub values: Vec<String>,
    /// What can be said of it.
    #[xml(name = "enum")]
    pub enums: Vec<Choice>,
}

/// `<devices>`: what devices guests can have. What a driver doesn't tell is absent.
#[element(open)]
pub struct DeviceSupport {
    /// Disks.
    pub disk: Option<Support>,
    /// Graphics.
    pub graphics: Option<Support>,
    /// Video devices.
    pub video: Option<Support>,
    /// The host's devices.
    pub hostdev: Option<Support>,
    /// Sources of randomness.
    pub rng: Option<Support>,
    /// The host's folders.
    pub filesystem: Option<Support>,
    /// Trusted platform modules.
    pub tpm: Option<Support>,
    /// Devices of who looks at the guest.
    pub redirdev: Option<Support>,
    /// Channels.
    pub channel: Option<Support>,
    /// Devices that encrypt.
    pub crypto: Option<Support>,
    /// Interfaces.
    pub interface: Option<Support>,
    /// How a guest tells that it has crashed.
    pub panic: Option<Support>,
}

impl Support {
    /// It can't be had.
    pub fn none() -> Self {
        Support { supported: YesNo(false), enums: Vec::new() }
    }

    /// It can be had, with these values.
    pub fn with<const N: usize>(enums: [Choice; N]) -> Self {
        Support { supported: YesNo(true), enums: enums.into() }
    }

    /// It can be had if so, then with these values.
    pub fn with_if<const N: usize>(is_so: bool, enums: [Choice; N]) -> Self {
        if is_so { Support::with(enums) } else { Support::none() }
    }
}

impl Choice {
    /// These values.
    pub fn of<V: ToString>(name: &str, values: impl IntoIterator<Item = V>) -> Self {
        Choice { name: name.to_owned(), values: values.into_iter().map(|value| value.to_string()).collect() }
    }
}
