//! What the parts of a controller share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::Client;
use kube::runtime::events::Recorder;

use super::metrics::Metrics;
use super::world::World;

/// By whom fields are written.
pub(super) const FIELD_MANAGER: &str = "ostler-controller";

/// What the parts of a controller share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) recorder: Recorder,
    pub(super) metrics: Metrics,
    world: RwLock<World>,
    serving: AtomicBool,
}

impl Shared {
    pub(super) fn new(client: Client, namespace: String, recorder: Recorder) -> Self {
        Shared {
            client,
            namespace,
            recorder,
            metrics: Metrics::default(),
            world: RwLock::default(),
            serving: AtomicBool::new(false),
        }
    }

    /// The world, to look at. Nothing waits while it is held.
    pub(super) fn world(&self) -> RwLockReadGuard<'_, World> {
        // Each change of the world is whole: a panic in between leaves it usable.
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, to change.
    pub(super) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The webhook has a certificate.
    pub(super) fn serves(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Why this replica can't answer admission yet.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if !self.world().is_complete() {
            return Some("not all objects are known yet\n");
        }
        (!self.serving.load(Ordering::Acquire)).then_some("the webhook has no certificate yet\n")
    }
}
