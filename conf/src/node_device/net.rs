//! Network interfaces.

use ostler_conf_derive::{element, union};

use super::pci::Nothing;
use crate::words;

/// A network interface.
#[element]
pub struct NetDevice {
    /// Its name.
    pub interface: String,
    /// Its MAC address.
    pub address: Option<String>,
    /// Its cable.
    pub link: Option<NetLink>,
    /// What it takes off the processor.
    #[xml(name = "feature")]
    pub features: Vec<NetFeature>,
    /// What network it is on.
    #[xml(name = "capability")]
    pub capabilities: Vec<NetCapability>,
}

words! {
    /// How a cable is.
    pub enum NetLinkState {
        /// The kernel does not know.
        Unknown = "unknown",
        /// The device is missing.
        Notpresent = "notpresent",
        /// It is down.
        Down = "down",
        /// What is below it is down.
        Lowerlayerdown = "lowerlayerdown",
        /// It is being tested.
        Testing = "testing",
        /// It waits for something.
        Dormant = "dormant",
        /// It is up.
        Up = "up",
    }
}

/// `<link speed='1000' state='up'/>`: a cable.
#[element]
pub struct NetLink {
    /// Its speed in Mbit/s.
    #[xml(attr)]
    pub speed: Option<u32>,
    /// How it is.
    #[xml(attr)]
    pub state: Option<NetLinkState>,
}

/// `<feature name='rx'/>`: something it takes off the processor.
#[element]
pub struct NetFeature {
    /// Its name.
    #[xml(attr)]
    pub name: String,
}

/// What network an interface is on; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum NetCapability {
    /// Ethernet.
    #[xml(name = "80203")]
    Ethernet(Nothing),
    /// Wireless.
    #[xml(name = "80211")]
    Wireless(Nothing),
}
