//! What the controller does, as one pure function: from the world as it is to what is to be written. When nothing is left
//! to do, that is nothing; so a write that was lost, or refused because the object had changed, is simply decided anew.

mod claims;
mod hosts;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ostler_crds::{Host, ObjectRef};

use super::liveness::Verdict;
use super::placement::Candidate;
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
    /// How many domains of unreachable hosts may be written to.
    pub allowance: usize,
    /// How many virtual CPUs share one of the host's.
    pub vcpus_per_cpu: u32,
}

/// What is remembered from one decision to the next.
#[derive(Debug, Default)]
pub struct Memory {
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
    let mut pass = Pass {
        world,
        circumstances,
        uses: Uses::of(world),
        memory,
        still_waiting: BTreeSet::new(),
        decision: Decision::default(),
    };
    hosts::make(&mut pass);
    hosts::mark_unreachable(&mut pass);
    hosts::want(&mut pass);
    let candidates = hosts::candidates(&pass);
    claims::volumes_and_domains(&mut pass, candidates);
    claims::operations(&mut pass);
    sums::networks(&mut pass);
    sums::pools(&mut pass);
    pass.finish()
}

/// One decision in the making.
struct Pass<'a> {
    world: &'a World,
    circumstances: &'a Circumstances<'a>,
    uses: Uses,
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

    fn is_fenced(&self, name: &str) -> bool {
        let node = self.world.nodes.get(&name.to_owned());
        let spec = self.host(name).map(|host| host.spec.clone()).unwrap_or_default();
        super::placement::is_fenced(node, &spec)
    }

    fn host(&self, name: &str) -> Option<&Host> {
        self.world.hosts().find(|(host, _)| *host == name).map(|(_, host)| host)
    }
}

type Candidates = Vec<Candidate>;

#[cfg(test)]
pub(super) mod tests;
