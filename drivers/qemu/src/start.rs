//! The start of a guest.

pub(crate) mod chardevs;
pub(crate) mod folders;
mod hugepages;
pub(crate) mod interfaces;
pub(crate) mod nvram;
pub(crate) mod ports;
pub(crate) mod screens;
mod settle;
pub(crate) mod shared_memory;
pub(crate) mod tpm;
mod transient;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::Domain;
use ostler_conf::domain::{Clock, CpuCheck, Disk, DomainType};
use ostler_driver::{Access, DomainState, Error, PausedReason, Result, RunningReason, ShutoffReason, StartOptions};
use ostler_util::ErrorCode;
use ostler_util::boot::boot_id;
use ostler_util::local_time;
use ostler_util::pidfd::Process;
use ostler_util::spawn::{FIRST_FD, Spawn};
use serde_json::Value;
use uuid::Uuid;

use crate::args::{self, Chain, Monitor as MonitorPlace, Runtime, Settings, command_line};
use crate::driver::{Core, blocking};
use crate::entry::Entry;
use crate::guest::{self, Guest};
use crate::monitor::{Monitor, MonitorError};
use crate::probe::Capabilities;
use crate::readable::readable;
use crate::store::{Phase, Status};
use crate::{alias, check, files, guest_cpu, images, log, stop, warnings};

/// Descriptors that QEMU gets, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Descriptors(Vec<OwnedFd>);

impl Descriptors {
    /// Adds one; gives its number in QEMU.
    pub(super) fn add(&mut self, fd: impl Into<OwnedFd>) -> i32 {
        self.0.push(fd.into());
        FIRST_FD + i32::try_from(self.0.len() - 1).expect("fewer descriptors than 2^31")
    }
}

/// Starts the domain.
///
/// Flow: 1. its definition is checked again, and all that it refers to must be there; 2. the intent is stored; 3. files are
/// claimed, images looked up, ports made, sockets and logs opened; 4. QEMU is started, with its CPUs stopped; 5. its monitor
/// must greet us; 6. the live state is stored; 7. the CPUs run.
///
/// # Guarantees
/// What fails is undone before this returns. A crash at any point is undone by the next agent, up to step 6; from then on
/// it takes the guest back.
pub(crate) async fn start(core: &Arc<Core>, entry: &Arc<Entry>, options: StartOptions) -> Result<()> {
    let definition = startable(core, entry).await?;
    settle::check_passwords(&definition, &options.secrets)?;
    let mut status = Status::starting(live_definition(core, definition));
    status.paused = options.paused;
    let result = run(core, entry, &mut status, options).await;
    if let Err(error) = &result {
        tracing::warn!(%error, uuid = %entry.uuid, "start a guest");
        undo(core, entry, status).await;
    }
    result
}

/// The definition, if it can be started now.
async fn startable(core: &Arc<Core>, entry: &Arc<Entry>) -> Result<Domain> {
    let ending = {
        let state = entry.state();
        state.usable()?;
        match &state.guest {
            Some(guest) if guest.state().is_active() => {
                let name = state.name().unwrap_or_default();
                return Err(Error::new(ErrorCode::OperationInvalid, format!("the domain {name} runs already")));
            }
            guest => guest.clone(),
        }
    };
    if let Some(guest) = ending {
        guest.wait(core.config.quit_timeout).await?;
    }
    let definition = entry.state().definition.clone();
    let definition = definition.ok_or_else(|| Error::new(ErrorCode::NoDomain, "the domain is not defined"))?;
    let definition = definition.definition()?;
    if core.running.exists(entry.uuid) {
        // What its last end could not release.
        stop::clean(core, entry.uuid, Vec::new()).await?;
    }
    let host = core.host_for(&definition, None).await?;
    check::check(&definition, &host)?;
    check::check_supported(&definition, &host)?;
    if definition.r#type == Some(DomainType::Kvm) && !core.probe.kvm_works(&host.emulator).await {
        let message = "the domain was defined with KVM, which does not run guests on this host";
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("type"));
    }
    if let Some(missing) = warnings::missing_files(&definition).into_iter().next() {
        return Err(Error::new(ErrorCode::SystemError, missing.message).at(missing.field));
    }
    Ok(definition)
}

