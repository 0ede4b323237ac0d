//! The plan's properties, against a model of a host.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ostler_conf::domain::{CurrentMemory, Memory, Metadata, OstlerMark, ScaledKib};
use ostler_conf::{Domain, Size, parse};
use ostler_crds::{Apply, RestartApproval, RunRecord, RunStrategy, Verb};
use ostler_driver::{Change, DomainState, LifecycleAction, PausedReason, RunningReason, ShutoffReason};
use proptest::prelude::*;

use super::{Action, Asked, Desired, Observed, Plan, Verdict, plan};

/// What the plan acts upon.
#[derive(Clone, Debug)]
struct Model {
    persistent: Option<Domain>,
    live: Option<Domain>,
    state: DomainState,
    run: RunRecord,
    shutdown_asked: Option<Asked>,
    now: Timestamp,
    hotplug: bool,
}

#[derive(Clone, Debug)]
struct Wish {
    definition: Domain,
    strategy: RunStrategy,
    approval: RestartApproval,
    force: bool,
    startable: bool,
    deleted: bool,
    evicted: bool,
}

impl Model {
    fn plan(&self, wish: &Wish, request: Option<Verb>) -> Plan {
        let desired = Desired {
            definition: &wish.definition,
            strategy: wish.strategy,
            approval: wish.approval,
            deleted: wish.deleted,
            evicted: wish.evicted,
            shutdown_timeout: Duration::from_secs(60),
            force: wish.force,
            startable: wish.startable,
            changed_secrets: &[],
            request,
        };
        let observed = Observed {
            persistent: self.persistent.as_ref(),
            live: self.live.as_ref(),
            state: self.state,
            run: &self.run,
            shutdown_asked: self.shutdown_asked,
            now: self.now,
        };
        let hotplug = self.hotplug;
        plan(&desired, &observed, &|_, change| hotplug || matches!(change, Change::Labels(_)))
    }

    fn apply(&mut self, wish: &Wish, plan: &Plan) {
        for action in &plan.actions {
            match action {
                Action::Define => self.persistent = Some(wish.definition.clone()),
                Action::Change(change) => {
                    apply_change(self.live.as_mut().expect("only a running guest is changed"), change, &wish.definition)
                }
                Action::OnReboot(action) => {
                    let live = self.live.as_mut().expect("only a running guest reboots");
                    live.on_reboot = Some(match action {
                        LifecycleAction::Destroy => ostler_conf::domain::LifecycleAction::Destroy,
                        LifecycleAction::Restart => ostler_conf::domain::LifecycleAction::Restart,
                        LifecycleAction::Preserve => ostler_conf::domain::LifecycleAction::Preserve,
                    });
                }
                Action::Start => {
                    assert!(self.live.is_none(), "started twice");
                    self.live = Some(self.persistent.clone().expect("defined before it is started"));
                    self.state = DomainState::Running(RunningReason::Booted);
                }
                Action::Shutdown => self.shutdown_asked = Some(Asked::default()),
                Action::Destroy => self.end(ShutoffReason::Destroyed),
                Action::Suspend => self.state = DomainState::Paused(PausedReason::User),
                Action::Resume => self.state = DomainState::Running(RunningReason::Unpaused),
                Action::Reboot | Action::Reset => {}
            }
        }
        self.run = plan.run.clone();
    }

    fn end(&mut self, reason: ShutoffReason) {
        self.live = None;
        self.state = DomainState::Shutoff(reason);
    }
}

fn apply_change(live: &mut Domain, change: &Change, desired: &Domain) {
    match change {
        Change::AttachDisk(disk) => live.devices.disks.push(disk.clone()),
        Change::DetachDisk(name) => live.devices.disks.retain(|disk| disk.name != *name),
        Change::AttachInterface(nic) => live.devices.interfaces.push(nic.clone()),
        Change::DetachInterface(mac) => {
            live.devices.interfaces.retain(|nic| nic.mac.as_ref().is_none_or(|m| m.address != *mac))
        }
        Change::Labels(_) => {
            (live.title, live.description) = (desired.title.clone(), desired.description.clone());
            live.metadata.clone_from(&desired.metadata);
        }
    }
}

