//! A running guest: its process, its monitor, and what is known of its state.

pub(crate) mod events;
mod task;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ostler_driver::{DomainEvent, DomainState, Error, PausedReason, Result, ShutoffReason};
use ostler_util::ErrorCode;
use ostler_util::pidfd::{PidFd, Process};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub(crate) use task::run;

use crate::driver::{Core, blocking};
use crate::monitor::Monitor;
use crate::store::Status;

/// How long a killed process may take to go: one that waits for a disk that does not answer can't be killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// A guest, from its process's first moment to the release of the last thing it held.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) uuid: Uuid,
    process: PidFd,
    /// None if QEMU's socket could not be reached when the guest was taken back.
    monitor: Option<Monitor>,
    known: Mutex<Known>,
    /// Changes to `true` when all that the guest held is released.
    released: watch::Sender<bool>,
    /// Told when a device was unplugged, and of every other event.
    pub(crate) unplugged: watch::Sender<Option<String>>,
    /// Held while what is stored is changed: one change after the other.
    storing: tokio::sync::Mutex<()>,
    /// Rung to have the process ended in time.
    ending: Notify,
}

/// What is known of a guest now.
#[derive(Debug)]
struct Known {
    status: Status,
    state: DomainState,
    /// Why it ends, once that is decided.
    end: Option<ShutoffReason>,
    /// Why its CPUs will stop, where something tells before they do.
    next_pause: Option<PausedReason>,
    /// Whether it is being started again: the stop that came with its end is still to be told.
    restarts: bool,
}

impl Guest {
    pub(crate) fn new(
        uuid: Uuid,
        process: PidFd,
        monitor: Option<Monitor>,
        status: Status,
        state: DomainState,
    ) -> Self {
        Guest {
            uuid,
            process,
            monitor,
            known: Mutex::new(Known { status, state, end: None, next_pause: None, restarts: false }),
            released: watch::channel(false).0,
            unplugged: watch::channel(None).0,
            storing: tokio::sync::Mutex::default(),
            ending: Notify::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Its parts are replaced whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> DomainState {
        self.known().state
    }

    /// Whether its process has begun to end.
    pub(crate) fn is_ending(&self) -> bool {
        let process = self.known().status.process.clone();
        // What can't be told now is told by the process's handle.
        process.is_some_and(|process| process.is_ending().unwrap_or(false))
    }

    /// A copy of what is stored of it.
    pub(crate) fn status(&self) -> Status {
        self.known().status.clone()
    }

    /// A part of what is stored of it.
    pub(crate) fn stored<T>(&self, part: impl FnOnce(&Status) -> T) -> T {
        part(&self.known().status)
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.monitor.as_ref().is_none_or(Monitor::is_silent)
    }

    /// Takes on a state and tells it; the same again is not told.
    pub(crate) fn set_state(&self, core: &Core, state: DomainState) {
        let changed = {
            let mut known = self.known();
            std::mem::replace(&mut known.state, state) != state
        };
        if changed {
            core.tell(self.uuid, DomainEvent::State(state));
        }
    }

    /// Takes on a state, tells it, and leaves it to the next agent: QEMU tells that CPUs are stopped, not why.
    pub(crate) async fn take_on(self: &Arc<Self>, core: &Arc<Core>, state: DomainState) {
        self.set_state(core, state);
        if self.known().status.state == state {
            return;
        }
        // The last to write writes the last state.
        if let Err(error) = self.store(core, |status| status.state = self.state()).await {
            tracing::warn!(%error, uuid = %self.uuid, "store what a guest does");
        }
    }

    /// Why the CPUs that stop next do.
    pub(crate) fn expect_pause(&self, reason: PausedReason) {
        self.known().next_pause = Some(reason);
    }

    /// No CPUs are about to stop.
    pub(crate) fn expect_no_pause(&self) {
        self.known().next_pause = None;
    }

    /// Sends a command to QEMU.
    ///
    /// # Errors
    /// The monitor's.
    pub(crate) async fn execute<T: DeserializeOwned>(&self, command: &str, arguments: Value) -> Result<T> {
        Ok(self.monitor()?.execute(command, arguments).await?)
    }

    pub(crate) fn monitor(&self) -> Result<&Monitor> {
        let lost = || Error::new(ErrorCode::AgentUnresponsive, "QEMU's monitor could not be reached");
        self.monitor.as_ref().ok_or_else(lost)
    }

    /// Changes what is stored of the guest, durably.
    ///
    /// # Errors
    /// `SystemError`, with nothing changed.
    pub(crate) async fn store(self: &Arc<Self>, core: &Arc<Core>, change: impl FnOnce(&mut Status)) -> Result<()> {
        let _storing = self.storing.lock().await;
        let mut status = self.status();
        change(&mut status);
        let (running, uuid, written) = (core.running.clone(), self.uuid, status.clone());
        blocking(move || running.save(uuid, &written)).await?;
        self.known().status = status;
        Ok(())
    }

    /// Has the process ended: by itself if it can in time, else killed. The first reason counts.
    pub(crate) fn end(&self, reason: ShutoffReason) {
        self.known().end.get_or_insert(reason);
        self.ending.notify_one();
    }

    /// Asks QEMU to end: by its monitor, which lets it finish what it is at, else by a signal. (A signal that comes between
    /// a command and its answer can leave QEMU 10.0 waiting for ever.)
    async fn quit(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        if !self.is_silent() {
            // Its answer does not count: its end does, and that ends this wait.
            let asked = self.execute::<Value>("quit", Value::Null);
            if tokio::time::timeout(PATIENCE, asked).await.is_ok_and(|asked| asked.is_ok()) {
                tokio::time::sleep(PATIENCE).await;
            }
        }
        if let Err(error) = self.process.terminate() {
            tracing::warn!(%error, uuid = %self.uuid, "end QEMU");
        }
    }

    /// Waits until the guest has ended and all that it held is released.
    ///
    /// # Errors
    /// `OperationTimeout` if its process does not go.
    pub(crate) async fn wait(&self, quit_timeout: Duration) -> Result<()> {
        let mut released = self.released.subscribe();
        let released = released.wait_for(|released| *released);
        match tokio::time::timeout(quit_timeout + KILL_TIMEOUT, released).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(ErrorCode::OperationTimeout, "QEMU was killed but has not ended")),
        }
    }
}

/// The process of `status`, if it is still there.
pub(crate) fn find_process(process: Option<&Process>) -> Result<Option<PidFd>> {
    let Some(process) = process else { return Ok(None) };
    process.open().map_err(|error| Error::system(format!("look for the process {}", process.pid), error))
}
