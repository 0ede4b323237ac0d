//! Where a guest goes: the host that may take it, can take it, and has the most room left. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ostler_crds::grants::Grant;
use ostler_crds::{Allowed, HostSelector, Placement};

use super::world::Node;
use crate::allow::allows;

/// CPUs and memory: what there is, or what is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Thousandths of a CPU.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
}

impl Room {
    /// Both together.
    pub fn plus(self, other: Room) -> Room {
        Room {
            cpu_milli: self.cpu_milli.saturating_add(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    /// What is left; less than nothing where more was taken than there is.
    pub fn minus(self, other: Room) -> Room {
        Room {
            cpu_milli: self.cpu_milli.saturating_sub(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
        }
    }

    /// The smaller of each.
    pub fn least(self, other: Room) -> Room {
        Room { cpu_milli: self.cpu_milli.min(other.cpu_milli), memory_bytes: self.memory_bytes.min(other.memory_bytes) }
    }

    /// The larger of each.
    pub fn most(self, other: Room) -> Room {
        Room { cpu_milli: self.cpu_milli.max(other.cpu_milli), memory_bytes: self.memory_bytes.max(other.memory_bytes) }
    }
}

/// A host that might take a guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its node's labels and its own.
    pub labels: BTreeMap<String, String>,
    /// Its drivers, the default first.
    pub drivers: Vec<String>,
    /// Why it takes nothing new, whatever it is.
    pub closed: Option<Refusal>,
    /// What it lets objects reach.
    pub allow: Vec<Allowed>,
    /// What is left on it.
    pub room: Room,
}

/// What a guest asks of its host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// What it takes.
    pub needs: Room,
    /// Its driver; absent: the host's first.
    pub driver: Option<String>,
    /// Where it may go: its own placement, and those of its volumes that are bound to no host yet.
    pub placements: Vec<Placement>,
    /// The hosts that it can't leave, each with what is there, in words.
    pub bound: BTreeMap<String, String>,
    /// What it reaches of its host, by grant, and the namespace that asks.
    pub reaches: BTreeSet<(Grant, String)>,
}

/// Why a host can't take a guest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "their texts say it")]
pub enum Refusal {
    NotNamed,
    NotSelected,
    Bound(String),
    Fenced,
    NoNode,
    Unreachable,
    NotReady,
    Unschedulable,
    Maintenance,
    Cordoned,
    Tainted(String),
    NoDriver(Option<String>),
    NotAllowed(Grant, String),
    TooLittleMemory,
    TooFewCpus,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotNamed => f.write_str("not the host that placement names"),
            Refusal::NotSelected => f.write_str("without the labels of hostSelector"),
            Refusal::Bound(what) => write!(f, "without {what}, which is on another host"),
            Refusal::Fenced => f.write_str("fenced"),
            Refusal::NoNode => f.write_str("without a Node"),
            Refusal::Unreachable => f.write_str("unreachable"),
            Refusal::NotReady => f.write_str("not ready"),
            Refusal::Unschedulable => f.write_str("closed by its Host's spec.unschedulable"),
            Refusal::Maintenance => f.write_str("in maintenance"),
            Refusal::Cordoned => f.write_str("cordoned"),
            Refusal::Tainted(key) => write!(f, "tainted {key}"),
            Refusal::NoDriver(Some(driver)) => write!(f, "without the driver {driver}"),
            Refusal::NoDriver(None) => f.write_str("without any driver"),
            Refusal::NotAllowed(grant, namespace) => {
                write!(f, "whose Host's spec.allow does not list '{grant}' for namespace {namespace}")
            }
            Refusal::TooLittleMemory => f.write_str("without enough free memory"),
            Refusal::TooFewCpus => f.write_str("without enough free CPUs"),
        }
    }
}