fn definition(memory_mib: u64, disks: usize, nics: usize, title: Option<String>) -> Domain {
    let mut text = String::from(
        "<domain type='test'><name>a</name><memory unit='MiB'>1</memory><os><type>hvm</type></os><devices>",
    );
    for disk in ["vda", "vdb", "vdc"].iter().take(disks) {
        text += &format!("<disk type='file'><source file='/{disk}'/><target dev='{disk}'/></disk>");
    }
    for nic in 0..nics {
        text += &format!("<interface type='user'><mac address='52:54:00:00:00:0{nic}'/></interface>");
    }
    text += "</devices></domain>";
    let mut domain = parse::<Domain>(&text).unwrap().strict().unwrap();
    let size = ScaledKib(Size::from_mib(memory_mib));
    domain.memory = Some(Memory { size, dump_core: None });
    domain.current_memory = Some(CurrentMemory { size });
    domain.title = title;
    domain.complete();
    domain
}

fn definitions() -> impl Strategy<Value = Domain> {
    (1..4_u64, 0..4_usize, 0..3_usize, proptest::option::of("[a-z]{1,4}"))
        .prop_map(|(m, d, n, t)| definition(m, d, n, t))
}

fn strategies() -> impl Strategy<Value = RunStrategy> {
    use RunStrategy as S;
    prop_oneof![Just(S::Always), Just(S::RerunOnFailure), Just(S::Once), Just(S::Manual), Just(S::Halted)]
}

fn approvals() -> impl Strategy<Value = RestartApproval> {
    prop_oneof![Just(RestartApproval::Manual), Just(RestartApproval::Automatic), Just(RestartApproval::OnGuestReboot)]
}

fn ends() -> impl Strategy<Value = ShutoffReason> {
    use ShutoffReason as R;
    prop_oneof![
        Just(R::Unknown),
        Just(R::Shutdown),
        Just(R::Destroyed),
        Just(R::Crashed),
        Just(R::Failed),
        Just(R::HostReboot),
        Just(R::GuestReboot)
    ]
}

fn wishes() -> impl Strategy<Value = Wish> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (definitions(), strategies(), approvals(), flags).prop_map(
        |(definition, strategy, approval, (force, startable, deleted, evicted))| Wish {
            definition,
            strategy,
            approval,
            force,
            startable,
            deleted,
            evicted,
        },
    )
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn models() -> impl Strategy<Value = Model> {
    let runs =
        (any::<bool>(), proptest::option::of(any::<bool>()), 0..4_i32).prop_map(|(started, manual, restarts)| {
            RunRecord {
                started,
                manual,
                restarts,
                start_time: started.then(|| Timestamp::from_second(1_799_999_990).unwrap().to_string()),
                ..RunRecord::default()
            }
        });
    (proptest::option::of(definitions()), any::<bool>(), ends(), runs, any::<bool>()).prop_map(
        |(persistent, on, end, run, hotplug)| {
            let live = persistent.clone().filter(|_| on);
            let state =
                if live.is_some() { DomainState::Running(RunningReason::Booted) } else { DomainState::Shutoff(end) };
            Model { persistent, live, state, run, shutdown_asked: None, now: now(), hotplug }
        },
    )
}

