//! Low-level code that every crate shares. Knows Linux, but no hypervisor, no XML and no Kubernetes.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod boot;
pub mod cgroup;
pub mod cpuset;
pub mod error_code;
pub mod file;
pub mod local_time;
pub mod mac;
pub mod memory;
pub mod namespace;
pub mod netfilter_events;
pub mod passwd;
pub mod pidfd;
pub mod range_lock;
pub mod run;
pub mod settled;
pub mod size;
pub mod spawn;
pub mod sysctl;
pub mod tap;
pub mod tree;
pub mod watch;

pub use cpuset::CpuSet;
pub use error_code::ErrorCode;
pub use mac::MacAddress;
pub use size::Size;
