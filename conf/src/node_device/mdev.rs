//! Mediated devices, and what makes them.

use ostler_conf_derive::{element, union};
use uuid::Uuid;

/// `<capability type='mdev_types'>`: the types of mediated devices that a device makes.
#[element]
pub struct MdevTypes {
    /// The types.
    #[xml(name = "type")]
    pub types: Vec<MdevType>,
}

/// `<type id='vfio_ap-passthrough'>`: a type of mediated devices.
#[element]
pub struct MdevType {
    /// Its name.
    #[xml(attr)]
    pub id: String,
    /// A description.
    pub name: Option<String>,
    /// The interface that they have.
    #[xml(name = "deviceAPI")]
    pub device_api: String,
    /// How many more can be made.
    pub available_instances: u32,
}

/// What more a device of a matrix can do; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum MatrixCapability {
    /// It makes mediated devices.
    #[xml(name = "mdev_types")]
    MdevTypes(MdevTypes),
}

/// A mediated device.
#[element]
pub struct Mdev {
    /// Its type.
    pub r#type: MdevTypeName,
    /// Its identity; absent: chosen when it is made.
    pub uuid: Option<Uuid>,
    /// The device that it is made on, as the kernel names it.
    #[xml(name = "parent_addr")]
    pub parent_addr: Option<String>,
    /// Its group.
    pub iommu_group: Option<IommuGroupNumber>,
    /// Settings that its type has, in order.
    #[xml(name = "attr")]
    pub attrs: Vec<MdevAttribute>,
}

/// `<type id='mtty-1'/>`: the type of a mediated device.
#[element]
pub struct MdevTypeName {
    /// Its name.
    #[xml(attr)]
    pub id: String,
}

/// `<iommuGroup number='12'/>`: a group.
#[element]
pub struct IommuGroupNumber {
    /// Its number.
    #[xml(attr)]
    pub number: u32,
}

/// `<attr name='assign_adapter' value='0x02'/>`: a setting.
#[element]
pub struct MdevAttribute {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its value.
    #[xml(attr)]
    pub value: String,
}

impl Mdev {
    /// A group is always told; 0 stands for none.
    pub(super) fn settle(&mut self) {
        self.iommu_group.get_or_insert(IommuGroupNumber { number: 0 });
    }
}
