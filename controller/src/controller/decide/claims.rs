//! Claims: `status.host` of domains, of their volumes, and of the verbs for them. What is done about a domain's is
//! `ostler_claims`'s decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ostler_claims::{self as claim, Claim, Next};
use ostler_crds::grants::{self, Grant};
use ostler_crds::{
    Adopt, Condition, ConditionStatus, Conditions, Domain, Kind, Object, ObjectRef, Placement, StorageVolume, reasons,
    types,
};
use serde_json::json;

use super::hosts::needs;
use super::{Candidates, Pass, copies, hosts};
use crate::controller::placement::{Wish, place};
use crate::controller::uses::{User, list};
use crate::controller::writes::{Note, Step};
use crate::{engine, follow, reconcile, references};

/// Why a domain has no host.
pub(super) const UNSCHEDULABLE: &str = "Unschedulable";

/// Where volumes will be that are nowhere yet: with the domains that are placed now.
type Bindings = BTreeMap<ObjectRef, String>;

/// The hosts are asked which guests they have: until all have told, a guest may run there.
const AWAITING_HOSTS: &str = "AwaitingHosts";
/// It is more than its namespace may have.
const QUOTA_EXCEEDED: &str = "QuotaExceeded";
/// A guest runs on two hosts.
const TORN: &str = "RunsTwice";

/// Binds volumes and places domains: first what is settled already, then each domain with the volumes that it brings.
pub(super) fn volumes_and_domains(pass: &mut Pass<'_>) {
    let mut bindings = Bindings::new();
    // Most decisions place nothing.
    let mut candidates = None;
    let mut must_ask = false;
    for Moving { key, object, domain, next } in moving(pass) {
        let (host, number) = match next {
            Next::Leave => continue,
            Next::Ask => {
                must_ask = true;
                let silent = pass.copies.silent.join(", ");
                let message = format!(
                    "it ran before and may still do so: it waits until hosts have told of their guests: {silent}"
                );
                wait(pass, key, object, domain, AWAITING_HOSTS, &message);
                continue;
            }
            Next::Torn(one, other) => {
                let message =
                    format!("it runs on the hosts {one} and {other}: stop one of the two there, or fence its host");
                wait(pass, key, object, domain, TORN, &message);
                continue;
            }
            Next::Give(host, number) => (host, number),
            Next::Raise(number) => (domain_host(domain).unwrap_or_default().to_owned(), number),
            Next::Place(number) => {
                let candidates = candidates.get_or_insert_with(|| hosts::candidates(pass));
                match choose(pass, object, domain, &bindings, candidates) {
                    Ok(host) => (host, number),
                    Err((reason, message)) => {
                        wait(pass, key, object, domain, reason, &message);
                        continue;
                    }
                }
            }
        };
        for volume in pass.uses.volumes(object) {
            if binding(pass, &bindings, &volume).is_none() {
                bindings.insert(volume, host.clone());
            }
        }
        claim(pass, object, &host, number, domain.status.as_ref().map(|status| &status.conditions));
    }
    if must_ask {
        copies::ask(pass);
    }
    for (key, object) in pass.world.of_kind(Kind::StorageVolume) {
        let Object::StorageVolume(volume) = &**object else { continue };
        match (volume_host(volume), object.is_deleted()) {
            (None, true) => finish_unclaimed(pass, key, object),
            (Some(host), true) if pass.is_gone(host) => pass.writes().release(object),
            (None, false) => {
                let host = binding(pass, &bindings, key).map(str::to_owned);
                bind(pass, key, object, volume, host.as_deref());
            }
            (Some(host), false) => {
                if let Some(new) = binding(pass, &bindings, key).filter(|new| *new != host) {
                    let new = new.to_owned();
                    claim_volume(pass, object, volume, &new);
                }
            }
            (Some(_), true) => {}
        }
    }
}

/// Domains that are there without a claim and without a sign that they ran, by uid.
pub(super) fn unclaimed(world: &crate::controller::world::World) -> BTreeSet<String> {
    let is_unclaimed = |domain: &&Domain| domain_host(domain).is_none();
    world
        .domains()
        .map(|(_, domain)| domain)
        .filter(is_unclaimed)
        .filter_map(|domain| domain.metadata.uid.clone())
        .collect()
}

