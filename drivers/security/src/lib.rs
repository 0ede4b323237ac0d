//! Discretionary access control: guests' files become their user's while they write them, and go back afterwards.
//!
//! What a file was before its first claim is recorded durably, with the claims, before anything about it changes; the end
//! of its last claim restores it, also in the next agent's life.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod acl;
mod claims;
mod driver;
mod file;

pub use driver::SecurityDriver;
