//! Domains.

use async_trait::async_trait;
use ostler_conf::domain::LifecycleAction as OnEvent;
use ostler_conf::{Domain, ErrorCode};
use ostler_driver::{
    Change, Checked, ConsolePath, Definition, DomainEvent, DomainState, DomainSummary, Domains, Error, GuestAddress,
    LifecycleAction, LifecycleEvent, PausedReason, Result, RunningReason, ShutoffReason, StartOptions, StateOnUndefine,
};
use uuid::Uuid;

use crate::complete::{absent, complete};
use crate::guest::Cause;
use crate::world::World;
use crate::{Operation, TestDriver, live_change};

#[async_trait]
impl Domains for TestDriver {
    async fn check(&self, definition: &Domain) -> Result<Checked> {
        self.call(Operation::DomainCheck, &definition.name, |world| check(world, definition)).await
    }

    async fn define(&self, definition: &Domain) -> Result<Checked> {
        self.call(Operation::DomainDefine, &definition.name, |world| define(world, definition)).await
    }

    async fn undefine(&self, uuid: Uuid, _state: StateOnUndefine) -> Result<()> {
        self.call(Operation::DomainUndefine, uuid, |world| undefine(world, uuid)).await
    }

    async fn list(&self) -> Result<Vec<DomainSummary>> {
        let list = |world: &mut World| {
            let mut list: Vec<_> = world.domains.iter().map(|(uuid, entry)| entry.summary(*uuid)).collect();
            list.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(list)
        };
        self.call(Operation::DomainList, "", list).await
    }

    async fn get(&self, uuid: Uuid) -> Result<DomainSummary> {
        self.call(Operation::DomainGet, uuid, |world| Ok(world.domain(uuid)?.summary(uuid))).await
    }

    async fn definition(&self, uuid: Uuid, which: Definition) -> Result<Domain> {
        let find = |world: &mut World| {
            let entry = world.domain(uuid)?;
            entry.usable()?;
            match which {
                Definition::Live => Ok(entry.guest()?.live.clone()),
                Definition::Persistent => entry.definition.clone().ok_or_else(|| not_stored(uuid)),
            }
        };
        self.call(Operation::DomainDefinition, uuid, find).await
    }

    async fn start(&self, uuid: Uuid, options: StartOptions) -> Result<()> {
        self.call(Operation::DomainStart, uuid, |world| world.start(uuid, options)).await
    }

    async fn shutdown(&self, uuid: Uuid) -> Result<()> {
        self.call(Operation::DomainShutdown, uuid, |world| world.press_power_button(uuid, Cause::Poweroff)).await
    }

    async fn destroy(&self, uuid: Uuid) -> Result<()> {
        self.call(Operation::DomainDestroy, uuid, |world| world.end(uuid, ShutoffReason::Destroyed)).await
    }

    async fn reboot(&self, uuid: Uuid) -> Result<()> {
        self.call(Operation::DomainReboot, uuid, |world| world.press_power_button(uuid, Cause::Reboot)).await
    }

    async fn reset(&self, uuid: Uuid) -> Result<()> {
        // Told by whoever asked for it; the guest itself did nothing.
        self.call(Operation::DomainReset, uuid, |world| world.domain(uuid)?.guest().map(drop)).await
    }

    async fn suspend(&self, uuid: Uuid) -> Result<()> {
        let suspend = |world: &mut World| match world.domain(uuid)?.guest()?.state {
            DomainState::Paused(_) => Ok(()),
            DomainState::Running(_) => world.set_state(uuid, DomainState::Paused(PausedReason::User)),
            DomainState::Shutdown | DomainState::Crashed | DomainState::Shutoff(_) => Err(at_its_end("suspend")),
        };
        self.call(Operation::DomainSuspend, uuid, suspend).await
    }

    async fn resume(&self, uuid: Uuid) -> Result<()> {
        let resume = |world: &mut World| match world.domain(uuid)?.guest()?.state {
            DomainState::Running(_) => Ok(()),
            DomainState::Paused(_) => world.set_state(uuid, DomainState::Running(RunningReason::Unpaused)),
            DomainState::Shutdown | DomainState::Crashed | DomainState::Shutoff(_) => Err(at_its_end("resume")),
        };
        self.call(Operation::DomainResume, uuid, resume).await
    }

    async fn set_autostart(&self, uuid: Uuid, autostart: bool) -> Result<()> {
        let set = |world: &mut World| {
            let entry = world.domain_mut(uuid)?;
            entry.usable()?;
            if entry.definition.is_none() {
                let message = "a transient guest can't be started with the host";
                return Err(Error::new(ErrorCode::OperationInvalid, message));
            }
            entry.autostart = autostart;
            Ok(())
        };
        self.call(Operation::DomainSetAutostart, uuid, set).await
    }

