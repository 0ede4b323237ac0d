//! Which agents are alive: those whose Lease changes.
//!
//! Only our own monotonic clock counts, from the moment when we ourselves saw a change: a host's clock may be wrong, and
//! what we could not see proves nothing. So all are counted afresh after our start and after every disconnect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a Lease may stay unchanged.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(90);
/// When over half would turn at once, the fault is rather ours, or the network's; this much longer it may take.
pub const HELD_BACK_FOR: Duration = Duration::from_secs(600);

/// When each agent was seen last.
#[derive(Debug, Default)]
pub struct Liveness {
    agents: BTreeMap<String, Seen>,
    /// Those that have turned.
    unreachable: BTreeSet<String>,
}

#[derive(Debug)]
struct Seen {
    /// The Lease's version.
    version: u64,
    since: Duration,
}

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Hosts whose agents are not alive.
    pub unreachable: BTreeSet<String>,
    /// Hosts whose agents were not heard for so long, also while their number holds that back.
    pub silent: BTreeSet<String>,
    /// Whether some would be among them but for their number.
    pub held_back: bool,
    /// When the next may turn.
    pub next: Option<Duration>,
}

impl Liveness {
    /// A host's Lease was seen in this version at `now`. Gives whether its agent was thought dead.
    pub fn seen(&mut self, host: &str, version: u64, now: Duration) -> bool {
        match self.agents.get_mut(host) {
            Some(seen) if seen.version == version => false,
            Some(seen) => {
                *seen = Seen { version, since: now };
                self.unreachable.remove(host)
            }
            None => {
                self.agents.insert(host.to_owned(), Seen { version, since: now });
                false
            }
        }
    }

    /// A host of which no Lease may be left.
    pub fn known(&mut self, host: &str, now: Duration) {
        self.agents.entry(host.to_owned()).or_insert(Seen { version: 0, since: now });
    }

    /// There is no such host any more.
    pub fn forget(&mut self, host: &str) {
        self.agents.remove(host);
        self.unreachable.remove(host);
    }

    /// We could not see for a while: those that are not thought dead are counted afresh.
    pub fn start_afresh(&mut self, now: Duration) {
        for seen in self.agents.values_mut() {
            seen.since = now;
        }
    }

    /// Which agents are not alive at `now`.
    pub fn verdict(&mut self, now: Duration) -> Verdict {
        let silent = |seen: &Seen| now.saturating_sub(seen.since);
        let turning: Vec<(String, Duration)> = self
            .agents
            .iter()
            .filter(|(host, seen)| silent(seen) >= UNREACHABLE_AFTER && !self.unreachable.contains(*host))
            .map(|(host, seen)| (host.clone(), silent(seen)))
            .collect();
        // One alone has no others to be compared with.
        let too_many = self.agents.len() > 1 && turning.len() * 2 > self.agents.len();
        let (turned, held): (Vec<_>, Vec<_>) =
            turning.into_iter().partition(|(_, silent)| !too_many || *silent >= UNREACHABLE_AFTER + HELD_BACK_FOR);
        self.unreachable.extend(turned.into_iter().map(|(host, _)| host));
        let waits = |(host, seen): (&String, &Seen)| {
            let limit = if held.iter().any(|(held, _)| held == host) {
                UNREACHABLE_AFTER + HELD_BACK_FOR
            } else {
                UNREACHABLE_AFTER
            };
            (!self.unreachable.contains(host)).then(|| seen.since + limit)
        };
        let is_silent =
            |(host, seen): &(&String, &Seen)| silent(seen) >= UNREACHABLE_AFTER || self.unreachable.contains(*host);
        Verdict {
            silent: self.agents.iter().filter(is_silent).map(|(host, _)| host.clone()).collect(),
            unreachable: self.unreachable.clone(),
            held_back: !held.is_empty(),
            next: self.agents.iter().filter_map(waits).min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn three_at_zero() -> Liveness {
        let mut liveness = Liveness::default();
        for host in ["a", "b", "c"] {
            liveness.seen(host, 1, seconds(0));
        }
        liveness
    }

    fn unreachable(liveness: &mut Liveness, now: u64) -> Vec<String> {
        liveness.verdict(seconds(now)).unreachable.into_iter().collect()
    }

    #[test]
    fn an_agent_is_alive_while_its_lease_changes() {
        let mut liveness = three_at_zero();
        for host in ["b", "c"] {
            liveness.seen(host, 2, seconds(60));
        }
        assert_eq!(liveness.verdict(seconds(60)).next, Some(seconds(90)));
        assert!(unreachable(&mut liveness, 89).is_empty());
        assert_eq!(unreachable(&mut liveness, 90), ["a"]);
        assert!(liveness.seen("a", 2, seconds(95)), "it was thought dead");
        assert!(unreachable(&mut liveness, 96).is_empty());
    }

    #[test]
    fn the_same_version_again_is_no_sign_of_life() {
        let mut liveness = three_at_zero();
        for (host, version) in [("a", 1), ("b", 2), ("c", 2)] {
            liveness.seen(host, version, seconds(80));
        }
        assert_eq!(unreachable(&mut liveness, 90), ["a"]);
    }

    #[test]
    fn over_half_at_once_are_held_back() {
        let mut liveness = three_at_zero();
        liveness.seen("c", 2, seconds(60));
        let verdict = liveness.verdict(seconds(100));
        assert!(verdict.held_back && verdict.unreachable.is_empty());
        assert_eq!(verdict.silent.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        // One of them comes back: then the other is a dead host.
        liveness.seen("b", 2, seconds(110));
        assert_eq!(unreachable(&mut liveness, 110), ["a"]);
    }

    #[test]
    fn what_is_held_back_turns_in_the_end() {
        let mut liveness = three_at_zero();
        assert_eq!(liveness.verdict(seconds(100)).next, Some(UNREACHABLE_AFTER + HELD_BACK_FOR));
        assert!(unreachable(&mut liveness, 689).is_empty());
        assert_eq!(unreachable(&mut liveness, 690), ["a", "b", "c"]);
    }

    #[test]
    fn one_host_alone_is_not_held_back() {
        let mut liveness = Liveness::default();
        liveness.seen("a", 1, seconds(0));
        assert_eq!(unreachable(&mut liveness, 90), ["a"]);
    }

    #[test]
    fn after_a_disconnect_all_are_counted_afresh_but_the_dead_stay_dead() {
        let mut liveness = three_at_zero();
        for host in ["b", "c"] {
            liveness.seen(host, 2, seconds(60));
        }
        assert_eq!(unreachable(&mut liveness, 90), ["a"]);
        liveness.start_afresh(seconds(100));
        assert_eq!(unreachable(&mut liveness, 189), ["a"]);
    }

    #[test]
    fn a_host_without_a_lease_is_dead_after_a_while_too() {
        let mut liveness = Liveness::default();
        liveness.known("a", seconds(0));
        liveness.known("a", seconds(80));
        assert_eq!(unreachable(&mut liveness, 90), ["a"]);
        liveness.forget("a");
        assert!(unreachable(&mut liveness, 90).is_empty());
    }
}
