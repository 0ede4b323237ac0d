//! Taking guests back: what runs already, what ended while nobody watched, what a crash left half done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ostler_driver::{DomainState, Error, PausedReason, Result, RunningReason, ShutoffReason};
use ostler_util::boot::boot_id;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::driver::{Core, blocking};
use crate::entry::Entry;
use crate::guest::{self, Guest, events};
use crate::monitor::{Monitor, MonitorError, MonitorEvents};
use crate::start::folders;
use crate::store::{Phase, Status};
use crate::{change, stop};

/// How long a process that has begun to end may take.
const ENDING: Duration = Duration::from_secs(10);

/// How long opening waits for monitors; those that are slower are attached meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads all that is stored and brings it in line with what runs.
///
/// Flow: 1. stored definitions; 2. for each state of a guest: a start that was not finished is undone, a guest whose process
/// has gone is released, one that runs is watched again and asked for all that it told nobody; 3. control groups without a
/// state; 4. claims and ports of guests that don't run.
pub(crate) async fn take_back(core: &Arc<Core>) -> Result<()> {
    load_definitions(core).await?;
    let running = core.running.clone();
    let statuses = blocking(move || running.load()).await?;
    // Ends when all is taken back.
    let (_opening, opened) = watch::channel(());
    let mut attached = Vec::new();
    for (uuid, status) in statuses {
        let entry = core.entry_or_new(uuid);
        match status {
            Ok(status) => attached.extend(take_back_one(core, &entry, status, &opened).await),
            Err(reason) => {
                tracing::warn!(%uuid, reason, "a guest is left alone");
                let has_processes = core.cgroup(uuid).is_alive().unwrap_or(true);
                let mut state = entry.state();
                state.damaged = Some(reason);
                state.has_processes = has_processes;
            }
        }
    }
    let all = async {
        for task in &mut attached {
            // A sender that is gone has attached or given up.
            let _ = task.await;
        }
    };
    let _ = tokio::time::timeout(PATIENCE, all).await;
    clear_leftovers(core).await;
    settle_records(core).await;
    Ok(())
}

async fn load_definitions(core: &Arc<Core>) -> Result<()> {
    let definitions = core.definitions.clone();
    let mut names = BTreeSet::new();
    for (uuid, stored) in blocking(move || definitions.load()).await? {
        let entry = core.entry_or_new(uuid);
        let mut state = entry.state();
        match stored {
            Ok(stored) if names.insert(stored.definition.name().to_owned()) => {
                state.definition = Some(stored.definition);
                state.record = stored.record;
            }
            Ok(stored) => state.damaged = Some(format!("another domain has its name, {}", stored.definition.name())),
            Err(reason) => {
                tracing::warn!(%uuid, reason, "a definition is left alone");
                state.damaged = Some(reason);
            }
        }
    }
    Ok(())
}

type Attached = oneshot::Receiver<()>;

/// What opening waits for, and what waits for it.
struct WaitedFor {
    /// Ends when the guest's state is known.
    done: oneshot::Sender<()>,
    /// Its sender ends with the opening.
    opened: watch::Receiver<()>,
}

/// Gives a receiver that ends when the guest is attached, if it runs.
async fn take_back_one(
    core: &Arc<Core>,
    entry: &Arc<Entry>,
    status: Status,
    opened: &watch::Receiver<()>,
) -> Option<Attached> {
    let uuid = entry.uuid;
    let process = match guest::find_process(status.process.as_ref()) {
        Ok(process) => process,
        Err(error) => {
            entry.state().damaged = Some(error.to_string());
            return None;
        }
    };
    match (status.phase, process) {
        // Nobody was told that it runs: as if it had never been started.
        (Phase::Starting, _) => undo(core, entry, status, None).await,
        (Phase::Running, None) => {
            let same_boot = status.process.as_ref().is_some_and(|process| process.boot_id == boot_id());
            let reason = if same_boot { ShutoffReason::Failed } else { ShutoffReason::HostReboot };
            undo(core, entry, status, Some(reason)).await;
        }
        (Phase::Running, Some(process)) => {
            let connected = Monitor::connect(&core.running.monitor(uuid), core.config.monitor_timeout).await;
            let (monitor, notices) = match connected {
                Ok((monitor, notices)) => (Some(monitor), Some(notices)),
                Err(error) => {
                    tracing::warn!(%error, %uuid, "QEMU's monitor can't be reached: the guest is left as it is");
                    (None, None)
                }
            };
            let state = Some(status.state).filter(|state| state.is_active());
            let state = state.unwrap_or(DomainState::Running(RunningReason::Unknown));
            let guest = Arc::new(Guest::new(uuid, process, monitor, status, state));
            entry.state().guest = Some(guest.clone());
            let (done, attached) = oneshot::channel();
            let waited_for = WaitedFor { done, opened: opened.clone() };
            let (core_of_task, entry) = (core.clone(), entry.clone());
            core.spawn(async move {
                attach(&core_of_task, &entry, &guest, notices, waited_for).await;
            });
            return Some(attached);
        }
    }
    None
}

