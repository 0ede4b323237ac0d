//! Virtual networks: a bridge with the host's addresses, dnsmasq for the guests' addresses and names, and rules of our
//! own for what passes.
//!
//! A network outlives the agent: bridge and rules are the kernel's, and dnsmasq runs on its own. What is lost (rules,
//! bridge, addresses, dnsmasq) is noticed by events and made again, with the guests plugged in again.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod bridge;
mod check;
mod config;
mod connection;
mod dnsmasq;
mod firewall;
mod leases;
mod ports;
mod release;
mod routes;
mod store;
mod upkeep;

pub use check::check_anywhere;
pub use config::Config;
pub use connection::NetworkDriver;
