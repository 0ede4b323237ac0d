//! The QEMU driver: guests as QEMU processes that outlive us.

mod alias;
mod args;
mod check;
mod complete;
mod config;
mod monitor;
mod probe;

pub use config::{Config, Services};
