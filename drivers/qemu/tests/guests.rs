//! Real QEMU processes under the translator, with guests of a few instructions.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::time::{Duration, Instant};

use common::{IDLE, Lab, PATIENCE, POWER_BUTTON, POWEROFF, RESET, SETS_CLOCK, expect, expect_state};
use ostler_conf::{Domain, parse};
use ostler_driver::{
    Connection, ConsolePath, Definition, DomainEvent, DomainState, Domains, Event, LifecycleAction, LifecycleEvent,
    PausedReason, RunningReason, ShutoffReason, StartOptions, StateOnUndefine,
};
use ostler_util::ErrorCode;

const BOOTED: DomainState = DomainState::Running(RunningReason::Booted);
const PAUSED: DomainState = DomainState::Paused(PausedReason::User);

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_guest_lives_and_dies() {
    Lab::run("lives", |lab| async move {
        let driver = lab.open().await;
        let mut events = driver.events();
        let disk = lab.disk("vda.img");
        let devices = format!(
            "<disk type='file'><source file='{}'/><target dev='vda'/></disk>
             <interface type='network'><source network='lan'/><model type='virtio'/></interface>
             <serial type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
            disk.display()
        );
        let spec = lab.guest("lives", IDLE, &devices);
        let uuid = spec.uuid.unwrap();
        let checked = driver.define(&spec).await.unwrap();
        assert_eq!(checked.warnings, []);
        expect(&mut events, uuid, DomainEvent::Defined).await;
        driver.start(uuid, StartOptions::default()).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(BOOTED)).await;
        assert_eq!(driver.start(uuid, StartOptions::default()).await.unwrap_err().code, ErrorCode::OperationInvalid);

        // The process: whose it is, what it may do, and that it is out of our reach.
        let pid = lab.pid(uuid);
        let proc = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let status = proc("status");
        let user = ostler_util::passwd::find(&lab.config.user).unwrap().unwrap();
        assert_eq!(field(&status, "Uid:"), format!("{0} {0} {0} {0}", user.uid));
        assert_eq!(field(&status, "Gid:"), format!("{0} {0} {0} {0}", user.gid));
        let kvm = ostler_util::passwd::device_group("/dev/kvm".as_ref());
        for group in field(&status, "Groups:").split(' ').filter(|group| !group.is_empty()) {
            assert_eq!(group.parse().ok(), kvm, "no other group than /dev/kvm's");
        }
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set}");
        }
        assert_eq!((field(&status, "NoNewPrivs:"), field(&status, "Seccomp:")), ("1".into(), "2".into()));
        assert_ne!(field(&status, "PPid:"), std::process::id().to_string());
        let group = format!("/{}/qemu-{uuid}", lab.config.cgroup);
        for line in proc("cgroup").lines() {
            assert!(line.ends_with(&group), "{line}");
        }
        let arguments = proc("cmdline");
        assert!(
            arguments.contains("-sandbox\0on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
        );

        // The definition of what runs, and where its devices are found.
        let live = driver.definition(uuid, Definition::Live).await.unwrap();
        assert_eq!(live.devices.interfaces[0].target.as_ref().unwrap().dev.as_deref(), Some("otap0"));
        assert_eq!(*lab.ports.1.lock().unwrap(), ["otap0"]);
        assert!(
            matches!(driver.console(uuid, None).await.unwrap(), ConsolePath::Pty(path) if path.starts_with("/dev/pts") && path.exists())
        );
        let Ok(ConsolePath::Socket(agent)) = driver.console(uuid, Some("channel0")).await else { panic!("no socket") };
        tokio::net::UnixStream::connect(agent).await.unwrap();
        assert_eq!(driver.addresses(uuid).await.unwrap().len(), 1);

        driver.suspend(uuid).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(PAUSED)).await;
        driver.suspend(uuid).await.unwrap();
        driver.resume(uuid).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(DomainState::Running(RunningReason::Unpaused))).await;
        driver.reset(uuid).await.unwrap();
        driver.shutdown(uuid).await.unwrap();

        driver.destroy(uuid).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::Destroyed))).await;
        lab.assert_clean(uuid);
        assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
        assert_eq!(driver.destroy(uuid).await.unwrap_err().code, ErrorCode::OperationInvalid);
        driver.undefine(uuid, StateOnUndefine::Delete).await.unwrap();
        assert_eq!(driver.get(uuid).await.unwrap_err().code, ErrorCode::NoDomain);
    });
}

#[test]
fn a_guest_that_powers_off_is_told_from_a_qemu_that_vanishes() {
    Lab::run("ends", |lab| async move {
        let driver = lab.open().await;
        let mut events = driver.events();
        let spec = lab.guest("ends", POWEROFF, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::Shutdown))).await;

        driver.start(uuid, StartOptions::PAUSED).await.unwrap();
        let pid = rustix::process::Pid::from_raw(lab.pid(uuid)).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::Failed))).await;
        // A start right after the event waits for the release.
        driver.start(uuid, StartOptions::PAUSED).await.unwrap();
        driver.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
    });
}