/// What the guest will show as its own: the definition with its number and the names of its devices.
fn live_definition(core: &Core, mut live: Domain) -> Domain {
    live.id = Some(core.next_id());
    alias::assign(&mut live);
    live
}

async fn undo(core: &Arc<Core>, entry: &Arc<Entry>, status: Status) {
    if let Err(error) = stop::clean(core, entry.uuid, status.sockets).await {
        tracing::warn!(%error, uuid = %entry.uuid, "undo a start");
    }
    let record = {
        let mut state = entry.state();
        state.record.running_in_boot = None;
        state.record.clone()
    };
    let (definitions, uuid) = (core.definitions.clone(), entry.uuid);
    if let Err(error) = blocking(move || definitions.save_record(uuid, &record)).await {
        tracing::warn!(%error, uuid = %entry.uuid, "undo a start");
    }
}

async fn run(core: &Arc<Core>, entry: &Arc<Entry>, status: &mut Status, options: StartOptions) -> Result<()> {
    let uuid = entry.uuid;
    let capabilities = core.host_for(&status.definition, None).await?.capabilities;
    let cpu = guest_cpu::settle(&status.definition, &capabilities, None, core.services.cpus.as_ref())?;
    if let (Some(cpu), Some(CpuCheck::Partial)) = (&cpu, status.definition.cpu.as_ref().and_then(|cpu| cpu.check)) {
        guest_cpu::check_partially(&status.definition, cpu, &capabilities, core.services.cpus.as_ref())?;
    }
    status.flags = Some(capabilities.flags);
    status.sockets = chardevs::outside_sockets(&status.definition, &core.running);
    status.sockets.extend(screens::sockets(&status.definition).map(|(path, _)| PathBuf::from(path)));
    status.sockets.extend(shared_memory::of(&status.definition).map(|shmem| shared_memory::path(&shmem.name)));
    let ports = &core.ports;
    let _ports = ports.choose(&mut status.definition)?;
    intend(core, entry, status).await?;
    core.point("intended")?;
    let mut runtime = Runtime { cpu, ..Runtime::default() };
    let mut descriptors = Descriptors::default();
    claim_files(core, &status.definition, uuid, &mut runtime).await?;
    core.point("claimed")?;
    let ports = interfaces::open(core, uuid, &mut status.definition, &mut runtime, &mut descriptors).await?;
    core.point("ports made")?;
    status.nodes = args::disk::node_names(&status.definition, &runtime, &capabilities)?;
    let (process, clock) = spawn(core, uuid, &status.definition, capabilities, runtime, descriptors).await?;
    status.definition.clock = clock;
    core.point("spawned")?;
    // QEMU takes its time to begin; the network is plugged in meanwhile.
    let (greeted, plugged) = tokio::join!(greet(core, uuid, &process), interfaces::plug(core, &ports));
    let (monitor, notices) = greeted?;
    plugged?;
    core.point("greeted")?;
    let settled = async {
        settle::settle(&monitor, &mut status.definition, &options.secrets).await?;
        guest_cpu::check_fully(&monitor, &status.definition).await
    };
    // It may greet us and then find that it can't make a device.
    settled.await.map_err(|error| if process.is_ending().unwrap_or(false) { vanished(core, uuid) } else { error })?;
    let state = match options.paused {
        true => DomainState::Paused(PausedReason::StartingUp),
        false => DomainState::Running(RunningReason::Booted),
    };
    (status.phase, status.process, status.state) = (Phase::Running, Some(process), state);
    save(core, uuid, status).await?;
    core.point("stored")?;
    let handle = guest::find_process(status.process.as_ref())?.ok_or_else(|| vanished(core, uuid))?;
    // Its answer is the first that we wait for: QEMU may end until then, and says why in its log.
    let first = if options.paused { "query-status" } else { "cont" };
    monitor.execute::<Value>(first, Value::Null).await.map_err(|error| match error {
        MonitorError::Closed => vanished(core, uuid),
        error => error.into(),
    })?;
    let guest =
        Arc::new(Guest::new(uuid, handle, Some(monitor), status.clone(), DomainState::Shutoff(ShutoffReason::Unknown)));
    entry.state().guest = Some(guest.clone());
    guest.set_state(core, state);
    core.spawn(guest::run(core.clone(), guest, Some(notices)));
    Ok(())
}

