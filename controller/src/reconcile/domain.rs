//! Domains.
//!
//! [`reconcile`] reads as the way of a spec to the host: resolve its references, find its guest, check and complete the
//! definition, plan, drive, report.

mod delete;
mod drive;
mod hold;
mod identity;
mod observe;
mod report;
mod resolve;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ostler_crds::{Domain, DomainStatus, EvictionStrategy, Object, ObjectRef, Verb, reasons};
use ostler_driver::{Connection, Domains};
use tracing::debug;

use super::{Again, Error, UNTOLD, report_failure};
use crate::context::{Context, domains};
use crate::plan::{self, Action, Desired, Observed, Plan, Verdict};
use crate::source::EventKind;

pub(crate) use resolve::not_for;
pub use resolve::preview;

/// A new domain whose first look takes longer is told to be looked at. Where many start at once, saying so of each would keep them all.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);

/// What a look at a domain came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) again: Again,
    /// Why the verb was not carried out.
    pub(super) refused: Option<String>,
}

impl From<Again> for Outcome {
    fn from(again: Again) -> Self {
        Outcome { again, refused: None }
    }
}

/// Brings a guest nearer to its spec; `request`: and carries out a verb. The caller holds the domain's lock.
pub(super) async fn reconcile(
    context: &Context,
    key: &ObjectRef,
    domain: &Domain,
    request: Option<Verb>,
) -> Result<Outcome, Error> {
    if context.is_draining() {
        return Ok(Outcome { again: Again::No, refused: Some("the host is going down".to_owned()) });
    }
    let object = Object::from(domain.clone());
    let generation = object.generation();
    let mut status: DomainStatus = context.status(key);
    let is_untold = |key: &ObjectRef| context.get(key).is_none();
    if request.is_none() && !context.is_synced() && crate::engine::references(&object).iter().any(is_untold) {
        return Ok(Again::After(UNTOLD).into());
    }
    let first_look = status.observed_generation.is_none_or(|seen| seen < 0);
    if let Some(elsewhere) = placed_elsewhere(context, domain).filter(|_| !context.by_claim) {
        status.observed_generation = Some(generation);
        status.conditions.ready("PlacedElsewhere", format!("it is placed on host {elsewhere}"), generation);
        context.report(key, &status).await?;
        return Ok(Again::No.into());
    }
    let announced = first_look.then(|| report::announced(&status, generation));
    let result = {
        let mut work = std::pin::pin!(carry_out(context, key, &object, domain, &mut status, request));
        tokio::select! {
            biased;
            result = &mut work => result,
            // Most take less; who waits for a probe or a slow disk is told.
            () = tokio::time::sleep(ANNOUNCE_AFTER), if announced.is_some() => {
                context.report(key, &announced).await?;
                work.await
            }
        }
    };
    status.observed_generation = Some(generation);
    let outcome = match result {
        Ok(Some(outcome)) => outcome,
        // Nothing of it is left: the object has gone, and its status with it.
        Ok(None) => return Ok(Again::No.into()),
        Err(Error::Driver(error)) => {
            report::failed(&mut status);
            let again = report_failure(context, key, &mut status.conditions, &error, "domain.", generation).await;
            Outcome { again, refused: request.map(|_| super::chain(&error)) }
        }
        Err(error) => return Err(error),
    };
    context.report(key, &status).await?;
    Ok(outcome)
}

