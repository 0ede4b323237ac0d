//! What is known of one domain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ostler_driver::{DomainState, DomainSummary, Error, Result, RunningReason, ShutoffReason};
use ostler_util::ErrorCode;
use uuid::Uuid;

use crate::guest::Guest;
use crate::store::{Kept, Record};

/// One domain.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) uuid: Uuid,
    /// Held by whoever changes the domain: one after the other.
    pub(crate) operation: tokio::sync::Mutex<()>,
    state: Mutex<EntryState>,
}

/// What is known of it now.
#[derive(Debug, Default)]
pub(crate) struct EntryState {
    /// The stored definition; none for a transient guest.
    pub(crate) definition: Option<Kept>,
    /// What is remembered with it.
    pub(crate) record: Record,
    /// Its guest, until all that it held is released.
    pub(crate) guest: Option<Arc<Guest>>,
    /// Why what is stored of it can't be used; then it is left alone.
    pub(crate) damaged: Option<String>,
    /// Whether it has processes though its state can't be read.
    pub(crate) has_processes: bool,
}

impl Entry {
    pub(crate) fn new(uuid: Uuid) -> Self {
        Entry { uuid, operation: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, EntryState> {
        // Its parts are replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn summary(&self) -> DomainSummary {
        let state = self.state();
        DomainSummary {
            uuid: self.uuid,
            name: state.name().unwrap_or_else(|| self.uuid.to_string()),
            state: state.domain_state(),
            persistent: state.definition.is_some(),
            autostart: state.record.autostart,
            monitor_silent: state.guest.as_ref().is_some_and(|guest| guest.is_silent()),
            damaged: state.damaged.clone(),
        }
    }

    /// The running guest.
    ///
    /// # Errors
    /// `OperationInvalid` if there is none; `InternalError` for a domain whose state can't be read.
    pub(crate) fn guest(&self) -> Result<Arc<Guest>> {
        let state = self.state();
        state.usable()?;
        let guest = state.guest.clone().filter(|guest| guest.state().is_active());
        guest.ok_or_else(|| {
            let name = state.name().unwrap_or_else(|| self.uuid.to_string());
            Error::new(ErrorCode::OperationInvalid, format!("the domain {name} is not running"))
        })
    }
}

impl EntryState {
    pub(crate) fn name(&self) -> Option<String> {
        let live = || self.guest.as_ref().map(|guest| guest.stored(|status| status.definition.name.clone()));
        self.definition.as_ref().map(|kept| kept.name().to_owned()).or_else(live)
    }

    pub(crate) fn domain_state(&self) -> DomainState {
        match &self.guest {
            Some(guest) => guest.state(),
            None if self.has_processes => DomainState::Running(RunningReason::Unknown),
            None => DomainState::Shutoff(self.record.last_end.unwrap_or(ShutoffReason::Unknown)),
        }
    }

    /// # Errors
    /// `InternalError` for a domain whose state can't be read.
    pub(crate) fn usable(&self) -> Result<()> {
        match &self.damaged {
            None => Ok(()),
            Some(reason) => Err(Error::new(ErrorCode::InternalError, format!("the domain is left alone: {reason}"))),
        }
    }
}
