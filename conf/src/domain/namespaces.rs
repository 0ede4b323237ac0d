//! What other drivers than QEMU's keep in namespaces of their own.

use ostler_conf_derive::element;

use crate::words;

/// `<xen:commandline>`: arguments handed to Xen's device model as they are. Needs a grant.
#[element]
pub struct XenCommandline {
    /// Arguments, in order.
    #[xml(name = "xen:arg")]
    pub args: Vec<PlainArg>,
}

/// `<bhyve:commandline>`: arguments handed to bhyve as they are. Needs a grant.
#[element]
pub struct BhyveCommandline {
    /// Arguments, in order.
    #[xml(name = "bhyve:arg")]
    pub args: Vec<PlainArg>,
    /// Environment variables.
    #[xml(name = "bhyve:env")]
    pub env: Vec<super::QemuEnv>,
}

/// `<xen:arg value='-x'/>`: an argument.
#[element]
pub struct PlainArg {
    /// The argument.
    #[xml(attr)]
    pub value: String,
}

/// `<lxc:namespace>`: namespaces that a container shares.
#[element]
pub struct LxcNamespace {
    /// The network's.
    #[xml(name = "lxc:sharenet")]
    pub sharenet: Option<LxcShare>,
    /// The one of interprocess communication.
    #[xml(name = "lxc:shareipc")]
    pub shareipc: Option<LxcShare>,
    /// The host name's.
    #[xml(name = "lxc:shareuts")]
    pub shareuts: Option<LxcShare>,
}

/// `<lxc:sharenet type='netns' value='red'/>`: a namespace that a container shares.
#[element]
pub struct LxcShare {
    /// Whose it is.
    #[xml(attr)]
    pub r#type: LxcShareKind,
    /// Its name.
    #[xml(attr)]
    pub value: String,
}

words! {
    /// Whose a namespace is.
    pub enum LxcShareKind { None = "none", Name = "name", Pid = "pid", Netns = "netns", }
}
