//! The reconcilers: one for each kind. Each brings what it finds nearer to what its object says, and reports.

mod domain;
mod host;
mod network;
mod operation;
mod orphan;
mod pool;
mod volume;

use std::time::{Duration, Instant};

use ostler_conf::ErrorCode;
use ostler_crds::{Conditions, Object, ObjectRef, reasons};
use ostler_driver::ErrorKind;
use tracing::{debug, warn};

use crate::context::Context;
use crate::source::{EventKind, SinkError};

pub(crate) use domain::not_for;
pub use domain::preview;

/// At the agent's start what an object refers to may not have been told yet: then it is looked at again after this time.
const UNTOLD: Duration = Duration::from_secs(1);

/// When an object is looked at again though nothing happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Not at all.
    No,
    /// After this time.
    After(Duration),
    /// It failed, by this reason: after a wait that grows.
    Failed(&'static str),
}

/// Why a reconciliation could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver refused or failed.
    #[error(transparent)]
    Driver(#[from] ostler_driver::Error),
    /// The status could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The journal of operations could not be read or written.
    #[error("use the journal of operations")]
    Journal(#[source] std::io::Error),
}

/// Looks at one object.
pub async fn reconcile(context: &Context, key: &ObjectRef) -> Again {
    let Some(object) = context.get(key) else { return Again::No };
    let start = Instant::now();
    let result = match &*object {
        Object::Host(host) => host::reconcile(context, key, host).await,
        Object::Network(network) => {
            let _lock = context.lock(key).await;
            network::reconcile(context, key, network).await
        }
        Object::StoragePool(pool) => {
            let _lock = context.lock(key).await;
            pool::reconcile(context, key, pool).await
        }
        Object::StorageVolume(volume) => {
            let _lock = context.lock(key).await;
            volume::reconcile(context, key, volume).await
        }
        Object::Domain(domain) => {
            let _lock = context.lock(key).await;
            domain::reconcile(context, key, domain, None).await.map(|outcome| outcome.again)
        }
        Object::DomainOperation(operation) => operation::reconcile(context, key, operation).await,
    };
    context.metrics.ran(key.kind, start.elapsed());
    result.unwrap_or_else(|error| {
        warn!(object = %key, error = %chain(&error), "reconciliation failed");
        Again::Failed(reason_of(&error))
    })
}

fn reason_of(error: &Error) -> &'static str {
    match error {
        Error::Driver(error) => error.code.name(),
        Error::Sink(_) => "StatusNotWritten",
        Error::Journal(_) => "JournalNotUsable",
    }
}

/// An error with all its causes, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Sets the conditions for a driver's error; gives when to try again.
async fn report_failure(
    context: &Context,
    key: &ObjectRef,
    conditions: &mut Conditions,
    error: &ostler_driver::Error,
    prefix: &str,
    generation: i64,
) -> Again {
    let message = match &error.field {
        Some(field) if !error.to_string().contains(field.as_str()) => format!("{prefix}{field}: {error}"),
        Some(_) | None => error.to_string(),
    };
    let was = conditions.clone();
    let again = match error.kind() {
        // What the Host allows brings us back when it changes.
        _ if error.code == ErrorCode::AccessDenied => {
            conditions.stalled(reasons::NOT_ALLOWED, message.clone(), generation);
            Again::No
        }
        ErrorKind::Invalid => {
            conditions.stalled(reasons::INVALID, message.clone(), generation);
            Again::No
        }
        ErrorKind::Unsupported => {
            conditions.stalled(reasons::UNSUPPORTED, message.clone(), generation);
            Again::No
        }
        ErrorKind::Conflict => {
            conditions.stalled(reasons::CONFLICT, message.clone(), generation);
            // Whoever holds the name tells nobody when it lets go.
            Again::After(Duration::from_secs(60))
        }
        ErrorKind::NotFound => {
            conditions.reconciling(reasons::MISSING, message.clone(), generation);
            Again::Failed(reasons::MISSING)
        }
        ErrorKind::Transient | ErrorKind::Internal => {
            conditions.reconciling(error.code.name(), message.clone(), generation);
            Again::Failed(error.code.name())
        }
    };
    debug!(object = %key, %message, code = error.code.number(), "driver error");
    if was != *conditions {
        context.event(key, EventKind::Warning, error.code.name(), &message).await;
    }
    again
}
