//! `<rng>`

use ostler_conf_derive::{element, union};

use super::{Address, Alias, CharSource, VirtioModel, VirtioOptions};

/// A source of random numbers.
#[element]
pub struct Rng {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model.
    #[xml(attr)]
    pub model: VirtioModel,
    /// How much a guest may take.
    pub rate: Option<RngRate>,
    /// Where the numbers come from.
    pub backend: RngBackend,
    /// How virtio is spoken.
    pub driver: Option<VirtioOptions>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<rate bytes='1234' period='2000'/>`: how much a guest may take.
#[element]
pub struct RngRate {
    /// Bytes a period.
    #[xml(attr)]
    pub bytes: u32,
    /// The period in milliseconds; absent: a second.
    #[xml(attr)]
    pub period: Option<u32>,
}

/// `<backend model='random'>/dev/urandom</backend>`: where random numbers come from.
#[union(tag = "model")]
pub enum RngBackend {
    /// A device of the host.
    Random(RandomBackend),
    /// An entropy gathering daemon.
    Egd(EgdBackend),
    /// The hypervisor itself.
    Builtin(BuiltinBackend),
}

/// A device of the host.
#[element]
pub struct RandomBackend {
    /// Its path; absent: `/dev/urandom`.
    #[xml(text)]
    pub path: Option<String>,
}

/// An entropy gathering daemon.
#[element]
pub struct EgdBackend {
    /// How it is reached.
    #[xml(choice = "type", flatten)]
    pub source: CharSource,
}

/// The hypervisor itself.
#[element]
pub struct BuiltinBackend {}
