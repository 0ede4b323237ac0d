//! libvirt's XML documents as typed Rust. One type per XML element, with three faces: XML (byte for byte as libvirt
//! formats it), JSON/YAML (the custom resources' face) and JSON schema (feature `schema`).
//!
//! Three passes: parse ([`parse`], with positions), complete (driver-independent defaults, `complete`), validate
//! (`validate`, driver-independent rules). Drivers add their own to the last two. This crate knows no host, no
//! Kubernetes and no I/O.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The derive writes paths that start with the crate's name.
extern crate self as ostler_conf;

pub mod backup;
pub mod capabilities;
pub mod checkpoint;
pub mod diff;
pub mod domain;
pub mod domain_capabilities;
pub mod encryption;
pub mod filter_ref;
pub mod host_address;
pub mod host_interface;
pub mod moment;
pub mod network;
pub mod network_port;
pub mod node_device;
pub mod nwfilter;
pub mod nwfilter_binding;
mod problem;
pub mod save_image;
pub mod schema;
pub mod secret;
pub mod snapshot;
pub mod status;
pub mod storage_pool;
pub mod storage_pool_capabilities;
pub mod storage_volume;
pub mod values;
pub mod xml;

pub use backup::Backup;
pub use capabilities::Capabilities;
pub use checkpoint::Checkpoint;
pub use domain::Domain;
pub use domain_capabilities::DomainCapabilities;
pub use host_interface::HostInterface;
pub use network::Network;
pub use network_port::NetworkPort;
pub use node_device::NodeDevice;
pub use nwfilter::Nwfilter;
pub use nwfilter_binding::NwfilterBinding;
pub use ostler_util::{CpuSet, ErrorCode, MacAddress, Size};
pub use problem::{Invalid, Position, Problem};
pub use save_image::SaveImage;
pub use secret::Secret;
pub use snapshot::Snapshot;
pub use status::DomainStatus;
pub use storage_pool::StoragePool;
pub use storage_pool_capabilities::StoragePoolCapabilities;
pub use storage_volume::StorageVolume;
pub use xml::{Parsed, format, parse};
