//! What the end-to-end tests share: a host of their own, with an agent on it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

pub mod host;
