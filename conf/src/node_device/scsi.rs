//! SCSI hosts, targets and devices.

use ostler_conf_derive::{element, union};

/// A SCSI host.
#[element]
pub struct ScsiHost {
    /// Its number; absent in what is to be made.
    pub host: Option<u32>,
    /// Its number on its PCI device.
    #[xml(name = "unique_id")]
    pub unique_id: Option<u32>,
    /// What more it can do.
    #[xml(name = "capability")]
    pub capabilities: Vec<ScsiHostCapability>,
}

/// What more a SCSI host can do; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum ScsiHostCapability {
    /// It is of Fibre Channel.
    #[xml(name = "fc_host")]
    FcHost(FcHost),
    /// Others can be made on it.
    #[xml(name = "vport_ops")]
    VportOps(VportOps),
}

impl ScsiHostCapability {
    pub(super) fn order(&self) -> u8 {
        match self {
            ScsiHostCapability::FcHost(_) => 0,
            ScsiHostCapability::VportOps(_) => 1,
        }
    }
}

/// `<capability type='fc_host'>`: a host of Fibre Channel.
#[element(open)]
pub struct FcHost {
    /// Its node name.
    #[xml(name = "wwnn")]
    pub wwnn: Option<String>,
    /// Its port name.
    #[xml(name = "wwpn")]
    pub wwpn: Option<String>,
    /// Its fabric's name.
    #[xml(name = "fabric_wwn")]
    pub fabric_wwn: Option<String>,
}

/// `<capability type='vport_ops'>`: others can be made on it.
#[element(open)]
pub struct VportOps {
    /// How many at most.
    #[xml(name = "max_vports")]
    pub max_vports: Option<u32>,
    /// How many there are.
    pub vports: Option<u32>,
}

/// A SCSI target.
#[element]
pub struct ScsiTarget {
    /// Its name.
    pub target: String,
    /// What more it is.
    #[xml(name = "capability")]
    pub capabilities: Vec<ScsiTargetCapability>,
}

/// What more a SCSI target is; `type=` on `<capability>` names it.
#[union(tag = "type")]
pub enum ScsiTargetCapability {
    /// A port of Fibre Channel elsewhere.
    #[xml(name = "fc_remote_port")]
    FcRemotePort(FcRemotePort),
}

/// `<capability type='fc_remote_port'>`: a port of Fibre Channel elsewhere.
#[element(open)]
pub struct FcRemotePort {
    /// Its name.
    #[xml(name = "rport")]
    pub rport: String,
    /// Its port name.
    #[xml(name = "wwpn")]
    pub wwpn: String,
}

/// A SCSI device.
#[element]
pub struct ScsiDevice {
    /// Its host.
    pub host: u32,
    /// Its bus.
    pub bus: u32,
    /// Its target.
    pub target: u32,
    /// Its unit.
    pub lun: u32,
    /// What it is.
    pub r#type: Option<String>,
}

/// A file that speaks SCSI to a device.
#[element]
pub struct ScsiGeneric {
    /// Its path.
    #[xml(name = "char")]
    pub char_device: String,
}
