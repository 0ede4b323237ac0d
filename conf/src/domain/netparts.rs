//! What only guests' interfaces say about the network that they are in; what networks say as well is theirs (`network/`).

use ostler_conf_derive::{element, union};
use std::net::IpAddr;

use super::IpFamily;

/// `<ip address='192.168.122.5' prefix='24'/>`: an address.
#[element]
pub struct IpAddress {
    /// The address.
    #[xml(attr)]
    pub address: IpAddr,
    /// Its family.
    #[xml(attr)]
    pub family: Option<IpFamily>,
    /// How many bits the network has.
    #[xml(attr)]
    pub prefix: Option<u8>,
    /// The other end of a point-to-point link.
    #[xml(attr)]
    pub peer: Option<IpAddr>,
}

/// `<coalesce><rx><frames max='7'/></rx></coalesce>`: how many interrupts become one.
#[element]
pub struct Coalesce {
    /// For what comes in.
    pub rx: Option<CoalesceRx>,
}

/// `<rx><frames max='7'/></rx>`: how many interrupts become one.
#[element]
pub struct CoalesceRx {
    /// At most so many packets.
    #[xml(attr, name = "max", on = "frames")]
    pub frames: Option<u32>,
}

/// `<teaming type='persistent'/>`: one half of a pair that survives migration.
#[union(tag = "type")]
pub enum Teaming {
    /// The half that always stays.
    Persistent(PersistentTeaming),
    /// The half that is unplugged for migration.
    Transient(TransientTeaming),
}

/// The half that always stays.
#[element]
pub struct PersistentTeaming {}

/// The half that is unplugged for migration.
#[element]
pub struct TransientTeaming {
    /// The alias of the half that stays.
    #[xml(attr)]
    pub persistent: String,
}
