//! Claims: which host may run a guest, and when that may be another.
//!
//! A claim is a host and a number (`status.host`, `status.claim`). These functions are all that decides about one: the
//! controller's [`next`], the agent's [`holder`] and [`stray`]. They are pure; `tests/explore` explores what they allow, with crashes,
//! stale caches, two leaders, hosts that are fenced and come back, and an API server that comes back from an older backup.
//!
//! - A number is never given twice. An agent starts under its claim only what it may, after the API server confirmed that the
//!   claim still stands; who takes it meanwhile meets another version of the object.
//! - A claim goes from a host only by that host's own word, or when it is fenced and [gone](is_gone).
//! - Whether a guest runs somewhere without a claim is known once every host that is not gone has told of its copies.

/// A guest's claim, as the API server has it. `H` names hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim<H> {
    /// Who holds it.
    pub host: Option<H>,
    /// Its number; 0: there was none yet.
    pub number: i64,
    /// The number under which the guest was defined last; absent: as far as is known it never was.
    pub defined: Option<i64>,
    /// The holder starts nothing until the number is above this.
    pub above: Option<i64>,
}

/// What a host has of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The number under which it was defined there last.
    pub number: i64,
    /// Whether it runs.
    pub active: bool,
}

/// What a host may do with a guest that it holds the claim on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Run it.
    Run,
    /// Let it run on, and ask for a number above this: another host may have been given one up to it.
    Keep(i64),
    /// Start nothing until the number is above this.
    Wait(i64),
    /// Stop it at once.
    End,
}

/// What the holder of the claim `number` does. `defined`: as in [`Claim`]; `given_up`: the number up to which this host has given
/// claims on the guest back, or up as it was fenced; `fenced`: the host knows that it is.
pub fn holder(
    number: i64,
    defined: Option<i64>,
    record: Option<Record>,
    given_up: Option<i64>,
    fenced: bool,
) -> Holder {
    if fenced {
        return Holder::End;
    }
    match record {
        // Another host may have had it since.
        _ if given_up.is_some_and(|given_up| given_up >= number) => {
            let is_active = record.is_some_and(|record| record.active);
            if is_active { Holder::End } else { Holder::Wait(given_up.unwrap_or(number)) }
        }
        // The API server has forgotten numbers that it gave.
        Some(record) if record.number > number => {
            if record.active {
                Holder::Keep(record.number)
            } else {
                Holder::Wait(record.number)
            }
        }
        Some(_) => Holder::Run,
        // It ran, and this host knows nothing of it: it may still run elsewhere.
        None => match defined {
            Some(defined) if defined >= number => Holder::Wait(defined),
            Some(_) | None => Holder::Run,
        },
    }
}

/// What becomes of a guest here whose claim this host does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// It stays as it is, and is told of.
    Leave,
    /// It is stopped at once, and is told of; its files stay.
    End,
}

/// What becomes of a copy under `number` while another host holds the claim `elsewhere`; absent: nobody does.
pub fn stray(number: i64, elsewhere: Option<i64>, fenced: bool) -> Stray {
    // An older claim says nothing: the API server came back from a backup, and this may be the only copy.
    let is_outdated = elsewhere.is_some_and(|elsewhere| elsewhere > number);
    if fenced || is_outdated { Stray::End } else { Stray::Leave }
}

/// Whether nothing of a host runs any more, so that what it held may be another's. `fence`: a person's word that it is off, by an id
/// that is new each time; `halted`: the fence after which the host's own agent says that it has stopped everything; `silent`: no
/// agent is heard there.
pub fn is_gone<T: PartialEq>(fence: Option<&T>, halted: Option<&T>, silent: bool) -> bool {
    fence.is_some_and(|fence| silent || halted == Some(fence))
}

/// A guest on a host that does not hold its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Copy<H> {
    /// Where.
    pub host: H,
    /// The number under which it was defined there last.
    pub number: i64,
    /// Whether it runs.
    pub active: bool,
}

/// What is known of a guest besides its claim.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a, H> {
    /// Its holder is [gone](is_gone).
    pub is_gone: bool,
    /// It may have run though its claim does not say so: it takes a guest of its name over, or it is older than our memory.
    pub may_have_run: bool,
    /// The copies on hosts that are not gone, as far as those have told.
    pub copies: &'a [Copy<H>],
    /// Whether all of those hosts have told since they were asked.
    pub all_told: bool,
}

/// What the controller does about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<H> {
    /// Nothing.
    Leave,
    /// All hosts that are not gone are asked for their copies.
    Ask,
    /// A host that fits gets the claim with this number.
    Place(i64),
    /// This host gets it: the guest is there.
    Give(H, i64),
    /// The holder gets a new number.
    Raise(i64),
    /// It runs on two hosts: only a person can tell which of them is right.
    Torn(H, H),
}

/// What the controller does about a claim.
pub fn next<H: Clone>(claim: &Claim<H>, circumstances: &Circumstances<'_, H>) -> Next<H> {
    // It waits for a number that was not given yet; or the API server has forgotten one that it gave.
    let forgotten = |copy: &Copy<H>| copy.active && copy.number > claim.number;
    let waits = claim.above.is_some_and(|above| above >= claim.number) || circumstances.copies.iter().any(forgotten);
    let is_free = claim.host.is_none() || circumstances.is_gone;
    if !is_free && !waits {
        return Next::Leave;
    }
    // What was claimed once may have been started before that was told.
    let may_have_run = claim.host.is_some() || claim.defined.is_some() || waits || circumstances.may_have_run;
    if !may_have_run {
        return Next::Place(claim.number.saturating_add(1));
    }
    if !circumstances.all_told {
        return Next::Ask;
    }
    let copies = circumstances.copies;
    let given = [Some(claim.number), claim.defined, claim.above].into_iter().flatten();
    let number = given.chain(copies.iter().map(|copy| copy.number)).max().unwrap_or(0).saturating_add(1);
    let mut active = copies.iter().filter(|copy| copy.active);
    match (active.next(), active.next()) {
        (Some(one), Some(other)) => Next::Torn(one.host.clone(), other.host.clone()),
        (Some(one), None) => Next::Give(one.host.clone(), number),
        (None, _) if !is_free => Next::Raise(number),
        (None, _) => match copies.iter().max_by_key(|copy| copy.number).filter(|_| circumstances.may_have_run) {
            Some(last) => Next::Give(last.host.clone(), number),
            None => Next::Place(number),
        },
    }
}
