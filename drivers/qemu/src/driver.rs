//! An open QEMU driver: what all its parts share.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ostler_conf::Domain;
use ostler_driver::{Accelerator, Connection, DomainEvent, Domains, Error, Event, Events, Feature, HostFacts, Result};
use ostler_util::ErrorCode;
use ostler_util::cgroup::{Cgroup, Hierarchies};
use ostler_util::file::{create_directory, remove_temporary_files};
use ostler_util::passwd::{self, Credentials};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::complete::{Host, Settings, default_emulator, runs};
use crate::config::{Config, Services};
use crate::entry::Entry;
use crate::probe::{Capabilities, Probe};
use crate::start::ports::Ports;
use crate::start::shared_memory;
use crate::store::{Definitions, Running, Status};
use crate::{attach, firmware, log};

/// What works.
const FEATURES: &[Feature] = &[
    Feature::DomainDefine,
    Feature::DomainStart,
    Feature::DomainShutdown,
    Feature::DomainReboot,
    Feature::DomainReset,
    Feature::DomainSuspend,
    Feature::DomainAutostart,
    Feature::DomainLifecycleAction,
    Feature::DomainLiveChange,
    Feature::DomainConsole,
];

/// How many events a slow listener may be behind before it loses some and is told so.
const EVENT_BACKLOG: usize = 1024;

/// The QEMU driver, open. Dropping it touches no guest.
pub struct QemuDriver {
    pub(crate) core: Arc<Core>,
}

impl fmt::Debug for QemuDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QemuDriver").field("config", &self.core.config).finish_non_exhaustive()
    }
}

/// What all parts of the driver share.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) services: Services,
    pub(crate) definitions: Definitions,
    pub(crate) running: Running,
    pub(crate) probe: Probe,
    pub(crate) hierarchies: Hierarchies,
    /// As whom guests run; absent where we are not root ourselves: as we do.
    pub(crate) credentials: Option<Credentials>,
    /// What completion is told of this host.
    pub(crate) settings: Arc<Settings>,
    /// Ports of guests' screens that are being started.
    pub(crate) ports: Ports,
    pub(crate) shared_memory: shared_memory::Lock,
    /// Held while a name is given to a uuid.
    pub(crate) naming: tokio::sync::Mutex<()>,
    entries: Mutex<BTreeMap<Uuid, Arc<Entry>>>,
    events: broadcast::Sender<Event>,
    tasks: Mutex<JoinSet<()>>,
    next_id: AtomicI32,
}

impl QemuDriver {
    /// Opens the driver: reads what is stored, takes running guests back, and clears away what a crash left.
    ///
    /// # Guarantees
    /// A guest whose state can't be read, or whose monitor doesn't answer, is left as it is; the others go on.
    ///
    /// # Errors
    /// `SystemError` if the folders can't be read, or the guests' user can't be made.
    pub async fn open(config: Config, services: Services) -> Result<Self> {
        let name = config.user.clone();
        let (definitions, runs) = (config.state_dir.join("qemu"), config.run_dir.join("qemu"));
        let prepare = move || {
            let hierarchies =
                Hierarchies::discover().map_err(|error| Error::system("find the control groups", error))?;
            let credentials = guest_credentials(&name)?;
            let stored = Definitions::open(definitions.clone())?;
            prepare_folders(&definitions)?;
            Ok((stored, Running::open(runs)?, hierarchies, credentials))
        };
        let (definitions, running, hierarchies, credentials) = blocking(prepare).await?;
        let probe = Probe::new(config.state_dir.join("qemu/probes"), running.path().to_owned(), credentials.clone());
        let settings = Settings { nvram_dir: config.state_dir.join("qemu/nvram"), ..Settings::default() };
        let core = Arc::new(Core {
            settings: Arc::new(settings),
            config,
            services,
            definitions,
            running,
            probe,
            hierarchies,
            credentials,
            ports: Ports::default(),
            shared_memory: shared_memory::Lock::default(),
            naming: tokio::sync::Mutex::new(()),
            entries: Mutex::default(),
            events: broadcast::channel(EVENT_BACKLOG).0,
            tasks: Mutex::default(),
            next_id: AtomicI32::new(1),
        });
        attach::take_back(&core).await?;
        core.spawn(log::keep_short(core.running.logs()));
        Ok(QemuDriver { core })
    }
}

