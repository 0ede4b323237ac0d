//! The command line of a guest that is not started.

pub use crate::args::{
    Chain, CharFds, CommandLine, FdGroup, HostNode, HugepageMount, Image, MasterKey, Monitor, NetworkPort, Runtime,
    SecretName, Server, Settings, Tap, Tls, TpmFacts, VsockFacts, command_line,
};

use ostler_conf::Domain;

pub use crate::args::interface::{queues, wants_vhost};
pub use crate::guest_cpu::settle as settle_cpu;

/// Names the devices of a guest as a start would, so that facts can be given by their names.
pub fn name_devices(domain: &mut Domain) {
    crate::alias::assign(domain);
}
