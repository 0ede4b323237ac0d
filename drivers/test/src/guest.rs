//! A running guest: its start, its own doings, and its end.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ostler_conf::domain::{Disk, DiskDevice, Interface, InterfaceSource, InterfaceTarget, LifecycleAction as Action};
use ostler_conf::{Domain, ErrorCode};
use ostler_driver::{
    Access, DomainEvent, DomainState, Error, PausedReason, PortRequest, Result, RunningReason, ShutoffReason,
    StartOptions,
};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use uuid::Uuid;

use crate::complete::absent;
use crate::world::World;

/// A running guest.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) live: Domain,
    pub(crate) state: DomainState,
    /// The host's end of its console, once somebody has asked for it.
    console: Option<(OwnedFd, PathBuf)>,
}

/// How a guest behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// It doesn't hear its power button: neither shutdown nor reboot does anything.
    pub ignores_power_button: bool,
}

/// Why a guest's run came to its end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Poweroff,
    Reboot,
    Crash,
}

impl Guest {
    /// The pseudo-terminal of its console, and the other end of it.
    pub(crate) fn console(&mut self) -> Result<(&OwnedFd, &Path)> {
        if self.console.is_none() {
            let failed = |error: rustix::io::Errno| Error::system("open a pseudo-terminal", error.into());
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let own = openpt(flags).map_err(failed)?;
            grantpt(&own).and_then(|()| unlockpt(&own)).map_err(failed)?;
            rustix::io::ioctl_fionbio(&own, true).map_err(failed)?;
            let path = ptsname(&own, Vec::new()).map_err(failed)?.to_string_lossy().into_owned();
            self.console = Some((own, path.into()));
        }
        let (own, path) = self.console.as_ref().expect("it was opened above");
        Ok((own, path))
    }
}

impl World {
    /// Starts a domain: everything that it needs is there, or nothing is left behind.
    pub(crate) fn start(&mut self, uuid: Uuid, options: StartOptions) -> Result<()> {
        let entry = self.domain(uuid)?;
        entry.usable()?;
        let name = entry.name();
        if entry.guest.is_some() {
            return Err(Error::new(ErrorCode::OperationInvalid, format!("the domain {name} runs already")));
        }
        let definition = entry.definition.clone();
        let definition =
            definition.ok_or_else(|| Error::new(ErrorCode::NoDomain, format!("no definition of {uuid} is stored")))?;
        definition.validate()?;
        if let Some((code, missing)) = absent(self, &definition).into_iter().next() {
            return Err(Error::new(code, missing.message).at(missing.field));
        }
        let mut live = definition;
        let plugged = self.claim_disks(uuid, &live.devices.disks).and_then(|()| {
            live.devices.interfaces.iter_mut().try_for_each(|interface| self.plug(uuid, &name, interface))
        });
        if let Err(error) = plugged {
            self.release(uuid);
            return Err(error);
        }
        self.last_id += 1;
        live.id = Some(self.last_id);
        let state = match options.paused {
            true => DomainState::Paused(PausedReason::StartingUp),
            false => DomainState::Running(RunningReason::Booted),
        };
        self.domain_mut(uuid)?.guest = Some(Guest { live, state, console: None });
        self.tell(uuid, DomainEvent::State(state));
        self.get_leases(uuid);
        Ok(())
    }

    /// Claims what disks are written to and read from.
    pub(crate) fn claim_disks(&mut self, uuid: Uuid, disks: &[Disk]) -> Result<()> {
        for disk in disks {
            let Some(path) = self.image(disk) else { continue };
            let access = match disk {
                disk if disk.readonly || disk.device() == DiskDevice::Cdrom => Access::Read,
                disk if disk.shareable => Access::Shared,
                _ => Access::Write,
            };
            self.claim(uuid, &path, access)
                .map_err(|error| error.at(format!("devices.disks[{}].source", disk.name)))?;
        }
        Ok(())
    }