proptest! {
    #[test]
    fn applied_the_next_plan_is_empty(mut model in models(), wish in wishes()) {
        // A guest that is asked to end does so; then the plan goes on. Four rounds are enough for the longest way: shut down,
        // wait for the end, start, look.
        for _ in 0..4 {
            let plan = model.plan(&wish, None);
            model.apply(&wish, &plan);
            if model.shutdown_asked.take().is_some() {
                model.end(ShutoffReason::Shutdown);
            }
            if let Some(next) = &model.run.next_restart {
                model.now = next.parse().unwrap();
            }
        }
        let rest = model.plan(&wish, None);
        prop_assert_eq!(&rest.actions, &Vec::new(), "{:?}", rest.verdict);
        prop_assert_eq!(&rest.run, &model.run, "an unchanged world is not written about");
    }

    #[test]
    fn nothing_disruptive_without_consent(model in models(), wish in wishes()) {
        let plan = model.plan(&wish, None);
        let needs_restart = plan.pending.iter().any(|change| change.apply == Apply::Restart);
        let consent = wish.deleted
            || wish.evicted
            || wish.strategy == RunStrategy::Halted
            || (needs_restart && wish.approval == RestartApproval::Automatic)
            || (wish.strategy == RunStrategy::Manual && model.run.manual == Some(false));
        if !consent {
            prop_assert!(!plan.actions.iter().any(Action::is_disruptive), "{:?}", plan.actions);
        }
        prop_assert!(wish.force || !plan.actions.contains(&Action::Destroy));
    }

    #[test]
    fn what_an_emptied_host_ended_is_started_once_that_is_over(mut model in models(), mut wish in wishes(), obeys in any::<bool>()) {
        model.live = Some(wish.definition.clone());
        model.state = DomainState::Running(RunningReason::Booted);
        model.run.manual = Some(true);
        (wish.deleted, wish.startable, wish.evicted) = (false, true, true);
        let is_wanted = wish.strategy != RunStrategy::Halted;
        let plan = model.plan(&wish, None);
        prop_assert!(plan.actions.contains(&Action::Shutdown));
        model.apply(&wish, &plan);
        model.shutdown_asked = None;
        if obeys {
            model.end(ShutoffReason::Shutdown);
            let plan = model.plan(&wish, None);
            prop_assert!(!plan.actions.contains(&Action::Start));
            prop_assert_eq!(plan.verdict == Verdict::Evicted, is_wanted);
            model.apply(&wish, &plan);
            let asked = model.plan(&wish, Some(Verb::Start));
            prop_assert!(matches!(asked.verdict, Verdict::Refused(_)), "a verb starts nothing there");
            prop_assert_eq!(&asked.run, &model.run);
        }
        wish.evicted = false;
        let plan = model.plan(&wish, None);
        prop_assert_eq!(plan.actions.contains(&Action::Start), is_wanted && obeys);
        prop_assert!(!is_wanted || !plan.actions.iter().any(Action::is_disruptive), "it goes on where it had not ended");
        model.apply(&wish, &plan);
        prop_assert!(!model.run.evicted);
    }

    #[test]
    fn every_difference_of_a_running_guest_is_told(mut model in models(), mut wish in wishes(), live in definitions()) {
        model.live = Some(live);
        model.state = DomainState::Running(RunningReason::Booted);
        wish.deleted = false;
        let plan = model.plan(&wish, None);
        let live = model.live.as_ref().unwrap();
        prop_assert_eq!(plan.pending.is_empty(), super::without_live_values(live) == super::without_live_values(&wish.definition));
    }
}

fn halted(request: Option<Verb>, state: DomainState) -> Verdict {
    let definition = definition(1, 0, 0, None);
    let live = state.is_active().then(|| definition.clone());
    let model = Model {
        persistent: Some(definition.clone()),
        live,
        state,
        run: RunRecord::default(),
        shutdown_asked: None,
        now: now(),
        hotplug: false,
    };
    let wish = Wish {
        definition,
        strategy: RunStrategy::Halted,
        approval: RestartApproval::Manual,
        force: false,
        startable: true,
        deleted: false,
        evicted: false,
    };
    model.plan(&wish, request).verdict
}

#[test]
fn a_halted_domain_is_not_started_by_a_verb() {
    assert!(matches!(halted(Some(Verb::Start), DomainState::Shutoff(ShutoffReason::Unknown)), Verdict::Refused(_)));
    assert_eq!(halted(None, DomainState::Shutoff(ShutoffReason::Unknown)), Verdict::Settled);
}

