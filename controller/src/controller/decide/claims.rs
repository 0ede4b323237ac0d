//! Claims: `status.host` of domains, of their volumes, and of the verbs for them. Set from empty, never changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ostler_crds::grants::{self, Grant};
use ostler_crds::{
    Condition, ConditionStatus, Conditions, Domain, Kind, Object, ObjectRef, Placement, StorageVolume, reasons, types,
};
use serde_json::json;

use super::hosts::needs;
use super::{Candidates, Pass};
use crate::controller::placement::{Wish, place};
use crate::controller::uses::list;
use crate::controller::writes::{Note, Step};
use crate::{engine, reconcile, references};

/// Why a domain has no host.
pub(super) const UNSCHEDULABLE: &str = "Unschedulable";

/// Where volumes are, or will be.
type Bindings = BTreeMap<ObjectRef, String>;

/// Binds volumes and places domains: first what is settled already, then each domain with the volumes that it brings.
pub(super) fn volumes_and_domains(pass: &mut Pass<'_>, mut candidates: Candidates) {
    let volumes = volumes(pass);
    let mut bindings = settled(pass, &volumes);
    for (key, domain) in unclaimed_domains(pass) {
        let object = Object::from(domain.clone());
        let mine = pass.uses.volumes(&object);
        let wish = match wish(pass, &object, domain, &bindings) {
            Ok(wish) => wish,
            Err(missing) => {
                wait(pass, &key, &object, reasons::MISSING, &missing);
                continue;
            }
        };
        match place(&wish, &candidates).map(str::to_owned) {
            Ok(host) => {
                if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.name == host) {
                    candidate.room = candidate.room.minus(wish.needs);
                }
                for volume in mine {
                    bindings.entry(volume).or_insert_with(|| host.clone());
                }
                claim(pass, &object, &host, domain.status.as_ref().map(|status| (&status.conditions, status.claim)));
            }
            Err(why) => wait(pass, &key, &object, UNSCHEDULABLE, &why),
        }
    }
    for (key, volume) in &volumes {
        let object = Object::from((*volume).clone());
        match (volume_host(volume), object.is_deleted()) {
            (None, true) => finish_unclaimed(pass, key, &object),
            (Some(host), true) if pass.is_fenced(host) => pass.writes().release(&object),
            (None, false) => bind(pass, key, &object, volume, bindings.get(key)),
            (Some(_), _) => {}
        }
    }
}

fn volumes<'a>(pass: &Pass<'a>) -> Vec<(ObjectRef, &'a StorageVolume)> {
    pass.world
        .of_kind(Kind::StorageVolume)
        .filter_map(|(key, object)| match &**object {
            Object::StorageVolume(volume) => Some((key.clone(), volume.as_ref())),
            _ => None,
        })
        .collect()
}

fn volume_host(volume: &StorageVolume) -> Option<&str> {
    volume.status.as_ref()?.host.as_deref().filter(|host| !host.is_empty())
}

fn domain_host(domain: &Domain) -> Option<&str> {
    domain.status.as_ref()?.host.as_deref().filter(|host| !host.is_empty())
}

/// Volumes that have a host, or whose host can't be another: the one that their placement names, or that of a user.
fn settled(pass: &Pass<'_>, volumes: &[(ObjectRef, &StorageVolume)]) -> Bindings {
    let host_of = |key: &ObjectRef| match pass.world.get(key).map(AsRef::as_ref) {
        Some(Object::Domain(domain)) => domain_host(domain).map(str::to_owned),
        _ => None,
    };
    let place_of = |(key, volume): &(ObjectRef, &StorageVolume)| {
        let named = || {
            let named = volume.spec.placement.as_ref()?.host.clone()?;
            pass.host(&named).map(|_| named)
        };
        let used = || pass.uses.domains_of_volume(key).into_iter().find_map(host_of);
        volume_host(volume).map(str::to_owned).or_else(named).or_else(used)
    };
    volumes.iter().filter_map(|entry| Some((entry.0.clone(), place_of(entry)?))).collect()
}

/// Domains without a host, the oldest first. What is left of those that are deleted is nothing.
fn unclaimed_domains<'a>(pass: &mut Pass<'a>) -> Vec<(ObjectRef, &'a Domain)> {
    let world = pass.world;
    let mut waiting = Vec::new();
    for (key, domain) in world.domains() {
        let Some(object) = world.get(key) else { continue };
        match (domain_host(domain), object.is_deleted()) {
            (None, true) => pass.writes().release(object),
            // Nothing runs there any more that an agent could end.
            (Some(host), true) if pass.is_fenced(host) => pass.writes().release(object),
            (None, false) => waiting.push((key.clone(), domain)),
            (Some(_), _) => {}
        }
    }
    let age = |(key, domain): &(ObjectRef, &Domain)| {
        (domain.metadata.creation_timestamp.as_ref().map(|time| time.0), key.clone())
    };
    waiting.sort_by_cached_key(age);
    waiting
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
        match bindings.get(&key) {
            Some(host) => drop(wish.bound.insert(host.clone(), key.name.clone())),
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

/// The claim: the finalizer first, so that the object can't go while a host holds it.
fn claim(pass: &mut Pass<'_>, object: &Object, host: &str, status: Option<(&Conditions, Option<i64>)>) {
    let (conditions, number) = status.map(|(all, number)| (all.clone(), number)).unwrap_or_default();
    let mut conditions = conditions;
    conditions.clear(types::RECONCILING);
    let message = format!("claimed for host {host}, whose agent takes it up");
    conditions.set(types::READY, ConditionStatus::Unknown, "Claimed", message, object.generation());
    let status = json!({ "host": host, "claim": number.unwrap_or(0) + 1, "conditions": conditions });
    pass.writes().hold(object);
    let note = Note { warning: false, reason: "Claimed", message: format!("placed on host {host}") };
    let change = pass.writes().add(object, Step::Status(status));
    if object.kind() == Kind::Domain {
        change.notes.push(note);
    }
}

/// A domain that has no host for now.
fn wait(pass: &mut Pass<'_>, key: &ObjectRef, object: &Object, reason: &'static str, message: &str) {
    let Object::Domain(domain) = object else { return };
    if !pass.has_waited(key) {
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
fn bind(pass: &mut Pass<'_>, key: &ObjectRef, object: &Object, volume: &StorageVolume, host: Option<&String>) {
    let status = volume.status.clone().unwrap_or_default();
    if let Some(host) = host {
        claim(pass, object, host, Some((&status.conditions, status.claim)));
        return;
    }
    pass.writes().hold(object);
    let mut conditions = status.conditions.clone();
    let generation = object.generation();
    let pool = ObjectRef::referred(Kind::StoragePool, &key.namespace, &volume.spec.pool);
    match volume.spec.placement.as_ref().and_then(|placement| placement.host.as_ref()) {
        Some(named) => conditions.reconciling(reasons::MISSING, format!("there is no host {named}"), generation),
        None if !pass.world.get(&pool).is_some_and(|target| references::may_use(&key.namespace, target)) => {
            conditions.reconciling(reasons::MISSING, reconcile::not_for(&pool, &key.namespace), generation);
        }
        None => {
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
    let users: Vec<ObjectRef> = pass.uses.users(key).to_vec();
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
