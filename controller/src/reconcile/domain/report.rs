//! What people are told of a domain.

use ostler_crds::{Apply, ConditionStatus, DomainStatus, Object, PendingChange, Phase, Resolved, reasons, types};
use ostler_driver::{DomainState, Domains, PausedReason};

use super::observe::Observation;
use super::resolve::{Missing, MissingKind};
use crate::context::Context;
use crate::plan::{Plan, Verdict};

/// The first status of a new object: nothing is known yet.
pub(super) fn announced(status: &DomainStatus, generation: i64) -> DomainStatus {
    let mut status = status.clone();
    status.observed_generation = Some(generation);
    status.phase = Some(Phase::Pending);
    let conditions = &mut status.conditions;
    conditions.set(types::READY, ConditionStatus::Unknown, reasons::RECONCILING, "not looked at yet", generation);
    conditions.set(types::RECONCILING, true, reasons::RECONCILING, "not looked at yet", generation);
    status
}

/// The driver refused or failed; how the guest is, is not known from this look.
pub(super) fn failed(status: &mut DomainStatus) {
    if matches!(status.phase, None | Some(Phase::Pending | Phase::Starting)) {
        status.phase = Some(Phase::Failed);
    }
}

/// The guest keeps its last definition: its spec is not applied.
pub(super) fn not_applied(status: &mut DomainStatus, refusal: &ostler_driver::Error, generation: i64) {
    status.conditions.set(types::CONFIGURATION_APPLIED, false, reasons::NOT_ALLOWED, refusal.to_string(), generation);
}

/// It is here by a claim, and its placement names another host.
pub(super) fn wants_to_move(
    context: &Context,
    status: &mut DomainStatus,
    generation: i64,
    elsewhere: &str,
    bound_by: Option<&str>,
) {
    let message = match bound_by {
        Some(what) => format!("it can't move to host {elsewhere}: {what} is on this host alone"),
        None => format!("it moves to host {elsewhere} when it is halted"),
    };
    let conditions = &mut status.conditions;
    conditions.set(types::CONFIGURATION_APPLIED, false, reasons::MOVE_PENDING, message.clone(), generation);
    if conditions.is_true(types::READY) {
        conditions.ready(reasons::MOVE_PENDING, message, generation);
    }
    status.pending_changes.push(PendingChange {
        path: "placement.host".to_owned(),
        current: Some(context.host.clone().into()),
        desired: Some(elsewhere.into()),
        apply: Apply::Move,
    });
}

/// Its host is being emptied, and it can't go elsewhere.
pub(super) fn waits_for_host(context: &Context, status: &mut DomainStatus, generation: i64, bound_by: Option<&str>) {
    let why = bound_by.map(|what| format!(", and {what} is there alone")).unwrap_or_default();
    let message = format!("host {} is in maintenance{why}: the guest is started when that ends", context.host);
    status.conditions.reconciling(reasons::HOST_MAINTENANCE, message, generation);
}

/// It is on its way out.
pub(super) fn deleting(status: &mut DomainStatus, observation: &Observation) {
    status.phase = Some(Phase::Deleting);
    status.state_reason = Some(words(observation.state()).1.to_owned());
}

#[allow(clippy::too_many_arguments, reason = "a report's inputs, gathered in one place")]
pub(super) async fn report(
    context: &Context,
    driver: &str,
    domains: &dyn Domains,
    object: &Object,
    status: &mut DomainStatus,
    definition: &ostler_conf::Domain,
    observation: &Observation,
    plan: &Plan,
    waits_for: &[Missing],
) {
    let generation = object.generation();
    status.host = Some(context.host.clone());
    let resolved = resolved(driver, observation.persistent.as_ref().unwrap_or(definition));
    let claim = crate::names::claim(object).map(|_| observation.claim());
    status.resolved = Some(Resolved { claim, ..resolved });
    status.run = plan.run.clone();
    status.pending_changes.clone_from(&plan.pending);
    let state = observation.state();
    let (phase, reason) = words(state);
    // An agent that took a running guest back does not know why it runs; the one before it did.
    let said_before = status.state_reason.clone().filter(|_| status.phase == Some(Phase::Running));
    let reason = match state {
        DomainState::Running(ostler_driver::RunningReason::Unknown) => said_before.unwrap_or_else(|| reason.to_owned()),
        _ => reason.to_owned(),
    };
    status.phase = Some(match (&plan.verdict, phase) {
        (Verdict::ShuttingDown, Phase::Running) => Phase::ShuttingDown,
        (Verdict::Waiting | Verdict::Evicted, Phase::Stopped) => Phase::Pending,
        (_, phase) => phase,
    });
    status.state_reason = Some(reason.clone());
    status.addresses = match state {
        DomainState::Running(_) | DomainState::Paused(_) => addresses(domains, definition).await,
        DomainState::Shutdown | DomainState::Shutoff(_) | DomainState::Crashed => Vec::new(),
    };
    report_aspects(status, generation, state, &reason, waits_for);
    report_verdict(status, generation, observation, plan, waits_for);
}

