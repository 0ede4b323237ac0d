//! What every driver does with domains.

use ostler_conf::domain::{Disk, DiskDevice, Interface, InterfaceSource, NetworkSource};
use ostler_conf::{Domain, ErrorCode};
use uuid::Uuid;

use super::{Stage, declare, refused, wait};
use crate::{
    Change, ConsolePath, Definition, DomainEvent, DomainState, Domains, Event, LifecycleAction, LifecycleEvent,
    PausedReason, RunningReason, ShutoffReason, StartOptions, StateOnUndefine,
};

declare! {
    a_definition_is_stored_completed_and_forgotten: [DomainDefine];
    a_check_stores_nothing: [DomainDefine];
    a_wrong_definition_is_refused_whole: [DomainDefine];
    a_wrong_change_leaves_the_definition_as_it_was: [DomainDefine];
    a_name_belongs_to_one_uuid: [DomainDefine];
    what_was_completed_once_stays: [DomainDefine];
    definitions_outlive_the_agent: [DomainDefine];
    a_domain_starts_and_is_destroyed: [DomainDefine, DomainStart];
    a_guest_started_paused_waits: [DomainDefine, DomainStart, DomainSuspend];
    a_guest_is_suspended_and_resumed: [DomainDefine, DomainStart, DomainSuspend];
    what_runs_is_not_started_again_and_what_does_not_run_is_not_ended: [DomainDefine, DomainStart];
    what_is_unknown_is_no_domain: [DomainDefine, DomainStart];
    what_does_not_run_takes_no_orders:
        [DomainDefine, DomainStart, DomainShutdown, DomainReboot, DomainReset, DomainSuspend];
    a_running_guest_keeps_its_definition_until_its_next_start: [DomainDefine, DomainStart];
    an_undefined_guest_runs_on_and_is_gone_at_its_end: [DomainDefine, DomainStart];
    a_running_guest_outlives_the_agent: [DomainDefine, DomainStart, DomainSuspend];
    a_guest_is_reset_and_runs_on: [DomainDefine, DomainStart, DomainReset];
    a_guest_that_ignores_its_shutdown_runs_on: [DomainDefine, DomainStart, DomainShutdown];
    a_guest_that_ignores_its_reboot_runs_on: [DomainDefine, DomainStart, DomainReboot];
    autostart_is_remembered: [DomainDefine, DomainAutostart];
    what_a_guest_s_own_reboot_does_can_be_changed: [DomainDefine, DomainStart, DomainLifecycleAction];
    a_start_without_its_network_leaves_nothing: [DomainDefine, DomainStart];
    labels_change_while_the_guest_runs: [DomainDefine, DomainStart, DomainLiveChange];
    a_wrong_live_change_changes_nothing: [DomainDefine, DomainStart, DomainLiveChange];
    a_disk_is_plugged_into_a_running_guest: [DomainDefine, DomainStart, DomainLiveChange];
    a_console_is_found_while_the_guest_runs: [DomainDefine, DomainStart, DomainConsole];
}

/// A domain that is defined, and how it is ended.
struct Guest {
    uuid: Uuid,
    definition: Domain,
}

fn domains<'a>(stage: &'a Stage<'_>) -> &'a dyn Domains {
    stage.connection().domains().expect("a driver with domains' features has domains")
}

async fn define(stage: &Stage<'_>, name: &str) -> Guest {
    let mut domain = stage.subject.domain(name);
    domain.uuid = Some(Uuid::new_v4());
    let definition = domains(stage).define(&domain).await.unwrap().definition;
    Guest { uuid: definition.uuid.expect("a completed definition has a uuid"), definition }
}

async fn started(stage: &Stage<'_>, name: &str) -> Guest {
    let guest = define(stage, name).await;
    stage.subject.deafen(guest.uuid).await;
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    guest
}

async fn end(stage: &Stage<'_>, guest: &Guest) {
    let domains = domains(stage);
    if domains.get(guest.uuid).await.unwrap().state.is_active() {
        domains.destroy(guest.uuid).await.unwrap();
    }
    domains.undefine(guest.uuid, StateOnUndefine::Delete).await.unwrap();
}

