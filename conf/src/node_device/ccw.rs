//! Channel devices and crypto cards of s390.

use ostler_conf_derive::{element, union};

use super::{MatrixCapability, MdevTypes};
use crate::values::Hex;

/// `<cssid>0x0</cssid><ssid>0x0</ssid><devno>0xff02</devno>`: where a channel device is.
#[element]
pub struct CcwAddress {
    /// Its channel subsystem.
    pub cssid: Hex<1, 0xff>,
    /// Its subchannel set.
    pub ssid: Hex<1>,
    /// Its number.
    pub devno: Hex<4>,
}

/// A channel device.
#[element]
pub struct CcwDevice {
    /// Where it is.
    #[xml(flatten)]
    #[serde(flatten)]
    pub address: CcwAddress,
    /// What more it is.
    #[xml(name = "capability")]
    pub capabilities: Vec<CcwCapability>,
}

/// What more a channel device is; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum CcwCapability {
    /// Part of a group.
    #[xml(name = "ccwgroup_member")]
    CcwgroupMember(CcwGroupMember),
}

/// `<capability type='ccwgroup_member'>`: part of a group.
#[element(open)]
pub struct CcwGroupMember {
    /// The group's device.
    #[xml(name = "group_device")]
    pub group_device: String,
}

/// A subchannel.
#[element]
pub struct Css {
    /// Where it is.
    #[xml(flatten)]
    #[serde(flatten)]
    pub address: CcwAddress,
    /// The device behind it.
    #[xml(name = "channel_dev_addr")]
    pub channel_dev_addr: Option<CcwAddress>,
    /// What more it can do.
    #[xml(name = "capability")]
    pub capabilities: Vec<CssCapability>,
}

/// What more a subchannel can do; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum CssCapability {
    /// It makes mediated devices.
    #[xml(name = "mdev_types")]
    MdevTypes(MdevTypes),
}

/// Channel devices that work as one.
#[element]
pub struct CcwGroup {
    /// Whether it works.
    pub state: Option<String>,
    /// Where it is.
    #[xml(flatten)]
    #[serde(flatten)]
    pub address: CcwAddress,
    /// Its devices.
    pub members: Option<CcwGroupMembers>,
    /// What it is.
    #[xml(name = "capability")]
    pub capabilities: Vec<CcwGroupCapability>,
}

/// `<members>`: the devices of a group.
#[element(open)]
pub struct CcwGroupMembers {
    /// The devices.
    #[xml(name = "ccw_device")]
    pub devices: Vec<CcwMember>,
}

/// `<ccw_device ref='cdev0'>ccw_0_0_bd00</ccw_device>`: a device of a group.
#[element]
pub struct CcwMember {
    /// The kernel's link to it.
    #[xml(attr, name = "ref")]
    pub reference: String,
    /// Its name.
    #[xml(text)]
    pub name: String,
}

/// What a group is; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum CcwGroupCapability {
    /// A network card.
    #[xml(name = "qeth_generic")]
    QethGeneric(QethGeneric),
}

/// `<capability type='qeth_generic'>`: a network card.
#[element(open)]
pub struct QethGeneric {
    /// Its type.
    #[xml(name = "card_type")]
    pub card_type: Option<String>,
    /// Its channel path.
    pub chpid: Option<String>,
}

/// A crypto card.
#[element]
pub struct ApCard {
    /// Its number.
    #[xml(name = "ap-adapter")]
    pub ap_adapter: Hex<2>,
}

/// A queue of a crypto card.
#[element]
pub struct ApQueue {
    /// The card's number.
    #[xml(name = "ap-adapter")]
    pub ap_adapter: Hex<2>,
    /// The queue's domain.
    #[xml(name = "ap-domain")]
    pub ap_domain: Hex<4>,
}

/// What makes mediated devices of crypto cards.
#[element(open)]
pub struct ApMatrix {
    /// What more it can do.
    #[xml(name = "capability")]
    pub capabilities: Vec<MatrixCapability>,
}
