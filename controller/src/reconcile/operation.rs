//! Operations: verbs that are carried out once.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use ostler_crds::{
    Domain, DomainOperation, DomainOperationStatus, DomainStatus, Kind, Object, ObjectRef, OperationState, Verb, types,
};

use super::{Again, Error, domain};
use crate::context::Context;
use crate::source::EventKind;

pub(super) async fn reconcile(context: &Context, key: &ObjectRef, operation: &DomainOperation) -> Result<Again, Error> {
    let object = Object::from(operation.clone());
    if object.is_deleted() {
        context.sink.finalize(key).await?;
        return Ok(Again::No);
    }
    let status: DomainOperationStatus = context.status(key);
    let target = ObjectRef::new(Kind::Domain, &key.namespace, &operation.spec.domain);
    match status.state {
        Some(
            OperationState::Succeeded | OperationState::AlreadyDone | OperationState::Failed | OperationState::Expired,
        ) => clean_up(context, key, operation, &status).await,
        Some(OperationState::Running) => watch(context, key, &target, operation, status).await,
        Some(OperationState::Pending) | None => begin(context, key, &target, operation, status).await,
    }
}

/// Begins, once: the journal is written before the act.
async fn begin(
    context: &Context,
    key: &ObjectRef,
    target: &ObjectRef,
    operation: &DomainOperation,
    mut status: DomainOperationStatus,
) -> Result<Again, Error> {
    let uid = operation.metadata.uid.as_deref().unwrap_or_default();
    match context.journal.begun(key).map_err(Error::Journal)? {
        Some(begun) if begun != uid || status.start_time.is_none() => {
            return finish(
                context,
                key,
                status,
                OperationState::AlreadyDone,
                "an operation of this name was carried out here before",
                operation,
            )
            .await;
        }
        Some(_) | None => {}
    }
    let deadline = Duration::from_secs(u64::try_from(operation.spec.start_deadline_seconds).unwrap_or(0));
    let waited = age(operation.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let found = context.get(target).filter(|target| !target.is_deleted());
    let Some(found) = found else {
        if waited >= deadline {
            let message = format!("{target} did not exist for {}", ostler_crds::Duration(deadline));
            return finish(context, key, status, OperationState::Expired, &message, operation).await;
        }
        status.state = Some(OperationState::Pending);
        status.conditions.set(
            types::COMPLETE,
            false,
            "Waiting",
            format!("{target} does not exist"),
            generation(operation),
        );
        context.report(key, &status).await?;
        return Ok(Again::After(deadline - waited));
    };
    if waited >= deadline {
        return finish(context, key, status, OperationState::Expired, "it did not begin in time", operation).await;
    }
    let Object::Domain(found) = &*found else { return Ok(Again::No) };
    status.state = Some(OperationState::Running);
    status.start_time = Some(Timestamp::now().to_string());
    status.conditions.set(types::COMPLETE, false, "Running", "it has begun", generation(operation));
    context.report(key, &status).await?;
    context.journal.begin(key, uid).map_err(Error::Journal)?;
    act(context, key, target, found, operation.spec.verb, operation, status).await
}

async fn act(
    context: &Context,
    key: &ObjectRef,
    target: &ObjectRef,
    found: &Domain,
    verb: Verb,
    operation: &DomainOperation,
    status: DomainOperationStatus,
) -> Result<Again, Error> {
    let outcome = {
        let _lock = context.lock(target).await;
        domain::reconcile(context, target, found, Some(verb)).await
    };
    // The domain's own look follows, for whatever the verb set going.
    context.wake(target.clone());
    let refused = match outcome {
        Ok(outcome) => outcome.refused,
        Err(Error::Driver(error)) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    match refused {
        Some(why) => finish(context, key, status, OperationState::Failed, &why, operation).await,
        None => watch(context, key, target, operation, status).await,
    }
}

/// A verb that takes the guest's time is done when the guest has done it.
async fn watch(
    context: &Context,
    key: &ObjectRef,
    target: &ObjectRef,
    operation: &DomainOperation,
    status: DomainOperationStatus,
) -> Result<Again, Error> {
    let began: Timestamp = status.start_time.as_ref().and_then(|time| time.parse().ok()).unwrap_or_else(Timestamp::now);
    let domain: DomainStatus = context.status(target);
    let started: Option<Timestamp> = domain.run.start_time.as_ref().and_then(|time| time.parse().ok());
    let started_since = started.is_some_and(|started| started >= began);
    let has_ended = domain.run.last_end.is_some() || !domain.run.started;
    let done = match operation.spec.verb {
        Verb::Shutdown => has_ended || started_since,
        Verb::Restart => started_since,
        Verb::Start | Verb::PowerOff | Verb::Reboot | Verb::Reset | Verb::Suspend | Verb::Resume => true,
    };
    if done {
        return finish(context, key, status, OperationState::Succeeded, "done", operation).await;
    }
    let Some(object) = context.get(target) else {
        return finish(context, key, status, OperationState::Failed, "the domain is gone", operation).await;
    };
    let Object::Domain(found) = &*object else { return Ok(Again::No) };
    // The domain's own look may end a guest by force just at the timeout: wait a moment longer than that.
    let timeout = found.spec.shutdown.timeout.0 + Duration::from_secs(if found.spec.shutdown.force { 30 } else { 1 });
    let waited = age(Some(began));
    if waited < timeout {
        return Ok(Again::After(timeout - waited));
    }
    if found.spec.shutdown.force && operation.spec.verb == Verb::Shutdown {
        let _lock = context.lock(target).await;
        domain::reconcile(context, target, found, Some(Verb::PowerOff)).await?;
        // The domain's status tells that it ended, and its change brings us back.
        return Ok(Again::After(Duration::from_secs(1)));
    }
    {
        let _lock = context.lock(target).await;
        let mut domain: DomainStatus = context.status(target);
        domain.run.restarting = false;
        context.report(target, &domain).await?;
        context.set_shutdown_asked(target, false);
    }
    let message = format!("the guest did not shut down within {}", found.spec.shutdown.timeout);
    finish(context, key, status, OperationState::Failed, &message, operation).await
}

async fn finish(
    context: &Context,
    key: &ObjectRef,
    mut status: DomainOperationStatus,
    state: OperationState,
    message: &str,
    operation: &DomainOperation,
) -> Result<Again, Error> {
    let generation = generation(operation);
    let well = matches!(state, OperationState::Succeeded | OperationState::AlreadyDone);
    let reason = format!("{state:?}");
    status.observed_generation = Some(generation);
    status.state = Some(state);
    status.completion_time = Some(Timestamp::now().to_string());
    status.conditions.set(types::COMPLETE, well, &reason, message, generation);
    status.conditions.set(types::FAILED, !well, &reason, message, generation);
    // An operation that is over is as it should be: nothing is left to do.
    if well {
        status.conditions.ready(&reason, message, generation)
    } else {
        status.conditions.stalled(&reason, message, generation)
    }
    context.report(key, &status).await?;
    let kind = if well { EventKind::Normal } else { EventKind::Warning };
    context.event(key, kind, &reason, message).await;
    clean_up(context, key, operation, &status).await
}

/// Removes an operation some time after its end.
async fn clean_up(
    context: &Context,
    key: &ObjectRef,
    operation: &DomainOperation,
    status: &DomainOperationStatus,
) -> Result<Again, Error> {
    let ttl = Duration::from_secs(u64::try_from(operation.spec.ttl_seconds_after_finished).unwrap_or(0));
    let ended = age(status.completion_time.as_ref().and_then(|time| time.parse().ok()));
    if ended < ttl {
        return Ok(Again::After(ttl - ended));
    }
    context.sink.remove(key).await?;
    Ok(Again::No)
}

fn generation(operation: &DomainOperation) -> i64 {
    operation.metadata.generation.unwrap_or(0)
}

fn age(since: Option<Timestamp>) -> Duration {
    let passed = since.map_or(SignedDuration::ZERO, |since| Timestamp::now().duration_since(since));
    Duration::try_from(passed).unwrap_or(Duration::ZERO)
}
