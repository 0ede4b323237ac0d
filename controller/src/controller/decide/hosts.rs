//! Hosts: made for each node with an agent, marked when it is silent, told what they must carry out, and weighed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ostler_crds::{
    ConditionStatus, Conditions, Domain, Fence, Host, HostSelector, Kind, Object, ObjectRef, WantedDefinition, types,
};
use serde_json::json;

use super::{Candidates, Pass};
use crate::controller::placement::{Candidate, Refusal, Room, selects};
use crate::controller::writes::{Note, Step};

/// Why what is told of a host and of its guests is not known any more.
pub(super) const HOST_UNREACHABLE: &str = "HostUnreachable";

/// A Host for each node that has an agent.
pub(super) fn make(pass: &mut Pass<'_>) {
    let world = pass.world;
    let is_missing = |name: &&String| {
        world.nodes.get(name).is_some() && world.get(&ObjectRef::new(Kind::Host, "", name.as_str())).is_none()
    };
    let missing: Vec<String> = world.agents.iter().map(|(name, _)| name).filter(is_missing).cloned().collect();
    pass.writes().hosts = missing;
}

/// A person's word that a host is off is passed on to its agent, in case that is not so.
pub(super) fn fence(pass: &mut Pass<'_>) {
    let world = pass.world;
    for (name, host) in world.hosts() {
        let told = host.status.as_ref().and_then(|status| status.fence.as_ref());
        let reason = crate::controller::placement::fence(world.nodes.get(&name.to_owned()), &host.spec);
        if told.map(|fence| fence.reason.as_str()) == reason {
            continue;
        }
        let fence = reason.map(|reason| {
            let version = host.metadata.resource_version.clone().unwrap_or_default();
            Fence { id: told.map_or(version, |fence| fence.id.clone()), reason: reason.to_owned() }
        });
        let message = match reason {
            Some(reason) => {
                format!("it is fenced ({reason}): what it held goes elsewhere where its volumes can follow")
            }
            None => "it is not fenced any more".to_owned(),
        };
        let note = Note { warning: reason.is_some(), reason: "Fenced", message };
        let step = Step::Status(json!({ "fence": fence }));
        pass.writes().add(&Object::from(host.clone()), step).notes.push(note);
    }
}

/// What a silent agent said last is not known to be true any more: of its host, and of the guests there.
pub(super) fn mark_unreachable(pass: &mut Pass<'_>) {
    let world = pass.world;
    let unreachable: BTreeSet<&str> = pass.circumstances.verdict.unreachable.iter().map(String::as_str).collect();
    if unreachable.is_empty() {
        return;
    }
    for (name, host) in world.hosts().filter(|(name, _)| unreachable.contains(name)) {
        let status = host.status.clone().unwrap_or_default();
        if let Some(conditions) = unknown(&status.conditions, name, &[types::READY]) {
            let note = Note {
                warning: true,
                reason: HOST_UNREACHABLE,
                message: "its agent has been silent for more than 90 s".to_owned(),
            };
            let step = Step::Status(json!({ "conditions": conditions }));
            pass.writes().add(&Object::from(host.clone()), step).notes.push(note);
        }
    }
    for (key, domain) in world.domains() {
        let claimed = domain.status.as_ref().and_then(|status| status.host.as_deref());
        let Some(host) = claimed.filter(|host| unreachable.contains(host)) else { continue };
        let old = domain.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        // Of a fenced host's guests it is said elsewhere how ready they are.
        let types: &[&str] = if pass.is_gone(host) { &[types::RUNNING] } else { &[types::READY, types::RUNNING] };
        let mut conditions = unknown(&old, host, types).unwrap_or_else(|| old.clone());
        if domain.metadata.deletion_timestamp.is_some() && !pass.is_gone(host) {
            let message = format!("its deletion waits for the agent of host {host}, or until that host is fenced");
            let generation = domain.metadata.generation.unwrap_or(0);
            conditions.set(types::RECONCILING, true, HOST_UNREACHABLE, message, generation);
        }
        if conditions == old {
            continue;
        }
        if pass.decision.marked == pass.circumstances.allowance {
            pass.look_again_after(std::time::Duration::from_secs(1));
            return;
        }
        pass.decision.marked += 1;
        let Some(object) = world.get(key) else { continue };
        pass.writes().add(object, Step::Status(json!({ "conditions": conditions })));
    }
}

/// The conditions with those of `types` unknown; `None` if they are already, or were never told.
fn unknown(conditions: &Conditions, host: &str, types: &[&str]) -> Option<Conditions> {
    let mut changed = conditions.clone();
    for condition in conditions.0.iter().filter(|condition| types.contains(&condition.type_.as_str())) {
        if condition.reason != HOST_UNREACHABLE {
            let message =
                format!("the agent of host {host} is silent: this was {:?} when it spoke last", condition.status);
            let seen = condition.observed_generation;
            changed.set(&condition.type_, ConditionStatus::Unknown, HOST_UNREACHABLE, message, seen);
        }
    }
    (changed != *conditions).then_some(changed)
}

