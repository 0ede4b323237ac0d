//! This host's own object: what it is, what it carries out, and which guests belong to nobody.

mod drain;
mod strays;

use std::time::Duration;

use ostler_conf::Size;
use ostler_crds::{Host, HostCapabilities, HostStatus, Kind, ObjectRef, reasons};
use ostler_driver::Accelerator;
use tracing::warn;

use super::{Again, Error};
use crate::context::Context;
use crate::source::SourceProblem;

/// How often what is missing is looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How soon it is looked again whether all guests of a fenced host have ended.
const UNTIL_HALTED: Duration = Duration::from_secs(1);

/// The condition that tells of a fence.
const FENCED: &str = "Fenced";

/// The condition that tells of manifests that were refused and of a source that is lost.
const MANIFESTS_ACCEPTED: &str = "ManifestsAccepted";

/// The condition that tells whether what is found can be written down.
const STATUS_WRITTEN: &str = "StatusWritten";

pub(super) async fn reconcile(context: &Context, key: &ObjectRef, host: &Host) -> Result<Again, Error> {
    if *key != context.host_ref() {
        return Ok(Again::No);
    }
    let generation = host.metadata.generation.unwrap_or(0);
    let mut status: HostStatus = context.status(key);
    status.observed_generation = Some(generation);
    report_drivers(context, &mut status, generation).await;
    let lacks = report_needs(context, &mut status, generation);
    status.allow = context.allowed().unwrap_or_default();
    status.networks = context.outcomes(Kind::Network, &status.networks);
    status.pools = context.outcomes(Kind::StoragePool, &status.pools);
    if context.is_synced() {
        strays::look(context, host, &mut status).await?;
    }
    let is_obeyed = obey_fence(context, &mut status, generation).await?;
    drain::report(context, host, &mut status, generation).await?;
    if !context.by_claim {
        report_source(context, &mut status, generation);
    }
    report_unwritten(context, key, &mut status, generation);
    let again = if status.drivers.is_empty() {
        status.conditions.reconciling(reasons::MISSING, "no driver works here: see the other conditions", generation);
        Again::After(LOOK_AGAIN)
    } else {
        status.conditions.ready(reasons::READY, "the agent is at work", generation);
        // Nobody tells us when somebody installs what is missing.
        if lacks { Again::After(LOOK_AGAIN) } else { Again::No }
    };
    let again = if is_obeyed { again } else { Again::After(UNTIL_HALTED) };
    context.report(key, &status).await?;
    Ok(again)
}

/// A fenced host runs nothing, and says so when that is true. Gives whether it is.
async fn obey_fence(context: &Context, status: &mut HostStatus, generation: i64) -> Result<bool, Error> {
    let fence = context.fence();
    if context.set_obeyed(fence.as_ref().map(|fence| fence.id.clone())) {
        let domains = context.all_refs().into_iter().filter(|key| key.kind == Kind::Domain);
        domains.for_each(|key| context.wake(key));
    }
    let Some(fence) = fence else {
        status.halted = None;
        status.conditions.clear(FENCED);
        return Ok(true);
    };
    let has_halted = strays::active(context).await?.is_empty();
    status.halted = has_halted.then_some(fence.id);
    let message = if has_halted { "no guest runs here" } else { "its guests are being stopped" };
    status.conditions.set(FENCED, true, &fence.reason, message, generation);
    Ok(has_halted)
}

