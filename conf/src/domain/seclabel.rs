//! `<seclabel>`: which security label a guest, or one of its files, has.

use ostler_conf_derive::element;

use crate::values::YesNo;
use crate::words;

/// `<seclabel type='dynamic' model='dac' relabel='yes'>`: a guest's label in one security model.
#[element]
pub struct Seclabel {
    /// Who chooses the label.
    #[xml(attr)]
    pub r#type: Option<SeclabelKind>,
    /// The security model: `selinux`, `apparmor`, `dac`; absent: the host's.
    #[xml(attr)]
    pub model: Option<String>,
    /// Whether the guest's files get the label.
    #[xml(attr)]
    pub relabel: Option<YesNo>,
    /// The label.
    pub label: Option<String>,
    /// The label of the guest's files while it runs; never in a definition.
    #[serde(skip)]
    pub imagelabel: Option<String>,
    /// What a dynamic label is made from.
    pub baselabel: Option<String>,
}

/// `<seclabel model='dac' relabel='no'/>`: the label of one device's file.
#[element]
pub struct DeviceSeclabel {
    /// The security model; absent: all.
    #[xml(attr)]
    pub model: Option<String>,
    /// The running guest's file could not be labelled; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub labelskip: Option<YesNo>,
    /// Whether the file gets a label.
    #[xml(attr)]
    pub relabel: Option<YesNo>,
    /// The label.
    pub label: Option<String>,
}

words! {
    /// Who chooses a label.
    pub enum SeclabelKind { None = "none", Dynamic = "dynamic", Static = "static", }
}
