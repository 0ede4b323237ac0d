//! What a guest does, and why.

use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::words;
use crate::xml::{Element, Reader, Value, Writer, one_of};

/// `state='running' reason='booted'`: what a guest does, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nobody knows.
    NoState,
    /// It runs.
    Running(RunningReason),
    /// It waits for something.
    Blocked,
    /// Its CPUs are stopped.
    Paused(PausedReason),
    /// It is going down.
    Shutdown(ShutdownReason),
    /// There is no guest.
    Shutoff(ShutoffReason),
    /// It crashed and is kept.
    Crashed(CrashedReason),
    /// It sleeps.
    PmSuspended,
}

words! {
    /// Why a guest runs.
    pub enum RunningReason {
        Unknown = "unknown", Booted = "booted", Migrated = "migrated", Restored = "restored", FromSnapshot = "from snapshot",
        Unpaused = "unpaused", MigrationCanceled = "migration canceled", SaveCanceled = "save canceled", Wakeup = "wakeup",
        Crashed = "crashed", PostCopy = "post-copy", PostCopyFailed = "post-copy failed",
    }

    /// Why a guest's CPUs are stopped.
    pub enum PausedReason {
        Unknown = "unknown", User = "user", Migration = "migration", Save = "save", Dump = "dump", IoError = "ioerror",
        Watchdog = "watchdog", FromSnapshot = "from snapshot", ShuttingDown = "shutdown", Snapshot = "snapshot",
        Panicked = "panicked", StartingUp = "starting up", PostCopy = "post-copy", PostCopyFailed = "post-copy failed",
        ApiError = "api error",
    }

    /// Why a guest is going down.
    pub enum ShutdownReason { Unknown = "unknown", User = "user", }

    /// Why there is no guest.
    pub enum ShutoffReason {
        Unknown = "unknown", Shutdown = "shutdown", Destroyed = "destroyed", Crashed = "crashed", Migrated = "migrated",
        Saved = "saved", Failed = "failed", FromSnapshot = "from snapshot", Daemon = "daemon",
    }

    /// Why a guest is kept after its crash.
    pub enum CrashedReason { Unknown = "unknown", Panicked = "panicked", }
}

/// What nobody says more of has one reason.
const UNKNOWN: &str = "unknown";

const STATES: &[&str] = &["nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended"];

impl State {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            State::NoState => ("nostate", UNKNOWN),
            State::Running(reason) => ("running", reason.word()),
            State::Blocked => ("blocked", UNKNOWN),
            State::Paused(reason) => ("paused", reason.word()),
            State::Shutdown(reason) => ("shutdown", reason.word()),
            State::Shutoff(reason) => ("shutoff", reason.word()),
            State::Crashed(reason) => ("crashed", reason.word()),
            State::PmSuspended => ("pmsuspended", UNKNOWN),
        }
    }
}

impl Element for State {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        fn why<T: Value>(reader: &Reader<'_>) -> Result<T, Problem> {
            match reader.attr("reason")? {
                Some(reason) => Ok(reason),
                None => T::parse(UNKNOWN).map_err(|_| reader.problem("the attribute 'reason' is missing")),
            }
        }
        let state: String = reader.required_attr("state")?;
        Ok(match state.as_str() {
            "running" => State::Running(why(reader)?),
            "paused" => State::Paused(why(reader)?),
            "shutdown" => State::Shutdown(why(reader)?),
            "shutoff" => State::Shutoff(why(reader)?),
            "crashed" => State::Crashed(why(reader)?),
            plain => {
                // There is no other reason.
                let _ = reader.attr_text("reason");
                match plain {
                    "nostate" => State::NoState,
                    "blocked" => State::Blocked,
                    "pmsuspended" => State::PmSuspended,
                    _ => return Err(reader.invalid_attr("state", plain, &one_of(STATES))),
                }
            }
        })
    }

    fn attrs(&self, writer: &mut Writer) {
        let (state, reason) = self.words();
        writer.attr_text("state", state);
        writer.attr_text("reason", reason);
    }

    fn body(&self, _: &mut Writer) {}
}
