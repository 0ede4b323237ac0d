//! `<virtualport>`: how a switch is told of a guest's interface. libvirt: formatnetwork.html.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;
use uuid::Uuid;

use crate::values::AnyBase;
use crate::{Problem, words};

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

/// The longest name of a profile, in bytes: that of the kernel's interface.
const MAX_PROFILE: usize = 39;

impl VirtualPort {
    /// The driver-independent rules; `path` is where it stands. Without a type it may have every parameter: another part of
    /// the definition decides.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check(&mut |code, field, message| problems.push(Problem::new(code, format!("{path}.{field}"), message)));
        problems
    }

    fn check(&self, add: &mut dyn FnMut(ErrorCode, &str, String)) {
        use VirtualPortType::{Ieee8021Qbg, Ieee8021Qbh, Midonet, Openvswitch};
        if self.r#type == Some(VirtualPortType::None) {
            add(ErrorCode::ConfigUnsupported, "type", "'none' is no type of a virtualport".into());
        }
        let Some(parameters) = &self.parameters else { return };
        let ranges = [
            ("managerid", parameters.managerid, 0xff),
            ("typeid", parameters.typeid, 0xff_ffff),
            ("typeidversion", parameters.typeidversion, 0xff),
        ];
        for (name, value, max) in ranges {
            if value.is_some_and(|value| value.0 > max) {
                add(ErrorCode::XmlError, &format!("parameters.{name}"), format!("at most {max}"));
            }
        }
        if parameters.profileid.as_ref().is_some_and(|profile| profile.len() > MAX_PROFILE) {
            let message = format!("a profile's name has at most {MAX_PROFILE} bytes");
            add(ErrorCode::XmlError, "parameters.profileid", message);
        }
        let Some(r#type) = self.r#type else { return };
        let known: &[(&str, bool, &[VirtualPortType])] = &[
            ("managerid", parameters.managerid.is_some(), &[Ieee8021Qbg]),
            ("typeid", parameters.typeid.is_some(), &[Ieee8021Qbg]),
            ("typeidversion", parameters.typeidversion.is_some(), &[Ieee8021Qbg]),
            ("instanceid", parameters.instanceid.is_some(), &[Ieee8021Qbg]),
            ("interfaceid", parameters.interfaceid.is_some(), &[Openvswitch, Midonet]),
            ("profileid", parameters.profileid.is_some(), &[Ieee8021Qbh, Openvswitch, Midonet]),
        ];
        for (name, given, types) in known {
            if *given && !types.contains(&r#type) {
                let message = format!("a virtualport of type '{type}' has no {name}");
                add(ErrorCode::XmlError, &format!("parameters.{name}"), message);
            }
        }
    }
}
