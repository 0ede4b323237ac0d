//! What drivers tell without being asked.

use tokio::sync::broadcast;
use uuid::Uuid;

use crate::DomainState;

/// A receiver of events. `Lagged` means events were lost: query again.
pub type Events = broadcast::Receiver<Event>;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To a domain.
    Domain {
        /// Which.
        uuid: Uuid,
        /// What.
        event: DomainEvent,
    },
    /// To a network.
    Network {
        /// Which, by its name on the host.
        name: String,
        /// What.
        event: NetworkEvent,
    },
    /// To a storage pool.
    Pool {
        /// Which, by its name on the host.
        name: String,
        /// What.
        event: PoolEvent,
    },
}

/// What happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainEvent {
    /// A definition was stored or changed.
    Defined,
    /// The definition is gone.
    Undefined,
    /// The state is now this.
    State(DomainState),
    /// The guest rebooted by itself and runs on.
    Rebooted,
    /// The guest set its clock, to so many seconds beside universal time, or, unless its clock varies, beside what it had.
    ClockSet(i64),
    /// The hypervisor does not answer within its deadline (`true`), or does again (`false`).
    MonitorSilent(bool),
}

/// What happened to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkEvent {
    /// Defined, or its definition changed.
    Defined,
    /// Started.
    Started,
    /// Stopped.
    Stopped,
    /// Its definition is gone.
    Undefined,
    /// A lease came, changed or went.
    Leases,
    /// Part of it was lost (rules, bridge, address, dnsmasq) and made again.
    Healed,
    /// Part of it was lost and could not be made again.
    Degraded,
}

/// What happened to a storage pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// Defined, or its definition changed.
    Defined,
    /// Started.
    Started,
    /// Stopped.
    Stopped,
    /// Its definition is gone.
    Undefined,
    /// Volumes came, changed or went.
    Refreshed,
}
