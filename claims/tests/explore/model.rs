//! A guest on shared storage, two hosts, a controller and what is left of the one before, and an API server that may forget.
//!
//! Every decision is one of `ostler_claims`; around them is only what the world may do. What it is assumed not to do:
//!
//! 1. Who says that a host is fenced while no agent is heard there speaks the truth: it is off.
//! 2. After the API server came back from an older backup, hosts that are off are fenced, or not started, until those that run have told
//!    of their copies and got their claims back. A restored etcd goes on with higher versions (`etcdutl snapshot restore
//!    --bump-revision`).
//! 3. After etcd was emptied, manifests are applied again when the agents of all running hosts are back.

use std::hash::{DefaultHasher, Hash, Hasher};

use ostler_claims::{self as claim, Circumstances, Claim, Copy, Holder, Next, Record, Stray};
use stateright::{Model, Property};

pub(crate) type H = usize;
pub(crate) const HOSTS: usize = 2;

/// [`ostler_claims::holder`], or what stands for it.
type DecideAsHolder = fn(i64, Option<i64>, Option<Record>, Option<i64>, bool) -> Holder;

/// What is explored: the rules, of which a test may break one, and how much may go wrong.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) holder: DecideAsHolder,
    pub(crate) stray: fn(i64, Option<i64>, bool) -> Stray,
    pub(crate) is_gone: fn(Option<&u8>, Option<&u8>, bool) -> bool,
    pub(crate) next: fn(&Claim<H>, &Circumstances<'_, H>) -> Next<H>,
    /// Whether a start waits until the API server has confirmed the claim.
    pub(crate) confirms: bool,
    /// Whether the controller's writes name the version that was read.
    pub(crate) compares: bool,
    pub(crate) faults: u8,
    /// One of so many states is mended, to see that the guest runs in the end.
    pub(crate) mend_one_of: u64,
}

impl Rules {
    pub(crate) fn true_ones(faults: u8) -> Self {
        Rules {
            holder: claim::holder,
            stray: claim::stray,
            is_gone: claim::is_gone,
            next: claim::next,
            confirms: true,
            compares: true,
            faults,
            mend_one_of: 97,
        }
    }
}

/// The object, without its version: whether that is still the one that a leader read stands with the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Guest {
    uid: u8,
    pub(crate) claim: Claim<H>,
    wish: Option<H>,
    halted: bool,
    /// It takes over a guest of its name.
    adopts: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct ApiHost {
    /// Its Host exists.
    known: bool,
    fence: Option<u8>,
    halted: Option<u8>,
    asked: u8,
    told: u8,
    copy: Option<(u8, i64, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Api {
    pub(crate) guest: Option<Guest>,
    hosts: [ApiHost; HOSTS],
}

/// A host as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    on: bool,
    /// Its agent runs.
    up: bool,
    /// The API server can be reached from it.
    joined: bool,
    /// The definition: for which object, under which number.
    record: Option<(u8, i64)>,
    given_up: Option<i64>,
    pub(crate) active: bool,
    /// What its agent has seen of the API server.
    seen: Option<Seen>,
    confirmed: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    guest: Option<Guest>,
    fence: Option<u8>,
}

/// A controller. The first leads; the second thinks that it still does, and has one write under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Leader {
    view: Option<View>,
    term: u8,
    /// The uid of an object that was there without a claim when the term began.
    doubtful: Option<u8>,
    /// It has noticed that the API server has forgotten.
    regressed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct View {
    api: Api,
    silent: [bool; HOSTS],
    /// Nobody has written to the object since.
    fresh: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) api: Api,
    snapshot: Option<Api>,
    pub(crate) hosts: [Host; HOSTS],
    leaders: [Leader; 2],
    terms: u8,
    fences: u8,
    uids: u8,
    faults: u8,
    /// Since the API server has forgotten, not all is known again: which hosts have told of their copies.
    settling: Option<[bool; HOSTS]>,
    /// A host without a record started what ran before under a number that was not new.
    pub(crate) rashly: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Look(H),
    Act(H),
    Tell(H),
    LeaderLooks,
    LeaderActs(usize, H),
    Elect,
    AgentStarts(H),
    AgentCrashes(H),
    PowersOff(H),
    Boots(H),
    Wiped(H),
    Cut(H),
    Joined(H),
    Fence(H),
    Unfence(H),
    Move(H),
    GoOn,
    Snapshot,
    Restore,
    Empty,
    Apply,
}

