//! The public driver API.
//!
//! A driver opens a [`Connection`]; what it can do stands in its [`Feature`] list and in the groups
//! ([`Domains`], [`Networks`], [`Storage`], [`Security`]) that the connection returns. A call that a driver can't carry
//! out returns `NoSupport` ([`Error::no_support`]) and is absent from its list; the suite in `behaviour` checks both.
//!
//! Drivers depend on this crate, `ostler-conf` and `ostler-util` only, never on each other: a hypervisor driver gets its
//! secondary drivers as trait objects when it is opened.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

#[cfg(feature = "behaviour")]
pub mod behaviour;
mod connection;
mod cpus;
mod domains;
mod error;
mod event;
mod feature;
pub mod host;
pub mod image;
mod networks;
mod secrets;
mod security;
mod storage;

pub use connection::{Accelerator, Connection, HostFacts, Need};
pub use cpus::{
    BaselineOptions, Comparison, CpuSignature, Cpus, HostCpu, Offered, OfferedModel, Property, RemovedFeatures,
};
pub use domains::{
    Change, Checked, ConsolePath, Definition, DomainState, DomainSummary, Domains, GuestAddress, LifecycleAction,
    LifecycleEvent, PausedReason, RunningReason, ShutoffReason, StartOptions, StateOnUndefine, Warning,
};
pub use error::{Error, ErrorKind, Result};
pub use event::{DomainEvent, Event, Events, NetworkEvent, PoolEvent};
pub use feature::Feature;
pub use networks::{Lease, NetworkSummary, Networks, Port, PortRequest};
pub use secrets::Secrets;
pub use security::{Access, Security};
pub use storage::{PoolSummary, Progress, ResolvedVolume, Storage, VolumeFill, VolumeOwner, VolumeSummary};
