//! What QEMU tells without being asked.

use std::sync::Arc;

use ostler_conf::domain::LifecycleAction as Action;
use ostler_driver::{DomainEvent, DomainState, PausedReason, Result, RunningReason, ShutoffReason};
use serde_json::Value;

use super::Guest;
use crate::change;
use crate::driver::Core;
use crate::monitor::QmpEvent;

/// Why a guest's run came to its end, as QEMU sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Poweroff,
    Reboot,
    Crash,
}

pub(super) async fn handle(core: &Arc<Core>, guest: &Arc<Guest>, event: &QmpEvent) {
    tracing::debug!(uuid = %guest.uuid, event = event.name, data = %event.data, "QEMU says");
    match event.name.as_str() {
        "SHUTDOWN" if event.is("guest") => {
            let cause = match event.text("reason") {
                "guest-reset" => Cause::Reboot,
                "guest-panic" => Cause::Crash,
                _ => Cause::Poweroff,
            };
            ended(core, guest, cause).await;
        }
        // Only one that the guest asked for: others are ours, and told by whoever asked.
        "RESET" if event.is("guest") => core.tell(guest.uuid, DomainEvent::Rebooted),
        "STOP" => stopped(core, guest).await,
        "RESUME" => resumed(core, guest).await,
        "WAKEUP" => guest.take_on(core, DomainState::Running(RunningReason::Wakeup)).await,
        "BLOCK_IO_ERROR" if event.text("action") == "stop" => guest.expect_pause(PausedReason::IoError),
        "WATCHDOG" if event.text("action") == "pause" => guest.expect_pause(PausedReason::Watchdog),
        "GUEST_PANICKED" if event.text("action") != "run" => ended(core, guest, Cause::Crash).await,
        "RTC_CHANGE" => clock_set(core, guest, event).await,
        "DEVICE_DELETED" => {
            let device = event.text("device").to_owned();
            change::unplug::gone(core, guest, &device).await;
            guest.unplugged.send_replace(Some(device));
        }
        _ => {}
    }
}

/// The live definition takes it on: a guest that is moved or looked at has the clock that it set.
async fn clock_set(core: &Arc<Core>, guest: &Arc<Guest>, event: &QmpEvent) {
    let Some(seconds) = event.data.get("offset").and_then(Value::as_i64) else { return };
    let before = guest.stored(|status| status.definition.clock.clone());
    let mut clock = before.clone();
    let set = clock.as_mut().map_or(seconds, |clock| clock.set(seconds));
    if clock != before
        && let Err(error) = guest.store(core, |status| status.definition.clock = clock).await
    {
        tracing::warn!(%error, uuid = %guest.uuid, "store what a guest set its clock to");
    }
    core.tell(guest.uuid, DomainEvent::ClockSet(set));
}

/// What was said before the process's end was noticed: only what tells why it ended still counts.
pub(super) fn handle_late(guest: &Guest, event: &QmpEvent) {
    if event.name == "SHUTDOWN" && event.is("guest") {
        guest.known().end.get_or_insert(ShutoffReason::Shutdown);
    }
}

async fn resumed(core: &Arc<Core>, guest: &Arc<Guest>) {
    {
        let mut known = guest.known();
        known.restarts = false;
        // What was said before we stopped it, and is only heard now: the stop is still to be heard of.
        if known.next_pause.is_some() {
            return;
        }
    }
    // One that has just been started was told already.
    if guest.state() != DomainState::Running(RunningReason::Booted) {
        guest.take_on(core, DomainState::Running(RunningReason::Unpaused)).await;
    }
}

async fn stopped(core: &Arc<Core>, guest: &Arc<Guest>) {
    let reason = {
        let mut known = guest.known();
        if known.restarts {
            return;
        }
        known.next_pause.take()
    };
    match guest.state() {
        // The stop that comes with an end.
        DomainState::Shutdown | DomainState::Shutoff(_) | DomainState::Crashed => {}
        DomainState::Running(_) | DomainState::Paused(_) => {
            guest.take_on(core, DomainState::Paused(reason.unwrap_or(PausedReason::Unknown))).await;
        }
    }
}

/// Carries out what the definition says of this end.
pub(crate) async fn ended(core: &Arc<Core>, guest: &Arc<Guest>, cause: Cause) {
    let status = guest.status();
    let (action, reason) = match cause {
        Cause::Poweroff if status.reboots => (Action::Restart, ShutoffReason::Shutdown),
        Cause::Poweroff => (status.definition.on_poweroff.unwrap_or(Action::Destroy), ShutoffReason::Shutdown),
        Cause::Reboot => (status.definition.on_reboot.unwrap_or(Action::Restart), ShutoffReason::GuestReboot),
        Cause::Crash => (status.definition.on_crash.unwrap_or(Action::Destroy), ShutoffReason::Crashed),
    };
    match action {
        Action::Destroy | Action::CoredumpDestroy => {
            guest.set_state(core, DomainState::Shutdown);
            guest.end(reason);
        }
        Action::Preserve => {
            let kept = if cause == Cause::Crash { DomainState::Crashed } else { DomainState::Shutdown };
            guest.set_state(core, kept);
        }
        Action::Restart | Action::RenameRestart | Action::CoredumpRestart => {
            if let Err(error) = restart(core, guest, status.reboots).await {
                tracing::warn!(%error, uuid = %guest.uuid, "let the guest start again: it is ended");
                guest.end(reason);
            }
        }
    }
}

/// A reset from the end of a run: the guest starts again in the same QEMU.
async fn restart(core: &Arc<Core>, guest: &Arc<Guest>, was_asked_for: bool) -> Result<()> {
    guest.known().restarts = true;
    guest.execute::<Value>("system_reset", Value::Null).await?;
    guest.execute::<Value>("cont", Value::Null).await?;
    if was_asked_for {
        guest.store(core, |status| status.reboots = false).await?;
    }
    core.tell(guest.uuid, DomainEvent::Rebooted);
    guest.take_on(core, DomainState::Running(RunningReason::Booted)).await;
    Ok(())
}
