//! What the agent counts of itself, as Prometheus reads it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ostler_crds::{Kind, ObjectRef};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Counters; their labels have few values, never names of objects. Only `domain_info` names what runs here.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    runs: Family<KindLabel, Counter>,
    failures: Family<FailureLabel, Counter>,
    durations: Family<KindLabel, Histogram>,
    queue_depth: Gauge,
    calls: Family<CallLabel, Counter>,
    domain_info: Family<DomainLabel, Gauge>,
    /// What is told of each domain now.
    domains: Mutex<BTreeMap<ObjectRef, DomainLabel>>,
}

/// A call to the API server; code 0: it was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    verb: &'static str,
    code: u16,
}

/// A domain on this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DomainLabel {
    namespace: String,
    name: String,
    driver: String,
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabel {
    kind: &'static str,
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ostler");
        let runs = Family::default();
        let failures = Family::default();
        // From a millisecond to half a minute.
        let durations = Family::<KindLabel, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 15))
        });
        let queue_depth = Gauge::default();
        registry.register("reconcile_runs", "Reconciliations, by kind", runs.clone());
        registry.register(
            "reconcile_failures",
            "Reconciliations that are tried again, by kind and reason",
            failures.clone(),
        );
        registry.register("reconcile_duration_seconds", "Time of a reconciliation, by kind", durations.clone());
        registry.register("queue_depth", "Objects that wait to be looked at", queue_depth.clone());
        let calls = Family::default();
        let domain_info = Family::default();
        registry.register(
            "apiserver_requests",
            "Calls to the API server, by verb and HTTP code; code 0: not answered",
            calls.clone(),
        );
        registry.register("domain_info", "The domains of this host; always 1", domain_info.clone());
        Metrics { registry, runs, failures, durations, queue_depth, calls, domain_info, domains: Mutex::default() }
    }
}

impl Metrics {
    /// Counts a reconciliation.
    pub fn ran(&self, kind: Kind, time: Duration) {
        let label = KindLabel { kind: kind.name() };
        self.runs.get_or_create(&label).inc();
        self.durations.get_or_create(&label).observe(time.as_secs_f64());
    }

    /// Counts a failed one.
    pub fn failed(&self, kind: Kind, reason: &'static str) {
        self.failures.get_or_create(&FailureLabel { kind: kind.name(), reason }).inc();
    }

    /// Sets how many objects wait.
    pub fn queue_depth(&self, depth: usize) {
        self.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Counts a call to the API server.
    pub fn called(&self, verb: &'static str, code: u16) {
        self.calls.get_or_create(&CallLabel { verb, code }).inc();
    }

    /// Tells of a domain, by its driver and phase; `None`: it is not here any more.
    pub fn domain(&self, key: &ObjectRef, told: Option<(&str, &str)>) {
        let label = told.map(|(driver, phase)| DomainLabel {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            driver: driver.to_owned(),
            phase: phase.to_owned(),
        });
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let old = match &label {
            Some(label) => domains.insert(key.clone(), label.clone()),
            None => domains.remove(key),
        };
        if old == label {
            return;
        }
        if let Some(old) = old {
            self.domain_info.remove(&old);
        }
        if let Some(label) = label {
            self.domain_info.get_or_create(&label).set(1);
        }
    }

    /// All counters in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A String takes all that is written.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
