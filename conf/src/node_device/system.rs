//! The host itself, and devices with little to tell.

use ostler_conf_derive::element;
use uuid::Uuid;

use crate::words;

/// The host itself.
#[element]
pub struct SystemDevice {
    /// Its product's name.
    pub product: Option<String>,
    /// Its hardware.
    pub hardware: Option<SystemHardware>,
    /// Its firmware.
    pub firmware: Option<SystemFirmware>,
}

/// `<hardware>`: the host's hardware.
#[element(open)]
pub struct SystemHardware {
    /// Its vendor.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its identity.
    pub uuid: Option<Uuid>,
}

/// `<firmware>`: the host's firmware.
#[element(open)]
pub struct SystemFirmware {
    /// Its vendor.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// When it was released.
    #[xml(name = "release_date")]
    pub release_date: Option<String>,
}

words! {
    /// What a graphics device is for.
    pub enum DrmType {
        /// Showing and rendering.
        Primary = "primary",
        /// Showing.
        Control = "control",
        /// Rendering.
        Render = "render",
    }
}

/// A graphics device.
#[element]
pub struct Drm {
    /// What it is for.
    pub r#type: DrmType,
}

/// A vDPA device.
#[element]
pub struct Vdpa {
    /// Its file.
    pub chardev: Option<String>,
}
