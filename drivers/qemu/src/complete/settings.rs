//! What a completion depends on besides the definition and the emulator: facts of the host, and how the driver is set up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ostler_conf::domain::PciAddress;

use super::firmware::Descriptor;
use super::pci::Connection;

/// What completion and checks are told of a host and of the driver on it. Plain data: nothing is looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The host's architecture.
    pub arch: String,
    /// The folder for the memory of guests' firmware.
    pub nvram_dir: PathBuf,
    /// Whether that memory is named by the guest's identity, else by its name.
    pub names_nvram_by_uuid: bool,
    /// The firmware that is installed, the preferred first.
    pub firmware: Vec<Descriptor>,
    /// The versions of TPM that can be emulated; empty: not known.
    pub tpm_versions: Vec<String>,
    /// The kind of sound that the host's environment asks for.
    pub host_audio: Option<HostAudio>,
    /// Whether a guest with VNC uses the host's sound.
    pub vnc_allows_host_audio: bool,
    /// Whether a guest without a screen uses the host's sound.
    pub no_graphics_allows_host_audio: bool,
    /// Whether VNC listens at a socket where nothing is said.
    pub vnc_auto_unix_socket: bool,
    /// Whether SPICE listens at a socket where nothing is said.
    pub spice_auto_unix_socket: bool,
    /// The host's PCI devices that are known, by domain, bus, slot and function.
    pub pci: BTreeMap<(u32, u32, u32, u32), HostPci>,
}

/// A kind of sound, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAudio {
    /// The word of QEMU's old environment variable.
    pub driver: String,
    /// SDL's own driver.
    pub sdl_driver: Option<String>,
}

/// A PCI device of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPci {
    /// Whether it is one of PCI Express.
    pub is_express: bool,
    /// Its IOMMU group.
    pub group: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            arch: std::env::consts::ARCH.to_owned(),
            nvram_dir: "/var/lib/ostler/qemu/nvram".into(),
            names_nvram_by_uuid: true,
            firmware: Vec::new(),
            tpm_versions: Vec::new(),
            host_audio: None,
            vnc_allows_host_audio: false,
            no_graphics_allows_host_audio: false,
            vnc_auto_unix_socket: false,
            spice_auto_unix_socket: false,
            pci: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// A device of the host that is not known is taken for one of PCI Express, as most are.
    pub(super) fn connection_of(&self, address: &PciAddress) -> Connection {
        match self.pci.get(&address.key()) {
            Some(HostPci { is_express: false, .. }) => Connection::Conventional,
            Some(HostPci { is_express: true, .. }) | None => Connection::Express,
        }
    }

    /// A number for the devices that can only be handed over together; 0 for what is not known.
    pub(super) fn group_of(&self, address: &PciAddress) -> u32 {
        self.pci.get(&address.key()).and_then(|device| device.group).map_or(0, |group| group + 1)
    }
}
