//! `<watchdog>`

use ostler_conf_derive::element;

use super::{Address, Alias};
use crate::words;

/// A watchdog.
#[element]
pub struct Watchdog {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its model.
    #[xml(attr)]
    pub model: WatchdogModel,
    /// What it does when the guest hangs; absent: reset.
    #[xml(attr)]
    pub action: Option<WatchdogAction>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

words! {
    /// The model of a watchdog.
    pub enum WatchdogModel {
        /// Intel's 6300ESB, on PCI.
        I6300esb = "i6300esb",
        /// On the ISA bus.
        Ib700 = "ib700",
        /// The one of s390.
        Diag288 = "diag288",
        /// The one of q35's chipset.
        Itco = "itco",
    }

    /// What a watchdog does.
    pub enum WatchdogAction {
        /// The guest is reset.
        Reset = "reset",
        /// The guest is asked to shut down.
        Shutdown = "shutdown",
        /// The guest ends.
        Poweroff = "poweroff",
        /// The guest is paused.
        Pause = "pause",
        /// Its memory is dumped.
        Dump = "dump",
        /// Nothing.
        None = "none",
        /// A non-maskable interrupt.
        InjectNmi = "inject-nmi",
    }
}
