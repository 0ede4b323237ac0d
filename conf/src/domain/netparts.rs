//! What interfaces say about the network that they are in.

use ostler_conf_derive::{element, union};
use std::net::IpAddr;
use uuid::Uuid;

use crate::values::YesNo;
use crate::words;

/// `<vlan trunk='yes'><tag id='42'/></vlan>`: VLAN tags.
#[element]
pub struct Vlan {
    /// Whether several tags pass.
    #[xml(attr)]
    pub trunk: Option<YesNo>,
    /// The tags.
    #[xml(name = "tag")]
    pub tags: Vec<VlanTag>,
}

/// `<tag id='42'/>`: a VLAN.
#[element]
pub struct VlanTag {
    /// Its number, up to 4095.
    #[xml(attr)]
    pub id: u16,
    /// How it treats packets without a tag.
    #[xml(attr)]
    pub native_mode: Option<NativeMode>,
}

/// `<virtualport type='openvswitch'>`: what a switch is told.
#[element]
pub struct VirtualPort {
    /// The switch's protocol.
    #[xml(attr)]
    pub r#type: Option<VirtualPortKind>,
    /// What it is told.
    pub parameters: Option<VirtualPortParameters>,
}

/// `<parameters interfaceid='…'/>`: what a switch is told.
#[element]
pub struct VirtualPortParameters {
    /// 802.1Qbg: the database of profiles.
    #[xml(attr)]
    pub managerid: Option<u8>,
    /// 802.1Qbg: the profile.
    #[xml(attr)]
    pub typeid: Option<u32>,
    /// 802.1Qbg: the profile's version.
    #[xml(attr)]
    pub typeidversion: Option<u8>,
    /// 802.1Qbg: the interface.
    #[xml(attr)]
    pub instanceid: Option<Uuid>,
    /// Open vSwitch, MidoNet: the interface.
    #[xml(attr)]
    pub interfaceid: Option<Uuid>,
    /// Open vSwitch, 802.1Qbh: the profile.
    #[xml(attr)]
    pub profileid: Option<String>,
}

/// `<bandwidth>`: how fast an interface may be.
#[element]
pub struct Bandwidth {
    /// What comes in.
    pub inbound: Option<Rate>,
    /// What goes out.
    pub outbound: Option<Rate>,
}

/// `<inbound average='1000' peak='5000' burst='5120'/>`: how fast one direction may be.
#[element]
pub struct Rate {
    /// In the long run, in KiB a second.
    #[xml(attr)]
    pub average: Option<u64>,
    /// For a short time, in KiB a second.
    #[xml(attr)]
    pub peak: Option<u64>,
    /// What is guaranteed, in KiB a second.
    #[xml(attr)]
    pub floor: Option<u64>,
    /// How much passes at the peak, in KiB.
    #[xml(attr)]
    pub burst: Option<u64>,
}

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

/// `<route family='ipv4' address='0.0.0.0' gateway='192.168.122.1'/>`: a route.
#[element]
pub struct Route {
    /// Its family.
    #[xml(attr)]
    pub family: Option<IpFamily>,
    /// Where to.
    #[xml(attr)]
    pub address: IpAddr,
    /// How many bits the network has, as a mask.
    #[xml(attr)]
    pub netmask: Option<IpAddr>,
    /// How many bits the network has.
    #[xml(attr)]
    pub prefix: Option<u8>,
    /// By which router.
    #[xml(attr)]
    pub gateway: IpAddr,
    /// How far it is.
    #[xml(attr)]
    pub metric: Option<u32>,
}

/// `<filterref filter='clean-traffic'>`: the filter that an interface obeys.
#[element]
pub struct FilterRef {
    /// Its name.
    #[xml(attr)]
    pub filter: String,
    /// Values for its variables.
    #[xml(name = "parameter")]
    pub parameters: Vec<FilterParameter>,
}

/// `<parameter name='IP' value='10.0.0.1'/>`: a value for a filter's variable; several with one name are a list.
#[element]
pub struct FilterParameter {
    /// The variable.
    #[xml(attr, name = "name")]
    #[serde(rename = "variable")]
    pub name: String,
    /// Its value.
    #[xml(attr)]
    pub value: String,
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

words! {
    /// How a VLAN treats packets without a tag.
    pub enum NativeMode { Tagged = "tagged", Untagged = "untagged", }

    /// A switch's protocol.
    pub enum VirtualPortKind { Qbg = "802.1Qbg", Qbh = "802.1Qbh", Openvswitch = "openvswitch", Midonet = "midonet", }

    /// The family of an address.
    pub enum IpFamily { Ipv4 = "ipv4", Ipv6 = "ipv6", }
}
