//! Counters in Prometheus' text form.

use std::collections::BTreeMap;

/// All series of a process, by name and labels.
#[derive(Clone, Debug)]
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(super) fn read(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Metrics(series.collect())
    }

    /// What came since.
    pub(super) fn since(&self, before: &Metrics) -> Self {
        let old = |name: &String| before.0.get(name).copied().unwrap_or_default();
        Metrics(self.0.iter().map(|(name, value)| (name.clone(), value - old(name))).collect())
    }

    /// All series of a name whose labels have all these texts in them.
    pub(super) fn sum(&self, name: &str, wanted: &[&str]) -> f64 {
        let has_all = |(labels, _): &(&str, f64)| wanted.iter().all(|label| labels.contains(label));
        // A sum of nothing is less than nothing by its sign.
        self.of(name).filter(has_all).map(|(_, value)| value).fold(0.0, |sum, value| sum + value)
    }

    /// The least bound of a histogram that so much of it does not exceed.
    pub(super) fn quantile(&self, name: &str, part: f64) -> f64 {
        let series = format!("{name}_bucket");
        let bound = |labels: &str| {
            let text = labels.split_once("le=\"")?.1.split_once('"')?.0;
            if text == "+Inf" { Some(f64::INFINITY) } else { text.parse().ok() }
        };
        let mut buckets: Vec<(f64, f64)> =
            self.of(&series).filter_map(|(labels, count)| Some((bound(labels)?, count))).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        buckets.iter().find(|(_, count)| *count >= all * part).map_or(0.0, |(bound, _)| *bound)
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        })
    }
}
