//! The command line of a guest that is not started.

pub use crate::args::{
    Chain, CharFds, CommandLine, HostNode, HugepageMount, Image, MasterKey, Monitor, Runtime, SecretName, Server,
    Settings, SevFacts, Tap, Tls, TpmFacts, VsockFacts, command_line,
};

use ostler_conf::Domain;

/// Names the devices of a guest as a start would, so that facts can be given by their names.
pub fn name_devices(domain: &mut Domain) {
    crate::alias::assign(domain);
}
