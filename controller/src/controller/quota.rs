//! Quotas: how much the guests and volumes of a namespace may be, by Kubernetes' own ResourceQuotas.
//!
//! A quota's `hard` names what the API server can't count: [`CPUS`], [`MEMORY`], [`STORAGE`]. What exists counts, whether it runs or
//! not, by its spec. Admission refuses what is too much; since two that are admitted at one moment don't see each other, what never had
//! a host is counted again before it is given its first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1 as core;
use ostler_crds::{Kind, Object};

use super::quantity::units;
use super::world::World;

/// Virtual CPUs of domains, as many as a domain may have.
pub const CPUS: &str = "ostler.dev/cpus";
/// Memory of domains, in bytes.
pub const MEMORY: &str = "ostler.dev/memory";
/// Capacities of volumes, in bytes.
pub const STORAGE: &str = "ostler.dev/storage";

const ALL: [&str; 3] = [CPUS, MEMORY, STORAGE];

/// Amounts, in the order of the names above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts([i64; 3]);

impl Amounts {
    /// What an object takes.
    pub fn of(object: &Object) -> Self {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        match object {
            Object::Domain(domain) => {
                let guest = &domain.spec.domain;
                Amounts([i64::from(guest.vcpus()), bytes(guest.memory_kib().saturating_mul(1024)), 0])
            }
            Object::StorageVolume(volume) => {
                Amounts([0, 0, volume.spec.volume.capacity.map_or(0, |capacity| bytes(capacity.0.bytes()))])
            }
            Object::Network(_) | Object::StoragePool(_) | Object::Host(_) | Object::DomainOperation(_) => {
                Amounts::default()
            }
        }
    }

    fn plus(self, other: Self) -> Self {
        Amounts(std::array::from_fn(|at| self.0[at].saturating_add(other.0[at])))
    }
}

/// What a ResourceQuota allows; of what it does not name, any amount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits([Option<i64>; 3]);

impl From<core::ResourceQuota> for Limits {
    fn from(quota: core::ResourceQuota) -> Self {
        let spec = quota.spec.unwrap_or_default();
        // Scopes pick pods.
        if spec.scopes.is_some_and(|scopes| !scopes.is_empty()) || spec.scope_selector.is_some() {
            return Limits::default();
        }
        let hard = spec.hard.unwrap_or_default();
        Limits(ALL.map(|name| units(&hard.get(name)?.0)))
    }
}

/// What is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The field that asks for it.
    pub field: &'static str,
    /// The quota.
    quota: String,
    /// What of.
    resource: &'static str,
    requested: i64,
    used: i64,
    limited: i64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excess { quota, resource, requested, used, limited, .. } = self;
        let [requested, used, limited] = [requested, used, limited].map(|amount| shown(resource, *amount));
        write!(
            f,
            "exceeded quota: {quota}, requested: {resource}={requested}, used: {resource}={used}, limited: {resource}={limited}"
        )
    }
}

fn shown(resource: &str, amount: i64) -> String {
    let suffixes = [("Ti", 1_i64 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let fitting = suffixes.iter().find(|(_, unit)| resource != CPUS && amount > 0 && amount % unit == 0);
    fitting.map_or_else(|| amount.to_string(), |(suffix, unit)| format!("{}{suffix}", amount / unit))
}

/// Whether an object may be made, or become from `old` what it is.
///
/// # Errors
/// All that is too much.
pub fn admit(world: &World, old: Option<&Object>, new: &Object) -> Result<(), Vec<Excess>> {
    let key = new.object_ref();
    if !has_any(world, &key.namespace) {
        return Ok(());
    }
    let mut used = Amounts::default();
    for kind in [Kind::Domain, Kind::StorageVolume] {
        let others = world.of_kind(kind).filter(|(other, _)| other.namespace == key.namespace && **other != key);
        used = others.fold(used, |sum, (_, object)| sum.plus(Amounts::of(object)));
    }
    let (had, asked) = (old.map(Amounts::of).unwrap_or_default(), Amounts::of(new));
    // What takes no more than it did is not in the way, whatever the quota is now.
    let grows = Amounts(std::array::from_fn(|at| if asked.0[at] > had.0[at] { asked.0[at] } else { 0 }));
    let excess = excess(world, &key.namespace, used, grows);
    if excess.is_empty() { Ok(()) } else { Err(excess) }
}

fn has_any(world: &World, namespace: &str) -> bool {
    world.quotas.iter().any(|((of, _), limits)| of == namespace && *limits != Limits::default())
}

fn excess(world: &World, namespace: &str, used: Amounts, asked: Amounts) -> Vec<Excess> {
    let fields = ["spec.domain.vcpu.count", "spec.domain.memory.size", "spec.volume.capacity"];
    let quotas = world.quotas.iter().filter(|((of, _), _)| of == namespace);
    let mut all = Vec::new();
    for ((_, quota), limits) in quotas {
        for (at, limited) in limits.0.iter().enumerate().filter_map(|(at, limit)| Some((at, (*limit)?))) {
            let (requested, used) = (asked.0[at], used.0[at]);
            if requested > 0 && used.saturating_add(requested) > limited {
                let (field, quota) = (fields[at], quota.clone());
                all.push(Excess { field, quota, resource: ALL[at], requested, used, limited });
            }
        }
    }
    all
}

/// What the namespaces with quotas take of them: what ever had a host.
#[derive(Debug, Default)]
pub struct Taken(BTreeMap<String, Amounts>);

impl Taken {
    /// As it is.
    pub fn of(world: &World) -> Self {
        let limited: BTreeSet<&str> = world.quotas.iter().map(|((namespace, _), _)| namespace.as_str()).collect();
        let mut taken = Taken::default();
        if limited.is_empty() {
            return taken;
        }
        for kind in [Kind::Domain, Kind::StorageVolume] {
            for (key, object) in world.of_kind(kind) {
                if limited.contains(key.namespace.as_str()) && had_a_host(object) {
                    taken.add(&key.namespace, object);
                }
            }
        }
        taken
    }

    fn add(&mut self, namespace: &str, object: &Object) {
        let sum = self.0.entry(namespace.to_owned()).or_default();
        *sum = sum.plus(Amounts::of(object));
    }

    /// Takes what an object asks for, before its first host; what had one has it already.
    ///
    /// # Errors
    /// The first thing that is too much; then nothing is taken.
    pub fn take(&mut self, world: &World, object: &Object) -> Result<(), Excess> {
        let namespace = object.object_ref().namespace;
        if had_a_host(object) || !has_any(world, &namespace) {
            return Ok(());
        }
        let used = self.0.get(&namespace).copied().unwrap_or_default();
        if let Some(first) = excess(world, &namespace, used, Amounts::of(object)).into_iter().next() {
            return Err(first);
        }
        self.add(&namespace, object);
        Ok(())
    }
}

fn had_a_host(object: &Object) -> bool {
    crate::names::claim(object).is_some_and(|number| number > 0)
}

#[cfg(test)]
mod tests;