fn next(pass: &Pass<'_>, key: &ObjectRef, domain: &Domain) -> Next<String> {
    let status = domain.status.as_ref();
    let resolved = status.and_then(|status| status.resolved.as_ref()).filter(|resolved| !resolved.uuid.is_empty());
    let claim = Claim {
        host: domain_host(domain).map(str::to_owned),
        number: status.and_then(|status| status.claim).unwrap_or(0),
        defined: resolved.map(|resolved| resolved.claim.unwrap_or(0)),
        above: status.and_then(|status| status.claim_above),
    };
    // Who never ran may take over a guest of its name.
    let adopts = domain.spec.adopt == Adopt::Orphaned && claim.host.is_none() && claim.defined.is_none();
    let uid = domain.metadata.uid.as_deref().unwrap_or_default();
    let circumstances = claim::Circumstances {
        is_gone: claim.host.as_ref().is_some_and(|host| pass.is_gone(host)),
        may_have_run: adopts || pass.memory.doubtful.contains(uid),
        copies: &pass.copies.of_domain(key, domain, adopts),
        all_told: pass.copies.silent.is_empty(),
    };
    claim::next(&claim, &circumstances)
}

/// The host for a domain, whose room it takes; or why there is none.
fn choose(
    pass: &mut Pass<'_>,
    object: &Object,
    domain: &Domain,
    bindings: &Bindings,
    candidates: &mut Candidates,
) -> Result<String, (&'static str, String)> {
    let mut wish = wish(pass, object, domain, bindings).map_err(|missing| (reasons::MISSING, missing))?;
    let gone = domain_host(domain);
    if let Some(host) = gone {
        let bound_by = follow::bound_by(domain, |pool| is_shared(pass, pool));
        wish.bound.extend(bound_by.map(|what| (host.to_owned(), what)));
    }
    let host = place(&wish, candidates).map(str::to_owned).map_err(|why| match gone {
        Some(host) => (reasons::HOST_FENCED, format!("its host {host} is fenced, and {why}")),
        None => (UNSCHEDULABLE, why),
    })?;
    pass.taken.take(pass.world, object).map_err(|excess| (QUOTA_EXCEEDED, excess.to_string()))?;
    if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.name == host) {
        candidate.room = candidate.room.minus(wish.needs);
    }
    Ok(host)
}

fn is_shared(pass: &Pass<'_>, pool: &ObjectRef) -> Option<bool> {
    match pass.world.get(pool).map(AsRef::as_ref) {
        Some(Object::StoragePool(pool)) => Some(pool.spec.shared),
        _ => None,
    }
}

fn volume_host(volume: &StorageVolume) -> Option<&str> {
    volume.status.as_ref()?.host.as_deref().filter(|host| !host.is_empty())
}

fn domain_host(domain: &Domain) -> Option<&str> {
    domain.status.as_ref()?.host.as_deref().filter(|host| !host.is_empty())
}

/// Where a volume is, can't but be, or will be.
fn binding<'a>(pass: &Pass<'a>, bindings: &'a Bindings, key: &ObjectRef) -> Option<&'a str> {
    let settled = match pass.world.get(key).map(AsRef::as_ref) {
        Some(Object::StorageVolume(volume)) => settled(pass, key, volume),
        _ => None,
    };
    settled.or_else(|| bindings.get(key).map(String::as_str))
}

/// The host of a volume that has one, or whose host can't be another: the one that its placement names, or that of a user. A volume
/// whose data all hosts see goes where a user is, once none is where it was.
fn settled<'a>(pass: &Pass<'a>, key: &ObjectRef, volume: &'a StorageVolume) -> Option<&'a str> {
    let users = || {
        let host_of = |user: User<'a>| user.host.filter(|host| !pass.is_gone(host));
        pass.uses.domains_of_volume(key).into_iter().filter_map(host_of).collect::<Vec<&'a str>>()
    };
    let pool = || ObjectRef::referred(Kind::StoragePool, &key.namespace, &volume.spec.pool);
    let stays = |held: &&str| {
        if is_shared(pass, &pool()) != Some(true) {
            return true;
        }
        let users = users();
        let is_used_elsewhere = !users.is_empty() && !users.contains(held);
        !is_used_elsewhere && !pass.is_gone(held)
    };
    let named = || {
        let named = volume.spec.placement.as_ref()?.host.as_deref()?;
        pass.host(named).map(|_| named)
    };
    volume_host(volume).filter(stays).or_else(named).or_else(|| users().first().copied())
}

/// A domain about whose claim something is to be done.
struct Moving<'a> {
    key: &'a ObjectRef,
    object: &'a Object,
    domain: &'a Domain,
    next: Next<String>,
}

