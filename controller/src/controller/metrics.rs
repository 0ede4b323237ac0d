//! What the controller counts of itself, as Prometheus reads it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Counters; labels have few values, never names of objects.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    leads: Gauge,
    decisions: Histogram,
    writes: Family<WriteLabel, Counter>,
    objects: Family<KindLabel, Gauge>,
    hosts_unreachable: Gauge,
    interruptions: Family<KindLabel, Counter>,
    reviews: Family<ReviewLabel, Counter>,
    review_time: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabel {
    kind: &'static str,
    verb: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabel {
    kind: &'static str,
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ostler_controller");
        // From a tenth of a millisecond to three seconds.
        let times = || Histogram::new(exponential_buckets(0.0001, 2.0, 15));
        let metrics = Metrics {
            leads: Gauge::default(),
            decisions: times(),
            writes: Family::default(),
            objects: Family::default(),
            hosts_unreachable: Gauge::default(),
            interruptions: Family::default(),
            reviews: Family::default(),
            review_time: times(),
            registry: Registry::default(),
        };
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This build", build);
        registry.register("leads", "Whether this replica leads", metrics.leads.clone());
        registry.register_with_unit("decision", "Time of a decision", Unit::Seconds, metrics.decisions.clone());
        registry.register("api_writes", "Writes to the API server, by kind, verb and result", metrics.writes.clone());
        registry.register("objects", "Objects that are known, by kind", metrics.objects.clone());
        registry.register("hosts_unreachable", "Hosts whose agents are silent", metrics.hosts_unreachable.clone());
        registry.register("watch_interruptions", "Interruptions of watches", metrics.interruptions.clone());
        registry.register("admission_reviews", "Admission reviews, by kind and result", metrics.reviews.clone());
        registry.register_with_unit(
            "admission_review",
            "Time of an admission review",
            Unit::Seconds,
            metrics.review_time.clone(),
        );
        Metrics { registry, ..metrics }
    }
}

impl Metrics {
    /// This replica leads.
    pub fn leads(&self) {
        self.leads.set(1);
    }

    /// Counts a decision.
    pub fn decided(&self, time: Duration, unreachable: usize) {
        self.decisions.observe(time.as_secs_f64());
        self.hosts_unreachable.set(gauge(unreachable));
    }

    /// Counts a write.
    pub fn wrote(&self, kind: &'static str, verb: &'static str, result: &'static str) {
        self.writes.get_or_create(&WriteLabel { kind, verb, result }).inc();
    }

    /// Sets how many objects of a kind are known.
    pub fn objects(&self, kind: &'static str, count: usize) {
        self.objects.get_or_create(&KindLabel { kind }).set(gauge(count));
    }

    /// Counts an interruption of a watch.
    pub fn interrupted(&self, kind: &'static str) {
        self.interruptions.get_or_create(&KindLabel { kind }).inc();
    }

    /// Counts an admission review.
    pub fn reviewed(&self, kind: &'static str, result: &'static str, time: Duration) {
        self.reviews.get_or_create(&ReviewLabel { kind, result }).inc();
        self.review_time.observe(time.as_secs_f64());
    }

    /// All counters in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A String takes all that is written.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_as_prometheus_wants_them() {
        let metrics = Metrics::default();
        metrics.wrote("Domain", "patch", "done");
        metrics.reviewed("Domain", "allowed", Duration::from_millis(1));
        let text = metrics.text();
        for line in [
            "ostler_controller_api_writes_total{kind=\"Domain\",verb=\"patch\",result=\"done\"} 1",
            "ostler_controller_admission_review_seconds_count 1",
            "ostler_controller_leads 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
        }
    }
}