/// Which drivers work, and what the first of them says of the host.
async fn report_drivers(context: &Context, status: &mut HostStatus, generation: i64) {
    let (mut drivers, mut capabilities) = (Vec::new(), Vec::new());
    for connection in &context.hypervisors {
        let condition = format!("{}Available", capitalized(connection.driver()));
        let facts = match connection.host().await {
            Ok(facts) => facts,
            Err(error) => {
                let message = format!("{}: {}", super::chain(&error), remedy(connection.driver()));
                status.conditions.set(&condition, false, reasons::MISSING, message, generation);
                continue;
            }
        };
        let version = facts.hypervisor_version.as_deref().unwrap_or("of an unknown version");
        let message = format!("{} {version}", connection.driver());
        status.conditions.set(&condition, true, "Available", message, generation);
        if drivers.is_empty() {
            status.hypervisor_version = facts.hypervisor_version;
            status.accelerators =
                facts.accelerators.iter().map(|accelerator| accelerator_name(*accelerator).to_owned()).collect();
            status.cpus = Some(i64::from(facts.cpus));
            status.memory = Some(Size::from_kib(facts.memory_bytes / 1024));
        }
        // What admission asks by, where this host can't be asked.
        match connection.check_facts().await {
            Ok(Some(facts)) => capabilities.push(HostCapabilities { name: connection.driver().to_owned(), facts }),
            Ok(None) => {}
            Err(error) => {
                warn!(driver = connection.driver(), error = %super::chain(&error), "no facts for checks elsewhere")
            }
        }
        drivers.push(connection.driver().to_owned());
    }
    status.drivers = drivers;
    status.capabilities = capabilities;
}

/// What the secondary drivers stand on. Gives whether anything is missing.
fn report_needs(context: &Context, status: &mut HostStatus, generation: i64) -> bool {
    let needs: Vec<_> = [&context.networks, &context.storage].into_iter().flat_map(|driver| driver.needs()).collect();
    for need in &needs {
        match &need.missing {
            None => status.conditions.set(need.condition, true, "Available", &need.what, generation),
            Some(message) => status.conditions.set(need.condition, false, reasons::MISSING, message, generation),
        }
    }
    needs.iter().any(|need| need.missing.is_some())
}

/// What brings a hypervisor to a host.
fn remedy(driver: &str) -> &'static str {
    match driver {
        "qemu" => {
            "install QEMU on this host (Debian: qemu-system-x86), or let the agent bring it (the chart's runtime.source: image)"
        }
        _ => "install it on this host",
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const fn accelerator_name(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg",
    }
}

fn report_source(context: &Context, status: &mut HostStatus, generation: i64) {
    let problems = context.source_problems();
    let is_lost = problems.iter().any(|problem| matches!(problem, SourceProblem::Lost(_)));
    let is_held = problems.iter().any(|problem| matches!(problem, SourceProblem::DeletionHeld(_)));
    let reason = match (problems.is_empty(), is_lost, is_held) {
        (true, _, _) => "AllAccepted",
        (_, true, _) => "Lost",
        (_, _, true) => "DeletionHeld",
        (false, false, false) if problems.iter().all(is_exposed) => "SecretsExposed",
        (false, false, false) => "Refused",
    };
    // A warning keeps nothing from being accepted.
    let is_accepted = problems.iter().all(is_exposed);
    let message: Vec<String> = problems.iter().map(message_of).collect();
    let message = if message.is_empty() { "every manifest was accepted".to_owned() } else { message.join("\n") };
    status.conditions.set(MANIFESTS_ACCEPTED, is_accepted, reason, message, generation);
}

/// A state folder that is full or read-only is told even where only the agent can tell it.
fn report_unwritten(context: &Context, key: &ObjectRef, status: &mut HostStatus, generation: i64) {
    let unwritten = context.unwritten();
    let others: Vec<&str> =
        unwritten.iter().filter(|(object, _)| *object != key).map(|(_, (_, why))| why.as_str()).collect();
    match others.first() {
        None => status.conditions.clear(STATUS_WRITTEN),
        Some(why) => {
            let message = format!("{} not written down, and tried again: {why}", count(others.len()));
            status.conditions.set(STATUS_WRITTEN, false, "WriteFailed", message, generation);
        }
    }
}

fn count(statuses: usize) -> String {
    if statuses == 1 { "one status is".to_owned() } else { format!("{statuses} statuses are") }
}

fn is_exposed(problem: &SourceProblem) -> bool {
    matches!(problem, SourceProblem::Exposed(_))
}

fn message_of(problem: &SourceProblem) -> String {
    match problem {
        SourceProblem::Lost(message) | SourceProblem::DeletionHeld(message) | SourceProblem::Exposed(message) => {
            message.clone()
        }
        SourceProblem::Refused { message, .. } => message.clone(),
    }
}
