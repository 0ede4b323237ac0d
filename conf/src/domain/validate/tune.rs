//! Rules of what a guest gets of the host's caches and memory bandwidth.

use std::collections::BTreeSet;

use ostler_util::{CpuSet, ErrorCode as Code};

use super::Problems;
use crate::domain::{CacheContent, CachePart, CpuTune, Domain};

pub(super) fn check(tune: &CpuTune, domain: &Domain, problems: &mut Problems) {
    check_schedulers("vcpuscheds", tune.vcpuscheds.iter().map(|s| &s.vcpus), problems);
    check_schedulers("iothreadscheds", tune.iothreadscheds.iter().map(|s| &s.iothreads), problems);
    let ids = domain.iothreadids.as_ref().map_or(&[][..], |ids| &ids.iothreads);
    let has_iothread = |id: u32| {
        if ids.is_empty() { (1..=domain.iothreads.unwrap_or(0)).contains(&id) } else { ids.iter().any(|t| t.id == id) }
    };
    let scheduled = tune.iothreadscheds.iter().flat_map(|s| s.iothreads.iter()).map(|id| ("iothreadscheds", id));
    let pinned = tune.iothreadpins.iter().map(|pin| ("iothreadpins", pin.iothread));
    for (list, id) in scheduled.chain(pinned) {
        if !has_iothread(id) {
            problems.add(
                Code::ConfigUnsupported,
                format!("cputune.{list}"),
                format!("the guest has no I/O thread {id}"),
            );
        }
    }
    for (at, cachetune) in tune.cachetunes.iter().enumerate() {
        let path = format_args!("cputune.cachetunes[{at}]");
        if cachetune.caches.iter().enumerate().any(|(at, part)| cachetune.caches[..at].iter().any(|p| collide(p, part)))
        {
            problems.add(Code::XmlError, path, "two parts are of the same cache");
        }
        if cachetune.monitors.iter().any(|monitor| !is_within(&monitor.vcpus, &cachetune.vcpus)) {
            problems.add(Code::InvalidArg, path, "what is measured belongs to other virtual CPUs");
        }
    }
    for (at, memorytune) in tune.memorytunes.iter().enumerate() {
        let mut nodes = BTreeSet::new();
        if !memorytune.nodes.iter().all(|node| nodes.insert(node.id)) {
            problems.add(Code::XmlError, format!("cputune.memorytunes[{at}]"), "two shares are of the same node");
        }
    }
}

/// A thread has one scheduler.
fn check_schedulers<'a>(list: &str, sets: impl Iterator<Item = &'a CpuSet>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for member in sets.flat_map(CpuSet::iter) {
        if !seen.insert(member) {
            return problems.add(Code::XmlDetail, format!("cputune.{list}"), format!("{member} is scheduled twice"));
        }
    }
}

fn collide(one: &CachePart, other: &CachePart) -> bool {
    let same = one.id == other.id && one.level == other.level;
    same && (one.r#type == other.r#type || one.r#type == CacheContent::Both || other.r#type == CacheContent::Both)
}

fn is_within(part: &CpuSet, whole: &CpuSet) -> bool {
    let whole: BTreeSet<u32> = whole.iter().collect();
    part.iter().all(|cpu| whole.contains(&cpu))
}
