//! What the end-to-end tests share: a host of their own, with an agent on it.

pub mod demo;
pub mod host;
