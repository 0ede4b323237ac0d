//! USB devices and their interfaces.

use ostler_conf_derive::element;

use super::IdName;

/// A USB device.
#[element]
pub struct UsbDevice {
    /// Its bus.
    pub bus: u32,
    /// Its number on the bus.
    pub device: u32,
    /// Its product.
    #[xml(keep)]
    pub product: Option<IdName>,
    /// Its vendor.
    #[xml(keep)]
    pub vendor: Option<IdName>,
}

/// An interface of a USB device.
#[element]
pub struct UsbInterface {
    /// Its number.
    pub number: u32,
    /// Its class.
    pub class: u32,
    /// Its subclass.
    pub subclass: u32,
    /// Its protocol.
    pub protocol: u32,
    /// A description.
    pub description: Option<String>,
}
