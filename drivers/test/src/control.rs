//! The other side of the driver: what guests, the host and bad luck do.

use std::path::Path;
use std::sync::Arc;

use ostler_conf::ErrorCode;
use ostler_driver::{
    DomainEvent, DomainState, Error, Lease, NetworkEvent, PausedReason, PoolEvent, Result, ShutoffReason,
};
use uuid::Uuid;

use crate::guest::Cause;
use crate::storage::{Image, Volume, path};
use crate::world::{EVENT_BACKLOG, Host, World};
use crate::{Call, Fault, Manners, TestDriver};

/// What a test does to a host, while others hold the driver.
#[derive(Debug)]
pub struct Control {
    host: Arc<Host>,
    /// Keeps URI and features for the next agent.
    connection: TestDriver,
}

impl Control {
    pub(crate) fn new(host: Arc<Host>, connection: TestDriver) -> Self {
        Control { host, connection }
    }

    fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.host.lock();
        let result = act(&mut world);
        world.deliver();
        result
    }

    // Bad luck

    /// From now on, calls that a fault strikes have its effect.
    pub fn inject(&self, fault: Fault) {
        self.act(|world| world.faults.push(fault));
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.act(|world| world.faults.clear());
    }

    /// The next events are lost without a trace.
    pub fn lose_events(&self, count: usize) {
        self.act(|world| world.events_to_lose += count);
    }

    /// So many events come at once that whoever does not read them at that moment is told that it lost some.
    pub fn flood_events(&self) {
        self.act(|world| {
            for _ in 0..=EVENT_BACKLOG {
                world.tell(Uuid::nil(), DomainEvent::MonitorSilent(false));
            }
        });
    }

    /// The calls made since the last look, in their order.
    pub fn take_calls(&self) -> Vec<Call> {
        self.act(|world| std::mem::take(&mut world.calls))
    }

    // The guest

    /// The guest powers off by itself.
    ///
    /// # Errors
    /// `NoDomain`, `OperationInvalid` if it does not run; as for all that a guest does.
    pub fn guest_poweroff(&self, uuid: Uuid) -> Result<()> {
        self.act(|world| world.guest_ended(uuid, Cause::Poweroff))
    }

    /// The guest reboots by itself.
    ///
    /// # Errors
    /// As [`guest_poweroff`](Self::guest_poweroff).
    pub fn guest_reboot(&self, uuid: Uuid) -> Result<()> {
        self.act(|world| world.guest_ended(uuid, Cause::Reboot))
    }

    /// The guest's kernel panics.
    ///
    /// # Errors
    /// As [`guest_poweroff`](Self::guest_poweroff).
    pub fn crash(&self, uuid: Uuid) -> Result<()> {
        self.act(|world| world.guest_ended(uuid, Cause::Crash))
    }

    /// The hypervisor's process vanishes.
    ///
    /// # Errors
    /// As [`guest_poweroff`](Self::guest_poweroff).
    pub fn vanish(&self, uuid: Uuid) -> Result<()> {
        self.act(|world| world.end(uuid, ShutoffReason::Failed))
    }

    /// A disk fails, and the guest is paused.
    ///
    /// # Errors
    /// As [`guest_poweroff`](Self::guest_poweroff).
    pub fn io_error(&self, uuid: Uuid) -> Result<()> {
        self.act(|world| world.set_state(uuid, DomainState::Paused(PausedReason::IoError)))
    }

    /// The hypervisor stops answering, or answers again.
    ///
    /// # Errors
    /// As [`guest_poweroff`](Self::guest_poweroff).
    pub fn set_monitor_silent(&self, uuid: Uuid, silent: bool) -> Result<()> {
        self.act(|world| {
            let entry = world.domain_mut(uuid)?;
            entry.guest()?;
            if std::mem::replace(&mut entry.monitor_silent, silent) != silent {
                world.tell(uuid, DomainEvent::MonitorSilent(silent));
            }
            Ok(())
        })
    }

    /// How the guest behaves from now on, now and after its next starts.
    pub fn set_manners(&self, uuid: Uuid, manners: Manners) {
        self.act(|world| world.manners.insert(uuid, manners));
    }

    /// What is stored of the domain can't be read any more (or can again).
    ///
    /// # Errors
    /// `NoDomain`.
    pub fn set_damaged(&self, uuid: Uuid, reason: Option<&str>) -> Result<()> {
        self.act(|world| {
            world.domain_mut(uuid)?.damaged = reason.map(str::to_owned);
            Ok(())
        })
    }

    /// The guest writes on its console; gives how many bytes there was room for.
    ///
    /// # Errors
    /// As [`guest_poweroff`](Self::guest_poweroff); `SystemError`.
    pub fn write_console(&self, uuid: Uuid, bytes: &[u8]) -> Result<usize> {
        self.act(|world| {
            let (own, _) = world.domain_mut(uuid)?.guest_mut()?.console()?;
            rustix::io::write(own, bytes).map_err(|error| Error::system("write on the console", error.into()))
        })
    }

    /// What was typed on the guest's console since the last look.
    ///
    /// # Errors
    /// As [`write_console`](Self::write_console).
    pub fn read_console(&self, uuid: Uuid) -> Result<Vec<u8>> {
        self.act(|world| {
            let (own, _) = world.domain_mut(uuid)?.guest_mut()?.console()?;
            let mut bytes = vec![0; 4096];
            match rustix::io::read(own, &mut bytes) {
                Ok(length) => bytes.truncate(length),
                // Nothing was typed, or nobody has the other end open.
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::IO) => bytes.clear(),
                Err(error) => return Err(Error::system("read from the console", error.into())),
            }
            Ok(bytes)
        })
    }

    // The host

    /// The network's leases are these.
    ///
    /// # Errors
    /// `NoNetwork`.
    pub fn set_leases(&self, network: &str, leases: Vec<Lease>) -> Result<()> {
        self.act(|world| {
            world.network_mut(network)?.leases = leases;
            world.tell_network(network, NetworkEvent::Leases);
            Ok(())
        })
    }

    /// Part of the network is lost and can't be made again; its next start heals it.
    ///
    /// # Errors
    /// `NoNetwork`.
    pub fn degrade(&self, network: &str, reason: &str, message: &str) -> Result<()> {
        self.act(|world| {
            world.network_mut(network)?.problem = Some((reason.to_owned(), message.to_owned()));
            world.tell_network(network, NetworkEvent::Degraded);
            Ok(())
        })
    }

    /// Whether there is a file at this path; there is one at each that nobody speaks of.
    pub fn set_file(&self, path: &Path, exists: bool) {
        self.act(|world| match exists {
            true => world.missing_files.remove(path),
            false => world.missing_files.insert(path.to_owned()),
        });
    }

    /// How much the pool holds: a small one is soon full.
    ///
    /// # Errors
    /// `NoStoragePool`.
    pub fn set_pool_capacity(&self, pool: &str, bytes: u64) -> Result<()> {
        self.act(|world| {
            world.known_pool_mut(pool)?.capacity_bytes = bytes;
            Ok(())
        })
    }

    /// Somebody else puts a file into the pool's folder.
    ///
    /// # Errors
    /// `NoStoragePool`.
    pub fn put_foreign_file(&self, pool: &str, name: &str, bytes: u64) -> Result<()> {
        self.act(|world| {
            let folder = path(&world.known_pool_mut(pool)?.definition);
            let file = Volume {
                format: "raw".into(),
                capacity_bytes: bytes,
                allocation_bytes: bytes,
                backing: None,
                owner: None,
                mark: None,
            };
            world.folders.entry(folder).or_default().insert(name.to_owned(), file);
            world.tell_pool(pool, PoolEvent::Refreshed);
            Ok(())
        })
    }

    /// There is an image on the web.
    pub fn serve_image(&self, url: &str, size_bytes: u64, sha256: &str) {
        let image = Image { size_bytes, sha256: sha256.to_owned() };
        self.act(|world| world.images.insert(url.to_owned(), image));
    }

    // The agent

    /// The agent ends, at whatever it does just now, and the next one starts. Guests, networks and pools go on.
    ///
    /// Every call on an older connection fails from now on with `InvalidConn`, and its events end.
    pub fn restart(&mut self) -> TestDriver {
        self.act(World::disconnect_all);
        self.connection = self.connection.connect_again();
        self.connection.connect_again()
    }

    /// The host loses its power and comes up again, with the next agent: nothing runs, what was stored is there.
    pub fn host_reboot(&mut self) -> TestDriver {
        self.act(|world| {
            // Nobody was there to be told.
            world.disconnect_all();
            world.domains.retain(|_, entry| entry.definition.is_some());
            for entry in world.domains.values_mut() {
                if entry.guest.take().is_some() {
                    (entry.last_end, entry.monitor_silent) = (Some(ShutoffReason::HostReboot), false);
                }
            }
            for network in world.networks.values_mut() {
                (network.active, network.problem) = (false, None);
            }
            for pool in world.pools.values_mut() {
                pool.active = false;
            }
            world.ports.clear();
            world.claims.clear();
        });
        self.connection = self.connection.connect_again();
        self.connection.connect_again()
    }

    /// A domain that somebody else has defined, of which nothing is known but this.
    ///
    /// # Errors
    /// What a definition is refused for.
    pub fn define_foreign(&self, definition: &ostler_conf::Domain) -> Result<Uuid> {
        self.act(|world| {
            let definition = crate::complete::complete(definition, None)?;
            let uuid = definition.uuid.ok_or_else(|| Error::new(ErrorCode::InternalError, "it was completed"))?;
            let entry = world.domains.entry(uuid).or_default();
            entry.definition = Some(definition);
            world.tell(uuid, DomainEvent::Defined);
            Ok(uuid)
        })
    }
}
