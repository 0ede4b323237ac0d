//! What the next driver makes of guests that run, of ends that nobody saw, and of starts that were cut off anywhere.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use common::{EJECTS, IDLE, Lab, POWEROFF, expect, expect_state};
use ostler_conf::Domain;
use ostler_driver::{
    Connection, Definition, DomainEvent, DomainState, Domains, Error, PausedReason, RunningReason, ShutoffReason,
    StartOptions, StateOnUndefine,
};
use ostler_driver_qemu::FailurePoints;
use ostler_util::ErrorCode;

/// All points of a start, in order.
const POINTS: &[&str] = &["intended", "claimed", "ports made", "spawned", "greeted", "stored"];
/// Undefined, or stopped before anybody could know.
const NEVER: DomainState = DomainState::Shutoff(ShutoffReason::Unknown);
const DEVICES: &str = "<interface type='network'><source network='lan'/><model type='virtio'/></interface>
     <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";

/// What a start makes besides: programs beside QEMU, what QEMU makes itself, and what others can name.
const MORE: &str = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
     <graphics type='vnc'><listen type='socket' socket='DIR/screen.sock'/></graphics>
     <disk type='file'><source file='DIR/lost.img'/><target dev='vdz'/><transient/></disk>
     <interface type='ethernet'/>
     <shmem name='SHARED'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>";

/// Of this run: the host's names are everybody's.
fn shared(name: &str) -> String {
    format!("ostler-test-{}-{name}", std::process::id())
}

/// A guest of this name that has all of it.
fn full(lab: &Lab, name: &str) -> Domain {
    lab.disk("lost.img");
    let more = MORE.replace("DIR", lab.folder.path().to_str().unwrap()).replace("SHARED", &shared(name));
    lab.guest(name, IDLE, &format!("{DEVICES}{more}"))
}

/// Nothing of it is left.
fn assert_clean(lab: &Lab, guest: &Domain) {
    lab.assert_clean(guest.uuid.unwrap());
    assert!(std::fs::symlink_metadata(lab.path("screen.sock")).is_err(), "a link is left");
    assert!(!Path::new("/dev/shm").join(shared(&guest.name)).exists(), "shared memory is left");
}

fn kill(pid: i32) {
    let process = ostler_util::pidfd::Process::of(pid).unwrap().open().unwrap().unwrap();
    process.kill().unwrap();
    assert!(process.wait(common::PATIENCE));
}

#[test]
fn a_running_guest_is_taken_back() {
    Lab::run("taken", |lab| async move {
        let spec = lab.guest("taken", IDLE, DEVICES);
        let uuid = spec.uuid.unwrap();
        let first = lab.open().await;
        first.define(&spec).await.unwrap();
        first.start(uuid, StartOptions::default()).await.unwrap();
        first.suspend(uuid).await.unwrap();
        let (pid, live) = (lab.pid(uuid), first.definition(uuid, Definition::Live).await.unwrap());
        drop(first);
        for _ in 0..3 {
            let next = lab.open().await;
            expect_state(&next, uuid, DomainState::Paused(PausedReason::User)).await;
            assert_eq!(lab.pid(uuid), pid, "it is the same process");
            let again = next.definition(uuid, Definition::Live).await.unwrap();
            assert_eq!(ostler_conf::format(&again), ostler_conf::format(&live));
            assert_eq!(next.start(uuid, StartOptions::default()).await.unwrap_err().code, ErrorCode::OperationInvalid);
            next.close().await.unwrap();
        }
        let last = lab.open().await;
        let mut events = last.events();
        last.resume(uuid).await.unwrap();
        expect(&mut events, uuid, DomainEvent::State(DomainState::Running(RunningReason::Unpaused))).await;
        kill(pid);
        expect(&mut events, uuid, DomainEvent::State(DomainState::Shutoff(ShutoffReason::Failed))).await;
        lab.released(uuid).await;
    });
}

