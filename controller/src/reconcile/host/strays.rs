//! Guests on this host that it holds no claim on: told of, and stopped where they may run elsewhere. Their files stay.

use ostler_claims::{self as claim, Stray};
use ostler_conf::domain::Owner;
use ostler_crds::{Host, HostStatus, Kind, ObjectRef, Orphan, reasons};
use ostler_driver::{Definition, DomainSummary, Domains};

use super::Error;
use crate::context::{Context, domains};
use crate::source::EventKind;

/// Looks for them. When the controller asks, what this host holds is asked of the API server first: what a watch told may be old.
pub(super) async fn look(context: &Context, host: &Host, status: &mut HostStatus) -> Result<(), Error> {
    let asked = host.status.as_ref().and_then(|status| status.asked.clone());
    let is_asked = context.by_claim && asked.is_some() && asked != status.told;
    if is_asked && let Some(claimed) = context.sink.claimed_now().await? {
        context.set_claimed(&claimed);
    }
    let held = context.held();
    let mut orphans = Vec::new();
    for connection in &context.hypervisors {
        let domains = domains(connection.as_ref())?;
        for summary in domains.list().await? {
            let object = context.domain_of(summary.uuid).and_then(|key| context.get(&key));
            if object.is_some_and(|object| held.contains(object.uid())) {
                continue;
            }
            let owner = owner_of(domains, &summary).await;
            if owner.as_ref().is_some_and(|owner| held.contains(&owner.uid)) {
                continue;
            }
            let mut orphan = tell(context, connection.driver(), &summary, owner.as_ref());
            if let Some(owner) = owner.filter(|owner| owner.id == context.owner && context.by_claim) {
                stop_stray(context, domains, &summary, &owner, &mut orphan).await?;
            }
            orphans.push(orphan);
        }
    }
    status.orphans = orphans;
    if is_asked {
        status.told = asked;
    }
    Ok(())
}

fn tell(context: &Context, driver: &str, summary: &DomainSummary, owner: Option<&Owner>) -> Orphan {
    let ours = owner.filter(|owner| owner.id == context.owner);
    Orphan {
        name: summary.name.clone(),
        uuid: summary.uuid.to_string(),
        driver: driver.to_owned(),
        active: summary.state.is_active(),
        object: owner.map(|owner| format!("{}/{}", owner.namespace, owner.name)),
        uid: ours.map(|owner| owner.uid.clone()),
        claim: owner.and_then(|owner| owner.claim).and_then(|claim| i64::try_from(claim).ok()),
        adoptable: owner.is_some_and(|owner| ours.is_some() || context.former_owners.contains(&owner.id)),
    }
}

/// Whose a guest is. A damaged one belongs to somebody we can't name.
async fn owner_of(domains: &dyn Domains, summary: &DomainSummary) -> Option<Owner> {
    let which = if summary.persistent { Definition::Persistent } else { Definition::Live };
    let definition = if summary.damaged.is_some() { None } else { domains.definition(summary.uuid, which).await.ok() };
    definition?.mark()?.owner.clone()
}

async fn stop_stray(
    context: &Context,
    domains: &dyn Domains,
    summary: &DomainSummary,
    owner: &Owner,
    orphan: &mut Orphan,
) -> Result<(), Error> {
    let key = ObjectRef::new(Kind::Domain, &owner.namespace, &owner.name);
    let number = orphan.claim.unwrap_or(0);
    let fenced = context.fence().is_some();
    // Of one that is off only the fence is to be remembered; who holds the claim on one that runs is asked once.
    let elsewhere = match orphan.active && !fenced && context.set_stray(summary.uuid) {
        true => context.sink.claimed_elsewhere(&key, &owner.uid).await?,
        false => None,
    };
    if claim::stray(number, elsewhere, fenced) == Stray::Leave {
        return Ok(());
    }
    let _lock = context.lock(&key).await;
    context.given_up.note(summary.uuid, number).map_err(Error::Journal)?;
    if orphan.active {
        domains.destroy(summary.uuid).await?;
        orphan.active = false;
        let message = format!("the guest {} of {key} was stopped: it may run elsewhere; its files stay", summary.name);
        context.event(&context.host_ref(), EventKind::Warning, reasons::CLAIM_OUTDATED, &message).await;
    }
    Ok(())
}

/// The guests of ours that run here, by the names of their objects. One that can't be read may be anybody's: it has its own name.
pub(super) async fn active(context: &Context) -> Result<Vec<ObjectRef>, Error> {
    // Whoever began a start before the host was to be empty has ended it then.
    for key in context.all_refs().into_iter().filter(|key| key.kind == Kind::Domain) {
        drop(context.lock(&key).await);
    }
    let mut active = Vec::new();
    for connection in &context.hypervisors {
        let domains = domains(connection.as_ref())?;
        for summary in domains.list().await?.into_iter().filter(|summary| summary.state.is_active()) {
            let owner = owner_of(domains, &summary).await;
            if summary.damaged.is_some() {
                active.push(ObjectRef::new(Kind::Domain, "", &summary.name));
            } else if let Some(owner) = owner.filter(|owner| owner.id == context.owner) {
                active.push(ObjectRef::new(Kind::Domain, &owner.namespace, &owner.name));
            }
        }
    }
    Ok(active)
}
