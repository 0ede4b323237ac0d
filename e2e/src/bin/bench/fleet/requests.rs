//! What the API server was asked, by its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use crate::guests::{log_time, since};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Agents,
    Controller,
    /// This bench as its users, and Kubernetes itself.
    Others,
}

/// One request that was answered; of a watch, its beginning.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) by: By,
    pub(super) verb: String,
    pub(super) resource: String,
    subresource: String,
    name: String,
    code: u16,
    /// In milliseconds of the day.
    received: f64,
    answered: f64,
}

impl Request {
    pub(super) fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete")
    }
}

/// The audit log.
#[derive(Clone, Debug)]
pub(super) struct Log(pub(super) PathBuf);

impl Log {
    /// Its end now.
    pub(super) fn mark(&self) -> u64 {
        std::fs::metadata(&self.0).expect("the server writes it").len()
    }

    /// What came since.
    pub(super) fn since(&self, mark: u64) -> Vec<Request> {
        let mut file = File::open(&self.0).expect("the server writes it");
        assert!(file.metadata().unwrap().len() >= mark, "the log was begun anew");
        file.seek(SeekFrom::Start(mark)).unwrap();
        // The first line and the last may be cut.
        BufReader::new(file).lines().map_while(Result::ok).filter_map(|line| read(&line)).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    verb: String,
    user_agent: Option<String>,
    object_ref: Option<Object>,
    response_status: Option<Status>,
    request_received_timestamp: String,
    stage_timestamp: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

#[derive(Default, Deserialize)]
struct Object {
    resource: Option<String>,
    subresource: Option<String>,
    name: Option<String>,
}

fn read(line: &str) -> Option<Request> {
    let entry: Entry = serde_json::from_str(line).ok()?;
    // A watch is told of when it begins and when it ends.
    let counts = if entry.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
    if entry.stage != counts {
        return None;
    }
    let program = entry.user_agent.unwrap_or_default();
    let by = match program.split('/').next() {
        Some("ostler-agent") => By::Agents,
        Some("ostler-controller") => By::Controller,
        _ => By::Others,
    };
    let Object { resource, subresource, name } = entry.object_ref.unwrap_or_default();
    Some(Request {
        by,
        verb: entry.verb,
        resource: resource.unwrap_or_default(),
        subresource: subresource.unwrap_or_default(),
        name: name.unwrap_or_default(),
        code: entry.response_status.and_then(|status| status.code).unwrap_or_default(),
        received: log_time(&entry.request_received_timestamp),
        answered: log_time(&entry.stage_timestamp),
    })
}

/// Tells people what was asked, by whom.
pub(super) fn show(when: &str, requests: &[Request]) {
    let mut counts: BTreeMap<(By, &str, &str, bool), usize> = BTreeMap::new();
    for request in requests {
        *counts.entry((request.by, &request.verb, &request.resource, request.code >= 400)).or_default() += 1;
    }
    eprintln!("  asked of the API server in {when}:");
    for ((by, verb, resource, is_refused), count) in counts {
        let refused = if is_refused { ", refused" } else { "" };
        eprintln!("    {by:?}: {verb} {resource}{refused}: {count}");
    }
}

/// The parts of the time from a create's answer to its claim, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// From the answer until the controller's first write has come: the watch, the controller's wait, its decision.
    pub(super) noticed: Vec<f64>,
    /// From there to the answer to its last, which is the claim: finalizer and status.
    pub(super) written: Vec<f64>,
}

/// Of each of these domains.
pub(super) fn parts(requests: &[Request], names: impl Iterator<Item = String>) -> Parts {
    let mut of: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.resource == "domains" && request.code < 300) {
        of.entry(&request.name).or_default().push(request);
    }
    let mut parts = Parts::default();
    for name in names {
        let Some(requests) = of.get(name.as_str()) else { continue };
        let created = requests.iter().find(|request| request.verb == "create");
        let mut writes = requests.iter().filter(|request| request.by == By::Controller && request.is_write());
        let first = writes.clone().next();
        let claim = writes.find(|request| request.subresource == "status");
        if let (Some(created), Some(first), Some(claim)) = (created, first, claim) {
            // The create's own entry is written a moment after its watchers are told.
            let noticed = since(created.answered, first.received);
            parts.noticed.push(if noticed > 43_200_000.0 { 0.0 } else { noticed });
            parts.written.push(since(first.received, claim.answered));
        }
    }
    assert!(!parts.written.is_empty(), "the audit log tells of no claim");
    parts
}