#[test]
fn ends_that_nobody_saw_are_found_out() {
    Lab::run("unseen", |lab| async move {
        let (off, vanished) = (lab.guest("off", POWEROFF, ""), lab.guest("vanished", IDLE, DEVICES));
        let first = lab.open().await;
        for spec in [&off, &vanished] {
            first.define(spec).await.unwrap();
            first.start(spec.uuid.unwrap(), StartOptions::PAUSED).await.unwrap();
        }
        let (off, vanished) = (off.uuid.unwrap(), vanished.uuid.unwrap());
        let socket = lab.config.run_dir.join(format!("qemu/{off}/monitor.sock"));
        let pid = lab.pid(vanished);
        first.close().await.unwrap();
        drop(first);
        // Nobody watches: one guest runs to its power-off, the other's QEMU vanishes.
        say(&socket, "cont").await;
        while say(&socket, "query-status").await["status"] != "shutdown" {}
        kill(pid);
        let next = lab.open().await;
        expect_state(&next, off, DomainState::Shutoff(ShutoffReason::Shutdown)).await;
        expect_state(&next, vanished, DomainState::Shutoff(ShutoffReason::Failed)).await;
        lab.released(off).await;
        lab.released(vanished).await;
    });
}

/// One command to a QEMU that nobody else talks to.
async fn say(socket: &std::path::Path, command: &str) -> serde_json::Value {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = BufReader::new(tokio::net::UnixStream::connect(socket).await.unwrap());
    for command in ["qmp_capabilities", command] {
        stream.write_all(format!("{{\"execute\":\"{command}\",\"id\":\"{command}\"}}\n").as_bytes()).await.unwrap();
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let mut answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        if answer["id"] == command {
            return answer["return"].take();
        }
    }
}

#[test]
fn a_start_that_fails_anywhere_leaves_nothing() {
    Lab::run("fails", |mut lab| async move {
        for (at, point) in POINTS.iter().enumerate() {
            lab.config.failure_points = FailurePoints::new(move |reached| match reached == *point {
                true => Err(Error::new(ErrorCode::InternalError, "as the test wants it")),
                false => Ok(()),
            });
            let spec = full(&lab, &format!("fails{at}"));
            let uuid = spec.uuid.unwrap();
            let driver = lab.open().await;
            driver.define(&spec).await.unwrap();
            let error = driver.start(uuid, StartOptions::default()).await.unwrap_err();
            assert_eq!(error.message, "as the test wants it", "{point}");
            assert_clean(&lab, &spec);
            assert_eq!(driver.get(uuid).await.unwrap().state, NEVER, "{point}");
            driver.undefine(uuid, StateOnUndefine::Delete).await.unwrap();
        }
    });
}

#[test]
fn a_crash_anywhere_in_a_start_converges() {
    Lab::run("crashes", |mut lab| async move {
        for (at, point) in POINTS.iter().enumerate() {
            let crash = Mutex::new(true);
            lab.config.failure_points = FailurePoints::new(move |reached| {
                if reached == *point && std::mem::take(&mut *crash.lock().unwrap()) {
                    std::panic::panic_any("crash");
                }
                Ok(())
            });
            let spec = full(&lab, &format!("crashes{at}"));
            let uuid = spec.uuid.unwrap();
            let driver = std::sync::Arc::new(lab.open().await);
            driver.define(&spec).await.unwrap();
            let starting = driver.clone();
            let crashed = tokio::spawn(async move { starting.start(uuid, StartOptions::default()).await }).await;
            assert!(crashed.unwrap_err().is_panic(), "{point}");
            driver.close().await.unwrap();
            drop(driver);
            let next = lab.open().await;
            if *point == "stored" {
                // From here on the guest is one that runs.
                expect_state(&next, uuid, DomainState::Running(RunningReason::Booted)).await;
                next.destroy(uuid).await.unwrap();
            } else {
                expect_state(&next, uuid, NEVER).await;
            }
            assert_clean(&lab, &spec);
            next.start(uuid, StartOptions::default()).await.unwrap();
            next.destroy(uuid).await.unwrap();
            assert_clean(&lab, &spec);
        }
    });
}

