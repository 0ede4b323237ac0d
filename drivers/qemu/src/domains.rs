//! The calls of the driver API.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ostler_conf::Domain;
use ostler_conf::domain::{CharSource, InterfaceSource, LifecycleAction as OnEvent};
use ostler_driver::{
    Change, Checked, ConsolePath, Definition, DomainEvent, DomainState, DomainSummary, Domains, Error, GuestAddress,
    LifecycleAction, LifecycleEvent, PausedReason, Result, RunningReason, ShutoffReason, StartOptions, StateOnUndefine,
};
use ostler_util::ErrorCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::checker::check_definition;
use crate::driver::{Core, QemuDriver, blocking};
use crate::entry::Entry;
use crate::start::chardevs;
use crate::{change, check, start, stop, warnings};

#[async_trait]
impl Domains for QemuDriver {
    async fn check(&self, definition: &Domain) -> Result<Checked> {
        let core = &self.core;
        let entry = definition.uuid.and_then(|uuid| core.entry(uuid).ok());
        let last = entry.map(|entry| last_definition(&entry)).transpose()?.flatten();
        if definition.uuid.is_some() {
            definition.validate()?;
        }
        let host = core.host_for(definition, last.as_ref()).await?;
        let completed = check_definition(definition, last.as_ref(), &host)?;
        check::check_supported(&completed, &host)?;
        let warnings = warnings::find(core, &completed).await;
        Ok(Checked { definition: completed, warnings })
    }

    async fn define(&self, definition: &Domain) -> Result<Checked> {
        let checked = self.check(definition).await?;
        let (core, uuid) = (&self.core, checked.definition.uuid.unwrap_or_default());
        let _naming = core.naming.lock().await;
        check_name(core, uuid, &checked.definition.name)?;
        let entry = core.entry_or_new(uuid);
        let stored = store(core, &entry, &checked.definition).await;
        if stored.is_err() && is_nothing(&entry) {
            core.entries().remove(&uuid);
        }
        stored?;
        Ok(checked)
    }

    async fn undefine(&self, uuid: Uuid, state: StateOnUndefine) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        entry.state().usable()?;
        // What an ended guest held goes before it does.
        let ended = entry.state().guest.clone().filter(|guest| !guest.state().is_active());
        if let Some(guest) = ended {
            guest.wait(self.core.config.quit_timeout).await?;
        }
        if entry.state().definition.is_none() {
            return Err(Error::new(ErrorCode::NoDomain, format!("no definition of {uuid} is stored")));
        }
        let (definitions, running) = (self.core.definitions.clone(), self.core.running.clone());
        // A guest that still runs keeps what it writes.
        let is_removed = state == StateOnUndefine::Delete && entry.state().guest.is_none();
        let core = self.core.clone();
        blocking(move || {
            if is_removed {
                start::nvram::remove(&core.settings.nvram_dir, uuid)?;
                start::tpm::remove(&core.config.state_dir, uuid)?;
            }
            definitions.remove(uuid)?;
            // Only people read it; what can't be removed is overwritten.
            let _ = ostler_util::file::remove_durably(&running.log(uuid));
            Ok(())
        })
        .await?;
        let runs = {
            let mut state = entry.state();
            (state.definition, state.record) = (None, crate::store::Record::default());
            state.guest.is_some()
        };
        if !runs {
            self.core.entries().remove(&uuid);
        }
        self.core.tell(uuid, DomainEvent::Undefined);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<DomainSummary>> {
        let mut list: Vec<DomainSummary> = self.core.entries().values().map(|entry| entry.summary()).collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(list)
    }

    async fn get(&self, uuid: Uuid) -> Result<DomainSummary> {
        Ok(self.core.entry(uuid)?.summary())
    }

    async fn definition(&self, uuid: Uuid, which: Definition) -> Result<Domain> {
        let entry = self.core.entry(uuid)?;
        match which {
            Definition::Live => Ok(entry.guest()?.status().definition),
            Definition::Persistent => {
                let kept = {
                    let state = entry.state();
                    state.usable()?;
                    state.definition.clone()
                };
                let none = || Error::new(ErrorCode::NoDomain, format!("no definition of {uuid} is stored"));
                kept.ok_or_else(none)?.definition()
            }
        }
    }

