//! What the controller does, as one pure function: from the world as it is to what is to be written. When nothing is left
//! to do, that is nothing; so a write that was lost, or refused because the object had changed, is simply decided anew.

mod claims;
mod copies;
mod hosts;
mod sums;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use ostler_claims as claim;
use ostler_crds::{Host, HostSpec, Kind, Object, ObjectRef};

use copies::Copies;

use super::liveness::Verdict;
use super::placement::Candidate;
use super::quota::Taken;
use super::uses::Uses;
use super::world::World;
use super::writes::Writes;

/// How long an object may wait before people are told: most wait only for what is applied beside them.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What is decided by, besides the world.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// Which agents are alive.
    pub verdict: &'a Verdict,
    /// The time, by our own clock.
    pub now: Duration,
    /// New with each leader, and when the API server has forgotten something: what hosts told before is not relied upon.
    pub term: &'a str,
    /// How many domains of unreachable hosts may be written to.
    pub allowance: usize,
    /// How many virtual CPUs share one of the host's.
    pub vcpus_per_cpu: u32,
}

/// What is remembered from one decision to the next.
#[derive(Debug, Default)]
pub struct Memory {
    term: String,
    /// Domains that were there without a claim when the term began, by uid: the API server may have forgotten that they ran.
    doubtful: BTreeSet<String>,
    waiting_since: BTreeMap<ObjectRef, Duration>,
}

/// What was decided.
#[derive(Debug, Default)]
pub struct Decision {
    /// What is to be written.
    pub writes: Writes,
    /// When to look again though nothing changed.
    pub again: Option<Duration>,
    /// How many domains of unreachable hosts were written to.
    pub marked: usize,
}

/// What is to be written now.
pub fn decide(world: &World, circumstances: &Circumstances<'_>, memory: &mut Memory) -> Decision {
    if memory.term != circumstances.term {
        memory.term = circumstances.term.to_owned();
        memory.doubtful = claims::unclaimed(world);
    }
    let uses = Uses::of(world);
    let gone = gone(world, circumstances, &uses);
    let fenced = world.hosts().map(|(name, _)| name).filter(|name| is_fenced(world, name)).collect();
    let mut pass = Pass {
        world,
        fenced,
        copies: Copies::of(world, circumstances.term, &gone),
        gone,
        circumstances,
        uses,
        taken: Taken::of(world),
        memory,
        still_waiting: BTreeSet::new(),
        decision: Decision::default(),
    };
    hosts::make(&mut pass);
    hosts::fence(&mut pass);
    hosts::mark_unreachable(&mut pass);
    hosts::want(&mut pass);
    claims::volumes_and_domains(&mut pass);
    claims::operations(&mut pass);
    sums::networks(&mut pass);
    sums::pools(&mut pass);
    pass.finish()
}

/// One decision in the making.
struct Pass<'a> {
    world: &'a World,
    circumstances: &'a Circumstances<'a>,
    uses: Uses<'a>,
    /// Hosts of which somebody says that they are off.
    fenced: HashSet<&'a str>,
    /// What the namespaces with quotas take of them.
    taken: Taken,
    copies: Copies,
    /// Hosts on which nothing runs any more.
    gone: BTreeSet<String>,
    memory: &'a mut Memory,
    still_waiting: BTreeSet<ObjectRef>,
    decision: Decision,
}

impl Pass<'_> {
    fn writes(&mut self) -> &mut Writes {
        &mut self.decision.writes
    }

    fn look_again_after(&mut self, time: Duration) {
        let again = self.decision.again.get_or_insert(time);
        *again = time.min(*again);
    }

    /// Whether an object has waited so long that people are told.
    fn has_waited(&mut self, key: &ObjectRef) -> bool {
        self.still_waiting.insert(key.clone());
        let since = *self.memory.waiting_since.entry(key.clone()).or_insert(self.circumstances.now);
        let waited = self.circumstances.now.saturating_sub(since);
        if waited < PATIENCE {
            self.look_again_after(PATIENCE - waited);
        }
        waited >= PATIENCE
    }

    fn finish(self) -> Decision {
        let Pass { memory, still_waiting, decision, .. } = self;
        memory.waiting_since.retain(|key, _| still_waiting.contains(key));
        decision
    }

    /// Whether nothing runs on a host any more.
    fn is_gone(&self, name: &str) -> bool {
        self.gone.contains(name)
    }

    fn host(&self, name: &str) -> Option<&Host> {
        host(self.world, name)
    }
}

fn host<'a>(world: &'a World, name: &str) -> Option<&'a Host> {
    match world.get(&ObjectRef::new(Kind::Host, "", name)).map(AsRef::as_ref) {
        Some(Object::Host(host)) => Some(host),
        _ => None,
    }
}

fn is_fenced(world: &World, name: &str) -> bool {
    let node = world.nodes.get(&name.to_owned());
    match host(world, name) {
        Some(host) => super::placement::fence(node, &host.spec).is_some(),
        None => super::placement::fence(node, &HostSpec::default()).is_some(),
    }
}

/// The hosts on which nothing runs any more: they are fenced, and their agents say so or are not heard. Also those that something
/// claims though there is no Host.
fn gone(world: &World, circumstances: &Circumstances<'_>, uses: &Uses<'_>) -> BTreeSet<String> {
    let claims = uses.domains.iter().filter_map(|domain| domain.host);
    let names: HashSet<&str> = world.hosts().map(|(name, _)| name).chain(claims).collect();
    let is_gone = |name: &&str| {
        let is_silent = circumstances.verdict.silent.contains(*name);
        let Some(host) = host(world, name) else {
            return is_fenced(world, name) && (is_silent || world.agents.get(&(*name).to_owned()).is_none());
        };
        let status = host.status.as_ref();
        let fence = status.and_then(|status| status.fence.as_ref()).map(|fence| &fence.id);
        let halted = status.and_then(|status| status.halted.as_ref());
        claim::is_gone(fence.filter(|_| is_fenced(world, name)), halted, is_silent)
    };
    names.into_iter().filter(|name| !name.is_empty()).filter(is_gone).map(str::to_owned).collect()
}

type Candidates = Vec<Candidate>;

#[cfg(test)]
pub(super) mod tests;