/// The host for a guest.
///
/// # Errors
/// Why each host can't take it, summed up.
pub fn place<'a>(wish: &Wish, hosts: &'a [Candidate]) -> Result<&'a str, String> {
    let mut refusals: BTreeMap<Refusal, usize> = BTreeMap::new();
    let mut fitting = Vec::new();
    for host in hosts {
        match refusal(wish, host) {
            Some(refusal) => *refusals.entry(refusal).or_default() += 1,
            None => fitting.push(host),
        }
    }
    let left = |host: &Candidate| host.room.minus(wish.needs);
    let best = fitting.into_iter().max_by(|one, other| {
        let (a, b) = (left(one), left(other));
        (a.memory_bytes, a.cpu_milli).cmp(&(b.memory_bytes, b.cpu_milli)).then_with(|| other.name.cmp(&one.name))
    });
    best.map(|host| host.name.as_str()).ok_or_else(|| summary(wish, hosts, &refusals))
}

/// Why this host can't take the guest; the reason that a person can least change comes first.
fn refusal(wish: &Wish, host: &Candidate) -> Option<Refusal> {
    for placement in &wish.placements {
        if placement.host.as_ref().is_some_and(|name| *name != host.name) {
            return Some(Refusal::NotNamed);
        }
        if placement.host_selector.as_ref().is_some_and(|selector| !selects(selector, &host.labels)) {
            return Some(Refusal::NotSelected);
        }
    }
    if let Some((_, what)) = wish.bound.iter().find(|(bound, _)| **bound != host.name) {
        return Some(Refusal::Bound(what.clone()));
    }
    if host.closed.is_some() {
        return host.closed.clone();
    }
    let has_driver = match &wish.driver {
        Some(driver) => host.drivers.contains(driver),
        None => !host.drivers.is_empty(),
    };
    if !has_driver {
        return Some(Refusal::NoDriver(wish.driver.clone()));
    }
    let is_denied = |(grant, namespace): &&(Grant, String)| !allows(&host.allow, *grant, namespace);
    if let Some((grant, namespace)) = wish.reaches.iter().find(is_denied) {
        return Some(Refusal::NotAllowed(*grant, namespace.clone()));
    }
    let left = host.room.minus(wish.needs);
    if left.memory_bytes < 0 {
        return Some(Refusal::TooLittleMemory);
    }
    (left.cpu_milli < 0).then_some(Refusal::TooFewCpus)
}

fn summary(wish: &Wish, hosts: &[Candidate], refusals: &BTreeMap<Refusal, usize>) -> String {
    let named = wish.placements.iter().find_map(|placement| placement.host.as_ref());
    if let Some(named) = named.filter(|named| hosts.iter().all(|host| host.name != **named)) {
        return format!("there is no host {named}");
    }
    if hosts.is_empty() {
        return "there is no host: no node runs an agent".to_owned();
    }
    let why: Vec<String> = refusals.iter().map(|(refusal, count)| format!("{count} {refusal}")).collect();
    format!("no host of {} can take it: {}", hosts.len(), why.join(", "))
}

/// Whether a selector picks a host with these labels.
pub fn selects(selector: &HostSelector, labels: &BTreeMap<String, String>) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whose word it is that a host is off, if it is anybody's: only then may what it held be claimed by another. Unreachable is not
/// fenced. `node`: absent where there is none of the host's name.
pub fn fence(node: Option<&Node>, host: &ostler_crds::HostSpec) -> Option<&'static str> {
    match node {
        _ if host.fenced => Some("Spec"),
        Some(node) if node.out_of_service => Some("NodeOutOfService"),
        Some(_) => None,
        // A remote endpoint has no node, ever.
        None => host.uris.is_empty().then_some("NodeDeleted"),
    }
}

/// The hosts that some placements allow, by labels and name alone.
pub fn allowed<'a>(
    placements: &[Placement],
    hosts: impl Iterator<Item = (&'a str, BTreeMap<String, String>)>,
) -> BTreeSet<&'a str> {
    let allows = |placement: &Placement, name: &str, labels: &BTreeMap<String, String>| {
        placement.host.as_ref().is_none_or(|named| named == name)
            && placement.host_selector.as_ref().is_none_or(|selector| selects(selector, labels))
    };
    hosts
        .filter(|(name, labels)| placements.iter().all(|placement| allows(placement, name, labels)))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests;
