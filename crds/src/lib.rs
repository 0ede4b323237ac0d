//! The Kubernetes types of the group `ostler.dev`: what a manifest is, in a directory and in the API server.
//!
//! A kind wraps the conf type of its libvirt document (`spec.domain`, `spec.network`, …) and adds only what is
//! Kubernetes' own: placement, run strategy, policies, status.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![allow(clippy::duplicated_attributes, reason = "kube takes one printcolumn for each column")]

mod common;
mod condition;
mod domain;
mod duration;
pub mod grants;
mod host;
pub mod manifest;
mod network;
mod object;
mod operation;
mod pool;
pub mod rules;
mod schema;
mod volume;

pub use common::{HostCounts, HostSelector, NamespaceSelector, Placement, RetainOrDelete, StorageDeletion, UsableFrom};
pub use condition::{Condition, ConditionStatus, Conditions, reasons, types};
pub use domain::{
    Adopt, Apply, Deletion, DeletionPolicy, DeletionState, Disruption, Domain, DomainSpec, DomainStatus,
    EvictionStrategy, OnHostShutdown, PendingChange, Phase, Resolved, RestartApproval, RunRecord, RunStrategy,
    Shutdown,
};
pub use duration::Duration;
pub use host::{
    Allowed, Fence, Host, HostCapabilities, HostOutcome, HostSpec, HostStatus, Orphan, Reserve, WantedDefinition,
};
pub use network::{Network, NetworkSpec, NetworkStatus};
pub use object::{Kind, Object, ObjectRef};
pub use operation::{DomainOperation, DomainOperationSpec, DomainOperationStatus, OperationState, Verb};
pub use pool::{StoragePool, StoragePoolSpec, StoragePoolStatus};
pub use schema::{VERSION_ANNOTATION, crd, crds, fingerprint, schema_of};
pub use volume::{
    AdoptVolume, BackingVolume, Checksum, EmptySource, HttpSource, StorageVolume, StorageVolumeSpec,
    StorageVolumeStatus, VolumeFill,
};

/// The API group.
pub const GROUP: &str = "ostler.dev";
/// The API version.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as in `apiVersion`.
pub const API_VERSION: &str = "ostler.dev/v1alpha1";
