//! The end of a domain whose object is deleted.

use ostler_conf::domain::InterfaceSource;
use ostler_crds::{DeletionPolicy, DeletionState, Domain, DomainStatus, Object, ObjectRef, reasons};
use ostler_driver::{Definition, Domains, ErrorKind, Secrets, StateOnUndefine};
use tracing::warn;
use uuid::Uuid;

use super::{Again, Error, Outcome, drive, observe, plan_for, report};
use crate::context::Context;
use crate::plan::Verdict;
use crate::source::EventKind;

/// Ends, forgets, finalizes. `None`: nothing is left.
pub(super) async fn delete(
    context: &Context,
    key: &ObjectRef,
    object: &Object,
    domain: &Domain,
    status: &mut DomainStatus,
    domains: &dyn Domains,
    uuid: Uuid,
) -> Result<Option<Outcome>, Error> {
    let generation = object.generation();
    if domain.spec.deletion.protect {
        status.conditions.reconciling(reasons::PROTECTED, "spec.deletion.protect forbids it", generation);
        return Ok(Some(Again::No.into()));
    }
    let observation = observe::observe(domains, uuid).await?;
    if observation.summary.is_none() {
        return finalize(context, key, uuid).await;
    }
    if let Some(why) = observation.damaged() {
        status.conditions.stalled(reasons::DAMAGED, format!("the guest is left alone: {why}"), generation);
        return Ok(Some(Again::No.into()));
    }
    if domain.spec.deletion.policy == DeletionPolicy::Orphan {
        orphan(domains, uuid).await?;
        context.event(key, EventKind::Normal, "Orphaned", "the guest stays and belongs to nobody").await;
        return finalize(context, key, uuid).await;
    }
    let Some(definition) = observation.persistent.as_ref().or(observation.live.as_ref()) else {
        return Ok(Some(Again::Failed("NoDefinition").into()));
    };
    let plan = plan_for(context, key, domain, domains, definition, &observation, status, false, None, true, &[]);
    drive::drive(context, key, domains, uuid, definition, &Secrets::NONE, &plan).await?;
    let observation = observe::observe(domains, uuid).await?;
    if observation.state().is_active() {
        let (reason, message) = match plan.verdict {
            Verdict::ShutdownIgnored => (
                reasons::SHUTDOWN_TIMEOUT,
                format!(
                    "the guest did not shut down within {} and spec.shutdown.force is not set",
                    domain.spec.shutdown.timeout
                ),
            ),
            _ => (reasons::DELETING, "waiting for the guest to shut down".to_owned()),
        };
        report::deleting(status, &observation);
        status.conditions.reconciling(reason, message, generation);
        return Ok(Some(plan.wake.map_or(Again::No, Again::After).into()));
    }
    let state = match domain.spec.deletion.state {
        DeletionState::Delete => StateOnUndefine::Delete,
        DeletionState::Keep => StateOnUndefine::Keep,
    };
    match domains.undefine(uuid, state).await {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    release_leases(context, definition).await;
    finalize(context, key, uuid).await
}

/// The guest's addresses are free again. What can't be given back now ends by itself.
pub(super) async fn release_leases(context: &Context, definition: &ostler_conf::Domain) {
    let Ok(networks) = context.networks() else { return };
    for interface in &definition.devices.interfaces {
        let (InterfaceSource::Network(source), Some(mac)) = (&interface.source, &interface.mac) else { continue };
        match networks.release_leases(&source.network, mac.address).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                warn!(network = source.network, mac = %mac.address, %error, "a lease is not given back");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Takes our mark away; the guest goes on as nobody's.
async fn orphan(domains: &dyn Domains, uuid: Uuid) -> ostler_driver::Result<()> {
    let mut definition = domains.definition(uuid, Definition::Persistent).await?;
    if let Some(mark) = definition.metadata.as_mut().and_then(|metadata| metadata.ostler.as_mut()) {
        mark.owner = None;
    }
    domains.define(&definition).await?;
    Ok(())
}

/// What the guest was started with goes with it.
pub(super) fn forget_secrets(context: &Context, uuid: Uuid) -> ostler_driver::Result<()> {
    let removed = context.noted.remove(uuid);
    removed.map_err(|error| ostler_driver::Error::system("forget what the guest was started with", error))
}

async fn finalize(context: &Context, key: &ObjectRef, uuid: Uuid) -> Result<Option<Outcome>, Error> {
    context.forget_domain(uuid);
    if context.by_claim {
        context.given_up.forget(uuid).map_err(Error::Journal)?;
    }
    forget_secrets(context, uuid)?;
    context.sink.finalize(key).await?;
    Ok(None)
}