    async fn start(&self, uuid: Uuid, options: StartOptions) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        start::start(&self.core, &entry, options).await
    }

    async fn shutdown(&self, uuid: Uuid) -> Result<()> {
        self.press_power_button(uuid, false).await
    }

    async fn destroy(&self, uuid: Uuid) -> Result<()> {
        let core = &self.core;
        let entry = core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        let lost = {
            let state = entry.state();
            state.has_processes.then(|| state.damaged.clone()).flatten()
        };
        if let Some(reason) = lost {
            tracing::warn!(%uuid, reason, "end a guest whose state can't be read");
            stop::clean(core, uuid, Vec::new()).await?;
            let mut state = entry.state();
            state.has_processes = false;
            if state.definition.is_some() {
                state.damaged = None;
            }
            return Ok(());
        }
        let guest = entry.guest()?;
        guest.end(ShutoffReason::Destroyed);
        guest.wait(core.config.quit_timeout).await
    }

    async fn reboot(&self, uuid: Uuid) -> Result<()> {
        self.press_power_button(uuid, true).await
    }

    async fn reset(&self, uuid: Uuid) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        entry.guest()?.execute::<Value>("system_reset", Value::Null).await?;
        Ok(())
    }

    async fn suspend(&self, uuid: Uuid) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        let guest = entry.guest()?;
        match guest.state() {
            DomainState::Paused(_) => return Ok(()),
            DomainState::Running(_) => {}
            DomainState::Shutdown | DomainState::Crashed | DomainState::Shutoff(_) => {
                return Err(Error::new(
                    ErrorCode::OperationInvalid,
                    "the guest has come to its end: there is nothing to suspend",
                ));
            }
        }
        guest.expect_pause(PausedReason::User);
        guest.execute::<Value>("stop", Value::Null).await?;
        guest.take_on(&self.core, DomainState::Paused(PausedReason::User)).await;
        Ok(())
    }

    async fn resume(&self, uuid: Uuid) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        let guest = entry.guest()?;
        match guest.state() {
            DomainState::Running(_) => return Ok(()),
            DomainState::Paused(_) => {}
            DomainState::Shutdown | DomainState::Crashed | DomainState::Shutoff(_) => {
                return Err(Error::new(
                    ErrorCode::OperationInvalid,
                    "the guest has come to its end: there is nothing to resume",
                ));
            }
        }
        guest.expect_no_pause();
        guest.execute::<Value>("cont", Value::Null).await?;
        guest.take_on(&self.core, DomainState::Running(RunningReason::Unpaused)).await;
        Ok(())
    }

    async fn set_autostart(&self, uuid: Uuid, autostart: bool) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        let record = {
            let state = entry.state();
            state.usable()?;
            if state.definition.is_none() {
                return Err(Error::new(
                    ErrorCode::OperationInvalid,
                    "a transient guest can't be started with the host",
                ));
            }
            let mut record = state.record.clone();
            record.autostart = autostart;
            record
        };
        let definitions = self.core.definitions.clone();
        let written = record.clone();
        blocking(move || definitions.save_record(uuid, &written)).await?;
        entry.state().record.autostart = record.autostart;
        Ok(())
    }

    async fn set_lifecycle_action(&self, uuid: Uuid, event: LifecycleEvent, action: LifecycleAction) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        let guest = entry.guest()?;
        let action = match action {
            LifecycleAction::Destroy => OnEvent::Destroy,
            LifecycleAction::Restart => OnEvent::Restart,
            LifecycleAction::Preserve => OnEvent::Preserve,
        };
        let before = guest.status().definition.on_reboot;
        let change = |status: &mut crate::store::Status| match event {
            LifecycleEvent::Poweroff => status.definition.on_poweroff = Some(action),
            LifecycleEvent::Reboot => status.definition.on_reboot = Some(action),
            LifecycleEvent::Crash => status.definition.on_crash = Some(action),
        };
        // What we do at the guest's end is settled before QEMU can bring that end about.
        guest.store(&self.core, change).await?;
        if event != LifecycleEvent::Reboot {
            return Ok(());
        }
        // QEMU resets the guest by itself; only its end is left to us.
        let reboot = if action == OnEvent::Restart { "reset" } else { "shutdown" };
        let set = guest.execute::<Value>("set-action", json!({ "reboot": reboot })).await;
        if set.is_err() {
            guest.store(&self.core, |status| status.definition.on_reboot = before).await?;
        }
        set.map(drop)
    }

    async fn change(&self, uuid: Uuid, change: &Change) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        change::change(&self.core, &entry, change).await
    }

    fn can_change(&self, live: &Domain, change: &Change) -> bool {
        change::can_change(live, change)
    }

    async fn console(&self, uuid: Uuid, device: Option<&str>) -> Result<ConsolePath> {
        let live = self.core.entry(uuid)?.guest()?.status().definition;
        let devices = &live.devices;
        let serials = devices.serials.iter().map(|serial| (&serial.alias, &serial.name, &serial.source));
        let consoles = devices.consoles.iter().map(|console| (&console.alias, &console.name, &console.source));
        let channels = devices.channels.iter().map(|channel| (&channel.alias, &channel.name, &channel.source));
        let is_wanted = |alias: &str, name: &str| device.is_none_or(|device| device == alias || device == name);
        let mut all = serials
            .chain(consoles)
            .chain(channels)
            .map(|(alias, name, source)| (alias.as_ref().map_or("", |alias| &alias.name), name, source));
        let found = all.find(|(alias, name, _)| is_wanted(alias, name));
        let (alias, _, source) =
            found.ok_or_else(|| Error::new(ErrorCode::DeviceMissing, "the guest has no such console"))?;
        if let Some(path) = chardevs::socket(&self.core.running, uuid, alias, source.as_ref()) {
            return Ok(ConsolePath::Socket(path));
        }
        match source {
            Some(CharSource::Pty(pty)) if pty.path.is_some() => {
                Ok(ConsolePath::Pty(PathBuf::from(pty.path.clone().unwrap_or_default())))
            }
            _ => Err(Error::new(
                ErrorCode::OperationUnsupported,
                format!("the console {alias} is neither a terminal nor a listening socket"),
            )),
        }
    }

    async fn addresses(&self, uuid: Uuid) -> Result<Vec<GuestAddress>> {
        let live = self.core.entry(uuid)?.guest()?.status().definition;
        let mut addresses = Vec::new();
        for interface in &live.devices.interfaces {
            let (InterfaceSource::Network(source), Some(mac)) = (&interface.source, &interface.mac) else { continue };
            let leases = self.core.services.networks.leases(&source.network).await?;
            let own = leases.into_iter().filter(|lease| lease.mac == mac.address);
            addresses.extend(own.map(|lease| GuestAddress {
                mac: lease.mac,
                address: lease.address,
                prefix: lease.prefix,
            }));
        }
        Ok(addresses)
    }
}