/// The intent is on disk before anything is made: for the next boot that the guest was on, for the next agent what it holds.
async fn intend(core: &Arc<Core>, entry: &Entry, status: &Status) -> Result<()> {
    let record = {
        let mut state = entry.state();
        state.record.running_in_boot = Some(boot_id().to_owned());
        state.record.clone()
    };
    let (definitions, running, uuid, status) =
        (core.definitions.clone(), core.running.clone(), entry.uuid, status.clone());
    blocking(move || {
        definitions.save_record(uuid, &record)?;
        running.create(uuid)?;
        running.save(uuid, &status)
    })
    .await
}

async fn save(core: &Arc<Core>, uuid: Uuid, status: &Status) -> Result<()> {
    let (running, status) = (core.running.clone(), status.clone());
    blocking(move || running.save(uuid, &status)).await
}

/// Finds the images of all disks, makes the firmware's memory, and gives QEMU's user access to all files.
async fn claim_files(core: &Core, domain: &Domain, uuid: Uuid, runtime: &mut Runtime) -> Result<()> {
    let (uid, gid) = core.ids();
    let security = &core.services.security;
    for disk in &domain.devices.disks {
        if let Some(mut chain) = claim_images(core, uuid, disk).await? {
            if transient::lay_over(disk, &folders::transient(core, uuid), &mut chain) {
                runtime.transient.insert(disk.name.clone());
            }
            runtime.images.insert(disk.name.clone(), chain);
        }
    }
    let (made, folder, owner) = (domain.clone(), core.settings.nvram_dir.clone(), core.credentials.clone());
    let lock = core.shared_memory.clone();
    blocking(move || {
        nvram::prepare(&made, &folder, owner.as_ref())?;
        nvram::prepare_pstore(&made, &folder, owner.as_ref())?;
        shared_memory::make(&made, owner.as_ref(), &lock)
    })
    .await?;
    for shmem in shared_memory::of(domain) {
        let claim = security.claim(uuid, &shared_memory::path(&shmem.name), Access::Shared, uid, gid).await;
        claim.map_err(|error| error.at(format!("devices.shmems[{}]", shmem.name)))?;
    }
    for file in files::of(domain) {
        let claim = security.claim(uuid, file.path.as_ref(), file.access, uid, gid).await;
        claim.map_err(|error| error.at(file.field))?;
    }
    Ok(())
}

/// Finds a disk's images and gives QEMU's user access to them.
pub(crate) async fn claim_images(core: &Core, uuid: Uuid, disk: &Disk) -> Result<Option<Chain>> {
    let (uid, gid) = core.ids();
    let Some(chain) = images::resolve(disk, core.services.storage.as_ref()).await? else { return Ok(None) };
    for (depth, image) in chain.images.iter().enumerate() {
        // What a transient disk writes goes elsewhere.
        let is_read = disk.readonly || disk.transient.is_some();
        let access = match (depth, is_read, disk.shareable) {
            (0, false, false) => Access::Write,
            (0, false, true) => Access::Shared,
            _ => Access::Read,
        };
        for path in image.path().into_iter().chain(image.data_path()) {
            let claim = core.services.security.claim(uuid, path, access, uid, gid).await;
            claim.map_err(|error| error.at(format!("devices.disks[{}].source", disk.name)))?;
        }
    }
    Ok(Some(chain))
}

