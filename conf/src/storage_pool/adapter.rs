//! `<adapter>`: the SCSI host that a pool's volumes are reached by.

use ostler_conf_derive::{element, union};

use crate::host_address::HostPciAddress;
use crate::values::YesNo;

/// `<adapter type='scsi_host' name='scsi_host1'/>`: a SCSI host; `type=` names its kind, absent: `scsi_host`.
#[union(tag = "type", absent = "scsi_host")]
pub enum PoolAdapter {
    /// Any, by its name or place.
    #[xml(name = "scsi_host")]
    ScsiHost(ScsiAdapter),
    /// One of Fibre Channel, by its world wide names.
    #[xml(name = "fc_host")]
    FcHost(FcAdapter),
}

/// `<adapter type='scsi_host' name='scsi_host1'/>`: a SCSI host.
#[element]
pub struct ScsiAdapter {
    /// Its name, which can change when the host starts.
    #[xml(attr)]
    pub name: Option<String>,
    /// Its place, which does not.
    pub parentaddr: Option<ParentAddress>,
}

/// `<parentaddr unique_id='1'>`: the place of a SCSI host.
#[element]
pub struct ParentAddress {
    /// Its number there.
    #[xml(attr, name = "unique_id")]
    pub unique_id: u32,
    /// The PCI device.
    pub address: HostPciAddress,
}

/// `<adapter type='fc_host' wwnn='20000000c9831b4b' wwpn='10000000c9831b4b'/>`: a host of Fibre Channel.
#[element]
pub struct FcAdapter {
    /// The one that it is made on, by name.
    #[xml(attr)]
    pub parent: Option<String>,
    /// Whether it goes when the pool stops.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// The one that it is made on, by node name.
    #[xml(attr, name = "parent_wwnn")]
    pub parent_wwnn: Option<String>,
    /// The one that it is made on, by port name.
    #[xml(attr, name = "parent_wwpn")]
    pub parent_wwpn: Option<String>,
    /// The one that it is made on, by fabric name.
    #[xml(attr, name = "parent_fabric_wwn")]
    pub parent_fabric_wwn: Option<String>,
    /// Its node name.
    #[xml(attr, name = "wwnn")]
    pub wwnn: Option<String>,
    /// Its port name.
    #[xml(attr, name = "wwpn")]
    pub wwpn: Option<String>,
}
