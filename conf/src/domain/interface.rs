//! `<interface>`

use ostler_conf_derive::{element, union};
use ostler_util::MacAddress;

use super::{Address, Alias, Boot};
use crate::words;

/// A network interface.
#[element]
pub struct Interface {
    /// A label for people and for lists; it changes nothing in the guest. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its MAC address; chosen once and kept.
    pub mac: Option<Mac>,
    /// What it is connected to.
    #[xml(choice = "type")]
    pub source: InterfaceSource,
    /// Its device on the host.
    pub target: Option<InterfaceTarget>,
    /// What the guest sees.
    pub model: Option<InterfaceModel>,
    /// Whether the cable is plugged in.
    pub link: Option<Link>,
    /// The largest packet.
    pub mtu: Option<Mtu>,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<mac address='52:54:00:…'/>`: a MAC address.
#[element]
pub struct Mac {
    /// The address.
    #[xml(attr)]
    pub address: MacAddress,
}

/// What an interface is connected to; `type=` on `<interface>` names it.
#[union]
pub enum InterfaceSource {
    /// A virtual network.
    Network(NetworkSource),
    /// A bridge of the host. Needs a grant.
    Bridge(BridgeSource),
    /// QEMU's own user-mode network.
    User(UserSource),
}

/// `<source network='default'/>`: a virtual network.
#[element]
pub struct NetworkSource {
    /// Its name.
    #[xml(attr)]
    pub network: String,
    /// Its group of ports.
    #[xml(attr)]
    pub portgroup: Option<String>,
    /// The running guest's bridge; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub bridge: Option<String>,
}

/// `<source bridge='br0'/>`: a bridge of the host.
#[element]
pub struct BridgeSource {
    /// Its name.
    #[xml(attr)]
    pub bridge: String,
}

/// User-mode network: no device on the host.
#[element]
pub struct UserSource {}

/// `<target dev='vnet0'/>`: the interface's device on the host.
#[element]
pub struct InterfaceTarget {
    /// Its name, 15 bytes at most.
    #[xml(attr)]
    pub dev: Option<String>,
}

/// `<model type='virtio'/>`: what the guest sees.
#[element]
pub struct InterfaceModel {
    /// The hypervisor's name for it: `virtio`, `e1000e`, …
    #[xml(attr)]
    pub r#type: String,
}

words! {
    /// Whether a cable is plugged in.
    pub enum LinkState {
        /// It is.
        Up = "up",
        /// It is not.
        Down = "down",
    }
}

/// `<link state='down'/>`: the cable.
#[element]
pub struct Link {
    /// Whether it is plugged in.
    #[xml(attr)]
    pub state: LinkState,
}

/// `<mtu size='1400'/>`: the largest packet.
#[element]
pub struct Mtu {
    /// In bytes.
    #[xml(attr)]
    pub size: u32,
}
