//! Whether a guest should run, and what is done about it.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ostler_crds::{RestartApproval, RunRecord, RunStrategy, Verb};
use ostler_driver::{DomainState, PausedReason, ShutoffReason};

use super::{Action, Desired, Observed, Verdict};

/// The wait before the second restart in a row; the first comes at once.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(10);
/// The longest wait.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// A guest that ran for so long did not end soon after its start.
pub const STABLE_AFTER: Duration = Duration::from_secs(600);

/// A guest that was asked to shut down is asked again after this time: while it booted it may not have listened.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

pub(super) struct PowerPlan {
    pub(super) actions: Vec<Action>,
    pub(super) run: RunRecord,
    pub(super) wake: Option<Duration>,
    pub(super) verdict: Verdict,
}

impl PowerPlan {
    fn settled(run: RunRecord) -> Self {
        PowerPlan { actions: Vec::new(), run, wake: None, verdict: Verdict::Settled }
    }

    fn act(run: RunRecord, action: Action) -> Self {
        PowerPlan { actions: vec![action], run, wake: None, verdict: Verdict::Settled }
    }

    fn refused(run: RunRecord, why: &'static str) -> Self {
        PowerPlan { verdict: Verdict::Refused(why), ..Self::settled(run) }
    }
}

pub(super) fn plan(desired: &Desired<'_>, observed: &Observed<'_>, needs_restart: bool) -> PowerPlan {
    match observed.state {
        DomainState::Shutoff(reason) => off(desired, observed, reason),
        DomainState::Running(_) | DomainState::Paused(_) | DomainState::Shutdown | DomainState::Crashed => {
            on(desired, observed, needs_restart)
        }
    }
}

/// There is a guest.
fn on(desired: &Desired<'_>, observed: &Observed<'_>, needs_restart: bool) -> PowerPlan {
    let mut run = RunRecord { started: true, last_end: None, next_restart: None, ..observed.run.clone() };
    let state = observed.state;
    match desired.request {
        Some(Verb::Start) => run.manual = Some(true),
        Some(Verb::Shutdown) => {
            // Said again, the guest is asked again.
            run.manual = Some(false);
            return PowerPlan {
                wake: Some(desired.shutdown_timeout),
                verdict: Verdict::ShuttingDown,
                ..PowerPlan::act(run, Action::Shutdown)
            };
        }
        Some(Verb::PowerOff) => {
            (run.manual, run.restarting) = (Some(false), false);
            return PowerPlan::act(run, Action::Destroy);
        }
        Some(Verb::Restart) => (run.manual, run.restarting) = (Some(true), true),
        Some(Verb::Reboot) if matches!(state, DomainState::Running(_)) => return PowerPlan::act(run, Action::Reboot),
        Some(Verb::Reboot) => return PowerPlan::refused(run, "only a running guest can reboot"),
        Some(Verb::Reset) => return PowerPlan::act(run, Action::Reset),
        Some(Verb::Suspend) if matches!(state, DomainState::Paused(_)) => {}
        Some(Verb::Suspend) => return PowerPlan::act(run, Action::Suspend),
        Some(Verb::Resume) if matches!(state, DomainState::Paused(_)) => return PowerPlan::act(run, Action::Resume),
        Some(Verb::Resume) | None => {}
    }
    if needs_restart && desired.approval == RestartApproval::Automatic {
        run.restarting = true;
    }
    let stopped_by_hand = desired.strategy == RunStrategy::Manual && run.manual == Some(false);
    let must_end = desired.deleted || desired.strategy == RunStrategy::Halted || stopped_by_hand;
    if must_end {
        run.restarting = false;
    }
    run.evicted = desired.evicted && !must_end;
    if must_end || run.restarting || run.evicted {
        return end(desired, observed, run);
    }
    if state == DomainState::Paused(PausedReason::IoError) {
        return PowerPlan { verdict: Verdict::IoError, ..PowerPlan::settled(run) };
    }
    let wake = forgive(&mut run, observed.now);
    PowerPlan { wake, ..PowerPlan::settled(run) }
}

/// The guest must end: it is asked, given its time, then ended or reported.
fn end(desired: &Desired<'_>, observed: &Observed<'_>, run: RunRecord) -> PowerPlan {
    if observed.state == DomainState::Crashed {
        return PowerPlan::act(run, Action::Destroy);
    }
    let timeout = desired.shutdown_timeout;
    let ask = |run, left: Duration| PowerPlan {
        wake: Some(left.min(ASK_AGAIN_AFTER)),
        verdict: Verdict::ShuttingDown,
        ..PowerPlan::act(run, Action::Shutdown)
    };
    match observed.shutdown_asked {
        None => ask(run, timeout),
        Some(asked) if asked.first < timeout && asked.last >= ASK_AGAIN_AFTER => ask(run, timeout - asked.first),
        Some(asked) if asked.first < timeout => {
            let wake = (timeout - asked.first).min(ASK_AGAIN_AFTER - asked.last);
            PowerPlan { wake: Some(wake), verdict: Verdict::ShuttingDown, ..PowerPlan::settled(run) }
        }
        Some(_) if desired.force => {
            PowerPlan { verdict: Verdict::ShuttingDown, ..PowerPlan::act(run, Action::Destroy) }
        }
        Some(_) => PowerPlan { verdict: Verdict::ShutdownIgnored, ..PowerPlan::settled(run) },
    }
}