#[test]
fn restarts_in_a_row_wait_longer_and_longer() {
    let definition = definition(1, 0, 0, None);
    let wish = Wish {
        definition: definition.clone(),
        strategy: RunStrategy::Always,
        approval: RestartApproval::Manual,
        force: false,
        startable: true,
        deleted: false,
        evicted: false,
    };
    let mut model = Model {
        persistent: Some(definition),
        live: None,
        state: DomainState::Shutoff(ShutoffReason::Unknown),
        run: RunRecord::default(),
        shutdown_asked: None,
        now: now(),
        hotplug: false,
    };
    let mut waits = Vec::new();
    for _ in 0..8 {
        let plan = model.plan(&wish, None);
        model.apply(&wish, &plan);
        if plan.verdict == Verdict::CrashLoop {
            waits.push(plan.wake.unwrap().as_secs());
            model.now = model.run.next_restart.as_ref().unwrap().parse().unwrap();
            let plan = model.plan(&wish, None);
            model.apply(&wish, &plan);
        }
        assert!(model.live.is_some());
        model.end(ShutoffReason::Shutdown);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300], "the first restart comes at once");
}

#[test]
fn a_guest_that_ignores_its_shutdown_is_reported_and_left_alone() {
    let definition = definition(1, 0, 0, None);
    let mut wish = Wish {
        definition: definition.clone(),
        strategy: RunStrategy::Halted,
        approval: RestartApproval::Manual,
        force: false,
        startable: true,
        deleted: false,
        evicted: false,
    };
    let model = Model {
        persistent: Some(definition.clone()),
        live: Some(definition),
        state: DomainState::Running(RunningReason::Booted),
        run: RunRecord::default(),
        shutdown_asked: Some(Asked { first: Duration::from_secs(61), last: Duration::ZERO }),
        now: now(),
        hotplug: false,
    };
    let plan = model.plan(&wish, None);
    assert_eq!((plan.actions, plan.verdict), (vec![], Verdict::ShutdownIgnored));
    wish.force = true;
    assert_eq!(model.plan(&wish, None).actions, [Action::Destroy]);
}

#[test]
fn a_guests_reboot_brings_in_what_is_staged() {
    let (old, new) = (definition(1, 0, 0, None), definition(2, 0, 0, None));
    let wish = Wish {
        definition: new,
        strategy: RunStrategy::Manual,
        approval: RestartApproval::OnGuestReboot,
        force: false,
        startable: true,
        deleted: false,
        evicted: false,
    };
    let mut model = Model {
        persistent: Some(old.clone()),
        live: Some(old),
        state: DomainState::Running(RunningReason::Booted),
        run: RunRecord { manual: Some(true), ..RunRecord::default() },
        shutdown_asked: None,
        now: now(),
        hotplug: false,
    };
    let plan = model.plan(&wish, None);
    assert_eq!(plan.actions, [Action::Define, Action::OnReboot(LifecycleAction::Destroy)]);
    assert_eq!(plan.verdict, Verdict::RestartPending);
    model.apply(&wish, &plan);
    model.end(ShutoffReason::GuestReboot);
    let plan = model.plan(&wish, None);
    assert_eq!(plan.actions, [Action::Start]);
    model.apply(&wish, &plan);
    assert_eq!(model.plan(&wish, None).pending, []);
}

#[test]
fn a_guest_that_may_not_have_listened_is_asked_again() {
    let definition = definition(1, 0, 0, None);
    let wish = Wish {
        definition: definition.clone(),
        strategy: RunStrategy::Halted,
        approval: RestartApproval::Manual,
        force: false,
        startable: true,
        deleted: false,
        evicted: false,
    };
    let asked = |first, last| {
        let model = Model {
            persistent: Some(definition.clone()),
            live: Some(definition.clone()),
            state: DomainState::Running(RunningReason::Booted),
            run: RunRecord::default(),
            shutdown_asked: Some(Asked { first: Duration::from_secs(first), last: Duration::from_secs(last) }),
            now: now(),
            hotplug: false,
        };
        model.plan(&wish, None).actions
    };
    assert_eq!(asked(4, 4), []);
    assert_eq!(asked(5, 5), [Action::Shutdown]);
    assert_eq!(asked(59, 2), []);
}

