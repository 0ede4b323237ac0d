//! The CPU driver: named models, their features, and which of them a host can give.
//!
//! The tables in `data/` are facts from libvirt's CPU map, written by `examples/tables.rs`, embedded, and read once when
//! first needed. On x86 a CPU is a set of bits of CPUID leaves and MSRs ([`x86`]); on ppc64 and arm it is the value of a
//! version register (`named.rs`); elsewhere only the hypervisor knows (`plain.rs`). [`CpuDriver`] is handed to hypervisor
//! drivers as the trait object [`ostler_driver::Cpus`].

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod arch;
mod driver;
mod features;
mod host;
mod named;
mod plain;
pub mod x86;

pub use driver::{CpuDriver, guest};
pub use named::{arm_host, ppc64_host};
