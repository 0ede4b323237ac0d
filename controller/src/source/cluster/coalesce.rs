//! When a status is written: at once where people wait for it, else together with what follows soon. Pure.

use std::collections::HashMap;
use std::time::Duration;

use ostler_crds::ObjectRef;
use serde_json::Value;
use tokio::time::Instant;

/// A first status waits this long, since what follows at once is often the better one.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// The time between two writes of an object, unless what people wait for changes.
const BETWEEN: Duration = Duration::from_secs(1);
/// The wait after a first failed write; it doubles up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(20);

/// The statuses that are to be written.
#[derive(Debug, Default)]
pub(super) struct Coalescer {
    entries: HashMap<ObjectRef, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// What is to be written, and when.
    wanted: Option<(Value, Instant)>,
    writing: bool,
    /// Somebody wrote over it since the write began: whether before or after it is not known.
    overwritten: bool,
    /// What the API server has of us.
    written: Option<Value>,
    last: Option<Instant>,
    failures: u32,
}

impl Coalescer {
    /// The API server has this of us.
    pub(super) fn has(&mut self, key: &ObjectRef, status: Value) {
        self.entries.entry(key.clone()).or_default().written = Some(status);
    }

    /// The status is to be written, if it is another.
    pub(super) fn put(&mut self, key: &ObjectRef, status: Value, now: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if !entry.writing && entry.written.as_ref().is_some_and(|written| is_same(written, &status)) {
            entry.wanted = None;
            return;
        }
        let due = match (&entry.written, entry.last) {
            (Some(written), _) if is_waited_for(written, &status) => now,
            (None, _) if is_ready(&status) => now,
            (_, Some(last)) => now.max(last + BETWEEN),
            (_, None) => now + FIRST_WAIT,
        };
        // A status that waits already is not put off by the next; one that failed waits for its turn.
        let due = match &entry.wanted {
            Some((_, earlier)) if entry.failures > 0 => *earlier,
            Some((_, earlier)) => due.min(*earlier),
            None => due,
        };
        entry.wanted = Some((status, due));
    }

    /// What to write now. The caller says how each went.
    pub(super) fn take_due(&mut self, now: Instant, at_most: usize) -> Vec<(ObjectRef, Value)> {
        let mut due: Vec<(Instant, &ObjectRef)> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.writing)
            .filter_map(|(key, entry)| Some((entry.wanted.as_ref()?.1, key)))
            .filter(|(at, _)| *at <= now)
            .collect();
        due.sort();
        let keys: Vec<ObjectRef> = due.into_iter().take(at_most).map(|(_, key)| key.clone()).collect();
        keys.into_iter()
            .filter_map(|key| {
                let entry = self.entries.get_mut(&key)?;
                let (status, _) = entry.wanted.take()?;
                (entry.writing, entry.overwritten) = (true, false);
                Some((key, status))
            })
            .collect()
    }

    /// When something is to be written next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.entries.values().filter(|entry| !entry.writing);
        waiting.filter_map(|entry| Some(entry.wanted.as_ref()?.1)).min()
    }

    /// It was written.
    pub(super) fn done(&mut self, key: &ObjectRef, status: Value, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        (entry.writing, entry.failures, entry.last) = (false, 0, Some(now));
        if entry.wanted.as_ref().is_some_and(|(wanted, _)| *wanted == status) {
            entry.wanted = None;
        }
        // Once more costs a call where ours came last, and nobody would tell us otherwise.
        if std::mem::take(&mut entry.overwritten) && entry.wanted.is_none() {
            entry.wanted = Some((status, now + BETWEEN));
            return;
        }
        entry.written = Some(status);
    }

    /// It could not be written: again later, unless there is a newer one by then. Gives how many tries failed.
    pub(super) fn failed(&mut self, key: &ObjectRef, status: Value, now: Instant) -> u32 {
        let Some(entry) = self.entries.get_mut(key) else { return 0 };
        let wait = RETRY_FIRST.saturating_mul(1 << entry.failures.min(10)).min(RETRY_MAX);
        entry.failures = entry.failures.saturating_add(1);
        entry.writing = false;
        let status = entry.wanted.take().map_or(status, |(newer, _)| newer);
        entry.wanted = Some((status, now + super::jittered(wait)));
        entry.failures
    }

    /// Somebody else wrote over it: it is written again.
    pub(super) fn overwritten(&mut self, key: &ObjectRef, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.writing {
            entry.overwritten = true;
            return;
        }
        if let Some(status) = entry.written.take().filter(|_| entry.wanted.is_none()) {
            entry.wanted = Some((status, now));
        }
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, key: &ObjectRef) {
        self.entries.remove(key);
    }

    /// Whether all is written.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.values().all(|entry| entry.wanted.is_none() && !entry.writing)
    }
}

/// The server keeps conditions in an order of its own.
fn is_same(one: &Value, other: &Value) -> bool {
    let sorted = |status: &Value| {
        let mut status = status.clone();
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions.sort_by(|a, b| a["type"].as_str().cmp(&b["type"].as_str()));
        }
        status
    };
    sorted(one) == sorted(other)
}

/// Whether people or programs wait for the change: how ready it is, and the phase.
fn is_waited_for(written: &Value, status: &Value) -> bool {
    ready_of(written) != ready_of(status) || written.get("phase") != status.get("phase")
}