async fn state(stage: &Stage<'_>, guest: &Guest) -> DomainState {
    domains(stage).get(guest.uuid).await.unwrap().state
}

async fn stored(stage: &Stage<'_>, guest: &Guest) -> Domain {
    domains(stage).definition(guest.uuid, Definition::Persistent).await.unwrap()
}

async fn live(stage: &Stage<'_>, guest: &Guest) -> Domain {
    domains(stage).definition(guest.uuid, Definition::Live).await.unwrap()
}

macro_rules! assert_state {
    ($stage:ident, $guest:ident, $wanted:pat) => {
        let state = state($stage, &$guest).await;
        assert!(matches!(state, $wanted), "{state:?}");
    };
}

fn is(guest: &Guest, wanted: DomainEvent) -> impl Fn(&Event) -> bool {
    let uuid = guest.uuid;
    move |event| matches!(event, Event::Domain { uuid: of, event } if *of == uuid && *event == wanted)
}

/// A disk like the domain's own with another name, on a file of its own.
fn second_disk(domain: &Domain) -> Disk {
    let mut disk = domain.devices.disks.first().expect("the subject's domain has a disk").clone();
    disk.name = "vdb".to_owned();
    (disk.address, disk.alias, disk.boot, disk.serial) = (None, None, None, None);
    if let Some(ostler_conf::domain::DiskSource::File(source)) = &mut disk.source {
        let path = std::path::PathBuf::from(source.file.clone().expect("its disk is a file"));
        source.file = Some(path.with_file_name("second.img").display().to_string());
    }
    disk
}

/// An interface on a network, with the network's name.
fn interface(network: &str) -> Interface {
    Interface::new(network.to_owned(), InterfaceSource::Network(NetworkSource::new(network.to_owned())))
}

async fn a_definition_is_stored_completed_and_forgotten(stage: &mut Stage<'_>) {
    let mut events = stage.connection().events();
    let guest = define(stage, "first").await;
    wait::expect(&mut events, "its definition", is(&guest, DomainEvent::Defined)).await;
    assert_eq!(stored(stage, &guest).await, guest.definition, "what define returns is what is stored");
    let summary = domains(stage).get(guest.uuid).await.unwrap();
    assert_eq!((summary.name.as_str(), summary.persistent, summary.autostart), ("first", true, false));
    assert!(matches!(summary.state, DomainState::Shutoff(_)));
    assert!(domains(stage).list().await.unwrap().contains(&summary));
    let again = domains(stage).define(&guest.definition).await.unwrap();
    assert_eq!(again.definition, guest.definition, "the same again changes nothing");
    assert_eq!(
        refused(domains(stage).definition(guest.uuid, Definition::Live).await),
        ErrorCode::OperationInvalid,
        "what does not run has no live definition"
    );
    domains(stage).undefine(guest.uuid, StateOnUndefine::Delete).await.unwrap();
    wait::expect(&mut events, "its end", is(&guest, DomainEvent::Undefined)).await;
    assert_eq!(refused(domains(stage).get(guest.uuid).await), ErrorCode::NoDomain);
}

async fn a_check_stores_nothing(stage: &mut Stage<'_>) {
    let mut domain = stage.subject.domain("checked");
    domain.uuid = Some(Uuid::new_v4());
    let checked = domains(stage).check(&domain).await.unwrap().definition;
    assert_eq!(refused(domains(stage).get(domain.uuid.unwrap()).await), ErrorCode::NoDomain);
    let guest =
        Guest { uuid: domain.uuid.unwrap(), definition: domains(stage).define(&checked).await.unwrap().definition };
    assert_eq!(guest.definition, checked, "a completed definition is complete");
    end(stage, &guest).await;
}

/// Definitions that are wrong, each with libvirt's code.
fn wrong(domain: &Domain) -> Vec<(&'static str, ErrorCode, Domain)> {
    let mut twice = domain.clone();
    twice.devices.disks.push(domain.devices.disks[0].clone());
    let mut lun = domain.clone();
    lun.devices.disks[0].device = Some(DiskDevice::Lun);
    let mut nameless = domain.clone();
    nameless.name.clear();
    vec![
        ("two disks with one target", ErrorCode::XmlError, twice),
        ("a LUN on a file", ErrorCode::ConfigUnsupported, lun),
        ("no name", ErrorCode::NoName, nameless),
    ]
}