/// Releases what a guest that does not run held.
async fn undo(core: &Arc<Core>, entry: &Arc<Entry>, status: Status, end: Option<ShutoffReason>) {
    if let Some(reason) = end {
        if let Err(error) = stop::record_end(core, entry, reason).await {
            tracing::warn!(%error, uuid = %entry.uuid, "record how a guest ended");
        }
    } else {
        entry.state().record.running_in_boot = None;
    }
    if let Err(error) = stop::clean(core, entry.uuid, status.sockets).await {
        tracing::warn!(%error, uuid = %entry.uuid, "release what a guest held");
    }
    if entry.state().definition.is_none() && entry.state().damaged.is_none() {
        core.entries().remove(&entry.uuid);
    }
}

/// Negotiates with the guest's QEMU, however long that takes, asks for what it told nobody, then watches over it.
async fn attach(
    core: &Arc<Core>,
    entry: &Entry,
    guest: &Arc<Guest>,
    notices: Option<MonitorEvents>,
    waited_for: WaitedFor,
) {
    // An abort of this task must be one of the other: it keeps the connection, and QEMU serves one at a time.
    struct Abort(tokio::task::JoinHandle<()>);
    impl Drop for Abort {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let WaitedFor { done, mut opened } = waited_for;
    let mut watching = Abort(tokio::spawn(guest::run(core.clone(), guest.clone(), notices)));
    if let Ok(monitor) = guest.monitor() {
        let caught_up = catch_up(core, guest, monitor).await;
        drop(done);
        // Nobody waits for the rest, which takes processors and QEMUs longer than the state: a device that went meanwhile is told
        // as if it went now.
        while opened.changed().await.is_ok() {}
        let settled = match caught_up {
            Ok(true) => check_identity(guest, monitor).await.map(|()| true),
            other => other,
        };
        match settled {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = change::unplug::catch_up(core, guest).await {
                    tracing::warn!(%error, uuid = %guest.uuid, "find out which devices the guest has");
                }
            }
            Err(CatchUp::Another(uuid)) => {
                entry.state().damaged = Some(format!("QEMU answers with another guest's uuid, {uuid}"))
            }
            Err(CatchUp::Monitor(error)) => tracing::warn!(%error, uuid = %guest.uuid, "take a guest back"),
        }
    } else {
        drop(done);
    }
    let _ = (&mut watching.0).await;
}

enum CatchUp {
    Another(Uuid),
    Monitor(MonitorError),
}

impl From<MonitorError> for CatchUp {
    fn from(error: MonitorError) -> Self {
        CatchUp::Monitor(error)
    }
}

/// The process is the one that was started, so its monitor is too; one that is another guest's after all is left alone.
async fn check_identity(guest: &Guest, monitor: &Monitor) -> Result<(), CatchUp> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "UUID")]
        uuid: Uuid,
    }
    let answer: Answer = monitor.execute("query-uuid", Value::Null).await?;
    if answer.uuid == guest.uuid { Ok(()) } else { Err(CatchUp::Another(answer.uuid)) }
}

