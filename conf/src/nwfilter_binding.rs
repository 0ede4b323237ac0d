//! `<filterbinding>`: a network filter at work on a guest's interface.

use ostler_conf_derive::element;
use uuid::Uuid;

use crate::domain::Mac;
use crate::filter_ref::FilterRef;

/// A filter at work: what libvirt's `<filterbinding>` says.
#[element(root = "filterbinding")]
pub struct NwfilterBinding {
    /// Whose interface it is.
    #[xml(code = "InternalError")]
    pub owner: BindingOwner,
    /// The interface's device on the host.
    #[xml(code = "InternalError")]
    pub portdev: BindingDevice,
    /// The device below it, where it has none of its own.
    pub linkdev: Option<BindingDevice>,
    /// The interface's MAC address.
    #[xml(code = "InternalError")]
    pub mac: Mac,
    /// The filter.
    #[xml(code = "InternalError")]
    pub filterref: FilterRef,
}

/// `<owner>`: whose interface it is.
#[element]
pub struct BindingOwner {
    /// The guest's name.
    #[xml(code = "InternalError")]
    pub name: String,
    /// The guest's identity.
    #[xml(code = "InternalError")]
    pub uuid: Uuid,
}

/// `<portdev name='vnet0'/>`: a device on the host.
#[element]
pub struct BindingDevice {
    /// Its name.
    #[xml(attr, code = "InternalError")]
    pub name: String,
}