#[test]
fn a_mark_alone_makes_no_difference_to_a_guest_without_metadata() {
    let nobodys = definition(64, 1, 1, None);
    let mut ours = nobodys.clone();
    let mark = Some(OstlerMark { owner: None, labels: Vec::new() });
    ours.metadata = Some(Metadata { ostler: mark, ..Metadata::default() });
    assert!(super::same_but_for_our_mark(&nobodys, &ours));
}

/// What waits for a restart between a running guest and its definition, by their graphics.
fn waits(live: &str, desired: &str) -> Vec<String> {
    let guest = |devices: &str| {
        let text = format!("<domain type='qemu'><name>g</name><memory>1</memory><devices>{devices}</devices></domain>");
        parse::<Domain>(&text).unwrap().strict().unwrap()
    };
    let (pending, _) = super::pending_changes(&guest(live), &guest(desired), &|_, _| false);
    pending.into_iter().map(|change| change.path).collect()
}

#[test]
fn what_a_start_chose_for_a_screen_waits_for_nothing() {
    let video = "<video><model type='virtio'/><alias name='video0'/></video>";
    let cases = [
        ("<graphics type='vnc' port='5903' autoport='yes'/>", "<graphics type='vnc' port='-1' autoport='yes'/>"),
        (
            "<graphics type='vnc' port='5903' autoport='yes' websocket='5701'/>",
            "<graphics type='vnc' port='-1' autoport='yes' websocket='-1'/>",
        ),
        ("<graphics type='spice' port='5904' autoport='yes'/>", "<graphics type='spice' autoport='yes'/>"),
    ];
    for (live, desired) in cases {
        let desired = format!("{desired}<video><model type='virtio'/></video>");
        assert_eq!(waits(&format!("{live}{video}"), &desired), Vec::<String>::new(), "{live}");
    }
    let moved =
        waits("<graphics type='vnc' port='5903' autoport='yes'/>", "<graphics type='vnc' port='5950' autoport='no'/>");
    assert!(!moved.is_empty(), "a port that is asked for is another");
}

#[test]
fn what_a_guest_set_its_clock_to_waits_for_nothing() {
    let guest = |clock: &str| {
        let text = format!("<domain type='qemu'><name>g</name><memory>1</memory>{clock}</domain>");
        parse::<Domain>(&text).unwrap().strict().unwrap()
    };
    let live = |adjustment: &str, begun: Option<i64>| {
        let mut domain = guest(&format!("<clock offset='variable' adjustment='{adjustment}' basis='utc'/>"));
        domain.clock.as_mut().unwrap().adjustment0 = begun;
        domain
    };
    let waits = |live: &Domain, desired: &str| -> Vec<String> {
        let (pending, _) = super::pending_changes(live, &guest(desired), &|_, _| false);
        pending.into_iter().map(|change| change.path).collect()
    };
    let utc = "<clock offset='variable' adjustment='60' basis='utc'/>";
    let local = "<clock offset='variable' adjustment='60' basis='localtime'/>";
    for (begun, desired) in [(60, utc), (60, local), (60 + 7200, local), (60 - 12_600, local)] {
        assert_eq!(waits(&live("99", Some(begun)), desired), Vec::<String>::new(), "{begun} {desired}");
    }
    assert_eq!(waits(&live("99", None), "<clock offset='variable' adjustment='0' basis='utc'/>"), Vec::<String>::new());
    assert_eq!(waits(&live("60", Some(61)), utc), ["domain.clock.adjustment"], "it began from another");
    assert!(!waits(&live("60", Some(61)), local).is_empty());
    assert_eq!(waits(&live("60", Some(60)), "<clock offset='utc'/>").first().unwrap(), "domain.clock.offset");
}