    /// The image of a disk; none for an empty drive.
    pub(crate) fn image(&self, disk: &Disk) -> Option<PathBuf> {
        use ostler_conf::domain::DiskSource;
        match disk.source.as_ref()? {
            DiskSource::Volume(source) => self.resolve(&source.pool, &source.volume).ok().map(|volume| volume.path),
            source => source.path().map(PathBuf::from),
        }
    }

    /// Gives an interface its port, and the live definition its device.
    pub(crate) fn plug(&mut self, uuid: Uuid, name: &str, interface: &mut Interface) -> Result<()> {
        let Some(mac) = interface.mac.as_ref().map(|mac| mac.address) else { return Ok(()) };
        let InterfaceSource::Network(source) = &mut interface.source else { return Ok(()) };
        let request = PortRequest { owner: uuid, owner_name: name.to_owned(), mac };
        let port = self.create_port(&source.network, &request)?;
        source.bridge = Some(port.bridge);
        interface.target = Some(InterfaceTarget { dev: Some(port.tap), managed: None });
        Ok(())
    }

    /// Gives back all that a guest held.
    pub(crate) fn release(&mut self, uuid: Uuid) {
        self.claims.retain(|(_, owner, _)| *owner != uuid);
        self.ports.retain(|port| port.owner != uuid);
    }

    /// Sets the state of a running guest, and tells it if it is another.
    pub(crate) fn set_state(&mut self, uuid: Uuid, state: DomainState) -> Result<()> {
        let guest = self.domain_mut(uuid)?.guest_mut()?;
        if guest.state != state {
            guest.state = state;
            self.tell(uuid, DomainEvent::State(state));
        }
        Ok(())
    }

    /// The guest is gone, with all that it held. A transient domain goes with it.
    pub(crate) fn end(&mut self, uuid: Uuid, reason: ShutoffReason) -> Result<()> {
        let entry = self.domain_mut(uuid)?;
        entry.guest()?;
        (entry.guest, entry.last_end, entry.monitor_silent) = (None, Some(reason), false);
        if entry.definition.is_none() {
            self.domains.remove(&uuid);
        }
        self.release(uuid);
        self.tell(uuid, DomainEvent::State(DomainState::Shutoff(reason)));
        Ok(())
    }

    /// The guest ended its run by itself: what the definition says of that happens.
    pub(crate) fn guest_ended(&mut self, uuid: Uuid, cause: Cause) -> Result<()> {
        let live = &self.domain(uuid)?.guest()?.live;
        let (action, reason) = match cause {
            Cause::Poweroff => (live.on_poweroff.unwrap_or(Action::Destroy), ShutoffReason::Shutdown),
            Cause::Reboot => (live.on_reboot.unwrap_or(Action::Restart), ShutoffReason::GuestReboot),
            Cause::Crash => (live.on_crash.unwrap_or(Action::Destroy), ShutoffReason::Crashed),
        };
        match action {
            Action::Destroy | Action::CoredumpDestroy => {
                self.set_state(uuid, DomainState::Shutdown)?;
                self.end(uuid, reason)
            }
            Action::Preserve if cause == Cause::Crash => self.set_state(uuid, DomainState::Crashed),
            Action::Preserve => self.set_state(uuid, DomainState::Shutdown),
            Action::Restart | Action::RenameRestart | Action::CoredumpRestart => {
                self.tell(uuid, DomainEvent::Rebooted);
                // Only one that had come to its end boots anew; a reboot is a reset within the run.
                if cause != Cause::Reboot {
                    self.set_state(uuid, DomainState::Running(RunningReason::Booted))?;
                }
                Ok(())
            }
        }
    }

    /// The power button: whether the guest hears it is up to the guest.
    pub(crate) fn press_power_button(&mut self, uuid: Uuid, cause: Cause) -> Result<()> {
        let state = self.domain(uuid)?.guest()?.state;
        let is_deaf = self.manners.get(&uuid).is_some_and(|manners| manners.ignores_power_button);
        match state {
            DomainState::Running(_) if !is_deaf => self.guest_ended(uuid, cause),
            // A guest whose CPUs are stopped hears nothing.
            _ => Ok(()),
        }
    }
}