async fn a_wrong_definition_is_refused_whole(stage: &mut Stage<'_>) {
    let mut domain = stage.subject.domain("wrong");
    domain.uuid = Some(Uuid::new_v4());
    for (what, code, wrong) in wrong(&domain) {
        assert_eq!(refused(domains(stage).check(&wrong).await), code, "{what}");
        assert_eq!(refused(domains(stage).define(&wrong).await), code, "{what}");
        assert_eq!(refused(domains(stage).get(domain.uuid.unwrap()).await), ErrorCode::NoDomain, "{what}");
    }
}

async fn a_wrong_change_leaves_the_definition_as_it_was(stage: &mut Stage<'_>) {
    let guest = define(stage, "changed").await;
    for (what, code, mut wrong) in wrong(&guest.definition) {
        wrong.title = Some("changed".to_owned());
        assert_eq!(refused(domains(stage).define(&wrong).await), code, "{what}");
        assert_eq!(stored(stage, &guest).await, guest.definition, "{what}");
    }
    end(stage, &guest).await;
}

async fn a_name_belongs_to_one_uuid(stage: &mut Stage<'_>) {
    let guest = define(stage, "named").await;
    let mut other = stage.subject.domain("named");
    other.uuid = Some(Uuid::new_v4());
    assert_eq!(refused(domains(stage).define(&other).await), ErrorCode::DomExist);
    assert_eq!(refused(domains(stage).get(other.uuid.unwrap()).await), ErrorCode::NoDomain);
    end(stage, &guest).await;
}

async fn what_was_completed_once_stays(stage: &mut Stage<'_>) {
    let mut domain = stage.subject.domain("kept");
    domain.uuid = Some(Uuid::new_v4());
    domain.devices.interfaces = vec![interface("kept-0"), interface("kept-1")];
    let first = domains(stage).define(&domain).await.unwrap().definition;
    let guest = Guest { uuid: domain.uuid.unwrap(), definition: first.clone() };
    let mac = |domain: &Domain, network: &str| {
        let of = |i: &&Interface| matches!(&i.source, InterfaceSource::Network(source) if source.network == network);
        domain.devices.interfaces.iter().find(of).and_then(|i| i.mac.clone()).expect("each interface has its address")
    };
    let again = domains(stage).define(&domain).await.unwrap().definition;
    assert_eq!(again, first, "the same wish becomes the same definition");
    domain.devices.interfaces.insert(0, interface("kept-2"));
    let third = domains(stage).define(&domain).await.unwrap().definition;
    for network in ["kept-0", "kept-1"] {
        assert_eq!(mac(&third, network), mac(&first, network), "{network}");
    }
    assert_ne!(mac(&third, "kept-2"), mac(&first, "kept-0"));
    end(stage, &guest).await;
}

async fn definitions_outlive_the_agent(stage: &mut Stage<'_>) {
    let guest = define(stage, "lasting").await;
    stage.restart().await;
    assert_eq!(stored(stage, &guest).await, guest.definition);
    end(stage, &guest).await;
}

async fn a_domain_starts_and_is_destroyed(stage: &mut Stage<'_>) {
    let guest = define(stage, "run").await;
    let mut events = stage.connection().events();
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    let running = DomainState::Running(RunningReason::Booted);
    wait::expect(&mut events, "its start", is(&guest, DomainEvent::State(running))).await;
    assert_eq!(state(stage, &guest).await, running);
    let live = live(stage, &guest).await;
    assert!(live.id.is_some_and(|id| id > 0), "who runs has an id");
    assert_eq!(stored(stage, &guest).await, guest.definition, "a start changes nothing that is stored");
    domains(stage).destroy(guest.uuid).await.unwrap();
    let ended = DomainState::Shutoff(ShutoffReason::Destroyed);
    wait::expect(&mut events, "its end", is(&guest, DomainEvent::State(ended))).await;
    assert_eq!(state(stage, &guest).await, ended);
    // What it held is released: it can start again at once.
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    end(stage, &guest).await;
}

