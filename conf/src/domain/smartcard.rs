//! `<smartcard>`

use ostler_conf_derive::{element, union};

use super::{Address, Alias, CharSource};

/// A smart card reader.
#[element]
pub struct Smartcard {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Whose cards it reads.
    #[xml(choice = "mode", flatten)]
    pub mode: SmartcardMode,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// Whose cards are read; `mode=` on `<smartcard>` names it.
#[union]
pub enum SmartcardMode {
    /// The host's. Needs a grant.
    Host(SmartcardHost),
    /// An emulated one with certificates of the host. Needs a grant.
    HostCertificates(SmartcardCertificates),
    /// The ones of whoever watches the screen.
    Passthrough(SmartcardPassthrough),
}

/// The host's cards.
#[element]
pub struct SmartcardHost {}

/// An emulated card.
#[element]
pub struct SmartcardCertificates {
    /// The names of three certificates.
    #[xml(name = "certificate")]
    pub certificates: Vec<String>,
    /// The folder of the database that they are in.
    pub database: Option<String>,
}

/// The cards of whoever watches the screen.
#[element]
pub struct SmartcardPassthrough {
    /// How they are reached.
    #[xml(choice = "type", flatten)]
    pub source: CharSource,
}