    async fn set_lifecycle_action(&self, uuid: Uuid, event: LifecycleEvent, action: LifecycleAction) -> Result<()> {
        let set = |world: &mut World| {
            let live = &mut world.domain_mut(uuid)?.guest_mut()?.live;
            let action = match action {
                LifecycleAction::Destroy => OnEvent::Destroy,
                LifecycleAction::Restart => OnEvent::Restart,
                LifecycleAction::Preserve => OnEvent::Preserve,
            };
            match event {
                LifecycleEvent::Poweroff => live.on_poweroff = Some(action),
                LifecycleEvent::Reboot => live.on_reboot = Some(action),
                LifecycleEvent::Crash => live.on_crash = Some(action),
            }
            Ok(())
        };
        self.call(Operation::DomainSetLifecycleAction, uuid, set).await
    }

    async fn change(&self, uuid: Uuid, change: &Change) -> Result<()> {
        self.call(Operation::DomainChange, uuid, |world| live_change::change(world, uuid, change)).await
    }

    fn can_change(&self, live: &Domain, change: &Change) -> bool {
        self.has(Operation::DomainChange) && live_change::can_change(live, change)
    }

    async fn console(&self, uuid: Uuid, device: Option<&str>) -> Result<ConsolePath> {
        let find = |world: &mut World| {
            let guest = world.domain_mut(uuid)?.guest_mut()?;
            let devices = &guest.live.devices;
            let names = devices.serials.iter().map(|serial| &serial.name);
            let names: Vec<_> = names.chain(devices.consoles.iter().map(|console| &console.name)).collect();
            let is_there = device.map_or(!names.is_empty(), |device| names.iter().any(|name| *name == device));
            if !is_there {
                return Err(Error::new(ErrorCode::DeviceMissing, "the guest has no such console"));
            }
            Ok(ConsolePath::Pty(guest.console()?.1.to_owned()))
        };
        self.call(Operation::DomainConsole, uuid, find).await
    }

    async fn addresses(&self, uuid: Uuid) -> Result<Vec<GuestAddress>> {
        self.call(Operation::DomainAddresses, uuid, |world| world.addresses(uuid)).await
    }
}

fn at_its_end(verb: &str) -> Error {
    Error::new(ErrorCode::OperationInvalid, format!("the guest has come to its end: there is nothing to {verb}"))
}

fn not_stored(uuid: Uuid) -> Error {
    Error::new(ErrorCode::NoDomain, format!("no definition of {uuid} is stored"))
}

fn check(world: &World, definition: &Domain) -> Result<Checked> {
    let entry = definition.uuid.and_then(|uuid| world.domains.get(&uuid));
    let last = entry.and_then(|entry| entry.definition.as_ref().or(entry.guest.as_ref().map(|guest| &guest.live)));
    let definition = complete(definition, last)?;
    let warnings = absent(world, &definition).into_iter().map(|(_, warning)| warning).collect();
    Ok(Checked { definition, warnings })
}

fn define(world: &mut World, definition: &Domain) -> Result<Checked> {
    let checked = check(world, definition)?;
    let (uuid, name) = (checked.definition.uuid.unwrap_or_default(), &checked.definition.name);
    if let Some((other, _)) = world.domains.iter().find(|(other, entry)| **other != uuid && entry.name() == *name) {
        let message = format!("the name {name} belongs to the domain {other}");
        return Err(Error::new(ErrorCode::DomExist, message).at("name"));
    }
    if let Some(entry) = world.domains.get(&uuid) {
        entry.usable()?;
        let old = entry.name();
        if old != *name {
            let message = format!("the domain {uuid} is called {old}: it can't be renamed to {name}");
            return Err(Error::new(ErrorCode::OperationFailed, message).at("name"));
        }
    }
    let entry = world.domains.entry(uuid).or_default();
    if entry.definition.as_ref() != Some(&checked.definition) {
        entry.definition = Some(checked.definition.clone());
        world.tell(uuid, DomainEvent::Defined);
    }
    Ok(checked)
}

fn undefine(world: &mut World, uuid: Uuid) -> Result<()> {
    let entry = world.domain_mut(uuid)?;
    entry.usable()?;
    if entry.definition.take().is_none() {
        return Err(not_stored(uuid));
    }
    entry.autostart = false;
    if entry.guest.is_none() {
        world.domains.remove(&uuid);
    }
    world.tell(uuid, DomainEvent::Undefined);
    Ok(())
}
