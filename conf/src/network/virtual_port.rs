//! `<virtualport>`: how a switch is told of a guest's interface. libvirt: formatnetwork.html.

use ostler_conf_derive::element;
use uuid::Uuid;

use crate::words;

/// `<virtualport type='openvswitch'>`: how a switch is told of an interface.
#[element]
pub struct VirtualPort {
    /// The switch's protocol; absent: what the network or the interface says.
    #[xml(attr)]
    pub r#type: Option<VirtualPortType>,
    /// What it is told.
    pub parameters: Option<VirtualPortParameters>,
}

words! {
    /// A protocol by which a switch is told of an interface.
    pub enum VirtualPortType {
        /// None.
        None = "none",
        /// IEEE 802.1Qbg.
        Ieee8021Qbg = "802.1Qbg",
        /// IEEE 802.1Qbh.
        Ieee8021Qbh = "802.1Qbh",
        /// Open vSwitch.
        Openvswitch = "openvswitch",
        /// MidoNet.
        Midonet = "midonet",
    }
}

/// `<parameters profileid='menial'/>`: what a switch is told.
#[element]
pub struct VirtualPortParameters {
    /// 802.1Qbg: the manager of the database of types.
    #[xml(attr, name = "managerid")]
    pub managerid: Option<AnyBase>,
    /// 802.1Qbg: the type in it.
    #[xml(attr, name = "typeid")]
    pub typeid: Option<AnyBase>,
    /// 802.1Qbg: the type's version.
    #[xml(attr, name = "typeidversion")]
    pub typeidversion: Option<AnyBase>,
    /// 802.1Qbg: the interface's identity.
    #[xml(attr, name = "instanceid")]
    pub instanceid: Option<Uuid>,
    /// Open vSwitch, MidoNet: the interface's identity.
    #[xml(attr, name = "interfaceid")]
    pub interfaceid: Option<Uuid>,
    /// 802.1Qbh, Open vSwitch: the profile's name.
    #[xml(attr, name = "profileid")]
    pub profileid: Option<String>,
}

/// A number that is read in decimal, or hexadecimal with `0x`, and written in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct AnyBase(pub u32);

impl crate::xml::Value for AnyBase {
    fn parse(text: &str) -> Result<Self, String> {
        <crate::values::Hex<0>>::parse(text).map(|number| AnyBase(number.0))
    }
    fn format(&self) -> std::borrow::Cow<'_, str> {
        self.0.to_string().into()
    }
}