/// Starts QEMU, stopped, in its own control group; gives the clock from which its run begins.
async fn spawn(
    core: &Arc<Core>,
    uuid: Uuid,
    domain: &Domain,
    capabilities: Arc<Capabilities>,
    mut runtime: Runtime,
    mut descriptors: Descriptors,
) -> Result<(Process, Option<Clock>)> {
    let (core, mut domain) = (core.clone(), domain.clone());
    blocking(move || {
        let monitor = core.running.monitor(uuid);
        runtime.dir = folders::own(&core, uuid);
        runtime.short_name = uuid.to_string();
        runtime.now = now();
        let ahead = local_time::ahead_of_utc(runtime.now);
        runtime.utc_offset = ahead.map_err(|error| Error::system("look up the host's local time", error))?;
        domain.clock.iter_mut().for_each(|clock| clock.begin(runtime.utc_offset));
        runtime.monitor = MonitorPlace::Descriptor(descriptors.add(listen(&monitor)?));
        chardevs::open(&core.running, uuid, &domain, &mut runtime, &mut descriptors)?;
        let settings = settings(&core, &domain);
        folders::make(&core, uuid, &domain, &settings.hugepages)?;
        transient::make(&domain, &runtime, core.credentials.as_ref())?;
        runtime.sockets = screens::link(&domain, &runtime.dir)?;
        let group = core.cgroup(uuid);
        let join = || {
            group.create()?;
            group.entrances()
        };
        let cgroups = join().map_err(|error| Error::system("make the guest's control groups", error))?;
        tpm::start(&core, uuid, &domain, &mut runtime)?;
        let line = command_line(&domain, &capabilities, &settings, &runtime)?;
        let (program, args) =
            line.args.split_first().ok_or_else(|| Error::new(ErrorCode::InternalError, "no emulator"))?;
        let log = core.running.log(uuid);
        let output = log::open(&log).map_err(|error| Error::system(format!("open {}", log.display()), error))?;
        let spawn = Spawn {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            env: line.env.into_iter().map(|(name, value)| format!("{name}={value}").into()).collect(),
            directory: "/".into(),
            credentials: core.credentials.clone(),
            cgroups,
            output,
            fds: descriptors.0,
        };
        let process = spawn.detached().map_err(|error| {
            let message = format!("start {}: {error}", domain.devices.emulator.as_deref().unwrap_or_default());
            Error::new(ErrorCode::InternalError, message).with_source(error)
        })?;
        Ok((process, domain.clock))
    })
    .await
}

/// What guests of this host have in common. What needs more than this is refused before (`check`).
fn settings(core: &Core, domain: &Domain) -> Settings {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let has_huge = domain.memory_backing.as_ref().is_some_and(|backing| backing.hugepages.is_some())
        || domain.devices.memories.iter().any(|memory| memory.source.is_some());
    Settings {
        env: [("PATH".to_owned(), PATH.to_owned())].into(),
        memory_dir: folders::memory(core),
        hugepages: if has_huge { hugepages::mounts() } else { Vec::new() },
        ..Settings::default()
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A listening socket at `path`: whoever connects before QEMU accepts is not refused.
fn listen(path: &std::path::Path) -> Result<UnixListener> {
    let listen = || {
        ostler_util::file::remove_durably(path)?;
        UnixListener::bind(path)
    };
    listen().map_err(|error| Error::system(format!("listen on {}", path.display()), error))
}

/// Connects to the new QEMU's monitor. Only this QEMU was given the socket: nobody else can answer.
async fn greet(core: &Core, uuid: Uuid, process: &Process) -> Result<(Monitor, crate::monitor::MonitorEvents)> {
    let path = core.running.monitor(uuid);
    let connected = Monitor::connect(&path, core.config.monitor_timeout).await;
    let (monitor, notices) = connected.map_err(|error| match error.kind() {
        // Nobody has the socket open any more, or not since a moment ago.
        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::ConnectionReset => vanished(core, uuid),
        _ => Error::system(format!("connect to {}", path.display()), error),
    })?;
    // A QEMU that ends before it listens leaves us waiting: its own end is noticed by its handle.
    let begun = tokio::select! {
        begun = monitor.begin() => begun,
        () = ended(process) => Err(MonitorError::Closed),
    };
    match begun {
        Ok(()) => Ok((monitor, notices)),
        Err(MonitorError::Closed) => Err(vanished(core, uuid)),
        Err(error) => Err(error.into()),
    }
}

async fn ended(process: &Process) {
    let Ok(Some(handle)) = process.open() else { return };
    let Ok(handle) = readable(OwnedFd::from(handle)) else {
        return std::future::pending().await;
    };
    drop(handle.readable().await);
}

/// QEMU's own word for why it ended.
fn vanished(core: &Core, uuid: Uuid) -> Error {
    let said = log::tail(&core.running.log(uuid));
    Error::new(ErrorCode::InternalError, format!("QEMU ended before the guest began: {said}"))
}
