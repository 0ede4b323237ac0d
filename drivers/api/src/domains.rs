//! Lifecycle of guests.

use std::path::PathBuf;

use async_trait::async_trait;
use ostler_conf::{Domain, MacAddress};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Result, Secrets};

/// Domains of one hypervisor. Every call may be repeated after a crash and then converges.
#[async_trait]
pub trait Domains: Send + Sync {
    /// What [`define`](Self::define) would store for `definition`, without storing it: the definition completed (laid over
    /// what was completed before for this uuid) and checked against this host. Changes nothing.
    ///
    /// # Errors
    /// What `define` refuses: a definition that contradicts itself (`XmlError`), or asks for what the driver or its binary
    /// can never do (`ConfigUnsupported`). What is only absent now is a [`Warning`].
    async fn check(&self, definition: &Domain) -> Result<Checked>;

    /// Checks `definition`, then stores what it became, durably. A running guest goes on; the new definition takes effect
    /// at its next start. The same definition again changes nothing. Returns what was stored.
    ///
    /// # Errors
    /// As [`check`](Self::check), with nothing stored; `DomExist` if the name belongs to another uuid.
    async fn define(&self, definition: &Domain) -> Result<Checked>;

    /// Forgets the stored definition. A running guest goes on, transient from then on.
    ///
    /// # Errors
    /// `NoDomain`.
    async fn undefine(&self, uuid: Uuid, state: StateOnUndefine) -> Result<()>;

    /// All domains, running or not, by name.
    async fn list(&self) -> Result<Vec<DomainSummary>>;

    /// One domain. `NoDomain` if there is none.
    async fn get(&self, uuid: Uuid) -> Result<DomainSummary>;

    /// A domain's definition.
    ///
    /// # Errors
    /// `NoDomain`; `OperationInvalid` for the live one of a domain that does not run.
    async fn definition(&self, uuid: Uuid, which: Definition) -> Result<Domain>;

    /// Starts a domain. One that runs already is `OperationInvalid`.
    ///
    /// # Errors
    /// What is absent (file, network, volume, secret) or busy, by its own code, with nothing left behind.
    async fn start(&self, uuid: Uuid, options: StartOptions) -> Result<()>;

    /// Asks the guest to shut down and returns at once; a guest may ignore it.
    async fn shutdown(&self, uuid: Uuid) -> Result<()>;

    /// Ends the guest as by pulling its plug. When this returns, it has ended and all it held is released.
    async fn destroy(&self, uuid: Uuid) -> Result<()>;

    /// Asks the guest to reboot.
    async fn reboot(&self, uuid: Uuid) -> Result<()>;

    /// Resets the guest as by its button.
    async fn reset(&self, uuid: Uuid) -> Result<()>;

    /// Stops the guest's CPUs. A paused guest stays paused.
    async fn suspend(&self, uuid: Uuid) -> Result<()>;

    /// Lets the guest's CPUs go on.
    async fn resume(&self, uuid: Uuid) -> Result<()>;

    /// Whether the domain is started with the host when no agent decides it.
    async fn set_autostart(&self, uuid: Uuid, autostart: bool) -> Result<()>;

    /// What happens from now on at `event` of a running guest.
    async fn set_lifecycle_action(&self, uuid: Uuid, event: LifecycleEvent, action: LifecycleAction) -> Result<()>;

    /// Carries out one change of a running guest; both definitions are changed. Checked first, like a definition.
    ///
    /// # Errors
    /// As [`check`](Self::check), with nothing changed; `OperationUnsupported` for a change that needs a restart.
    async fn change(&self, uuid: Uuid, change: &Change) -> Result<()>;

    /// Which of `changes` [`change`](Self::change) can do on this running guest. Pure.
    fn can_change(&self, live: &Domain, change: &Change) -> bool;

    /// Where the console `device` (an alias; absent: the first) of a running guest is found.
    async fn console(&self, uuid: Uuid, device: Option<&str>) -> Result<ConsolePath>;

    /// The guest's addresses, from the leases of its networks.
    async fn addresses(&self, uuid: Uuid) -> Result<Vec<GuestAddress>>;
}

/// A definition that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The definition, completed.
    pub definition: Domain,
    /// What is absent now and would keep the domain from starting.
    pub warnings: Vec<Warning>,
}