/// A guest that runs for long enough starts with a clean record; gives when that will be.
fn forgive(run: &mut RunRecord, now: Timestamp) -> Option<Duration> {
    if run.restarts == 0 {
        return None;
    }
    let ran = ran_for(run, now);
    if ran >= STABLE_AFTER {
        run.restarts = 0;
        return None;
    }
    Some(STABLE_AFTER - ran)
}

/// There is no guest.
fn off(desired: &Desired<'_>, observed: &Observed<'_>, reason: ShutoffReason) -> PowerPlan {
    let mut run = observed.run.clone();
    let is_news = run.started && run.last_end.is_none();
    if is_news {
        note_end(&mut run, desired, observed, reason);
    }
    match desired.request {
        Some(Verb::Start | Verb::Restart) if desired.strategy == RunStrategy::Halted => {
            return PowerPlan::refused(run, "the run strategy is Halted: set runStrategy to Manual or Always");
        }
        Some(Verb::Start | Verb::Restart) if desired.evicted => {
            return PowerPlan::refused(run, "the host is in maintenance: nothing is started there until that ends");
        }
        Some(Verb::Start | Verb::Restart) => {
            run.manual = Some(true);
            (run.restarts, run.next_restart) = (0, None);
        }
        Some(Verb::Shutdown | Verb::PowerOff) => run.manual = Some(false),
        Some(Verb::Reboot | Verb::Reset | Verb::Suspend | Verb::Resume) => {
            return PowerPlan::refused(run, "the guest does not run");
        }
        None => {}
    }
    if !should_run(desired, &run, reason) {
        (run.restarting, run.evicted) = (false, false);
        return PowerPlan::settled(run);
    }
    if desired.evicted {
        return PowerPlan { verdict: Verdict::Evicted, ..PowerPlan::settled(run) };
    }
    if !desired.startable {
        return PowerPlan { verdict: Verdict::Waiting, ..PowerPlan::settled(run) };
    }
    if let Some(wait) = remaining(&run, observed.now) {
        return PowerPlan { wake: Some(wait), verdict: Verdict::CrashLoop, ..PowerPlan::settled(run) };
    }
    run.started = true;
    run.start_time = Some(observed.now.to_string());
    (run.last_end, run.next_restart) = (None, None);
    (run.restarting, run.evicted) = (false, false);
    PowerPlan::act(run, Action::Start)
}

/// Records how the guest ended, and whether its restart must wait.
fn note_end(run: &mut RunRecord, desired: &Desired<'_>, observed: &Observed<'_>, reason: ShutoffReason) {
    run.last_end = Some(end_word(reason).to_owned());
    let was_asked = run.restarting || run.evicted || observed.shutdown_asked.is_some() || desired.request.is_some();
    let by_itself =
        matches!(reason, ShutoffReason::Shutdown | ShutoffReason::Crashed | ShutoffReason::Failed) && !was_asked;
    if desired.strategy == RunStrategy::Manual
        && reason != ShutoffReason::HostReboot
        && !(run.restarting || run.evicted)
        && reason != ShutoffReason::GuestReboot
    {
        run.manual = Some(false);
    }
    if !by_itself {
        run.next_restart = None;
        return;
    }
    if ran_for(run, observed.now) >= STABLE_AFTER {
        run.restarts = 0;
    }
    let wait = backoff(run.restarts);
    run.restarts = run.restarts.saturating_add(1);
    run.next_restart = (!wait.is_zero()).then(|| (observed.now + wait).to_string());
}

fn should_run(desired: &Desired<'_>, run: &RunRecord, reason: ShutoffReason) -> bool {
    if desired.deleted || desired.strategy == RunStrategy::Halted {
        return false;
    }
    let asked = matches!(desired.request, Some(Verb::Start | Verb::Restart));
    if asked || run.restarting || run.evicted || reason == ShutoffReason::GuestReboot {
        return true;
    }
    let failed = matches!(run.last_end.as_deref(), Some("crashed" | "failed" | "hostReboot" | "unknown"));
    match desired.strategy {
        RunStrategy::Always => true,
        RunStrategy::RerunOnFailure => !run.started || failed,
        RunStrategy::Once => !run.started,
        RunStrategy::Manual => run.manual == Some(true),
        RunStrategy::Halted => false,
    }
}

/// 0, 10 s, 20 s, … 5 min.
fn backoff(restarts: i32) -> Duration {
    match u32::try_from(restarts) {
        Ok(0) | Err(_) => Duration::ZERO,
        Ok(n) => BACKOFF_FIRST.saturating_mul(1 << (n - 1).min(16)).min(BACKOFF_MAX),
    }
}

fn remaining(run: &RunRecord, now: Timestamp) -> Option<Duration> {
    let next: Timestamp = run.next_restart.as_ref()?.parse().ok()?;
    let wait = Duration::try_from(next.duration_since(now)).ok()?;
    (!wait.is_zero()).then_some(wait)
}

fn ran_for(run: &RunRecord, now: Timestamp) -> Duration {
    let start: Option<Timestamp> = run.start_time.as_ref().and_then(|time| time.parse().ok());
    start.and_then(|start| Duration::try_from(now.duration_since(start)).ok()).unwrap_or(Duration::ZERO)
}

/// libvirt's word for how a guest ended.
pub const fn end_word(reason: ShutoffReason) -> &'static str {
    match reason {
        ShutoffReason::Unknown => "unknown",
        ShutoffReason::Shutdown => "shutdown",
        ShutoffReason::Destroyed => "destroyed",
        ShutoffReason::Crashed => "crashed",
        ShutoffReason::Failed => "failed",
        ShutoffReason::HostReboot => "hostReboot",
        ShutoffReason::GuestReboot => "guestReboot",
    }
}