/// The way itself. `None`: the domain is gone and finalized.
async fn carry_out(
    context: &Context,
    key: &ObjectRef,
    object: &Object,
    domain: &Domain,
    status: &mut DomainStatus,
    request: Option<Verb>,
) -> Result<Option<Outcome>, Error> {
    let connection: Arc<dyn Connection> = context.hypervisor(domain.spec.driver.as_deref())?.clone();
    let domains = domains(connection.as_ref())?;
    let uuid = match identity::find(context, domains, object, domain, status).await? {
        identity::Found::Uuid(uuid) => uuid,
        identity::Found::Conflict(_) if object.is_deleted() => {
            context.sink.finalize(key).await?;
            return Ok(None);
        }
        identity::Found::Conflict(message) => {
            if status.conditions.get(ostler_crds::types::STALLED).is_none() {
                context.event(key, EventKind::Warning, reasons::CONFLICT, &message).await;
            }
            status.conditions.stalled(reasons::CONFLICT, message.clone(), object.generation());
            status.phase = Some(ostler_crds::Phase::Failed);
            return Ok(Some(Outcome { again: Again::After(Duration::from_secs(60)), refused: Some(message) }));
        }
    };
    context.set_domain_of(uuid, key);
    if object.is_deleted() {
        return delete::delete(context, key, object, domain, status, domains, uuid).await;
    }
    let observation = observe::observe(domains, uuid).await?;
    let number = match hold::hold(context, object, domain, domains, &observation, uuid, status).await? {
        hold::Hold::Go(number) => number,
        hold::Hold::Rest(outcome) => return Ok(Some(outcome)),
    };
    if let Some(why) = observation.damaged() {
        status.conditions.stalled(reasons::DAMAGED, format!("the guest is left alone: {why}"), object.generation());
        return Ok(Some(Again::No.into()));
    }
    let Wanted { definition, waits_for, secrets, changed, refusal } =
        wanted(context, object, domain, domains, uuid, number, &observation).await?;
    let plan = plan_for(
        context,
        key,
        domain,
        domains,
        &definition,
        &observation,
        status,
        waits_for.is_empty(),
        request,
        false,
        &changed,
    );
    debug!(actions = ?plan.actions, verdict = ?plan.verdict, "plan");
    let refused = match &plan.verdict {
        Verdict::Refused(why) => Some((*why).to_owned()),
        _ => None,
    };
    if plan.actions.contains(&Action::Start) && !hold::may_start(context, key, domain, number).await? {
        // Who has it now is told soon.
        return Ok(Some(Again::Failed(reasons::CLAIM_OUTDATED).into()));
    }
    drive::drive(context, key, domains, uuid, &definition, &secrets, &plan).await?;
    status.run = plan.run.clone();
    // What was done shows in a second look, which is what is reported; it acts upon nothing.
    let done = plan.actions.clone();
    let (observation, rest) = if plan.actions.is_empty() {
        (observation, plan)
    } else {
        let observation = observe::observe(domains, uuid).await?;
        let rest = plan_for(
            context,
            key,
            domain,
            domains,
            &definition,
            &observation,
            status,
            waits_for.is_empty(),
            None,
            false,
            // What was started now has the new ones.
            if plan.actions.contains(&plan::Action::Start) { &[] } else { &changed },
        );
        (observation, rest)
    };
    let again = match (rest.actions.is_empty(), rest.wake) {
        // What was done left the same to be done: the driver and the plan don't agree, which time may mend and haste not.
        (false, _) if rest.actions == done => Again::Failed("NotConverging"),
        (false, _) => Again::After(Duration::from_millis(1)),
        // A directory tells of its Secrets; a cluster's controller is asked again.
        (true, _) if waits_for_keeper(context, &rest, &waits_for) => Again::Failed("SecretMissing"),
        (true, Some(wake)) => Again::After(wake),
        (true, None) => Again::No,
    };
    report::report(context, connection.driver(), domains, object, status, &definition, &observation, &rest, &waits_for)
        .await;
    if let Some(refusal) = &refusal {
        let again = report_failure(context, key, &mut status.conditions, refusal, "", object.generation()).await;
        report::not_applied(status, refusal, object.generation());
        return Ok(Some(Outcome { again, refused }));
    }
    let elsewhere = placed_elsewhere(context, domain);
    if elsewhere.is_some() || rest.verdict == Verdict::Evicted {
        let bound_by = hold::bound_by(context, domain);
        let is_halted = !observation.state().is_active() && rest.actions.is_empty() && request.is_none();
        let may_leave = is_halted && bound_by.is_none() && matches!(rest.verdict, Verdict::Settled | Verdict::Evicted);
        if let Some(number) = number.filter(|_| context.by_claim && may_leave) {
            hold::leave(context, key, domains, &definition, uuid, number, &status.run).await?;
            return Ok(None);
        }
        let generation = object.generation();
        match elsewhere {
            Some(elsewhere) => report::wants_to_move(context, status, generation, &elsewhere, bound_by.as_deref()),
            None => report::waits_for_host(context, status, generation, bound_by.as_deref()),
        }
    }
    context.metrics.domain(key, status.phase.map(|phase| (connection.driver(), phase.word())));
    Ok(Some(Outcome { again, refused }))
}

