//! What a PCI device tells of itself.

use ostler_conf_derive::element;

use crate::words;

/// `<capability type='vpd'>`: what a PCI device tells of itself.
#[element]
pub struct Vpd {
    /// Its name.
    pub name: Option<String>,
    /// More, that can be changed or not.
    pub fields: Vec<VpdFields>,
}

words! {
    /// Whether fields can be changed.
    pub enum VpdAccess {
        /// They can't.
        Readonly = "readonly",
        /// They can.
        Readwrite = "readwrite",
    }
}

/// `<fields access='readonly'>`: fields.
#[element]
pub struct VpdFields {
    /// Whether they can be changed.
    #[xml(attr)]
    pub access: VpdAccess,
    /// The level of engineering changes.
    #[xml(name = "change_level")]
    pub change_level: Option<String>,
    /// The manufacturer's identity.
    #[xml(name = "manufacture_id")]
    pub manufacture_id: Option<String>,
    /// The part's number.
    #[xml(name = "part_number")]
    pub part_number: Option<String>,
    /// The serial number.
    #[xml(name = "serial_number")]
    pub serial_number: Option<String>,
    /// The owner's number for it.
    #[xml(name = "asset_tag")]
    pub asset_tag: Option<String>,
    /// The vendor's own.
    #[xml(name = "vendor_field")]
    pub vendor_fields: Vec<VpdField>,
    /// The system's own.
    #[xml(name = "system_field")]
    pub system_fields: Vec<VpdField>,
}

/// `<vendor_field index='A'>text</vendor_field>`: a field.
#[element]
pub struct VpdField {
    /// Its letter or digit.
    #[xml(attr)]
    pub index: String,
    /// Its text.
    #[xml(text)]
    pub text: Option<String>,
}
