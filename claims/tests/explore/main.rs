//! What claims promise, explored: whatever goes wrong, one copy runs, and in the end one does.

mod model;

use model::Rules;
use ostler_claims::{self as claim, Circumstances, Next};
use stateright::{Checker, Model};

/// The way to the first state that breaks a promise, if there is one within so many steps.
fn explore(rules: Rules, steps: usize) -> Option<(&'static str, String)> {
    let checker = rules.checker().threads(2).target_max_depth(steps).spawn_bfs().join();
    eprintln!("{} states", checker.unique_state_count());
    let found = checker.discoveries().into_iter().next();
    found.map(|(name, path)| {
        let last = path.last_state().clone();
        (name, format!("{:?}\n{last:#?}", path.into_actions()))
    })
}

/// More steps than any way has where one thing goes wrong.
const ALL: usize = 60;

#[test]
fn one_copy_runs_whatever_goes_wrong_and_in_the_end_one_does() {
    // Whatever one fault leads to, and what two lead to soon.
    for (faults, steps) in [(1, ALL), (2, 11)] {
        if let Some((promise, way)) = explore(Rules::true_ones(faults), steps) {
            panic!("broken: {promise}\n{way}");
        }
    }
}

/// Breaks one rule, and expects the explorer to find what comes of it.
fn check(faults: u8, mutate: impl FnOnce(&mut Rules), promise: &str) {
    let mut rules = Rules::true_ones(faults);
    mutate(&mut rules);
    // What is looked for is found sooner without the rest.
    rules.mend_one_of = if promise == IN_THE_END { 1 } else { u64::MAX };
    let found = explore(rules, ALL);
    assert_eq!(found.as_ref().map(|(promise, _)| *promise), Some(promise), "{found:?}");
}

const ONE_COPY: &str = "one copy";
const IN_THE_END: &str = "it runs in the end";

#[test]
fn it_finds_a_holder_that_waits_for_ever() {
    fn deaf(claim: &claim::Claim<model::H>, circumstances: &Circumstances<'_, model::H>) -> Next<model::H> {
        match claim::next(claim, circumstances) {
            Next::Raise(_) => Next::Leave,
            other => other,
        }
    }
    check(1, |rules| rules.next = deaf, IN_THE_END);
}

#[test]
fn it_finds_a_controller_that_takes_claims_from_silent_hosts() {
    check(1, |rules| rules.is_gone = |_, _, silent| silent, IN_THE_END);
}

#[test]
fn it_finds_a_controller_that_does_not_wait_until_a_fenced_host_has_stopped() {
    check(1, |rules| rules.is_gone = |fence, _, _| fence.is_some(), ONE_COPY);
}
