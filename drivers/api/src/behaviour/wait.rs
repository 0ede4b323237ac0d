//! Waiting for what a driver tells.

use std::time::Duration;

use crate::{Event, Events};

/// Far above what any step takes, for machines that are slow at times.
const DEADLINE: Duration = Duration::from_secs(120);

/// Reads events until one is `wanted`.
pub(super) async fn expect(events: &mut Events, what: &str, wanted: impl Fn(&Event) -> bool) {
    let mut seen = Vec::new();
    let wait = async {
        loop {
            let event = events.recv().await.expect("the driver lives, and tells less than the trial can take in");
            if wanted(&event) {
                return;
            }
            seen.push(event);
        }
    };
    let found = tokio::time::timeout(DEADLINE, wait).await.is_ok();
    assert!(found, "{what} was not told, but {seen:?}");
}
