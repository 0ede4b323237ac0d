//! What was measured, as a table or as JSON.

#![allow(clippy::print_stdout, reason = "the table is what the program is for")]

use std::time::Duration;

use serde::Serialize;

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    reference: Option<f64>,
    /// What the reference is.
    against: String,
    ratio: Option<f64>,
    goal: String,
    met: Option<bool>,
}

/// What a measurement should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most so many times the reference.
    Ratio(f64),
    /// At most so much more than the reference.
    More(f64),
    /// At most so much.
    AtMost(f64),
    /// It is told only.
    None,
}

/// All lines.
#[derive(Debug)]
pub(crate) struct Report {
    lines: Vec<Line>,
    json: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Report { lines: Vec::new(), json }
    }

    /// Adds a line. `against`: what the reference is.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        unit: &'static str,
        ours: f64,
        reference: Option<f64>,
        against: impl Into<String>,
        goal: Goal,
    ) {
        let ratio = reference.filter(|reference| *reference > 0.0).map(|reference| ours / reference);
        let (words, met) = match (goal, reference) {
            (Goal::Ratio(most), _) => (format!("≤ {most}x"), ratio.map(|ratio| ratio <= most)),
            (Goal::More(most), Some(reference)) => (format!("≤ {most} {unit} more"), Some(ours - reference <= most)),
            (Goal::AtMost(most), _) => (format!("≤ {most} {unit}"), Some(ours <= most)),
            (Goal::More(_), None) | (Goal::None, _) => (String::new(), None),
        };
        let line = Line { name, unit, ours, reference, against: against.into(), ratio, goal: words, met };
        eprintln!("  {name}: {ours:.2} {unit}");
        self.lines.push(line);
    }

    pub(crate) fn print(&self) {
        if self.json {
            println!("{}", serde_json::to_string_pretty(&self.lines).unwrap());
            return;
        }
        println!(
            "{:<46} {:>10} {:>10} {:>7} {:<6} {:<16} {:<5} AGAINST",
            "WHAT", "OURS", "REFERENCE", "RATIO", "UNIT", "GOAL", "MET"
        );
        for line in &self.lines {
            let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            let met = match line.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            };
            println!(
                "{:<46} {:>10.2} {:>10} {:>7} {:<6} {:<16} {:<5} {}",
                line.name,
                line.ours,
                optional(line.reference),
                optional(line.ratio),
                line.unit,
                line.goal,
                met,
                line.against
            );
        }
    }
}

/// The value in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    percentile(&mut values, 50)
}

/// The value that so many of a hundred don't exceed.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent).div_ceil(100).clamp(1, values.len());
    values[at - 1]
}

/// A time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