/// Domains about whose claims something is to be done, the oldest first. What is left of those that are being deleted and have no
/// host is nothing.
fn moving<'a>(pass: &mut Pass<'a>) -> Vec<Moving<'a>> {
    let mut moving = Vec::new();
    for at in 0..pass.uses.domains.len() {
        let User { key, object, host } = pass.uses.domains[at];
        let Object::Domain(domain) = &**object else { continue };
        match (host, object.is_deleted()) {
            (None, true) => pass.writes().release(object),
            // Nothing runs there any more that an agent could end.
            (Some(host), true) if pass.is_gone(host) => pass.writes().release(object),
            (Some(_), true) => {}
            (_, false) => match next(pass, key, domain) {
                Next::Leave => pass.writes().end_take_over(object),
                next => moving.push(Moving { key, object, domain, next }),
            },
        }
    }
    let age = |domain: &Domain| domain.metadata.creation_timestamp.as_ref().map(|time| time.0);
    moving.sort_by(|one, other| age(one.domain).cmp(&age(other.domain)).then_with(|| one.key.cmp(other.key)));
    moving
}

/// What a domain asks of its host.
///
/// # Errors
/// A volume, or its pool, that does not exist: where it will be is not known.
fn wish(pass: &Pass<'_>, object: &Object, domain: &Domain, bindings: &Bindings) -> Result<Wish, String> {
    let mut wish = Wish {
        needs: needs(domain, pass.circumstances.vcpus_per_cpu),
        driver: domain.spec.driver.clone(),
        placements: domain.spec.placement.iter().cloned().collect(),
        bound: BTreeMap::new(),
        reaches: reaches(pass, object),
    };
    for key in pass.uses.volumes(object) {
        let Some(Object::StorageVolume(volume)) = pass.world.get(&key).map(AsRef::as_ref) else {
            return Err(format!("{key} does not exist"));
        };
        if volume.metadata.deletion_timestamp.is_some() && volume_host(volume).is_none() {
            return Err(format!("{key} is being deleted"));
        }
        let pool = ObjectRef::referred(Kind::StoragePool, &key.namespace, &volume.spec.pool);
        let there = pass.world.get(&pool).filter(|target| references::may_use(&key.namespace, target));
        let Some(Object::StoragePool(pool)) = there.map(AsRef::as_ref) else {
            return Err(reconcile::not_for(&pool, &key.namespace));
        };
        if pool.spec.shared {
            continue;
        }
        match binding(pass, bindings, &key) {
            Some(host) => drop(wish.bound.insert(host.to_owned(), format!("the volume {}", key.name))),
            None => wish.placements.extend(volume.spec.placement.clone()),
        }
    }
    wish.placements.retain(|placement| *placement != Placement::default());
    Ok(wish)
}

/// What a domain, its volumes, and the networks and pools of all of them reach of their host.
fn reaches(pass: &Pass<'_>, object: &Object) -> BTreeSet<(Grant, String)> {
    let volumes = pass.uses.volumes(object);
    let volumes: Vec<&Arc<Object>> = volumes.iter().filter_map(|key| pass.world.get(key)).collect();
    let users = || std::iter::once(object).chain(volumes.iter().map(|volume| volume.as_ref()));
    let used: BTreeSet<ObjectRef> = users().flat_map(engine::references).collect();
    let definitions = used.iter().filter(|key| key.kind != Kind::StorageVolume).filter_map(|key| pass.world.get(key));
    let all = users().chain(definitions.map(AsRef::as_ref));
    all.flat_map(|object| {
        let namespace = object.object_ref().namespace;
        grants::needs(object).into_iter().map(move |part| (part.grant, namespace.clone()))
    })
    .collect()
}

/// The claim: the finalizer first, so that the object can't go while a host holds it; of a claim that another host has, the label
/// that has policies look at that host.
fn claim(pass: &mut Pass<'_>, object: &Object, host: &str, number: i64, conditions: Option<&Conditions>) {
    let mut conditions = conditions.cloned().unwrap_or_default();
    conditions.clear(types::RECONCILING);
    let message = format!("claimed for host {host}, whose agent takes it up");
    conditions.set(types::READY, ConditionStatus::Unknown, "Claimed", message, object.generation());
    let status = json!({ "host": host, "claim": number, "conditions": conditions });
    pass.writes().hold(object);
    if matches!(object, Object::Domain(domain) if domain_host(domain).is_some_and(|holder| holder != host)) {
        pass.writes().begin_take_over(object);
    }
    let note = Note { warning: false, reason: "Claimed", message: format!("placed on host {host}") };
    let change = pass.writes().add(object, Step::Status(status));
    if object.kind() == Kind::Domain {
        change.notes.push(note);
    }
}

