//! What the end-to-end tests share: a host of their own with an agent on it, an API server, a whole cluster.

pub mod apiserver;
pub mod bad;
pub mod cluster;
pub mod demo;
pub mod host;
pub mod kstatus;
pub mod lab;
pub mod relay;
pub mod with_us;
