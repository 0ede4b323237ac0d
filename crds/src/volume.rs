//! `StorageVolume`: a disk image in a pool.

use kube::CustomResource;
use ostler_conf::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Conditions, Placement, StorageDeletion};

/// What a volume should be.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ostler.dev",
    version = "v1alpha1",
    kind = "StorageVolume",
    plural = "storagevolumes",
    namespaced,
    shortname = "vol",
    category = "ostler",
    status = "StorageVolumeStatus",
    derive = "PartialEq",
    selectable = ".status.host",
    doc = "A disk image in a storage pool. It binds to the host of its first user, or to its own placement.",
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool"),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.host"),
    printcolumn(name = "Capacity", type_ = "string", json_path = ".status.capacity"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct StorageVolumeSpec {
    /// The pool that it is in; one of another namespace, which must let this one use it, is `namespace/name`.
    #[schemars(length(min = 1, max = 127))]
    pub pool: String,
    /// Where it is made; absent: where its first user is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// What it is filled with once; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<VolumeFill>,
    /// What becomes of the data when this object is deleted.
    #[serde(default)]
    pub deletion: StorageDeletion,
    /// Whether the data of an earlier volume of this name are taken over.
    #[serde(default)]
    pub adopt: AdoptVolume,
    /// The volume: libvirt's.
    pub volume: ostler_conf::StorageVolume,
}

/// Whether an image that is there already is taken over, with what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptVolume {
    /// Never.
    #[default]
    Never,
    /// One of the same owner, namespace and name whose object no longer exists.
    Orphaned,
}

/// What a volume is filled with, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VolumeFill {
    /// Nothing.
    Empty(EmptySource),
    /// It stands on another volume of its pool, which stays as it is.
    Backing(BackingVolume),
    /// An image from the web.
    Http(HttpSource),
}

/// Nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmptySource {}

/// Another volume of the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackingVolume {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub volume: String,
}

/// An image from the web.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// Its address, http or https.
    #[schemars(length(max = 2048), regex(pattern = "^https?://"))]
    pub url: String,
    /// What its bytes must be.
    pub checksum: Checksum,
}

/// A digest of an image's bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checksum {
    /// SHA-256, 64 hexadecimal digits.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}

/// What a volume is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageVolumeStatus {
    /// The spec's generation that this was found with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The host that it is on: a claim, set by the controller. In a shared pool it goes where the user is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The claim's number: it grows with each claim, and never falls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<i64>,
    /// Its file on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What a guest sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Size>,
    /// How far it is filled, in percent, in steps of ten while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<i32>,
    /// Aspects of the state.
    #[serde(default)]
    pub conditions: Conditions,
}
