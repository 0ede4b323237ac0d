//! What the driver knows of a guest.

use ostler_conf::Domain;
use ostler_driver::{Definition, DomainState, DomainSummary, Domains, ErrorKind, Result, ShutoffReason};
use uuid::Uuid;

/// A guest as it is.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) summary: Option<DomainSummary>,
    pub(super) persistent: Option<Domain>,
    pub(super) live: Option<Domain>,
}

impl Observation {
    pub(super) fn state(&self) -> DomainState {
        self.summary.as_ref().map_or(DomainState::Shutoff(ShutoffReason::Unknown), |summary| summary.state)
    }

    pub(super) fn damaged(&self) -> Option<&str> {
        self.summary.as_ref().and_then(|summary| summary.damaged.as_deref())
    }

    /// The number of the claim under which the guest was defined last; 0: none.
    pub(super) fn claim(&self) -> i64 {
        let definition = self.persistent.as_ref().or(self.live.as_ref());
        let owner = definition.and_then(|definition| definition.mark()).and_then(|mark| mark.owner.as_ref());
        owner.and_then(|owner| owner.claim).and_then(|claim| i64::try_from(claim).ok()).unwrap_or(0)
    }

    pub(super) fn monitor_silent(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.monitor_silent)
    }
}

pub(super) async fn observe(domains: &dyn Domains, uuid: Uuid) -> Result<Observation> {
    let summary = match domains.get(uuid).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Observation { summary: None, persistent: None, live: None });
        }
        found => found?,
    };
    if summary.damaged.is_some() {
        return Ok(Observation { summary: Some(summary), persistent: None, live: None });
    }
    let persistent =
        if summary.persistent { Some(domains.definition(uuid, Definition::Persistent).await?) } else { None };
    let live = match summary.state.is_active() {
        // It may end between two calls: then it is off, and its event brings us back.
        true => domains.definition(uuid, Definition::Live).await.ok(),
        false => None,
    };
    Ok(Observation { summary: Some(summary), persistent, live })
}
