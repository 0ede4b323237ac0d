//! What this host may do with a guest by its claim. The decision is `ostler_claims`'s; here it is carried out.

use ostler_claims::{self as claim, Holder, Record};
use ostler_crds::{
    ConditionStatus, Domain, DomainStatus, Kind, Object, ObjectRef, Phase, RunRecord, StoragePool, reasons, types,
};
use ostler_driver::{Domains, StateOnUndefine};
use tracing::info;
use uuid::Uuid;

use super::observe::Observation;
use super::{Again, Error, Outcome};
use crate::context::Context;
use crate::source::EventKind;
use crate::{follow, names};

/// What a claim comes to.
pub(super) enum Hold {
    /// The guest is looked after, and defined under this number.
    Go(Option<i64>),
    /// Nothing is started.
    Rest(Outcome),
}

/// Looks at the claim; stops the guest if this host is fenced.
pub(super) async fn hold(
    context: &Context,
    object: &Object,
    domain: &Domain,
    domains: &dyn Domains,
    observation: &Observation,
    uuid: Uuid,
    status: &mut DomainStatus,
) -> Result<Hold, Error> {
    status.claim_above = None;
    let number = names::claim(object);
    // Without claims every guest is this host's; one whose state can't be read is left alone by whoever finds it so.
    if !context.by_claim || observation.damaged().is_some() {
        return Ok(Hold::Go(number));
    }
    let number = number.unwrap_or(0);
    let defined = status.resolved.as_ref().filter(|resolved| !resolved.uuid.is_empty());
    let defined = defined.map(|resolved| resolved.claim.unwrap_or(0));
    let active = observation.state().is_active();
    let record = observation.summary.as_ref().map(|_| Record { number: observation.claim(), active });
    let given_up = context.given_up.up_to(uuid).map_err(Error::Journal)?;
    let fence = context.fence();
    let generation = object.generation();
    match claim::holder(number, defined, record, given_up, fence.is_some()) {
        Holder::Run => Ok(Hold::Go(Some(number))),
        Holder::Keep(above) => {
            status.claim_above = Some(above);
            Ok(Hold::Go(Some(above)))
        }
        Holder::Wait(above) => {
            status.claim_above = Some(above);
            let (reason, message) = match record {
                None => (reasons::RECORD_LOST, format!("host {} has no record of it", context.host)),
                Some(_) => {
                    (reasons::CLAIM_OUTDATED, format!("another host may have had it since, up to claim {above}"))
                }
            };
            let message = format!(
                "the guest ({uuid}) ran before, and {message}: it is started when a claim above {above} says that no host runs it"
            );
            status.conditions.reconciling(reason, message.clone(), generation);
            status.conditions.set(types::RUNNING, ConditionStatus::Unknown, reason, message.clone(), generation);
            status.phase = Some(Phase::Failed);
            Ok(Hold::Rest(Outcome { again: Again::No, refused: Some(message) }))
        }
        Holder::End => {
            // What is bound to this host can't have been another's.
            if bound_by(context, domain).is_none() {
                let number = number.max(record.map_or(0, |record| record.number));
                context.given_up.note(uuid, number).map_err(Error::Journal)?;
            }
            if active {
                domains.destroy(uuid).await?;
                let message = "the guest was stopped: it may run elsewhere";
                context.event(&object.object_ref(), EventKind::Warning, reasons::HOST_FENCED, message).await;
            }
            let message = match fence {
                Some(_) => format!("host {} is fenced: nothing runs here", context.host),
                None => "it was given up when the host was fenced".to_owned(),
            };
            status.conditions.reconciling(reasons::HOST_FENCED, message.clone(), generation);
            status.conditions.set(types::RUNNING, false, reasons::HOST_FENCED, message.clone(), generation);
            status.phase = Some(Phase::Stopped);
            Ok(Hold::Rest(Outcome { again: Again::No, refused: Some(message) }))
        }
    }
}

/// Whether a start may follow: where another host could write the same disks, the API server confirms that the claim still stands,
/// once in an agent's run.
pub(super) async fn may_start(
    context: &Context,
    key: &ObjectRef,
    domain: &Domain,
    number: Option<i64>,
) -> Result<bool, Error> {
    let Some(number) = number.filter(|_| context.by_claim && writes_shared(context, domain)) else { return Ok(true) };
    if context.confirmed_claim(key) == Some(number) {
        return Ok(true);
    }
    let confirmed = context.sink.confirm_claim(key, number).await?;
    if confirmed {
        context.set_confirmed_claim(key, number);
    }
    Ok(confirmed)
}

fn writes_shared(context: &Context, domain: &Domain) -> bool {
    let mut disks = domain.spec.domain.devices.disks.iter();
    disks.any(|disk| disk.source.is_some() && !disk.readonly)
        && follow::bound_by(domain, |pool| is_shared(context, pool)).is_none()
}

/// What keeps a guest here; nothing: it can move.
pub(super) fn bound_by(context: &Context, domain: &Domain) -> Option<String> {
    follow::bound_by(domain, |pool| is_shared(context, pool))
}

fn is_shared(context: &Context, pool: &ObjectRef) -> Option<bool> {
    debug_assert_eq!(pool.kind, Kind::StoragePool);
    match context.get(pool).as_deref() {
        Some(Object::StoragePool(pool)) => {
            let StoragePool { spec, .. } = &**pool;
            Some(spec.shared)
        }
        _ => None,
    }
}

/// Moves out: nothing of the guest is left here, then the claim is free for another host, which goes on from `run`.
pub(super) async fn leave(
    context: &Context,
    key: &ObjectRef,
    domains: &dyn Domains,
    definition: &ostler_conf::Domain,
    uuid: Uuid,
    number: i64,
    run: &RunRecord,
) -> Result<(), Error> {
    context.given_up.note(uuid, number).map_err(Error::Journal)?;
    domains.undefine(uuid, StateOnUndefine::Keep).await?;
    super::delete::release_leases(context, definition).await;
    super::delete::forget_secrets(context, uuid)?;
    context.forget_domain(uuid);
    context.sink.give_claim_back(key, number, run).await?;
    info!(object = %key, number, "moved out: the claim is given back");
    Ok(())
}
