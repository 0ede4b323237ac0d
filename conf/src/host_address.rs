//! `<address>` of a device of the host.

use std::fmt;

use ostler_conf_derive::element;

use crate::values::Hex;

/// `<address domain='0x0000' bus='0x02' slot='0x10' function='0x7'/>`: a PCI device of the host.
#[derive(Copy, Eq, Hash)]
#[element]
pub struct HostPciAddress {
    /// The domain; PCI's, not a guest.
    #[xml(attr, default)]
    pub domain: Hex<4>,
    /// The bus.
    #[xml(attr, default)]
    pub bus: Hex<2>,
    /// The slot, 0 to 0x1f.
    #[xml(attr, default)]
    pub slot: Hex<2>,
    /// The function, 0 to 7.
    #[xml(attr, default)]
    pub function: Hex<1>,
}

impl fmt::Display for HostPciAddress {
    /// As the kernel names it: `0000:02:10.7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain.0, self.bus.0, self.slot.0, self.function.0)
    }
}