impl Model for Rules {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let host = Host {
            on: true,
            up: true,
            joined: true,
            record: None,
            given_up: None,
            active: false,
            seen: None,
            confirmed: None,
        };
        let known = ApiHost { known: true, ..ApiHost::default() };
        vec![State {
            api: Api { guest: Some(new_guest(1, false)), hosts: [known; HOSTS] },
            snapshot: None,
            hosts: [host.clone(), host],
            leaders: [Leader { term: 1, ..Leader::default() }, Leader::default()],
            terms: 1,
            fences: 0,
            uids: 1,
            faults: self.faults,
            settling: None,
            rashly: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        use Action::*;
        let worse = state.faults > 0;
        for (h, host) in state.hosts.iter().enumerate() {
            let api = &state.api.hosts[h];
            actions.extend([Look(h), Act(h), Tell(h), LeaderActs(0, h), LeaderActs(1, h)]);
            if !host.on && (state.settling.is_none() || api.fence.is_some()) {
                actions.push(Boots(h));
            }
            if host.on && !host.up {
                actions.push(AgentStarts(h));
            }
            if !host.joined {
                actions.push(Joined(h));
            }
            if worse {
                if host.up {
                    actions.push(AgentCrashes(h));
                }
                actions.push(if host.on { PowersOff(h) } else { Wiped(h) });
                if host.joined {
                    actions.push(Cut(h));
                }
                if api.fence.is_some() {
                    actions.extend(state.settling.is_none().then_some(Unfence(h)));
                } else if api.known && (!host.on || host.up && host.joined) {
                    actions.push(Fence(h));
                }
                if state.api.guest.is_some_and(|guest| guest.wish.is_none()) {
                    actions.push(Move(h));
                }
            }
        }
        actions.extend([LeaderLooks, GoOn]);
        if worse {
            actions.push(Elect);
            match state.snapshot {
                None => actions.push(Snapshot),
                Some(_) => actions.push(Restore),
            }
            if state.uids == 1 {
                actions.push(Empty);
            }
        }
        if state.may_apply() {
            actions.push(Apply);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.take(self, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one copy", |_, state: &State| state.hosts.iter().filter(|host| host.active).count() <= 1),
            Property::always("no rash start", |_, state: &State| !state.rashly),
            Property::always("it runs in the end", |rules: &Rules, state: &State| {
                let mut hasher = DefaultHasher::new();
                state.hash(&mut hasher);
                !hasher.finish().is_multiple_of(rules.mend_one_of) || state.clone().mend(rules)
            }),
        ]
    }
}

const fn new_guest(uid: u8, adopts: bool) -> Guest {
    let claim = Claim { host: None, number: 0, defined: None, above: None };
    Guest { uid, claim, wish: None, halted: false, adopts }
}

impl State {
    /// What happens; an act that can't be changes nothing.
    fn take(&mut self, rules: &Rules, action: Action) {
        use Action::*;
        match action {
            AgentCrashes(_) | PowersOff(_) | Wiped(_) | Cut(_) | Fence(_) | Unfence(_) | Move(_) | Elect | Restore
            | Empty => {
                self.faults -= 1;
            }
            Look(_) | Act(_) | Tell(_) | LeaderLooks | LeaderActs(..) | AgentStarts(_) | Boots(_) | Joined(_)
            | GoOn | Snapshot | Apply => {}
        }
        match action {
            Look(h) => self.look(h),
            Act(h) => self.act(rules, h),
            Tell(h) => self.tell(h),
            LeaderLooks => self.leader_looks(),
            LeaderActs(leader, h) => self.leader_acts(rules, leader, h),
            Elect => {
                self.terms += 1;
                let term = self.terms;
                let old = std::mem::replace(&mut self.leaders[0], Leader { term, ..Leader::default() });
                self.leaders[1] = if old.view.is_some() { old } else { Leader::default() };
                self.leaders[0].doubtful = self.unclaimed();
            }
            AgentStarts(h) => self.hosts[h].up = true,
            AgentCrashes(h) => self.agent_ends(h),
            PowersOff(h) => {
                self.agent_ends(h);
                (self.hosts[h].on, self.hosts[h].active) = (false, false);
            }
            Boots(h) => self.hosts[h].on = true,
            Wiped(h) => (self.hosts[h].record, self.hosts[h].given_up) = (None, None),
            Cut(h) => self.hosts[h].joined = false,
            Joined(h) => self.hosts[h].joined = true,
            Fence(h) => {
                self.fences += 1;
                self.api.hosts[h].fence = Some(self.fences);
            }
            Unfence(h) => self.api.hosts[h].fence = None,
            Move(h) => self.write(|guest| (guest.wish, guest.halted) = (Some(h), true)),
            GoOn => self.write(|guest| guest.halted = false),
            Snapshot => self.snapshot = Some(self.api.clone()),
            Restore => {
                self.api = self.snapshot.take().expect("there is one");
                self.settling = Some([false; HOSTS]);
                self.leaders[0].regressed = true;
                self.outdate();
            }
            Empty => {
                self.uids += 1;
                self.api = Api { guest: None, hosts: [ApiHost::default(); HOSTS] };
                self.snapshot = None;
                self.leaders = [Leader { term: self.terms + 1, ..Leader::default() }, Leader::default()];
                self.terms += 1;
                // Another cluster: agents begin anew.
                (0..HOSTS).for_each(|h| (self.hosts[h].seen, self.hosts[h].confirmed) = (None, None));
            }
            Apply => self.api.guest = Some(new_guest(self.uids, true)),
        }
        self.settle();
    }

    fn may_apply(&self) -> bool {
        let is_back = |h: H| self.api.hosts[h].known || !self.hosts[h].on;
        self.api.guest.is_none() && (0..HOSTS).all(is_back)
    }

    fn unclaimed(&self) -> Option<u8> {
        self.api.guest.filter(|guest| guest.claim.host.is_none()).map(|guest| guest.uid)
    }

    /// Somebody wrote to the object.
    fn outdate(&mut self) {
        self.leaders.iter_mut().filter_map(|leader| leader.view.as_mut()).for_each(|view| view.fresh = false);
    }

    fn write(&mut self, change: impl FnOnce(&mut Guest)) {
        let before = self.api.guest;
        if let Some(guest) = &mut self.api.guest {
            change(guest);
        }
        if self.api.guest != before {
            self.outdate();
        }
    }

    fn agent_ends(&mut self, h: H) {
        let host = &mut self.hosts[h];
        (host.up, host.seen, host.confirmed) = (false, None, None);
    }

    fn settle(&mut self) {
        let Some(told) = self.settling else { return };
        let has_told = |h: H| !self.hosts[h].on || told[h];
        let runs_on = |h: H| self.hosts[h].on && self.api.hosts[h].copy.is_some_and(|(_, _, active)| active);
        if (0..HOSTS).all(has_told) && !(0..HOSTS).any(runs_on) {
            self.settling = None;
        }
    }

    fn is_heard(&self, h: H) -> bool {
        let host = &self.hosts[h];
        host.on && host.up && host.joined
    }

    fn look(&mut self, h: H) {
        if self.is_heard(h) {
            let seen = Seen { guest: self.api.guest, fence: self.api.hosts[h].fence };
            self.hosts[h].seen = Some(seen);
        }
    }

    /// One step of an agent.
    fn act(&mut self, rules: &Rules, h: H) {
        let Some(seen) = self.hosts[h].seen.clone().filter(|_| self.hosts[h].up) else { return };
        let fenced = seen.fence.is_some();
        match seen.guest.filter(|guest| guest.claim.host == Some(h)) {
            Some(guest) => self.hold(rules, h, &guest, fenced),
            None => self.see_to_stray(rules, h, fenced),
        }
    }

    fn hold(&mut self, rules: &Rules, h: H, guest: &Guest, fenced: bool) {
        let host = &mut self.hosts[h];
        let number = guest.claim.number;
        let ours = host.record.filter(|(uid, _)| *uid == guest.uid || guest.adopts);
        let record = ours.map(|(_, number)| Record { number, active: host.active });
        let heard = host.on && host.up && host.joined;
        match (rules.holder)(number, guest.claim.defined, record, host.given_up, fenced) {
            Holder::End if host.active => {
                (host.given_up, host.active) = (Some(number.max(host.record.map_or(0, |of| of.1))), false)
            }
            Holder::End => host.given_up = host.given_up.max(Some(number)),
            Holder::Keep(above) | Holder::Wait(above) if heard => {
                self.write_as_holder(h, guest, |guest| guest.claim.above = Some(above))
            }
            Holder::Keep(_) | Holder::Wait(_) => {}
            Holder::Run if guest.wish.is_some_and(|wish| wish != h) && !host.active => {
                host.given_up = host.given_up.max(Some(number));
                if host.record.take().is_none() && heard {
                    self.confirm(h, guest, |guest| guest.claim.host = None);
                }
            }
            Holder::Run if host.active && guest.halted => host.active = false,
            Holder::Run if guest.halted && host.record.is_some() => {}
            Holder::Run if host.record != Some((guest.uid, number)) => {
                let ran_before = guest.claim.defined.is_some_and(|defined| defined >= number);
                self.rashly |= host.record.is_none() && ran_before;
                host.record = Some((guest.uid, number));
            }
            Holder::Run if host.active => {
                if heard {
                    self.write_as_holder(h, guest, |guest| guest.claim.defined = Some(number));
                }
            }
            Holder::Run if host.confirmed != Some(number) && rules.confirms => {
                if heard {
                    let confirmed = self.confirm(h, guest, |guest| guest.claim.defined = Some(number));
                    self.outdate();
                    self.hosts[h].confirmed = confirmed.then_some(number);
                }
            }
            Holder::Run => host.active = true,
        }
    }

    /// A status write: it meets an object that this host holds, or is refused.
    fn write_as_holder(&mut self, h: H, seen: &Guest, change: impl FnOnce(&mut Guest)) {
        if self.api.guest.is_some_and(|guest| guest.uid == seen.uid && guest.claim.host == Some(h)) {
            self.write(change);
        }
    }

    /// A write that names host and number: it meets them, or is refused.
    fn confirm(&mut self, h: H, seen: &Guest, change: impl FnOnce(&mut Guest)) -> bool {
        let stands = self.api.guest.is_some_and(|guest| {
            guest.uid == seen.uid && guest.claim.host == Some(h) && guest.claim.number == seen.claim.number
        });
        if stands {
            self.write(change);
        }
        stands
    }

    fn see_to_stray(&mut self, rules: &Rules, h: H, fenced: bool) {
        let Some((uid, number)) = self.hosts[h].record else { return };
        if !self.is_heard(h) && !fenced {
            return;
        }
        let elsewhere =
            self.api.guest.filter(|guest| guest.uid == uid && guest.claim.host.is_some_and(|host| host != h));
        match (rules.stray)(number, elsewhere.map(|guest| guest.claim.number), fenced) {
            Stray::Leave => {}
            Stray::End => {
                (self.hosts[h].active, self.hosts[h].given_up) = (false, self.hosts[h].given_up.max(Some(number)))
            }
        }
    }

    /// The agent tells of its copies, as the API server answers for now, and of the fence that it obeys.
    fn tell(&mut self, h: H) {
        let host = &self.hosts[h];
        if !self.is_heard(h) {
            return;
        }
        let Some(seen) = &host.seen else { return };
        let is_held = |uid: u8| self.api.guest.is_some_and(|guest| guest.uid == uid && guest.claim.host == Some(h));
        let copy = host.record.filter(|(uid, _)| !is_held(*uid)).map(|(uid, number)| (uid, number, host.active));
        let api = &mut self.api.hosts[h];
        (api.known, api.told, api.copy) = (true, api.asked, copy);
        if !host.active && seen.fence.is_some() {
            api.halted = seen.fence;
        }
        if let Some(told) = &mut self.settling {
            told[h] = true;
        }
    }

    fn leader_looks(&mut self) {
        if self.leaders[0].regressed {
            self.terms += 1;
            self.leaders[0] = Leader { term: self.terms, doubtful: self.unclaimed(), ..Leader::default() };
        }
        let silent = std::array::from_fn(|h| !self.is_heard(h));
        self.leaders[0].view = Some(View { api: self.api.clone(), silent, fresh: true });
    }

    /// A controller decides by what it saw, and writes; `h`: the host that it would choose.
    fn leader_acts(&mut self, rules: &Rules, leader: usize, h: H) {
        let Leader { view: Some(View { api, silent, fresh }), term, doubtful, .. } = self.leaders[leader].clone()
        else {
            return;
        };
        let Some(guest) = api.guest else { return };
        // Nobody says of a living host that it is off: assumption 1.
        let is_off = |h: H| silent[h] && !self.hosts[h].on;
        let is_gone = |h: H| (rules.is_gone)(api.hosts[h].fence.as_ref(), api.hosts[h].halted.as_ref(), is_off(h));
        let copies: Vec<Copy<H>> = (0..HOSTS)
            .filter(|h| !is_gone(*h))
            .filter_map(|host| {
                let (uid, number, active) = api.hosts[host].copy?;
                (uid == guest.uid || guest.adopts).then_some(Copy { host, number, active })
            })
            .collect();
        let circumstances = Circumstances {
            is_gone: guest.claim.host.is_some_and(is_gone),
            may_have_run: guest.adopts && guest.claim.host.is_none() && guest.claim.defined.is_none()
                || doubtful == Some(guest.uid),
            copies: &copies,
            all_told: (0..HOSTS).all(|h| !api.hosts[h].known || is_gone(h) || api.hosts[h].told == term),
        };
        let fits =
            api.hosts[h].known && api.hosts[h].fence.is_none() && !silent[h] && guest.wish.is_none_or(|wish| wish == h);
        let (host, number) = match (rules.next)(&guest.claim, &circumstances) {
            Next::Leave | Next::Torn(..) => return,
            Next::Ask => {
                for api in self.api.hosts.iter_mut().filter(|api| api.known) {
                    api.asked = term;
                }
                self.leaders[leader].view = None;
                return;
            }
            Next::Place(number) if fits => (Some(h), number),
            Next::Place(_) => return,
            Next::Give(host, number) => (Some(host), number),
            Next::Raise(number) => (guest.claim.host, number),
        };
        self.leaders[leader].view = None;
        if fresh || !rules.compares {
            self.write(|guest| (guest.claim.host, guest.claim.number) = (host, number));
        }
    }

    /// Nothing goes wrong any more: whether the guest runs then, under its claim.
    pub(crate) fn mend(mut self, rules: &Rules) -> bool {
        self.faults = u8::MAX;
        if self.api.hosts.iter().enumerate().all(|(h, host)| host.fence.is_some() || self.is_wished_away(h)) {
            (0..HOSTS).for_each(|h| self.take(rules, Action::Unfence(h)));
        }
        let mut fenced = [false; HOSTS];
        for _ in 0..20 {
            for (h, fenced) in fenced.iter_mut().enumerate() {
                if self.settling.is_some() && !self.hosts[h].on && self.api.hosts[h].fence.is_none() {
                    self.take(rules, Action::Fence(h));
                    *fenced = true;
                }
                if self.settling.is_none() && std::mem::take(fenced) {
                    self.take(rules, Action::Unfence(h));
                }
            }
            if self.may_apply() {
                self.take(rules, Action::Apply);
            }
            self.take(rules, Action::GoOn);
            self.take(rules, Action::LeaderLooks);
            for h in 0..HOSTS {
                self.take(rules, Action::LeaderActs(0, h));
            }
            for h in 0..HOSTS {
                // A host that a person calls dead stays so.
                if !self.hosts[h].on && self.settling.is_none() && self.api.hosts[h].fence.is_none() {
                    self.take(rules, Action::Boots(h));
                }
                if self.hosts[h].on {
                    self.take(rules, Action::AgentStarts(h));
                    self.take(rules, Action::Joined(h));
                }
                self.take(rules, Action::Look(h));
                for _ in 0..4 {
                    self.take(rules, Action::Act(h));
                }
                self.take(rules, Action::Tell(h));
            }
        }
        let holder = self.api.guest.and_then(|guest| guest.claim.host);
        self.hosts.iter().enumerate().all(|(h, host)| host.active == (Some(h) == holder)) && holder.is_some()
    }

    fn is_wished_away(&self, h: H) -> bool {
        self.api.guest.and_then(|guest| guest.wish).is_some_and(|wish| wish != h)
    }
}
