//! `<portgroup>`: settings that some of a network's guests share.

use ostler_conf_derive::element;

use super::{Bandwidth, PortOptions, VirtualPort, Vlan};
use crate::values::YesNo;

/// `<portgroup name='engineering' default='yes'>`: settings that some of a network's guests share.
#[element(root = "portgroup", open)]
pub struct PortGroup {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Whether it counts for guests that name none.
    #[xml(attr)]
    pub default: Option<YesNo>,
    /// Whether its guests choose what they receive.
    #[xml(attr)]
    pub trust_guest_rx_filters: Option<YesNo>,
    /// The tags of its traffic.
    pub vlan: Option<Vlan>,
    /// How a switch is told of it.
    pub virtualport: Option<VirtualPort>,
    /// Limits of the traffic of each guest.
    pub bandwidth: Option<Bandwidth>,
    /// How its guests are kept apart.
    pub port: Option<PortOptions>,
}