impl Drop for QemuDriver {
    fn drop(&mut self) {
        self.core.tasks().abort_all();
    }
}

/// The guests' user passes through the folder of definitions, to the memory of firmware and TPMs, and can't list it. What a
/// crash left of making the first goes.
fn prepare_folders(definitions: &Path) -> Result<()> {
    let prepare = || {
        create_directory(definitions, 0o711)?;
        let nvram = definitions.join("nvram");
        if nvram.is_dir() { remove_temporary_files(&nvram).map(drop) } else { Ok(()) }
    };
    prepare().map_err(|error| Error::system(format!("prepare the folder {}", definitions.display()), error))
}

/// The guests' user, with the groups that open the devices which guests need.
fn guest_credentials(name: &str) -> Result<Option<Credentials>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let made =
        passwd::find_or_create(name).map_err(|error| Error::system(format!("find or make the user {name}"), error));
    let mut credentials = made?;
    if credentials.uid == 0 {
        return Err(Error::new(
            ErrorCode::ConfigUnsupported,
            format!("guests can't run as '{name}', who may do everything"),
        ));
    }
    for device in ["/dev/kvm", "/dev/vhost-net"] {
        if let Some(group) = passwd::device_group(device.as_ref()).filter(|group| !credentials.groups.contains(group)) {
            credentials.groups.push(group);
        }
    }
    Ok(Some(credentials))
}

impl Core {
    /// The domain with this uuid.
    pub(crate) fn entry(&self, uuid: Uuid) -> Result<Arc<Entry>> {
        let found = self.entries().get(&uuid).cloned();
        found.ok_or_else(|| Error::new(ErrorCode::NoDomain, format!("there is no domain with the uuid {uuid}")))
    }

    /// The domain with this uuid, made if there is none.
    pub(crate) fn entry_or_new(&self, uuid: Uuid) -> Arc<Entry> {
        self.entries().entry(uuid).or_insert_with(|| Arc::new(Entry::new(uuid))).clone()
    }