impl QemuDriver {
    /// What the guest makes of it, it tells by an event; whether its power-off is then a reboot outlives us.
    async fn press_power_button(&self, uuid: Uuid, reboots: bool) -> Result<()> {
        let entry = self.core.entry(uuid)?;
        let _operation = entry.operation.lock().await;
        let guest = entry.guest()?;
        if guest.status().reboots != reboots {
            guest.store(&self.core, |status| status.reboots = reboots).await?;
        }
        guest.execute::<Value>("system_powerdown", Value::Null).await?;
        Ok(())
    }
}

/// What was completed before: the stored definition, else a transient guest's.
fn last_definition(entry: &Entry) -> Result<Option<Domain>> {
    let (kept, guest) = {
        let state = entry.state();
        (state.definition.clone(), state.guest.clone())
    };
    match kept {
        Some(kept) => kept.definition().map(Some),
        None => Ok(guest.map(|guest| guest.status().definition)),
    }
}

fn is_nothing(entry: &Entry) -> bool {
    let state = entry.state();
    state.definition.is_none() && state.guest.is_none() && state.damaged.is_none()
}

/// A name belongs to one uuid, for good.
fn check_name(core: &Core, uuid: Uuid, name: &str) -> Result<()> {
    let entries: Vec<Arc<Entry>> = core.entries().values().cloned().collect();
    for entry in entries {
        let found = entry.state().name();
        if entry.uuid != uuid && found.as_deref() == Some(name) {
            return Err(Error::new(
                ErrorCode::DomExist,
                format!("the name {name} belongs to the domain {}", entry.uuid),
            )
            .at("name"));
        }
        if entry.uuid == uuid {
            if let Some(found) = found.filter(|found| found != name) {
                let message = format!("the domain {uuid} is called {found}: it can't be renamed to {name}");
                return Err(Error::new(ErrorCode::OperationFailed, message).at("name"));
            }
        }
    }
    Ok(())
}

/// Stores a checked definition, if it is another than the stored one.
async fn store(core: &Arc<Core>, entry: &Arc<Entry>, definition: &Domain) -> Result<()> {
    let _operation = entry.operation.lock().await;
    let text = ostler_conf::format(definition);
    {
        let state = entry.state();
        state.usable()?;
        if state.definition.as_ref().is_some_and(|kept| kept.is(&text)) {
            return Ok(());
        }
    }
    let (definitions, uuid, name) = (core.definitions.clone(), entry.uuid, definition.name.clone());
    let kept = blocking(move || definitions.save(uuid, &name, &text)).await?;
    entry.state().definition = Some(kept);
    core.tell(uuid, DomainEvent::Defined);
    Ok(())
}