#[test]
fn the_power_button_shuts_down_or_reboots() {
    Lab::run("button", |lab| async move {
        let driver = lab.open().await;
        let mut events = driver.events();
        let spec = lab.guest("button", POWER_BUTTON, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        for _ in 0..2 {
            // A guest that has not come to its power management yet misses the button: it is pressed until it answers.
            let mut rebooted = driver.events();
            let press = async {
                loop {
                    driver.reboot(uuid).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::select! {
                () = expect(&mut rebooted, uuid, DomainEvent::Rebooted) => {}
                () = press => {}
            }
            expect_state(&driver, uuid, BOOTED).await;
        }
        let press = async {
            loop {
                // It may have ended just now.
                let _ = driver.shutdown(uuid).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::Shutdown))) => {}
            () = press => {}
        }
        lab.released(uuid).await;
    });
}

#[test]
fn what_a_reboot_does_can_be_changed_while_the_guest_runs() {
    Lab::run("reboot", |lab| async move {
        let driver = lab.open().await;
        let mut events = driver.events();
        let spec = lab.guest("reboot", RESET, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        expect(&mut events, uuid, DomainEvent::Rebooted).await;
        driver.set_lifecycle_action(uuid, LifecycleEvent::Reboot, LifecycleAction::Destroy).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::GuestReboot))).await;
        let stored = driver.definition(uuid, Definition::Persistent).await.unwrap();
        assert_eq!(
            stored.on_reboot,
            Some(ostler_conf::domain::LifecycleAction::Restart),
            "the next start does as defined"
        );
        lab.released(uuid).await;
    });
}

#[test]
fn what_a_guest_sets_its_clock_to_is_its_live_definitions() {
    Lab::run("clock", |lab| async move {
        let driver = lab.open().await;
        let mut events = driver.events();
        let mut spec = lab.guest("clock", SETS_CLOCK, "");
        let varies =
            "<domain type='qemu'><name>c</name><memory>1</memory><clock offset='variable' adjustment='3600'/></domain>";
        spec.clock = parse::<Domain>(varies).unwrap().value.clock;
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        // Minutes and hours are set one after the other, and told of no more than once a second.
        let is_set = |seconds: i64| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let of_day = (i64::try_from(now).unwrap() + seconds).rem_euclid(86_400);
            (5 * 3600 + 30 * 60..5 * 3600 + 35 * 60).contains(&of_day)
        };
        let told = async {
            loop {
                if let Ok(Event::Domain { uuid: of, event: DomainEvent::ClockSet(seconds) }) = events.recv().await
                    && of == uuid
                    && is_set(seconds)
                {
                    return seconds;
                }
            }
        };
        let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
        let live = driver.definition(uuid, Definition::Live).await.unwrap().clock.unwrap();
        assert_eq!((live.adjustment, live.adjustment0), (Some(told.to_string()), Some(3600)));
        drop(driver);
        let next = lab.open().await;
        let live = next.definition(uuid, Definition::Live).await.unwrap().clock.unwrap();
        assert_eq!((live.seconds(), live.adjustment0), (Some(told), Some(3600)), "the next agent knows");
        let stored = next.definition(uuid, Definition::Persistent).await.unwrap().clock.unwrap();
        assert_eq!((stored.seconds(), stored.adjustment0), (Some(3600), None), "the next start begins as defined");
        next.destroy(uuid).await.unwrap();
        lab.released(uuid).await;
    });
}

#[test]
fn a_silent_monitor_is_told_and_delays_nobody() {
    Lab::run("silent", |mut lab| async move {
        lab.config.monitor_timeout = Duration::from_millis(300);
        let driver = lab.open().await;
        let mut events = driver.events();
        let (silent, other) = (lab.guest("silent", IDLE, ""), lab.guest("other", IDLE, ""));
        let (uuid, other_uuid) = (silent.uuid.unwrap(), other.uuid.unwrap());
        for spec in [&silent, &other] {
            driver.define(spec).await.unwrap();
            // A loaded machine may take longer than this short deadline.
            while driver.start(spec.uuid.unwrap(), StartOptions::default()).await.is_err() {}
        }
        let pid = rustix::process::Pid::from_raw(lab.pid(uuid)).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let (refused, ()) =
            tokio::join!(driver.suspend(uuid), async { while driver.reset(other_uuid).await.is_err() {} });
        assert_eq!(refused.unwrap_err().code, ErrorCode::OperationTimeout);
        expect(&mut events, uuid, DomainEvent::MonitorSilent(true)).await;
        assert!(driver.get(uuid).await.unwrap().monitor_silent);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        expect(&mut events, uuid, DomainEvent::MonitorSilent(false)).await;
        // What was asked of it is done, late.
        expect_state(&driver, uuid, PAUSED).await;
        // One that can't even end by itself is ended.
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        driver.destroy(uuid).await.unwrap();
        driver.destroy(other_uuid).await.unwrap();
        lab.assert_clean(uuid);
    });
}