fn claim_volume(pass: &mut Pass<'_>, object: &Object, volume: &StorageVolume, host: &str) {
    let status = volume.status.clone().unwrap_or_default();
    claim(pass, object, host, status.claim.unwrap_or(0) + 1, Some(&status.conditions));
}

/// A domain that has no host for now. Of one that a living host holds its agent tells.
fn wait(pass: &mut Pass<'_>, key: &ObjectRef, object: &Object, domain: &Domain, reason: &'static str, message: &str) {
    if domain_host(domain).is_some_and(|host| !pass.is_gone(host)) || !pass.has_waited(key) {
        return;
    }
    let status = domain.status.clone().unwrap_or_default();
    let mut conditions = status.conditions.clone();
    conditions.reconciling(reason, message, object.generation());
    if conditions != status.conditions {
        let was = status.conditions.get(types::READY).map(|ready: &Condition| ready.reason.clone());
        let step = Step::Status(json!({ "observedGeneration": object.generation(), "conditions": conditions }));
        let change = pass.writes().add(object, step);
        if was.as_deref() != Some(reason) {
            change.notes.push(Note { warning: true, reason, message: message.to_owned() });
        }
    }
}

/// A volume without a host: bound where its use or its placement says, or left to its first user.
fn bind(pass: &mut Pass<'_>, key: &ObjectRef, object: &Object, volume: &StorageVolume, host: Option<&str>) {
    let status = volume.status.clone().unwrap_or_default();
    let world = pass.world;
    let excess = match host.map(|host| (host, pass.taken.take(world, object))) {
        Some((host, Ok(()))) => {
            claim_volume(pass, object, volume, host);
            return;
        }
        Some((_, Err(excess))) => Some(excess),
        None => None,
    };
    pass.writes().hold(object);
    let mut conditions = status.conditions.clone();
    let generation = object.generation();
    let pool = ObjectRef::referred(Kind::StoragePool, &key.namespace, &volume.spec.pool);
    match (excess, volume.spec.placement.as_ref().and_then(|placement| placement.host.as_ref())) {
        (Some(excess), _) => conditions.reconciling(QUOTA_EXCEEDED, excess.to_string(), generation),
        (None, Some(named)) => {
            conditions.reconciling(reasons::MISSING, format!("there is no host {named}"), generation)
        }
        (None, None) if !pass.world.get(&pool).is_some_and(|target| references::may_use(&key.namespace, target)) => {
            conditions.reconciling(reasons::MISSING, reconcile::not_for(&pool, &key.namespace), generation);
        }
        (None, None) => {
            conditions.ready(reasons::WAITING_FOR_FIRST_USE, "it is made on the host of its first user", generation)
        }
    }
    let is_told = status.observed_generation == Some(generation) && conditions == status.conditions;
    if !is_told && pass.has_waited(key) {
        let status = json!({ "observedGeneration": generation, "conditions": conditions });
        pass.writes().add(object, Step::Status(status));
    }
}

/// A volume that never came to a host goes when nobody refers to it any more.
fn finish_unclaimed(pass: &mut Pass<'_>, key: &ObjectRef, object: &Object) {
    let users: Vec<User<'_>> = pass.uses.users(key).to_vec();
    if users.is_empty() {
        pass.writes().release(object);
        return;
    }
    let Object::StorageVolume(volume) = object else { return };
    let status = volume.status.clone().unwrap_or_default();
    let mut conditions = status.conditions.clone();
    conditions.reconciling(reasons::IN_USE, format!("used by {}", list(&users)), object.generation());
    if conditions != status.conditions {
        let status = json!({ "observedGeneration": object.generation(), "conditions": conditions });
        pass.writes().add(object, Step::Status(status));
    }
}

/// A verb goes where its domain is.
pub(super) fn operations(pass: &mut Pass<'_>) {
    let world = pass.world;
    for (key, object) in world.of_kind(Kind::DomainOperation) {
        let Object::DomainOperation(operation) = &**object else { continue };
        let status = operation.status.clone().unwrap_or_default();
        let is_placed = status.host.as_deref().is_some_and(|host| !host.is_empty());
        if is_placed || status.completion_time.is_some() || object.is_deleted() {
            continue;
        }
        let domain = ObjectRef::new(Kind::Domain, &key.namespace, &operation.spec.domain);
        if let Some(Object::Domain(domain)) = world.get(&domain).map(AsRef::as_ref)
            && let Some(host) = domain_host(domain)
        {
            pass.writes().add(object, Step::Status(json!({ "host": host })));
        }
    }
}