fn is_ready(status: &Value) -> bool {
    ready_of(status) == Some("True")
}

fn ready_of(status: &Value) -> Option<&str> {
    let conditions = status.get("conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?.get("status")?.as_str()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ostler_crds::{Kind, ObjectRef};
    use serde_json::{Value, json};
    use tokio::time::{Instant, advance};

    use super::{BETWEEN, Coalescer, FIRST_WAIT};

    fn key() -> ObjectRef {
        ObjectRef::new(Kind::Domain, "shop", "web")
    }

    fn status(ready: &str, phase: &str, note: &str) -> Value {
        json!({ "phase": phase, "stateReason": note, "conditions": [{ "type": "Ready", "status": ready }] })
    }

    /// What is written now; it succeeds.
    fn write(coalescer: &mut Coalescer) -> Vec<Value> {
        let due = coalescer.take_due(Instant::now(), 10);
        due.into_iter()
            .map(|(key, status)| {
                coalescer.done(&key, status.clone(), Instant::now());
                status
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_soon_is_written_instead() {
        let mut coalescer = Coalescer::default();
        coalescer.put(&key(), status("False", "Pending", "a"), Instant::now());
        assert!(write(&mut coalescer).is_empty());
        advance(Duration::from_millis(50)).await;
        coalescer.put(&key(), status("True", "Running", "b"), Instant::now());
        assert_eq!(write(&mut coalescer), [status("True", "Running", "b")]);
        assert!(coalescer.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_status_that_stays_is_written_soon() {
        let mut coalescer = Coalescer::default();
        coalescer.put(&key(), status("False", "Pending", "a"), Instant::now());
        advance(FIRST_WAIT).await;
        assert_eq!(write(&mut coalescer).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn details_wait_a_second_and_flips_do_not() {
        let mut coalescer = Coalescer::default();
        coalescer.put(&key(), status("True", "Running", "a"), Instant::now());
        assert_eq!(write(&mut coalescer).len(), 1);
        for note in ["b", "c", "d"] {
            coalescer.put(&key(), status("True", "Running", note), Instant::now());
        }
        assert!(write(&mut coalescer).is_empty());
        advance(BETWEEN).await;
        assert_eq!(write(&mut coalescer), [status("True", "Running", "d")]);
        coalescer.put(&key(), status("True", "Stopped", "e"), Instant::now());
        assert_eq!(write(&mut coalescer).len(), 1, "a phase is told at once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_already_is_not_written() {
        let mut coalescer = Coalescer::default();
        coalescer.has(&key(), status("True", "Running", "a"));
        coalescer.put(&key(), status("True", "Running", "a"), Instant::now());
        assert_eq!(coalescer.next_due(), None);
        coalescer.put(&key(), status("True", "Running", "b"), Instant::now());
        coalescer.put(&key(), status("True", "Running", "a"), Instant::now());
        assert!(coalescer.is_idle(), "what was to change has changed back");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_over_while_it_is_written_is_written_again() {
        let mut coalescer = Coalescer::default();
        let ours = status("True", "Running", "a");
        coalescer.put(&key(), ours.clone(), Instant::now());
        assert_eq!(coalescer.take_due(Instant::now(), 10).len(), 1);
        // The server's answer comes after the news of what another made of it.
        coalescer.overwritten(&key(), Instant::now());
        coalescer.done(&key(), ours.clone(), Instant::now());
        assert!(write(&mut coalescer).is_empty());
        advance(BETWEEN).await;
        assert_eq!(write(&mut coalescer), [ours]);
        assert!(coalescer.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn the_order_of_conditions_is_no_difference() {
        let of =
            |types: [&str; 2]| json!({ "conditions": types.map(|type_| json!({ "type": type_, "status": "True" })) });
        let mut coalescer = Coalescer::default();
        coalescer.has(&key(), of(["Running", "Ready"]));
        coalescer.put(&key(), of(["Ready", "Running"]), Instant::now());
        assert!(coalescer.is_idle());
        coalescer.put(&key(), of(["Ready", "Paused"]), Instant::now());
        assert!(!coalescer.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_write_is_tried_again_with_the_newest() {
        let mut coalescer = Coalescer::default();
        coalescer.put(&key(), status("True", "Running", "a"), Instant::now());
        let due = coalescer.take_due(Instant::now(), 10);
        coalescer.put(&key(), status("True", "Stopped", "b"), Instant::now());
        assert!(coalescer.take_due(Instant::now(), 10).is_empty(), "one write of an object at a time");
        coalescer.failed(&key(), due[0].1.clone(), Instant::now());
        coalescer.put(&key(), status("True", "Stopped", "c"), Instant::now());
        assert!(write(&mut coalescer).is_empty(), "a server that is down is not hammered");
        tokio::time::sleep_until(coalescer.next_due().unwrap()).await;
        assert_eq!(write(&mut coalescer), [status("True", "Stopped", "c")]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_wrote_over_is_written_again() {
        let mut coalescer = Coalescer::default();
        coalescer.has(&key(), status("True", "Running", "a"));
        coalescer.overwritten(&key(), Instant::now());
        assert_eq!(write(&mut coalescer), [status("True", "Running", "a")]);
    }
}
