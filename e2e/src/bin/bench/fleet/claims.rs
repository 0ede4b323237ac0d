//! Domains: made, and seen claimed and running on a watch, as their users see them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_e2e::cluster::api::{Api, ApiError};
use serde_json::{Value, json};

use super::DEADLINE;
use crate::cluster::{condition, create};
use crate::report::ms;

pub(super) const DOMAINS: &str = "/apis/ostler.dev/v1alpha1/namespaces/default/domains";

/// Clients that make domains at the same time.
const CLIENTS: usize = 4;
/// So many may be on their way to running while more are made as they are taken up.
const UNDER_WAY: usize = 100;
/// HTTP's number for a version of which the server does not know any more what came after it.
const GONE: u16 = 410;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How soon one domain follows another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// While few are on their way.
    AsTheyAreTaken,
    /// So much time after the one before.
    Every(Duration),
}

#[derive(Debug, Default)]
struct Seen {
    claimed: HashMap<String, Instant>,
    running: HashMap<String, Instant>,
}

/// What a watch of all domains has told so far.
#[derive(Debug)]
pub(super) struct Claims(Arc<Mutex<Seen>>);

pub(super) fn name(number: usize) -> String {
    format!("guest-{number}")
}

impl Claims {
    /// Begins to watch.
    pub(super) fn watch(api: &Api) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (api, told) = (api.clone(), seen.clone());
        std::thread::spawn(move || {
            let mut version = String::new();
            // The server ends watches as it likes; who watches goes on where it was. With the server this ends too.
            while follow(&api, &mut version, &told) {}
        });
        Claims(seen)
    }

    /// Makes domains; gives for each the milliseconds from the answer to its claim.
    pub(super) fn make(&self, api: &Api, numbers: Range<usize>, pace: Pace) -> Vec<f64> {
        let made = Mutex::new(Vec::with_capacity(numbers.len()));
        let next = AtomicUsize::new(numbers.start);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= numbers.end {
                            return;
                        }
                        match pace {
                            Pace::AsTheyAreTaken => self.wait_running((number + 1).saturating_sub(UNDER_WAY)),
                            Pace::Every(time) => {
                                let due = start + time * u32::try_from(number - numbers.start).unwrap();
                                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                            }
                        }
                        create(api, &domain(&name(number)));
                        made.lock().unwrap().push((name(number), Instant::now()));
                    }
                });
            }
        });
        let made = made.into_inner().unwrap();
        self.wait("all are claimed", |seen| made.iter().all(|(name, _)| seen.claimed.contains_key(name)));
        let seen = self.0.lock().unwrap();
        made.iter().map(|(name, answered)| ms(seen.claimed[name].saturating_duration_since(*answered))).collect()
    }

    /// Waits until so many run.
    pub(super) fn wait_running(&self, count: usize) {
        self.wait("so many run", |seen| seen.running.len() >= count);
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let end = Instant::now() + DEADLINE;
        loop {
            let seen = self.0.lock().unwrap();
            if is_so(&seen) {
                return;
            }
            let (claimed, running) = (seen.claimed.len(), seen.running.len());
            drop(seen);
            assert!(Instant::now() < end, "waited in vain until {what}: {claimed} are claimed and {running} run");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Follows one watch to its end, from a version on; from an empty one, it begins with all there are. Gives whether there was one.
fn follow(api: &Api, version: &mut String, told: &Mutex<Seen>) -> bool {
    let path = format!("{DOMAINS}?watch=true&timeoutSeconds=3600&resourceVersion={version}");
    let events = match api.watch(&path) {
        Ok(events) => events,
        Err(ApiError::Refused { code, .. }) => {
            if code == GONE {
                version.clear();
            }
            std::thread::sleep(LOOK_EVERY);
            return true;
        }
        Err(ApiError::Lost { .. }) => return false,
    };
    for event in events {
        let (object, now) = (&event["object"], Instant::now());
        if event["type"] == "ERROR" {
            // What came after that version is not known any more.
            version.clear();
            return true;
        }
        version.clear();
        version.push_str(object["metadata"]["resourceVersion"].as_str().unwrap_or_default());
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let has_host = object["status"]["host"].as_str().is_some_and(|host| !host.is_empty());
        if has_host && !told.claimed.contains_key(name) {
            told.claimed.insert(name.to_owned(), now);
        }
        if !told.running.contains_key(name) && condition(object, "Running") == "True" {
            told.running.insert(name.to_owned(), now);
        }
    }
    true
}

/// A small server as a tenant has it, on the fleet's one network.
fn domain(name: &str) -> Value {
    json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain",
        "metadata": {"name": name, "labels": {"app": "fleet", "tier": "web"}},
        "spec": {
            "runStrategy": "Always",
            "domain": {
                "vcpu": {"count": 2}, "memory": {"size": "1Gi"}, "os": {"type": {"machine": "q35"}},
                "features": {"acpi": true},
                "devices": {
                    "interfaces": [{
                        "name": "eth0", "model": {"type": "virtio"}, "source": {"network": {"network": "lan"}},
                    }],
                    "serials": [{"name": "console", "source": {"pty": {}}}],
                },
            },
        },
    })
}