async fn a_guest_started_paused_waits(stage: &mut Stage<'_>) {
    let guest = define(stage, "waiting").await;
    domains(stage).start(guest.uuid, StartOptions::PAUSED).await.unwrap();
    assert_state!(stage, guest, DomainState::Paused(PausedReason::User | PausedReason::StartingUp));
    domains(stage).resume(guest.uuid).await.unwrap();
    assert_eq!(state(stage, &guest).await, DomainState::Running(RunningReason::Unpaused));
    end(stage, &guest).await;
}

async fn a_guest_is_suspended_and_resumed(stage: &mut Stage<'_>) {
    let guest = started(stage, "pausing").await;
    let mut events = stage.connection().events();
    let (paused, unpaused) = (DomainState::Paused(PausedReason::User), DomainState::Running(RunningReason::Unpaused));
    // Each twice: a call that is repeated after a crash converges.
    for _ in 0..2 {
        domains(stage).suspend(guest.uuid).await.unwrap();
        assert_eq!(state(stage, &guest).await, paused);
    }
    wait::expect(&mut events, "the pause", is(&guest, DomainEvent::State(paused))).await;
    for _ in 0..2 {
        domains(stage).resume(guest.uuid).await.unwrap();
        assert_eq!(state(stage, &guest).await, unpaused);
    }
    wait::expect(&mut events, "the resume", is(&guest, DomainEvent::State(unpaused))).await;
    end(stage, &guest).await;
}

async fn what_runs_is_not_started_again_and_what_does_not_run_is_not_ended(stage: &mut Stage<'_>) {
    let guest = define(stage, "once").await;
    assert_eq!(refused(domains(stage).destroy(guest.uuid).await), ErrorCode::OperationInvalid);
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    assert_eq!(refused(domains(stage).start(guest.uuid, StartOptions::default()).await), ErrorCode::OperationInvalid);
    assert_state!(stage, guest, DomainState::Running(_));
    end(stage, &guest).await;
}

async fn what_is_unknown_is_no_domain(stage: &mut Stage<'_>) {
    let (domains, unknown) = (domains(stage), Uuid::new_v4());
    for (what, code) in [
        ("get", refused(domains.get(unknown).await)),
        ("start", refused(domains.start(unknown, StartOptions::default()).await)),
        ("destroy", refused(domains.destroy(unknown).await)),
        ("undefine", refused(domains.undefine(unknown, StateOnUndefine::Keep).await)),
        ("definition", refused(domains.definition(unknown, Definition::Persistent).await)),
    ] {
        assert_eq!(code, ErrorCode::NoDomain, "{what}");
    }
}

async fn what_does_not_run_takes_no_orders(stage: &mut Stage<'_>) {
    let guest = define(stage, "off").await;
    let domains = domains(stage);
    for (what, code) in [
        ("shutdown", refused(domains.shutdown(guest.uuid).await)),
        ("reboot", refused(domains.reboot(guest.uuid).await)),
        ("reset", refused(domains.reset(guest.uuid).await)),
        ("suspend", refused(domains.suspend(guest.uuid).await)),
        ("resume", refused(domains.resume(guest.uuid).await)),
    ] {
        assert_eq!(code, ErrorCode::OperationInvalid, "{what}");
    }
    end(stage, &guest).await;
}

async fn a_running_guest_keeps_its_definition_until_its_next_start(stage: &mut Stage<'_>) {
    let guest = started(stage, "later").await;
    let before = live(stage, &guest).await;
    let mut next = guest.definition.clone();
    next.title = Some("later".to_owned());
    domains(stage).define(&next).await.unwrap();
    assert_eq!(stored(stage, &guest).await.title.as_deref(), Some("later"));
    assert_eq!(live(stage, &guest).await, before);
    domains(stage).destroy(guest.uuid).await.unwrap();
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    assert_eq!(live(stage, &guest).await.title.as_deref(), Some("later"));
    end(stage, &guest).await;
}