/// Whether a start waits for Secrets that nobody will tell of.
fn waits_for_keeper(context: &Context, plan: &Plan, waits_for: &[resolve::Missing]) -> bool {
    plan.verdict == Verdict::Waiting
        && !context.keeper.is_at_hand()
        && waits_for.iter().any(|missing| missing.what == resolve::MissingKind::Secret)
}

/// What the guest is to be.
struct Wanted {
    definition: ostler_conf::Domain,
    /// What its start waits for.
    waits_for: Vec<resolve::Missing>,
    /// What its start is given.
    secrets: ostler_driver::Secrets,
    /// Fields whose Secret holds another text than the guest was started with.
    changed: Vec<String>,
    /// Why it is not what the spec says.
    refusal: Option<ostler_driver::Error>,
}

/// The spec as a definition. A spec that reaches more of this host than it may is not applied: the guest keeps its last definition,
/// goes on where it runs, and can be ended, not started.
async fn wanted(
    context: &Context,
    object: &Object,
    domain: &Domain,
    domains: &dyn Domains,
    uuid: uuid::Uuid,
    number: Option<i64>,
    observation: &observe::Observation,
) -> ostler_driver::Result<Wanted> {
    if let Err(refusal) = context.check_allowed(object) {
        let Some(last) = observation.persistent.clone().or_else(|| observation.live.clone()) else {
            return Err(refusal);
        };
        let waits_for = vec![resolve::Missing::not_allowed(&refusal)];
        let (secrets, changed) = (ostler_driver::Secrets::NONE, Vec::new());
        return Ok(Wanted { definition: last, waits_for, secrets, changed, refusal: Some(refusal) });
    }
    let resolved = resolve::resolve(context, object, domain, uuid, number).await?;
    let checked = domains.check(&resolved.definition).await?;
    let runs = observation.live.is_some();
    let secrets::Looked { secrets, missing, changed } =
        secrets::look(context, &object.object_ref(), uuid, &checked.definition, runs).await;
    let mut waits_for = resolved.missing;
    waits_for.extend(missing);
    // What the driver misses is said once: a volume that waits is also a file that is absent.
    if waits_for.is_empty() {
        waits_for
            .extend(checked.warnings.iter().map(|warning| resolve::Missing::other(&warning.field, &warning.message)));
    }
    Ok(Wanted { definition: checked.definition, waits_for, secrets, changed, refusal: None })
}

#[allow(clippy::too_many_arguments, reason = "a plan's inputs, gathered in one place")]
fn plan_for(
    context: &Context,
    key: &ObjectRef,
    domain: &Domain,
    domains: &dyn Domains,
    definition: &ostler_conf::Domain,
    observation: &observe::Observation,
    status: &DomainStatus,
    startable: bool,
    request: Option<Verb>,
    deleted: bool,
    changed_secrets: &[String],
) -> Plan {
    let desired = Desired {
        definition,
        strategy: domain.spec.run_strategy,
        approval: domain.spec.disruption.restart_approval,
        deleted,
        evicted: is_evicted(context, domain),
        shutdown_timeout: domain.spec.shutdown.timeout.0,
        force: domain.spec.shutdown.force,
        startable,
        changed_secrets,
        request,
    };
    let observed = Observed {
        persistent: observation.persistent.as_ref(),
        live: observation.live.as_ref(),
        state: observation.state(),
        run: &status.run,
        shutdown_asked: context.shutdown_asked(key),
        now: Timestamp::now(),
    };
    plan::plan(&desired, &observed, &|live, change| domains.can_change(live, change))
}

/// Whether the guest must end since its host is being emptied.
fn is_evicted(context: &Context, domain: &Domain) -> bool {
    context.is_in_maintenance() && domain.spec.eviction_strategy == EvictionStrategy::Shutdown
}

fn placed_elsewhere(context: &Context, domain: &Domain) -> Option<String> {
    let host = domain.spec.placement.as_ref()?.host.as_ref()?;
    (*host != context.host).then(|| host.clone())
}
