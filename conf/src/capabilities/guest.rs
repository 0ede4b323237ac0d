//! `<guest>`: guests that a host can have.

use ostler_conf_derive::element;

use crate::domain::DomainType;
use crate::values::{OnOff, YesNo};

/// `<guest>`: guests of a kind and an architecture.
#[element]
pub struct Guest {
    /// The kind: `hvm`, or how else a guest knows that it is one.
    #[xml(name = "os_type")]
    pub os_type: String,
    /// The architecture.
    pub arch: GuestArch,
    /// What they can have.
    pub features: Option<GuestFeatures>,
}

/// `<arch name='x86_64'>`: an architecture of guests.
#[element]
pub struct GuestArch {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// How many bits a word has.
    pub wordsize: u32,
    /// The program that runs them.
    pub emulator: Option<String>,
    /// The program that they begin with.
    pub loader: Option<String>,
    /// Machine types.
    #[xml(name = "machine")]
    pub machines: Vec<GuestMachine>,
    /// Types of guests.
    #[xml(name = "domain")]
    pub domains: Vec<GuestDomain>,
}

/// `<machine canonical='pc-i440fx-10.0' maxCpus='255'>pc</machine>`: a machine type.
#[element]
pub struct GuestMachine {
    /// What the name stands for.
    #[xml(attr)]
    pub canonical: Option<String>,
    /// How many CPUs it has at most.
    #[xml(attr)]
    pub max_cpus: Option<u32>,
    /// Whether it is about to go.
    #[xml(attr)]
    pub deprecated: Option<YesNo>,
    /// Its name.
    #[xml(text)]
    pub name: String,
}

/// `<domain type='kvm'/>`: a type of guests, and what differs for it.
#[element]
pub struct GuestDomain {
    /// The type.
    #[xml(attr)]
    pub r#type: DomainType,
    /// The program that runs them.
    pub emulator: Option<String>,
    /// The program that they begin with.
    pub loader: Option<String>,
    /// Machine types.
    #[xml(name = "machine")]
    pub machines: Vec<GuestMachine>,
}

/// `<features>`: what guests can have.
#[element]
pub struct GuestFeatures {
    /// Physical addresses of 36 bits.
    #[xml(flag)]
    pub pae: bool,
    /// And without.
    #[xml(flag)]
    pub nonpae: bool,
    /// The other byte order.
    #[xml(name = "ia64_be", flag)]
    pub ia64_be: bool,
    /// ACPI.
    pub acpi: Option<Toggle>,
    /// An APIC.
    pub apic: Option<Toggle>,
    /// A choice of CPU models.
    #[xml(flag)]
    pub cpuselection: bool,
    /// An order of devices to boot from.
    #[xml(flag)]
    pub deviceboot: bool,
    /// Snapshots of disks.
    pub disksnapshot: Option<Toggle>,
    /// Nested page tables.
    pub hap: Option<Toggle>,
    /// Snapshots in files of their own, of guests' memory too.
    #[xml(name = "externalSnapshot", flag)]
    pub external_snapshot: bool,
}

/// `<acpi default='on' toggle='yes'/>`: what is there if a guest says nothing, and whether it may say.
#[element]
pub struct Toggle {
    /// Whether it is there.
    #[xml(attr)]
    pub default: OnOff,
    /// Whether a guest may say.
    #[xml(attr)]
    pub toggle: YesNo,
}