#[test]
fn a_state_that_cannot_be_read_touches_no_guest() {
    Lab::run("damaged", |lab| async move {
        let (damaged, other) = (lab.guest("damaged", IDLE, ""), lab.guest("other", IDLE, ""));
        let first = lab.open().await;
        for spec in [&damaged, &other] {
            first.define(spec).await.unwrap();
            first.start(spec.uuid.unwrap(), StartOptions::default()).await.unwrap();
        }
        let (uuid, other) = (damaged.uuid.unwrap(), other.uuid.unwrap());
        let pid = lab.pid(uuid);
        drop(first);
        let status = lab.config.run_dir.join(format!("qemu/{uuid}/status.json"));
        let whole = std::fs::read_to_string(&status).unwrap();
        let newer = whole.replacen("\"format\":2", "\"format\":3", 1);
        for content in [&whole[..whole.len() / 2], newer.as_str()] {
            std::fs::write(&status, content).unwrap();
            let next = lab.open().await;
            let summary = next.get(uuid).await.unwrap();
            assert!(summary.damaged.is_some() && summary.state.is_active(), "{summary:?}");
            assert_eq!(next.start(uuid, StartOptions::default()).await.unwrap_err().code, ErrorCode::InternalError);
            assert_eq!(next.define(&damaged).await.unwrap_err().code, ErrorCode::InternalError);
            assert_eq!((lab.pid(uuid), std::fs::read_to_string(&status).unwrap().as_str()), (pid, content));
            expect_state(&next, other, DomainState::Running(RunningReason::Booted)).await;
        }
        // The version that wrote it takes the guest back.
        std::fs::write(&status, &whole).unwrap();
        let last = lab.open().await;
        for uuid in [uuid, other] {
            expect_state(&last, uuid, DomainState::Running(RunningReason::Booted)).await;
            last.destroy(uuid).await.unwrap();
        }
    });
}

/// Records had another form before: the live definition alone stood where the status document stands.
#[test]
fn a_guest_whose_record_an_older_agent_wrote_is_taken_back() {
    Lab::run("older", |lab| async move {
        let image = lab.disk("older.img");
        let disk =
            format!("<disk type='file'><source file='{}'/><target dev='vda' bus='virtio'/></disk>", image.display());
        let spec = lab.guest("older", EJECTS, &disk);
        let uuid = spec.uuid.unwrap();
        let first = lab.open().await;
        first.define(&spec).await.unwrap();
        first.start(uuid, StartOptions::default()).await.unwrap();
        let (pid, live) = (lab.pid(uuid), first.definition(uuid, Definition::Live).await.unwrap());
        drop(first);
        let path = lab.config.run_dir.join(format!("qemu/{uuid}/status.json"));
        let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let fields = record.as_object_mut().unwrap();
        fields.remove("status").unwrap();
        fields.insert("definition".into(), ostler_conf::format(&live).into());
        fields.insert("format".into(), 1.into());
        std::fs::write(&path, record.to_string()).unwrap();
        let next = lab.open().await;
        expect_state(&next, uuid, DomainState::Running(RunningReason::Unknown)).await;
        assert_eq!(lab.pid(uuid), pid, "it is the same process");
        let again = next.definition(uuid, Definition::Live).await.unwrap();
        assert_eq!(ostler_conf::format(&again), ostler_conf::format(&live));
        // Its next record has the new form, and tells what was done last.
        next.suspend(uuid).await.unwrap();
        drop(next);
        let last = lab.open().await;
        expect_state(&last, uuid, DomainState::Paused(PausedReason::User)).await;
        last.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
    });
}

