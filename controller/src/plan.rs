//! The plan: from what is desired and what is observed to what is to be done. Pure: no clock, no host, no order of calls.
//!
//! [`plan`] answers three questions at once: how the definition is brought about (stored, changed live, or staged for a
//! restart: [`definition`]), whether the guest should run ([`power`]), and what people are told of both. Applied, it
//! leads to a state whose plan is empty, unless it waits for somebody; nothing disruptive happens without consent.

mod definition;
mod power;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ostler_conf::Domain;
use ostler_crds::{PendingChange, RestartApproval, RunRecord, RunStrategy, Verb};
use ostler_driver::{Change, DomainState, LifecycleAction};

pub(crate) use definition::same_but_for_our_mark;
pub use definition::{pending_changes, without_live_values};
pub use power::{ASK_AGAIN_AFTER, BACKOFF_FIRST, BACKOFF_MAX, STABLE_AFTER, end_word};

/// What a domain should be.
#[derive(Debug)]
pub struct Desired<'a> {
    /// Its definition, completed and checked.
    pub definition: &'a Domain,
    /// When it runs.
    pub strategy: RunStrategy,
    /// Who allows a restart.
    pub approval: RestartApproval,
    /// Its object is being deleted: the guest must end.
    pub deleted: bool,
    /// Its host is being emptied: the guest must end, to be started again elsewhere or later.
    pub evicted: bool,
    /// How long a guest has to shut down.
    pub shutdown_timeout: Duration,
    /// Whether it is ended then.
    pub force: bool,
    /// Whether all that a start needs is there.
    pub startable: bool,
    /// Fields whose Secret holds another text than the running guest was started with.
    pub changed_secrets: &'a [String],
    /// A person's verb, to be carried out now.
    pub request: Option<Verb>,
}

/// What a domain is.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The stored definition.
    pub persistent: Option<&'a Domain>,
    /// The running guest's definition.
    pub live: Option<&'a Domain>,
    /// The state.
    pub state: DomainState,
    /// What happened so far.
    pub run: &'a RunRecord,
    /// Since when the guest has been asked to shut down.
    pub shutdown_asked: Option<Asked>,
    /// The time.
    pub now: Timestamp,
}

/// For how long a guest has been asked to shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Since it was asked first.
    pub first: Duration,
    /// Since it was asked last: one that was still booting has not heard.
    pub last: Duration,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a plan holds a handful")]
pub enum Action {
    /// Store the desired definition.
    Define,
    /// Change the running guest.
    Change(Change),
    /// What the guest's own reboot does from now on.
    OnReboot(LifecycleAction),
    /// Start the guest.
    Start,
    /// Ask the guest to shut down.
    Shutdown,
    /// End the guest.
    Destroy,
    /// Ask the guest to reboot.
    Reboot,
    /// Reset the guest.
    Reset,
    /// Stop the guest's CPUs.
    Suspend,
    /// Let the guest's CPUs go on.
    Resume,
}

impl Action {
    /// Whether the guest's work is interrupted.
    pub const fn is_disruptive(&self) -> bool {
        match self {
            Action::Shutdown | Action::Destroy | Action::Reboot | Action::Reset | Action::Suspend => true,
            Action::Define | Action::Change(_) | Action::OnReboot(_) | Action::Start | Action::Resume => false,
        }
    }
}

/// What is to be done and told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The steps, in order.
    pub actions: Vec<Action>,
    /// What differs between running guest and desired definition before the steps.
    pub pending: Vec<PendingChange>,
    /// What is to be remembered once the steps are done.
    pub run: RunRecord,
    /// When to look again though nothing happened.
    pub wake: Option<Duration>,
    /// How it stands.
    pub verdict: Verdict,
}

/// How it stands with a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As desired, as far as we may.
    Settled,
    /// Settled, but changes wait for a restart that somebody must allow.
    RestartPending,
    /// The guest was asked to shut down and has time left.
    ShuttingDown,
    /// The guest did not shut down in its time, and ending it was not allowed.
    ShutdownIgnored,
    /// A start waits for what is missing.
    Waiting,
    /// It would run, but for its host being emptied.
    Evicted,
    /// The guest ended soon after its start, again and again: the next start waits.
    CrashLoop,
    /// The guest is paused by an I/O error.
    IoError,
    /// The verb can't be carried out in this state.
    Refused(&'static str),
}

/// The plan for one domain. `can_change` is the driver's word on which changes it makes while the guest runs.
pub fn plan(desired: &Desired<'_>, observed: &Observed<'_>, can_change: &dyn Fn(&Domain, &Change) -> bool) -> Plan {
    let definition = definition::plan(desired, observed, can_change);
    let power = power::plan(desired, observed, definition.needs_restart());
    let mut actions = definition.actions;
    actions.extend(power.actions);
    let verdict = match power.verdict {
        Verdict::Settled if definition.pending.iter().any(|change| change.apply != ostler_crds::Apply::Live) => {
            Verdict::RestartPending
        }
        verdict => verdict,
    };
    Plan { actions, pending: definition.pending, run: power.run, wake: power.wake, verdict }
}

#[cfg(test)]
mod tests;
