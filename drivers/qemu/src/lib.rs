//! The QEMU driver: guests as QEMU processes that outlive us.
//!
//! A definition is completed (`complete`), checked (`check`) and stored (`store`); started (`start`), it becomes a command
//! line (`args`) and a process in a control group of its own, which a task watches over (`guest`) by its monitor
//! (`monitor`, QMP) and by its handle until its end (`stop`). The next driver takes running guests back (`attach`).

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod alias;
mod args;
mod attach;
mod change;
mod check;
mod checker;
mod complete;
mod config;
mod descriptors;
mod domain_capabilities;
mod domains;
mod driver;
mod entry;
mod files;
mod firmware;
mod guest;
mod guest_capabilities;
mod guest_cpu;
mod host_capabilities;
mod images;
mod locked_memory;
mod log;
mod migration_parameters;
mod monitor;
mod nbdkit;
pub mod offline;
mod probe;
mod readable;
mod start;
mod stop;
mod store;
mod vhost_user;
mod warnings;

pub use args::block;
pub use args::option_list;
pub use checker::Checker;
pub use complete::firmware::{Descriptor, Image, Mapping};
pub use complete::{HostAudio, HostPci, Settings};
pub use config::{Config, FailurePoints, Services};
pub use descriptors::installed;
pub use domain_capabilities::{DomainHost, DomainQuery, LoaderFacts, LoaderFile, domain_capabilities};
pub use driver::QemuDriver;
pub use guest_capabilities::guest_capabilities;
pub use locked_memory::{LockedMemory, locked_memory};
pub use migration_parameters::MigrationParameters;
pub use nbdkit::{Command as NbdkitCommand, Export, plugin as nbdkit_plugin};
pub use probe::{
    Accelerated, Accelerator, AskError, Capabilities, Cpu, CpuData, CpuProperty, CpuValue, Flag, Flags, Gic, HostCpu,
    Hyperv, Link, Machine, Sev, Sgx, Stamp,
};
pub use vhost_user::VhostUserProgram;