/// Each host learns which definitions it must carry out because their selectors pick it.
pub(super) fn want(pass: &mut Pass<'_>) {
    let world = pass.world;
    let mut selecting: Vec<(&ObjectRef, &HostSelector)> = Vec::new();
    for kind in [Kind::Network, Kind::StoragePool] {
        for (key, object) in world.of_kind(kind) {
            let selector = match &**object {
                Object::Network(network) => network.spec.host_selector.as_ref(),
                Object::StoragePool(pool) => pool.spec.host_selector.as_ref(),
                _ => None,
            };
            // One that is being deleted stays while it is used: there, and no longer everywhere.
            selecting.extend(selector.filter(|_| !object.is_deleted()).map(|selector| (key, selector)));
        }
    }
    for (name, host) in world.hosts() {
        let labels = if selecting.is_empty() { BTreeMap::new() } else { world.labels_of(name) };
        let mut wanted: Vec<WantedDefinition> = selecting
            .iter()
            .filter(|(_, selector)| selects(selector, &labels))
            .map(|(key, _)| WantedDefinition {
                kind: key.kind.name().to_owned(),
                namespace: key.namespace.clone(),
                object: key.name.clone(),
            })
            .collect();
        wanted.sort();
        if host.status.as_ref().map(|status| status.wanted.as_slice()).unwrap_or_default() != wanted {
            pass.writes().add(&Object::from(host.clone()), Step::Status(json!({ "wanted": wanted })));
        }
    }
}

/// The hosts as they are for new guests: who takes any, and how much is left there.
pub(super) fn candidates(pass: &Pass<'_>) -> Candidates {
    let world = pass.world;
    let (mut pods, mut booked, mut taken) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (_, pod) in world.pods.iter() {
        let sums: &mut HashMap<&str, Room> = if pod.is_placeholder { &mut booked } else { &mut pods };
        let sum = sums.entry(&pod.node).or_default();
        *sum = sum.plus(pod.requests);
    }
    for user in &pass.uses.domains {
        if let (Some(host), Object::Domain(domain)) = (user.host, &**user.object) {
            let sum: &mut Room = taken.entry(host).or_default();
            *sum = sum.plus(needs(domain, pass.circumstances.vcpus_per_cpu));
        }
    }
    world
        .hosts()
        .map(|(name, host)| Candidate {
            name: name.to_owned(),
            labels: world.labels_of(name),
            drivers: host.status.as_ref().map(|status| status.drivers.clone()).unwrap_or_default(),
            closed: closed(pass, name, host),
            allow: host.status.as_ref().map(|status| status.allow.clone()).unwrap_or_default(),
            room: {
                let of = |sums: &HashMap<&str, Room>| sums.get(name).copied();
                let free = room(pass, name, host).minus(of(&pods).unwrap_or_default());
                // Where the guests' share is booked, it is all that they have.
                of(&booked).map_or(free, |booked| free.least(booked)).minus(of(&taken).unwrap_or_default())
            },
        })
        .collect()
}

/// What a guest takes.
pub(super) fn needs(domain: &Domain, vcpus_per_cpu: u32) -> Room {
    let guest = &domain.spec.domain;
    Room {
        cpu_milli: i64::try_from((u64::from(guest.vcpus()) * 1_000).div_ceil(u64::from(vcpus_per_cpu.max(1))))
            .unwrap_or(i64::MAX),
        memory_bytes: i64::try_from(guest.memory_kib().saturating_mul(1024)).unwrap_or(i64::MAX),
    }
}

fn room(pass: &Pass<'_>, name: &str, host: &Host) -> Room {
    let reserve = &host.spec.reserve;
    let reserved = Room {
        cpu_milli: reserve.cpus.saturating_mul(1_000),
        memory_bytes: reserve.memory.map_or(0, |memory| i64::try_from(memory.bytes()).unwrap_or(i64::MAX)),
    };
    pass.world.nodes.get(&name.to_owned()).map(|node| node.allocatable).unwrap_or_default().minus(reserved)
}

fn closed(pass: &Pass<'_>, name: &str, host: &Host) -> Option<Refusal> {
    let node = pass.world.nodes.get(&name.to_owned());
    if host.spec.fenced || node.is_some_and(|node| node.out_of_service) {
        return Some(Refusal::Fenced);
    }
    let Some(node) = node else { return Some(Refusal::NoNode) };
    if pass.circumstances.verdict.unreachable.contains(name) {
        return Some(Refusal::Unreachable);
    }
    if !host.status.as_ref().is_some_and(|status| status.conditions.is_true(types::READY)) {
        return Some(Refusal::NotReady);
    }
    if host.spec.unschedulable || host.metadata.deletion_timestamp.is_some() {
        return Some(Refusal::Unschedulable);
    }
    if host.spec.maintenance {
        return Some(Refusal::Maintenance);
    }
    if node.cordoned {
        return Some(Refusal::Cordoned);
    }
    node.taints.first().map(|key| Refusal::Tainted(key.clone()))
}