    pub(crate) fn entries(&self) -> MutexGuard<'_, BTreeMap<Uuid, Arc<Entry>>> {
        // A panic in between can't leave the map half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `task` until it ends or the driver is closed.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn tell(&self, uuid: Uuid, event: DomainEvent) {
        tracing::debug!(%uuid, ?event, "event");
        // Nobody listens: then nobody needs to know.
        let _ = self.events.send(Event::Domain { uuid, event });
    }

    /// The number of the next guest.
    pub(crate) fn next_id(&self) -> i32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The guest's own control group.
    pub(crate) fn cgroup(&self, uuid: Uuid) -> Cgroup {
        self.hierarchies.group(format!("{}/qemu-{uuid}", self.config.cgroup))
    }

    /// As whom files are claimed.
    pub(crate) fn ids(&self) -> (u32, u32) {
        match &self.credentials {
            Some(credentials) => (credentials.uid, credentials.gid),
            None => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        }
    }

    /// A start has come to `point`.
    pub(crate) fn point(&self, point: &'static str) -> Result<()> {
        tracing::trace!(point, "start");
        self.config.failure_points.reach(point)
    }

    /// The emulator of definitions that name neither one nor an architecture.
    pub(crate) fn default_emulator(&self) -> PathBuf {
        self.config.emulator.clone().unwrap_or_else(|| default_emulator(None))
    }

    /// The emulator of a definition.
    pub(crate) fn emulator(&self, definition: &Domain, last: Option<&Domain>) -> PathBuf {
        let named = definition.devices.emulator.as_ref().or(last.and_then(|last| last.devices.emulator.as_ref()));
        let arch = definition.os.r#type.arch.as_deref().or(last.and_then(|last| last.os.r#type.arch.as_deref()));
        // What the driver was opened with is for this host's own architecture.
        let own = || self.config.emulator.clone().filter(|_| arch.is_none_or(|arch| arch == std::env::consts::ARCH));
        named.map(PathBuf::from).or_else(own).unwrap_or_else(|| default_emulator(arch))
    }

    /// What a completion of `definition` depends on. KVM is tried only where the definition leaves it open.
    pub(crate) async fn host_for(&self, definition: &Domain, last: Option<&Domain>) -> Result<Host> {
        let emulator = self.emulator(definition, last);
        let capabilities = self.probe.capabilities(&emulator).await?;
        let is_open = definition.r#type.is_none() && last.is_none_or(|last| last.r#type.is_none());
        let is_native = runs(&self.settings.arch, &capabilities.arch);
        let kvm = is_open && is_native && self.probe.kvm_works(&emulator).await;
        let settings = if firmware::concerns(definition) {
            let firmware = blocking(|| Ok(firmware::installed())).await?;
            Arc::new(Settings { firmware, ..(*self.settings).clone() })
        } else {
            self.settings.clone()
        };
        Ok(Host { settings, ..Host::new(emulator, capabilities, kvm) })
    }

    /// What a change of a running guest depends on: its emulator could do what it could when the guest was started, whatever
    /// its program can by now.
    pub(crate) async fn host_of(&self, status: &Status, changed: &Domain) -> Result<Host> {
        let host = self.host_for(changed, None).await?;
        let Some(flags) = status.flags.filter(|flags| *flags != host.capabilities.flags) else { return Ok(host) };
        let capabilities = Capabilities { flags, ..Capabilities::clone(&host.capabilities) };
        Ok(Host { capabilities: Arc::new(capabilities), ..host })
    }
}

#[async_trait]
impl Connection for QemuDriver {
    fn driver(&self) -> &'static str {
        "qemu"
    }

    fn uri(&self) -> &str {
        "qemu:///system"
    }

    fn features(&self) -> &'static [Feature] {
        FEATURES
    }

    async fn host(&self) -> Result<HostFacts> {
        let emulator = self.core.default_emulator();
        let capabilities = self.core.probe.capabilities(&emulator).await?;
        let kvm = self.core.probe.kvm_works(&emulator).await.then_some(Accelerator::Kvm);
        let info = rustix::system::sysinfo();
        Ok(HostFacts {
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            hypervisor_version: Some(capabilities.version_text()),
            cpus: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            memory_bytes: info.totalram * u64::from(info.mem_unit),
            accelerators: kvm.into_iter().chain([Accelerator::Tcg]).collect(),
            machines: capabilities
                .accelerated(capabilities.best_accelerator())
                .machines
                .iter()
                .map(|machine| machine.name.clone())
                .collect(),
        })
    }

    async fn capabilities(&self) -> Result<Option<ostler_conf::Capabilities>> {
        crate::host_capabilities::capabilities(&self.core).await.map(Some)
    }

    async fn check_facts(&self) -> Result<Option<serde_json::Value>> {
        crate::checker::facts(&self.core).await.map(Some)
    }

    fn events(&self) -> Events {
        self.core.events.subscribe()
    }

    fn domains(&self) -> Option<&dyn Domains> {
        Some(self)
    }

    async fn close(&self) -> Result<()> {
        let mut tasks = std::mem::take(&mut *self.core.tasks());
        tasks.shutdown().await;
        Ok(())
    }
}

/// Runs what blocks outside the tasks that wait.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(Error::new(ErrorCode::InternalError, panic.to_string())))
}
