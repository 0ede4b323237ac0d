//! How the driver is set up, as far as a command line depends on it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ostler_util::Size;
use uuid::Uuid;

/// What is the same for all guests of a host.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The variables that QEMU inherits, such as `PATH`.
    pub env: BTreeMap<String, String>,
    /// Where files behind guests' memory are made.
    pub memory_dir: PathBuf,
    /// Where guests listen for D-Bus clients of their displays.
    pub dbus_dir: PathBuf,
    /// Where channels listen that name no place.
    pub channel_dir: PathBuf,
    /// Where passt listens.
    pub passt_dir: PathBuf,
    /// Where huge pages are mounted.
    pub hugepages: Vec<HugepageMount>,
    /// Whether a guest's memory is part of a dump of QEMU unless it says otherwise.
    pub dump_guest_core: bool,
    /// VNC servers.
    pub vnc: Server,
    /// Spice servers.
    pub spice: Server,
    /// Character devices over TCP.
    pub chardev_tls: Tls,
    /// Disks on NBD servers.
    pub nbd_tls: Tls,
    /// Disks on VxHS servers.
    pub vxhs_tls: Tls,
    /// Where SASL's configuration is.
    pub sasl_dir: PathBuf,
    /// The host's nodes, with their processors.
    pub nodes: Vec<HostNode>,
}

/// A mount of huge pages.
#[derive(Clone, Debug)]
pub struct HugepageMount {
    /// The folder for guests on it.
    pub dir: PathBuf,
    /// The pages' size.
    pub page: Size,
    /// Whether it is taken where a guest names no size.
    pub is_default: bool,
}

/// One of the host's NUMA nodes.
#[derive(Clone, Debug)]
pub struct HostNode {
    /// Its number.
    pub id: u32,
    /// Its processors.
    pub cpus: Vec<u32>,
}

/// A server for a guest's display.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Its certificates.
    pub tls: Tls,
    /// Whether clients authenticate by SASL.
    pub sasl: bool,
    /// A password for guests that have none of their own.
    pub password: Option<String>,
    /// Whether a guest that names no place listens on a socket in its folder.
    pub auto_socket: bool,
}

/// Certificates.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Whether they are used.
    pub on: bool,
    /// Where they are.
    pub dir: PathBuf,
    /// Whether the other side shows one as well.
    pub verify: bool,
    /// The secret that opens the key.
    pub secret: Option<Uuid>,
}
