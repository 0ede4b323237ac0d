//! libvirt's XML documents as typed Rust. One type per XML element, with three faces: XML (byte for byte as libvirt
//! formats it), JSON/YAML (the custom resources' face) and JSON schema (feature `schema`).
//!
//! Three passes: parse ([`parse`], with positions), complete (driver-independent defaults, `complete`), validate
//! (`validate`, driver-independent rules). Drivers add their own to the last two. This crate knows no host, no
//! Kubernetes and no I/O.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The derive writes paths that start with the crate's name.
extern crate self as ostler_conf;

pub mod diff;
pub mod domain;
pub mod network;
mod problem;
pub mod storage_pool;
pub mod storage_volume;
pub mod values;
pub mod xml;

pub use domain::Domain;
pub use network::Network;
pub use ostler_util::{CpuSet, ErrorCode, MacAddress, Size};
pub use problem::{Invalid, Position, Problem};
pub use storage_pool::StoragePool;
pub use storage_volume::StorageVolume;
pub use xml::{Parsed, format, parse};