async fn addresses(domains: &dyn Domains, definition: &ostler_conf::Domain) -> Vec<String> {
    let Some(uuid) = definition.uuid else { return Vec::new() };
    // Leases that can't be read now are no reason to fail; their next change brings us back.
    let mut addresses: Vec<String> = domains
        .addresses(uuid)
        .await
        .unwrap_or_default()
        .into_iter()
        .map(|address| address.address.to_string())
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

fn resolved(driver: &str, definition: &ostler_conf::Domain) -> Resolved {
    let macs = definition.devices.interfaces.iter();
    Resolved {
        driver: driver.to_owned(),
        uuid: definition.uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
        claim: None,
        name: definition.name.clone(),
        machine: definition.os.r#type.machine.clone(),
        macs: macs.filter_map(|nic| Some((nic.name.clone(), nic.mac.as_ref()?.address.to_string()))).collect(),
    }
}

/// The phase and libvirt's word for the reason.
fn words(state: DomainState) -> (Phase, &'static str) {
    match state {
        DomainState::Running(reason) => (
            Phase::Running,
            match reason {
                ostler_driver::RunningReason::Booted => "booted",
                ostler_driver::RunningReason::Unpaused => "unpaused",
                ostler_driver::RunningReason::Wakeup => "wakeup",
                ostler_driver::RunningReason::Unknown => "unknown",
            },
        ),
        DomainState::Paused(reason) => (
            Phase::Paused,
            match reason {
                PausedReason::User => "user",
                PausedReason::StartingUp => "startingUp",
                PausedReason::IoError => "ioError",
                PausedReason::Watchdog => "watchdog",
                PausedReason::Crashed => "crashed",
                PausedReason::ShuttingDown => "shuttingDown",
                PausedReason::Unknown => "unknown",
            },
        ),
        DomainState::Shutdown => (Phase::ShuttingDown, "user"),
        DomainState::Crashed => (Phase::Crashed, "panicked"),
        DomainState::Shutoff(reason) => (Phase::Stopped, crate::plan::end_word(reason)),
    }
}

fn report_aspects(status: &mut DomainStatus, generation: i64, state: DomainState, reason: &str, waits_for: &[Missing]) {
    let conditions = &mut status.conditions;
    let reason = capitalized(reason);
    let running = matches!(state, DomainState::Running(_));
    let paused = matches!(state, DomainState::Paused(_));
    conditions.set(
        types::RUNNING,
        running,
        &reason,
        if running { "the guest runs" } else { "the guest does not run" },
        generation,
    );
    conditions.set(
        types::PAUSED,
        paused,
        &reason,
        if paused { "the guest's CPUs are stopped" } else { "the guest is not paused" },
        generation,
    );
    let applied = status.pending_changes.is_empty();
    let message = match status.pending_changes.len() {
        0 => "the guest is as its spec says".to_owned(),
        n => format!("{n} changes wait for a restart: see status.pendingChanges"),
    };
    conditions.set(
        types::CONFIGURATION_APPLIED,
        applied,
        if applied { "Applied" } else { reasons::RESTART_PENDING },
        message,
        generation,
    );
    for (type_, kind) in [(types::VOLUMES_READY, MissingKind::Volume), (types::NETWORKS_READY, MissingKind::Network)] {
        let missing = said(waits_for.iter().filter(|missing| missing.what == kind));
        match missing.is_empty() {
            true => conditions.set(type_, true, reasons::READY, "all are there", generation),
            false => conditions.set(type_, false, reasons::MISSING, missing, generation),
        }
    }
}

fn report_verdict(
    status: &mut DomainStatus,
    generation: i64,
    observation: &Observation,
    plan: &Plan,
    waits_for: &[Missing],
) {
    let conditions = &mut status.conditions;
    if observation.monitor_silent() {
        conditions.reconciling(
            reasons::MONITOR_SILENT,
            "QEMU's monitor does not answer: the guest is left alone until it does",
            generation,
        );
        return;
    }
    match &plan.verdict {
        _ if !plan.actions.is_empty() => conditions.reconciling(reasons::RECONCILING, "more is to be done", generation),
        Verdict::Settled | Verdict::Refused(_) => conditions.ready(reasons::READY, "as its spec says", generation),
        Verdict::RestartPending => conditions.ready(
            reasons::RESTART_PENDING,
            "changes wait for a restart: see status.pendingChanges",
            generation,
        ),
        Verdict::ShuttingDown => conditions.reconciling("ShuttingDown", "the guest was asked to shut down", generation),
        Verdict::ShutdownIgnored => {
            conditions.stalled(
                reasons::SHUTDOWN_TIMEOUT,
                "the guest did not shut down in its time; spec.shutdown.force would end it",
                generation,
            );
        }
        Verdict::Waiting => {
            conditions.reconciling(reasons::MISSING, format!("its start waits: {}", said(waits_for.iter())), generation)
        }
        Verdict::Evicted => {
            conditions.reconciling(reasons::HOST_MAINTENANCE, "its host is in maintenance", generation);
        }
        Verdict::CrashLoop => {
            let next = plan.run.next_restart.as_deref().unwrap_or("soon");
            let message = format!(
                "the guest ended {} times soon after its start; it is started again at {next}",
                plan.run.restarts
            );
            conditions.reconciling(reasons::CRASH_LOOP, message, generation);
        }
        Verdict::IoError => conditions.stalled(
            reasons::IO_ERROR,
            "the guest is paused: a disk of it could not be read or written",
            generation,
        ),
    }
}

fn said<'a>(missing: impl Iterator<Item = &'a Missing>) -> String {
    missing.map(|missing| missing.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
