//! Networks and pools: what became of a definition on its hosts, summed up in its status, and its end.

use std::collections::{HashMap, HashSet};

use ostler_crds::{
    Conditions, HostCounts, HostOutcome, HostSelector, HostStatus, Kind, Object, ObjectRef, UsableFrom, reasons,
};
use serde_json::json;

use super::Pass;
use crate::controller::placement::selects;
use crate::controller::uses::{User, list};
use crate::controller::writes::Step;

/// A definition, whatever its kind.
struct Definition<'a> {
    key: &'a ObjectRef,
    object: &'a Object,
    selector: Option<&'a HostSelector>,
    observed_generation: Option<i64>,
    hosts: HostCounts,
    conditions: Conditions,
    usable_from: Option<&'a UsableFrom>,
    told_usable: Vec<String>,
}

/// Sums up the networks.
pub(super) fn networks(pass: &mut Pass<'_>) {
    let told = told(pass, |status| &status.networks);
    for (key, object) in pass.world.of_kind(Kind::Network) {
        let Object::Network(network) = &**object else { continue };
        let status = network.status.clone().unwrap_or_default();
        let definition = Definition {
            key,
            object,
            selector: network.spec.host_selector.as_ref(),
            observed_generation: status.observed_generation,
            hosts: status.hosts,
            conditions: status.conditions,
            usable_from: network.spec.usable_from.as_ref(),
            told_usable: status.usable_from,
        };
        sum(pass, &definition, &told);
    }
}

/// Sums up the pools.
pub(super) fn pools(pass: &mut Pass<'_>) {
    let told = told(pass, |status| &status.pools);
    for (key, object) in pass.world.of_kind(Kind::StoragePool) {
        let Object::StoragePool(pool) = &**object else { continue };
        let status = pool.status.clone().unwrap_or_default();
        let definition = Definition {
            key,
            object,
            selector: pool.spec.host_selector.as_ref(),
            observed_generation: status.observed_generation,
            hosts: status.hosts,
            conditions: status.conditions,
            usable_from: pool.spec.usable_from.as_ref(),
            told_usable: status.usable_from,
        };
        sum(pass, &definition, &told);
    }
}

/// How a definition fares on one host.
struct Outcome<'a> {
    host: &'a str,
    told: Option<&'a HostOutcome>,
}

impl Outcome<'_> {
    fn is_ready(&self, generation: i64) -> bool {
        self.told.is_some_and(|told| told.ready && told.observed_generation == generation)
    }
}

/// What the hosts tell of each definition, by `namespace/name`.
type AllTold<'a> = HashMap<&'a str, HashMap<&'a str, &'a HostOutcome>>;

fn told<'a>(pass: &Pass<'a>, outcomes_of: impl Fn(&HostStatus) -> &Vec<HostOutcome>) -> AllTold<'a> {
    let mut all = AllTold::new();
    for (name, host) in pass.world.hosts() {
        for outcome in host.status.as_ref().into_iter().flat_map(&outcomes_of) {
            all.entry(&outcome.name).or_default().entry(name).or_insert(outcome);
        }
    }
    all
}

