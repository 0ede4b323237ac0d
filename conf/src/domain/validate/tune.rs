//! Rules of what a guest gets of the host's caches and memory bandwidth.

use std::collections::BTreeSet;

use ostler_util::{CpuSet, ErrorCode as Code};

use super::Problems;
use crate::domain::{CacheContent, CachePart, CpuTune};

pub(super) fn check(tune: &CpuTune, problems: &mut Problems) {
    for (at, cachetune) in tune.cachetunes.iter().enumerate() {
        let path = format!("cputune.cachetunes[{at}]");
        if cachetune.caches.iter().enumerate().any(|(at, part)| cachetune.caches[..at].iter().any(|p| collide(p, part)))
        {
            problems.add(Code::XmlError, path.clone(), "two parts are of the same cache");
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

fn collide(one: &CachePart, other: &CachePart) -> bool {
    let same = one.id == other.id && one.level == other.level;
    same && (one.r#type == other.r#type || one.r#type == CacheContent::Both || other.r#type == CacheContent::Both)
}

fn is_within(part: &CpuSet, whole: &CpuSet) -> bool {
    let whole: BTreeSet<u32> = whole.iter().collect();
    part.iter().all(|cpu| whole.contains(&cpu))
}
