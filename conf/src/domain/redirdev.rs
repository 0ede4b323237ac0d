//! `<redirdev>` and `<redirfilter>`: USB devices of whoever watches the screen.

use ostler_conf_derive::element;

use super::{Address, Alias, Boot, CharSource};
use crate::values::{HexUpper, YesNo};
use crate::words;

/// A USB device of whoever watches the screen.
#[element(open)]
pub struct Redirdev {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its bus.
    #[xml(attr)]
    pub bus: Option<RedirdevBus>,
    /// How it is reached.
    #[xml(choice = "type", flatten, in_place)]
    pub source: CharSource,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<redirfilter>`: which devices may be redirected; the first rule that fits counts.
#[element]
pub struct Redirfilter {
    /// The rules.
    #[xml(name = "usbdev")]
    pub usbdevs: Vec<RedirfilterRule>,
}

/// `<usbdev class='0x08' vendor='0x15E1' allow='yes'/>`: a rule.
#[element]
pub struct RedirfilterRule {
    /// The class; absent: any.
    #[xml(attr)]
    pub class: Option<HexUpper<2>>,
    /// The vendor; absent: any.
    #[xml(attr)]
    pub vendor: Option<HexUpper<4>>,
    /// The product; absent: any.
    #[xml(attr)]
    pub product: Option<HexUpper<4>>,
    /// The version, as in `1.10`; absent: any.
    #[xml(attr)]
    pub version: Option<String>,
    /// Whether it may.
    #[xml(attr)]
    pub allow: YesNo,
}

words! {
    /// The bus of a redirected device.
    pub enum RedirdevBus { Usb = "usb", }
}

impl RedirfilterRule {
    /// What may be anything is left out.
    pub(super) fn forget_any(&mut self) {
        self.class.take_if(|class| *class == HexUpper::ANY);
        self.vendor.take_if(|vendor| *vendor == HexUpper::ANY);
        self.product.take_if(|product| *product == HexUpper::ANY);
        self.version.take_if(|version| version == "-1");
    }
}
