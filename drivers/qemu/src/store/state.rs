//! What a guest does, in the words of its status document.

use ostler_conf::status::{CrashedReason, PausedReason, RunningReason, ShutdownReason, ShutoffReason, State};
use ostler_driver::DomainState;
use ostler_driver::{PausedReason as Paused, RunningReason as Running, ShutoffReason as Shutoff};

/// In the document's words. It has none for some of ours, which are the next best then.
pub(super) fn written(state: DomainState) -> State {
    match state {
        DomainState::Running(reason) => State::Running(match reason {
            Running::Booted => RunningReason::Booted,
            Running::Unpaused => RunningReason::Unpaused,
            Running::Wakeup => RunningReason::Wakeup,
            Running::Unknown => RunningReason::Unknown,
        }),
        DomainState::Paused(reason) => State::Paused(match reason {
            Paused::User => PausedReason::User,
            Paused::StartingUp => PausedReason::StartingUp,
            Paused::IoError => PausedReason::IoError,
            Paused::Watchdog => PausedReason::Watchdog,
            Paused::Crashed => PausedReason::Panicked,
            Paused::ShuttingDown => PausedReason::ShuttingDown,
            Paused::Unknown => PausedReason::Unknown,
        }),
        DomainState::Shutdown => State::Shutdown(ShutdownReason::Unknown),
        DomainState::Shutoff(reason) => State::Shutoff(match reason {
            Shutoff::Unknown => ShutoffReason::Unknown,
            Shutoff::Shutdown | Shutoff::GuestReboot => ShutoffReason::Shutdown,
            Shutoff::Destroyed => ShutoffReason::Destroyed,
            Shutoff::Crashed => ShutoffReason::Crashed,
            Shutoff::Failed | Shutoff::HostReboot => ShutoffReason::Failed,
        }),
        DomainState::Crashed => State::Crashed(CrashedReason::Panicked),
    }
}

/// What the document's words mean. Reasons that we never have are not known.
pub(super) fn read(state: State) -> DomainState {
    match state {
        State::Running(reason) => DomainState::Running(match reason {
            RunningReason::Booted => Running::Booted,
            RunningReason::Unpaused => Running::Unpaused,
            RunningReason::Wakeup => Running::Wakeup,
            RunningReason::Unknown
            | RunningReason::Migrated
            | RunningReason::Restored
            | RunningReason::FromSnapshot
            | RunningReason::MigrationCanceled
            | RunningReason::SaveCanceled
            | RunningReason::Crashed
            | RunningReason::PostCopy
            | RunningReason::PostCopyFailed => Running::Unknown,
        }),
        State::Paused(reason) => DomainState::Paused(match reason {
            PausedReason::User => Paused::User,
            PausedReason::StartingUp => Paused::StartingUp,
            PausedReason::IoError => Paused::IoError,
            PausedReason::Watchdog => Paused::Watchdog,
            PausedReason::Panicked => Paused::Crashed,
            PausedReason::ShuttingDown => Paused::ShuttingDown,
            PausedReason::Unknown
            | PausedReason::Migration
            | PausedReason::Save
            | PausedReason::Dump
            | PausedReason::FromSnapshot
            | PausedReason::Snapshot
            | PausedReason::PostCopy
            | PausedReason::PostCopyFailed
            | PausedReason::ApiError => Paused::Unknown,
        }),
        State::Shutdown(_) => DomainState::Shutdown,
        State::Shutoff(reason) => DomainState::Shutoff(match reason {
            ShutoffReason::Shutdown => Shutoff::Shutdown,
            ShutoffReason::Destroyed => Shutoff::Destroyed,
            ShutoffReason::Crashed => Shutoff::Crashed,
            ShutoffReason::Failed => Shutoff::Failed,
            ShutoffReason::Unknown
            | ShutoffReason::Migrated
            | ShutoffReason::Saved
            | ShutoffReason::FromSnapshot
            | ShutoffReason::Daemon => Shutoff::Unknown,
        }),
        State::Crashed(_) => DomainState::Crashed,
        State::NoState | State::Blocked | State::PmSuspended => DomainState::Running(Running::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_does_outlives_its_writing() {
        let states = [
            DomainState::Running(Running::Booted),
            DomainState::Running(Running::Unpaused),
            DomainState::Running(Running::Wakeup),
            DomainState::Running(Running::Unknown),
            DomainState::Paused(Paused::User),
            DomainState::Paused(Paused::StartingUp),
            DomainState::Paused(Paused::IoError),
            DomainState::Paused(Paused::Watchdog),
            DomainState::Paused(Paused::Crashed),
            DomainState::Paused(Paused::ShuttingDown),
            DomainState::Paused(Paused::Unknown),
            DomainState::Shutdown,
            DomainState::Shutoff(Shutoff::Failed),
            DomainState::Crashed,
        ];
        for state in states {
            assert_eq!(read(written(state)), state);
        }
    }
}
