//! Storage pools in directories, with raw and qcow2 volumes.
//!
//! Images are sacred. A file appears in a pool whole or not at all, never over another, and only after a record of it
//! was made ([`record`]); what has no record is not ours and is never written, shrunk or deleted. Before a write to an
//! image QEMU's own locks are taken ([`lock`]). No process is spawned: images are made and read by [`ostler_driver::image`].

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod activation;
mod config;
mod connection;
mod download;
mod lock;
mod pools;
mod qemu_img;
mod record;
mod unsupported;
mod volumes;

pub use activation::{Command, activation};
pub use config::Config;
pub use connection::StorageDriver;
pub use ostler_driver::image::qcow::new::{Layout, create as create_qcow2};
pub use pools::check_pool_anywhere;
pub use qemu_img::{Image as ImageOfVolume, creation};
pub use volumes::check_volume_anywhere;
