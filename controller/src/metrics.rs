//! What the agent counts of itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ostler_crds::Kind;

/// Counters, which an exporter reads.
#[derive(Debug, Default)]
pub struct Metrics {
    kinds: [KindMetrics; Kind::ALL.len()],
    queue_depth: AtomicUsize,
}

/// Counters of one kind.
#[derive(Debug, Default)]
pub struct KindMetrics {
    /// Reconciliations.
    pub runs: AtomicU64,
    /// Those that failed and are tried again.
    pub failures: AtomicU64,
    /// Their time in all, in microseconds.
    pub time_us: AtomicU64,
}

impl Metrics {
    /// Counts a reconciliation.
    pub fn ran(&self, kind: Kind, time: Duration) {
        let metrics = self.kind(kind);
        metrics.runs.fetch_add(1, Ordering::Relaxed);
        metrics.time_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts a failed one.
    pub fn failed(&self, kind: Kind, _reason: &'static str) {
        self.kind(kind).failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets how many objects wait.
    pub fn queue_depth(&self, depth: usize) {
        self.queue_depth.store(depth, Ordering::Relaxed);
    }

    /// How many objects wait.
    pub fn queued(&self) -> usize {
        self.queue_depth.load(Ordering::Relaxed)
    }

    /// A kind's counters.
    pub fn kind(&self, kind: Kind) -> &KindMetrics {
        &self.kinds[Kind::ALL.iter().position(|k| *k == kind).unwrap_or(0)]
    }
}