#[test]
fn after_a_reboot_of_the_host_guests_are_off_and_known_to_have_run() {
    Lab::run("rebooted", |lab| async move {
        let (ran, idle) = (lab.guest("ran", IDLE, DEVICES), lab.guest("idle", IDLE, ""));
        let first = lab.open().await;
        for spec in [&ran, &idle] {
            first.define(spec).await.unwrap();
        }
        let (ran, idle) = (ran.uuid.unwrap(), idle.uuid.unwrap());
        first.start(ran, StartOptions::default()).await.unwrap();
        first.set_autostart(ran, true).await.unwrap();
        let definition = ostler_conf::format(&first.definition(ran, Definition::Persistent).await.unwrap());
        let pid = lab.pid(ran);
        first.close().await.unwrap();
        drop(first);
        kill(pid);
        std::fs::remove_dir_all(&lab.config.run_dir).unwrap();
        let next = lab.open().await;
        let summary = next.get(ran).await.unwrap();
        assert_eq!((summary.state, summary.autostart), (DomainState::Shutoff(ShutoffReason::HostReboot), true));
        assert_eq!(next.get(idle).await.unwrap().state, NEVER);
        assert_eq!(ostler_conf::format(&next.definition(ran, Definition::Persistent).await.unwrap()), definition);
        lab.assert_clean(ran);
        next.start(ran, StartOptions::default()).await.unwrap();
        next.destroy(ran).await.unwrap();
    });
}

#[test]
fn a_full_disk_loses_nothing() {
    Lab::run("full", |lab| async move {
        std::fs::create_dir_all(&lab.config.state_dir).unwrap();
        let options = std::ffi::CString::new("size=256k").unwrap();
        rustix::mount::mount(
            "none",
            &lab.config.state_dir,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            Some(options.as_c_str()),
        )
        .unwrap();
        let driver = lab.open().await;
        let mut spec = lab.guest("full", IDLE, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        let before = ostler_conf::format(&driver.definition(uuid, Definition::Persistent).await.unwrap());
        // Fills what is left to the last byte.
        let filler = lab.config.state_dir.join("filler");
        let _ = std::fs::write(&filler, vec![1; 1 << 20]);
        spec.title = Some("changed".into());
        assert_eq!(driver.define(&spec).await.unwrap_err().code, ErrorCode::SystemError);
        assert_eq!(driver.start(uuid, StartOptions::default()).await.unwrap_err().code, ErrorCode::SystemError);
        lab.assert_clean(uuid);
        assert_eq!(driver.set_autostart(uuid, true).await.unwrap_err().code, ErrorCode::SystemError);
        assert!(!driver.get(uuid).await.unwrap().autostart);
        let other = lab.guest("late", IDLE, "");
        assert_eq!(driver.define(&other).await.unwrap_err().code, ErrorCode::SystemError);
        assert_eq!(driver.get(other.uuid.unwrap()).await.unwrap_err().code, ErrorCode::NoDomain);
        drop(driver);
        let next = lab.open().await;
        assert_eq!(ostler_conf::format(&next.definition(uuid, Definition::Persistent).await.unwrap()), before);
        std::fs::remove_file(&filler).unwrap();
        next.define(&spec).await.unwrap();
        next.start(uuid, StartOptions::default()).await.unwrap();
        next.destroy(uuid).await.unwrap();
        drop(next);
        rustix::mount::unmount(&lab.config.state_dir, rustix::mount::UnmountFlags::DETACH).unwrap();
    });
}

#[test]
fn a_monitor_that_is_silent_when_the_guest_is_taken_back_delays_no_other() {
    Lab::run("mute", |mut lab| async move {
        lab.config.monitor_timeout = Duration::from_secs(2);
        let (mute, other) = (lab.guest("mute", IDLE, ""), lab.guest("other", IDLE, ""));
        let first = lab.open().await;
        for spec in [&mute, &other] {
            first.define(spec).await.unwrap();
            first.start(spec.uuid.unwrap(), StartOptions::default()).await.unwrap();
        }
        let (mute, other) = (mute.uuid.unwrap(), other.uuid.unwrap());
        let pid = rustix::process::Pid::from_raw(lab.pid(mute)).unwrap();
        drop(first);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let next = lab.open().await;
        let mut events = next.events();
        next.suspend(other).await.unwrap();
        while !next.get(mute).await.unwrap().monitor_silent {
            tokio::task::yield_now().await;
        }
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        expect(&mut events, mute, DomainEvent::MonitorSilent(false)).await;
        // A machine that is slow may take longer than this driver waits for an answer.
        while let Err(error) = next.suspend(mute).await {
            assert_eq!(error.code, ErrorCode::OperationTimeout, "{error}");
        }
        for uuid in [mute, other] {
            next.destroy(uuid).await.unwrap();
        }
    });
}