async fn an_undefined_guest_runs_on_and_is_gone_at_its_end(stage: &mut Stage<'_>) {
    let guest = started(stage, "transient").await;
    domains(stage).undefine(guest.uuid, StateOnUndefine::Delete).await.unwrap();
    let summary = domains(stage).get(guest.uuid).await.unwrap();
    assert!(!summary.persistent && matches!(summary.state, DomainState::Running(_)));
    assert_eq!(refused(domains(stage).undefine(guest.uuid, StateOnUndefine::Delete).await), ErrorCode::NoDomain);
    domains(stage).destroy(guest.uuid).await.unwrap();
    assert_eq!(refused(domains(stage).get(guest.uuid).await), ErrorCode::NoDomain);
}

async fn a_running_guest_outlives_the_agent(stage: &mut Stage<'_>) {
    let (running, paused) = (started(stage, "outlives").await, started(stage, "outlives-paused").await);
    domains(stage).suspend(paused.uuid).await.unwrap();
    let before = live(stage, &running).await;
    stage.restart().await;
    assert_state!(stage, running, DomainState::Running(_));
    assert_state!(stage, paused, DomainState::Paused(_));
    assert_eq!(live(stage, &running).await, before);
    for guest in [&running, &paused] {
        end(stage, guest).await;
    }
}

async fn a_guest_is_reset_and_runs_on(stage: &mut Stage<'_>) {
    let guest = started(stage, "reset").await;
    domains(stage).reset(guest.uuid).await.unwrap();
    assert_state!(stage, guest, DomainState::Running(_));
    end(stage, &guest).await;
}

async fn a_guest_that_ignores_its_shutdown_runs_on(stage: &mut Stage<'_>) {
    let guest = started(stage, "deaf").await;
    domains(stage).shutdown(guest.uuid).await.unwrap();
    assert_state!(stage, guest, DomainState::Running(_));
    end(stage, &guest).await;
}

async fn a_guest_that_ignores_its_reboot_runs_on(stage: &mut Stage<'_>) {
    let guest = started(stage, "deaf-to-reboots").await;
    domains(stage).reboot(guest.uuid).await.unwrap();
    assert_state!(stage, guest, DomainState::Running(_));
    end(stage, &guest).await;
}

async fn autostart_is_remembered(stage: &mut Stage<'_>) {
    let guest = define(stage, "auto").await;
    for wanted in [true, true, false] {
        domains(stage).set_autostart(guest.uuid, wanted).await.unwrap();
        stage.restart().await;
        assert_eq!(domains(stage).get(guest.uuid).await.unwrap().autostart, wanted);
    }
    end(stage, &guest).await;
}

async fn what_a_guest_s_own_reboot_does_can_be_changed(stage: &mut Stage<'_>) {
    let guest = define(stage, "reboots").await;
    let set = |stage: &Stage<'_>, action| {
        let connection = stage.connection().clone();
        let uuid = guest.uuid;
        async move { connection.domains().unwrap().set_lifecycle_action(uuid, LifecycleEvent::Reboot, action).await }
    };
    assert_eq!(refused(set(stage, LifecycleAction::Destroy).await), ErrorCode::OperationInvalid);
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    set(stage, LifecycleAction::Destroy).await.unwrap();
    assert_eq!(live(stage, &guest).await.on_reboot, Some(ostler_conf::domain::LifecycleAction::Destroy));
    assert_eq!(stored(stage, &guest).await, guest.definition, "only what runs changes");
    set(stage, LifecycleAction::Restart).await.unwrap();
    assert_eq!(live(stage, &guest).await.on_reboot, Some(ostler_conf::domain::LifecycleAction::Restart));
    end(stage, &guest).await;
}