#[test]
fn two_guests_do_not_write_one_image() {
    Lab::run("image", |lab| async move {
        let driver = lab.open().await;
        let disk = lab.disk("shared.img");
        let devices = format!("<disk type='file'><source file='{}'/><target dev='vda'/></disk>", disk.display());
        let (one, two) = (lab.guest("one", IDLE, &devices), lab.guest("two", IDLE, &devices));
        for spec in [&one, &two] {
            driver.define(spec).await.unwrap();
        }
        driver.start(one.uuid.unwrap(), StartOptions::PAUSED).await.unwrap();
        let refused = driver.start(two.uuid.unwrap(), StartOptions::PAUSED).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.field.as_deref()),
            (ErrorCode::ResourceBusy, Some("devices.disks[vda].source"))
        );
        lab.assert_clean(two.uuid.unwrap());
        driver.destroy(one.uuid.unwrap()).await.unwrap();
        driver.start(two.uuid.unwrap(), StartOptions::PAUSED).await.unwrap();
        driver.destroy(two.uuid.unwrap()).await.unwrap();
    });
}

#[test]
fn qemu_says_why_it_does_not_start() {
    Lab::run("why", |lab| async move {
        let driver = lab.open().await;
        let mut spec = lab.guest("why", IDLE, "");
        spec.qemu_commandline.as_mut().unwrap().args[0].value = "-there-is-no-such-option".into();
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        let error = driver.start(uuid, StartOptions::default()).await.unwrap_err();
        assert!(error.message.contains("there-is-no-such-option"), "{}", error.message);
        lab.assert_clean(uuid);
        assert_eq!(driver.get(uuid).await.unwrap().state, DomainState::Shutoff(ShutoffReason::Unknown));
        let missing =
            lab.guest("missing", IDLE, "<disk type='file'><source file='/there/is/none'/><target dev='vda'/></disk>");
        let checked = driver.define(&missing).await.unwrap();
        assert_eq!(checked.warnings[0].field, "devices.disks[vda].source");
        assert_eq!(
            driver.start(missing.uuid.unwrap(), StartOptions::default()).await.unwrap_err().code,
            ErrorCode::SystemError
        );
        lab.assert_clean(missing.uuid.unwrap());
    });
}

#[test]
fn starts_fast() {
    Lab::run("fast", |lab| async move {
        let driver = lab.open().await;
        let mut events = driver.events();
        let spec = lab.guest("fast", IDLE, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        let (mut starts, mut ends, mut kills) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            let begin = Instant::now();
            driver.start(uuid, StartOptions::default()).await.unwrap();
            starts.push(begin.elapsed());
            let begin = Instant::now();
            driver.destroy(uuid).await.unwrap();
            ends.push(begin.elapsed());
            driver.start(uuid, StartOptions::PAUSED).await.unwrap();
            let pid = rustix::process::Pid::from_raw(lab.pid(uuid)).unwrap();
            let begin = Instant::now();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::Failed))).await;
            kills.push(begin.elapsed());
        }
        lab.released(uuid).await;
        // Figures for people; no test fails by them.
        eprintln!("start {starts:?}, destroy {ends:?}, SIGKILL to event {kills:?}");
    });
}

#[test]
fn what_a_host_tells_is_enough_to_check_elsewhere() {
    Lab::run("facts", |lab| async move {
        let driver = lab.open().await;
        let facts = driver.check_facts().await.unwrap().unwrap();
        let size = facts.to_string().len();
        assert!(size < 10 << 10, "{size} bytes");
        let checker = ostler_driver_qemu::Checker::from_facts(&facts).unwrap();
        let file = |device: &str| {
            format!("<disk type='file' device='{device}'><source file='/d'/><target dev='sda' bus='scsi'/></disk>")
        };
        for devices in
            [file("disk"), file("lun"), "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>".into()]
        {
            let spec = lab.guest("facts", IDLE, &devices);
            assert!(checker.knows(&spec));
            let here = driver.check(&spec).await.map(|checked| ostler_conf::format(&checked.definition));
            let there = checker.check(&spec, None).map(|definition| ostler_conf::format(&definition));
            assert_eq!(here.map_err(|error| error.to_string()), there.map_err(|error| error.to_string()), "{devices}");
        }
    });
}
