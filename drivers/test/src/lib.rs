//! The test driver: guests, networks and storage that exist in memory only, as `test:///default` of libvirt.
//!
//! It is as complete as the driver API, so that whatever stands on the API can be tried without a hypervisor, root or time.
//! [`TestDriver::control`] gives a test the other side: what a guest, the host or bad luck does, and what was called.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod complete;
mod control;
mod domains;
mod driver;
mod fault;
mod guest;
mod live_change;
mod networks;
mod operation;
mod preset;
mod security;
mod storage;
mod world;

pub use control::Control;
pub use driver::TestDriver;
pub use fault::{Effect, Fault};
pub use guest::Manners;
pub use operation::{Call, Operation};