/// Something that is absent now: no reason to refuse a definition, but to refuse its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The field that refers to it.
    pub field: String,
    /// What is absent.
    pub message: String,
}

/// Which definition of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// What runs now.
    Live,
    /// What the next start takes.
    Persistent,
}

/// A domain in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainSummary {
    /// Its identity.
    pub uuid: Uuid,
    /// Its name on the host.
    pub name: String,
    /// Its state.
    pub state: DomainState,
    /// Whether a definition is stored (else the guest is transient).
    pub persistent: bool,
    /// Whether it is started with the host.
    pub autostart: bool,
    /// Whether its monitor has stopped answering.
    pub monitor_silent: bool,
    /// Why its stored state could not be read, if so. Such a guest is left alone.
    pub damaged: Option<String>,
}

/// A domain's state with libvirt's reason (`virDomainState` and its reason enums).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "reason")]
pub enum DomainState {
    /// The guest runs.
    Running(RunningReason),
    /// The guest's CPUs are stopped.
    Paused(PausedReason),
    /// The guest was asked to shut down.
    Shutdown,
    /// No guest.
    Shutoff(ShutoffReason),
    /// The guest crashed and is kept.
    Crashed,
}

impl DomainState {
    /// Whether there is a guest, running or not.
    pub const fn is_active(self) -> bool {
        !matches!(self, DomainState::Shutoff(_))
    }
}

/// Why a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunningReason {
    /// Started.
    Booted,
    /// Continued.
    Unpaused,
    /// Woken by itself or by us.
    Wakeup,
    /// The reason was not recorded.
    Unknown,
}

/// Why a guest's CPUs are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PausedReason {
    /// Somebody asked for it.
    User,
    /// It was started so.
    StartingUp,
    /// A disk failed (`werror=stop`).
    IoError,
    /// The watchdog fired.
    Watchdog,
    /// The guest panicked.
    Crashed,
    /// It is being shut down.
    ShuttingDown,
    /// The reason was not recorded.
    Unknown,
}

/// Why there is no guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShutoffReason {
    /// Never started since the driver knows it.
    Unknown,
    /// The guest powered off.
    Shutdown,
    /// Somebody ended it.
    Destroyed,
    /// The guest crashed.
    Crashed,
    /// The hypervisor vanished.
    Failed,
    /// The host was rebooted under it.
    HostReboot,
    /// The guest rebooted, and its action on reboot was to end (libvirt reports this as `Shutdown`).
    GuestReboot,
}

/// How to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Leave the CPUs stopped.
    pub paused: bool,
    /// What the Secrets that the definition refers to hold. The driver hands it to the hypervisor, and keeps none of it: not in
    /// the live definition, not on disk, not in arguments.
    pub secrets: Secrets,
}

impl StartOptions {
    /// With its CPUs stopped.
    pub const PAUSED: StartOptions = StartOptions { paused: true, secrets: Secrets::NONE };
}

/// What becomes of NVRAM, TPM state and saved memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOnUndefine {
    /// They stay, for the same uuid.
    Keep,
    /// They are removed.
    Delete,
}

/// An end of a guest's run that it causes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// `<on_poweroff>`
    Poweroff,
    /// `<on_reboot>`
    Reboot,
    /// `<on_crash>`
    Crash,
}

/// What then happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleAction {
    /// The guest ends.
    Destroy,
    /// The guest goes on after its reset.
    Restart,
    /// The guest stays, stopped.
    Preserve,
}

/// A change of a running guest.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a plan holds a handful")]
pub enum Change {
    /// A disk is plugged in.
    AttachDisk(ostler_conf::domain::Disk),
    /// The disk with this target is unplugged.
    DetachDisk(String),
    /// An interface is plugged in.
    AttachInterface(ostler_conf::domain::Interface),
    /// The interface with this address is unplugged.
    DetachInterface(MacAddress),
    /// What only people read: title, description, our own metadata.
    Labels(Box<Domain>),
}

/// Where a console is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsolePath {
    /// A pseudo-terminal.
    Pty(PathBuf),
    /// A listening unix socket.
    Socket(PathBuf),
}

/// An address a guest has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuestAddress {
    /// The interface's MAC address.
    pub mac: MacAddress,
    /// The address.
    pub address: std::net::IpAddr,
    /// Length of the network's prefix in bits.
    pub prefix: u8,
}