async fn a_start_without_its_network_leaves_nothing(stage: &mut Stage<'_>) {
    let mut domain = stage.subject.domain("unplugged");
    domain.uuid = Some(Uuid::new_v4());
    domain.devices.interfaces = vec![interface("there-is-none")];
    let checked = domains(stage).define(&domain).await.unwrap();
    assert!(
        checked.warnings.iter().any(|warning| warning.field.starts_with("devices.interfaces[")),
        "what is absent is a warning: {:?}",
        checked.warnings
    );
    let guest = Guest { uuid: domain.uuid.unwrap(), definition: checked.definition };
    let start = domains(stage).start(guest.uuid, StartOptions::default()).await;
    assert_eq!(refused(start), ErrorCode::NoNetwork);
    assert_state!(stage, guest, DomainState::Shutoff(_));
    end(stage, &guest).await;
}

async fn labels_change_while_the_guest_runs(stage: &mut Stage<'_>) {
    let guest = started(stage, "labelled").await;
    let mut labelled = guest.definition.clone();
    labelled.title = Some("a title".to_owned());
    let change = Change::Labels(Box::new(labelled));
    assert!(domains(stage).can_change(&live(stage, &guest).await, &change));
    domains(stage).change(guest.uuid, &change).await.unwrap();
    for definition in [live(stage, &guest).await, stored(stage, &guest).await] {
        assert_eq!(definition.title.as_deref(), Some("a title"));
    }
    end(stage, &guest).await;
    assert_eq!(refused(domains(stage).change(guest.uuid, &change).await), ErrorCode::NoDomain);
}

async fn a_wrong_live_change_changes_nothing(stage: &mut Stage<'_>) {
    let guest = started(stage, "steady").await;
    let before = (live(stage, &guest).await, stored(stage, &guest).await);
    let mut lun = second_disk(&guest.definition);
    lun.device = Some(DiskDevice::Lun);
    let mut twice = second_disk(&guest.definition);
    twice.name.clone_from(&guest.definition.devices.disks[0].name);
    for (what, disk, codes) in [
        ("a LUN on a file", lun, &[ErrorCode::ConfigUnsupported][..]),
        ("a target that is taken", twice, &[ErrorCode::XmlError, ErrorCode::OperationFailed]),
    ] {
        let code = refused(domains(stage).change(guest.uuid, &Change::AttachDisk(disk)).await);
        assert!(codes.contains(&code), "{what}: {code:?}");
        assert_eq!((live(stage, &guest).await, stored(stage, &guest).await), before, "{what}");
    }
    let absent = Change::DetachDisk("vdz".to_owned());
    assert!(domains(stage).change(guest.uuid, &absent).await.is_err());
    assert_eq!((live(stage, &guest).await, stored(stage, &guest).await), before);
    end(stage, &guest).await;
}

async fn a_disk_is_plugged_into_a_running_guest(stage: &mut Stage<'_>) {
    let guest = started(stage, "growing").await;
    let change = Change::AttachDisk(second_disk(&guest.definition));
    assert!(domains(stage).can_change(&live(stage, &guest).await, &change));
    domains(stage).change(guest.uuid, &change).await.unwrap();
    let (live, stored) = (live(stage, &guest).await, stored(stage, &guest).await);
    for definition in [&live, &stored] {
        let targets: Vec<&str> = definition.devices.disks.iter().map(|disk| disk.name.as_str()).collect();
        assert_eq!(targets, ["vda", "vdb"]);
    }
    let place = |domain: &Domain| domain.devices.disks[1].address.clone();
    assert_eq!(place(&live), place(&stored), "it will sit where it sits now");
    end(stage, &guest).await;
}

async fn a_console_is_found_while_the_guest_runs(stage: &mut Stage<'_>) {
    let guest = define(stage, "talking").await;
    assert_eq!(refused(domains(stage).console(guest.uuid, None).await), ErrorCode::OperationInvalid);
    domains(stage).start(guest.uuid, StartOptions::default()).await.unwrap();
    let (ConsolePath::Pty(path) | ConsolePath::Socket(path)) = domains(stage).console(guest.uuid, None).await.unwrap();
    assert!(path.exists(), "{}", path.display());
    let absent = domains(stage).console(guest.uuid, Some("there-is-none")).await;
    assert_eq!(refused(absent), ErrorCode::DeviceMissing);
    end(stage, &guest).await;
}