fn sum(pass: &mut Pass<'_>, definition: &Definition<'_>, told: &AllTold<'_>) {
    let Definition { key, object, .. } = definition;
    let told = told.get(format!("{}/{}", key.namespace, key.name).as_str());
    let told_on = |host: &str| told.and_then(|told| told.get(host).copied());
    let mut outcomes: Vec<Outcome<'_>> =
        wanted_on(pass, definition).into_iter().map(|host| Outcome { host, told: told_on(host) }).collect();
    outcomes.sort_unstable_by_key(|outcome| outcome.host);
    // What is left on a host on which nothing runs any more is nobody's to clean up.
    let mut left: Vec<&str> = told.into_iter().flat_map(HashMap::keys).copied().collect();
    left.retain(|host| !pass.fenced.contains(host));
    left.sort_unstable();
    let users: Vec<User<'_>> = pass.uses.users(key).to_vec();
    if object.is_deleted() && users.is_empty() && left.is_empty() {
        pass.writes().release(object);
        return;
    }
    if !object.is_deleted() {
        pass.writes().hold(object);
    }
    let generation = object.generation();
    let (desired, ready) = (outcomes.len(), outcomes.iter().filter(|outcome| outcome.is_ready(generation)).count());
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let hosts = HostCounts { desired: count(desired), ready: count(ready) };
    let mut conditions = definition.conditions.clone();
    if object.is_deleted() && !users.is_empty() {
        conditions.reconciling(reasons::IN_USE, format!("used by {}", list(&users)), generation);
    } else if object.is_deleted() {
        let message = format!("it is taken down on {}", names(&left));
        conditions.reconciling(reasons::DELETING, message, generation);
    } else {
        judge(&mut conditions, &outcomes, generation);
    }
    let usable_from = usable_from(pass, definition);
    let is_told = definition.observed_generation == Some(generation)
        && definition.hosts == hosts
        && definition.conditions == conditions
        && definition.told_usable == usable_from;
    // An object that is new is told of in one go with the first that happens to it.
    let is_new = definition.conditions.0.is_empty();
    if !is_told && (!is_new || pass.has_waited(key)) {
        let mut status = json!({ "observedGeneration": generation, "hosts": hosts, "conditions": conditions });
        if definition.told_usable != usable_from {
            status["usableFrom"] = json!(usable_from);
        }
        pass.writes().add(object, Step::Status(status));
    }
}

/// The other namespaces that may refer to a definition.
fn usable_from(pass: &Pass<'_>, definition: &Definition<'_>) -> Vec<String> {
    let Some(usable_from) = definition.usable_from else { return Vec::new() };
    let others = pass.world.namespaces.iter().filter(|(name, _)| **name != definition.key.namespace);
    others.filter(|(_, labels)| usable_from.picks(labels)).map(|(name, _)| name.clone()).collect()
}

/// The hosts on which a definition is wanted: where something placed there uses it, and those that its selector picks.
fn wanted_on<'a>(pass: &Pass<'a>, definition: &Definition<'_>) -> HashSet<&'a str> {
    let mut wanted = HashSet::new();
    wanted.extend(pass.uses.users(definition.key).iter().filter_map(|user| user.host));
    // Of a host that does not exist nothing can be told.
    wanted.retain(|host| pass.host(host).is_some());
    if let Some(selector) = definition.selector.filter(|_| !definition.object.is_deleted()) {
        let picked = |(name, _): &(&str, _)| selects(selector, &pass.world.labels_of(name));
        wanted.extend(pass.world.hosts().filter(picked).map(|(name, _)| name));
    }
    wanted
}

fn judge(conditions: &mut Conditions, outcomes: &[Outcome<'_>], generation: i64) {
    let failing: Vec<&Outcome<'_>> = outcomes.iter().filter(|outcome| !outcome.is_ready(generation)).collect();
    if outcomes.is_empty() {
        conditions.ready(reasons::WAITING_FOR_FIRST_USE, "nothing that uses it is placed on any host", generation);
        return;
    }
    let Some(first) = failing.first() else {
        let hosts: Vec<&str> = outcomes.iter().map(|outcome| outcome.host).collect();
        conditions.ready(reasons::READY, format!("carried out on {}", names(&hosts)), generation);
        return;
    };
    // One host that says what is wrong tells more than those that have not spoken yet.
    let speaking = failing.iter().find(|outcome| outcome.told.is_some_and(|told| !told.ready)).unwrap_or(first);
    let (reason, message) = match speaking.told {
        Some(told) if !told.ready => (told.reason.as_str(), told.message.as_str()),
        _ => (reasons::RECONCILING, "its agent has not told of it yet"),
    };
    let message =
        format!("on {} of {} hosts; {}: {message}", outcomes.len() - failing.len(), outcomes.len(), speaking.host);
    conditions.reconciling(reason, message, generation);
}

fn names(hosts: &[&str]) -> String {
    const SHOWN: usize = 5;
    match hosts.len() {
        1 => format!("host {}", hosts[0]),
        count if count <= SHOWN => format!("hosts {}", hosts.join(", ")),
        count => format!("{count} hosts"),
    }
}