/// The state that missed events would have told is queried; whether the guest still runs. QEMU reads a byte at a time, so little is said, and at once.
async fn catch_up(core: &Arc<Core>, guest: &Arc<Guest>, monitor: &Monitor) -> Result<bool, CatchUp> {
    #[derive(Deserialize)]
    struct RunState {
        status: String,
    }
    const COMMAND: &str = "query-status";
    let mut answer: Result<RunState, MonitorError> = monitor.begin_with(COMMAND).await;
    // A silent one is told as such; when it speaks again it is asked again.
    let run_state = loop {
        match answer {
            Ok(state) => break state,
            Err(MonitorError::Silent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        answer = match monitor.greeted().await {
            Ok(()) => monitor.execute(COMMAND, Value::Null).await,
            Err(error) => Err(error),
        };
    };
    let state = match run_state.status.as_str() {
        "running" | "suspended" => {
            let known =
                Some(guest.stored(|status| status.state)).filter(|state| matches!(state, DomainState::Running(_)));
            known.unwrap_or(DomainState::Running(RunningReason::Unknown))
        }
        "io-error" => DomainState::Paused(PausedReason::IoError),
        "watchdog" => DomainState::Paused(PausedReason::Watchdog),
        "shutdown" => {
            // It says that the run ended, not how: a reboot ends one only where the definition says so.
            let is_reboot = guest.stored(|status| {
                status.definition.on_reboot == Some(ostler_conf::domain::LifecycleAction::Destroy) && !status.reboots
            });
            let cause = if is_reboot { events::Cause::Reboot } else { events::Cause::Poweroff };
            events::ended(core, guest, cause).await;
            return Ok(false);
        }
        "guest-panicked" => {
            events::ended(core, guest, events::Cause::Crash).await;
            return Ok(false);
        }
        "internal-error" => DomainState::Paused(PausedReason::Unknown),
        "prelaunch" if !guest.stored(|status| status.paused) => {
            check_identity(guest, monitor).await?;
            monitor.execute::<Value>("cont", Value::Null).await?;
            DomainState::Running(RunningReason::Booted)
        }
        _ => {
            let known =
                Some(guest.stored(|status| status.state)).filter(|state| matches!(state, DomainState::Paused(_)));
            // Else somebody asked for it while nobody watched.
            known.unwrap_or(DomainState::Paused(PausedReason::User))
        }
    };
    guest.take_on(core, state).await;
    Ok(true)
}

/// Control groups and folders without a state, and claims and ports of guests that don't run.
async fn clear_leftovers(core: &Arc<Core>) {
    let names = core.hierarchies.children(&core.config.cgroup).unwrap_or_default();
    for uuid in names.iter().filter_map(|name| name.strip_prefix("qemu-")?.parse::<Uuid>().ok()) {
        let cgroup = core.cgroup(uuid);
        if !is_idle(core, uuid) {
            continue;
        }
        let group = cgroup.clone();
        let is_alive = blocking(move || {
            let look = || {
                group.await_the_ending(ENDING)?;
                group.is_alive()
            };
            look().map_err(|error| Error::system("look for the processes of a guest", error))
        });
        match is_alive.await {
            Ok(false) => {
                if let Err(error) = cgroup.remove() {
                    tracing::warn!(%error, %uuid, "remove a control group");
                }
            }
            // A start leaves its intent before its process: this is none of an unfinished start, so somebody needs it.
            _ => {
                let entry = core.entry_or_new(uuid);
                let mut state = entry.state();
                state.has_processes = true;
                state.damaged.get_or_insert_with(|| {
                    "a QEMU runs in its control group, but the guest's state is lost".to_owned()
                });
            }
        }
    }
    for uuid in folders::owners(core).into_iter().filter(|uuid| is_idle(core, *uuid)) {
        if let Err(error) = folders::remove(core, uuid) {
            tracing::warn!(%error, %uuid, "remove what a guest's QEMU made");
        }
    }
    let owners = core.services.security.owners().await.unwrap_or_default();
    let ports = core.services.networks.ports().await.unwrap_or_default();
    let known: BTreeSet<Uuid> = core.entries().keys().copied().collect();
    let leftover = owners.into_iter().chain(ports.into_iter().map(|port| port.owner)).collect::<BTreeSet<_>>();
    for uuid in leftover.into_iter().filter(|uuid| known.contains(uuid) && is_idle(core, *uuid)) {
        let (files, ports) =
            tokio::join!(core.services.security.release(uuid), core.services.networks.delete_ports(uuid, None));
        if let Err(error) = files.and(ports) {
            tracing::warn!(%error, %uuid, "release what a guest held");
        }
    }
}

/// Whether nothing runs for this uuid, for all that we can know.
fn is_idle(core: &Core, uuid: Uuid) -> bool {
    let entry = core.entries().get(&uuid).cloned();
    entry.is_none_or(|entry| {
        let state = entry.state();
        state.guest.is_none() && !state.has_processes && !core.running.exists(uuid)
    })
}

/// A guest that ran when the host went down has no state left.
async fn settle_records(core: &Arc<Core>) {
    let entries: Vec<Arc<Entry>> = core.entries().values().cloned().collect();
    for entry in entries {
        let lost = {
            let state = entry.state();
            state.record.running_in_boot.is_some()
                && state.guest.is_none()
                && !state.has_processes
                && state.damaged.is_none()
        };
        if lost {
            if let Err(error) = stop::record_end(core, &entry, ShutoffReason::HostReboot).await {
                tracing::warn!(%error, uuid = %entry.uuid, "record how a guest ended");
            }
        }
    }
}
