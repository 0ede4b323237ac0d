//! Changes of a running guest.

mod disk;
mod interface;
pub(crate) mod unplug;

use std::sync::Arc;

use ostler_conf::Domain;
use ostler_conf::domain::InterfaceSource;
use ostler_driver::{Change, DomainEvent, Error, Result};
use ostler_util::ErrorCode;

use crate::args::interface::queues;
use crate::complete::{complete, pci};
use crate::driver::{Core, blocking};
use crate::entry::Entry;
use crate::store::Status;
use crate::{alias, check};

/// Whether [`change`] can do it on this running guest.
pub(crate) fn can_change(live: &Domain, change: &Change) -> bool {
    let devices = &live.devices;
    match change {
        Change::Labels(_) => true,
        Change::AttachDisk(disk) => {
            // Limits are set at a start only, and so is what a run writes apart.
            disk.iotune.is_none()
                && disk.transient.is_none()
                && disk.throttlefilters.is_none()
                && pci::can_plug(live, pci::disk_connection(disk), disk.address.as_ref())
        }
        Change::DetachDisk(name) => devices
            .disks
            .iter()
            .find(|disk| disk.name == *name)
            .is_some_and(|disk| pci::can_unplug(live, pci::disk_connection(disk), disk.address.as_ref())),
        Change::AttachInterface(interface) => {
            let is_plain = matches!(
                interface.source,
                InterfaceSource::Network(_)
                    | InterfaceSource::Bridge(_)
                    | InterfaceSource::Ethernet(_)
                    | InterfaceSource::User(_)
            );
            is_plain
                && queues(interface) == 1
                && pci::can_plug(live, pci::interface_connection(interface), interface.address.as_ref())
        }
        Change::DetachInterface(mac) => {
            let has_mac =
                |nic: &&ostler_conf::domain::Interface| nic.mac.as_ref().is_some_and(|own| own.address == *mac);
            devices
                .interfaces
                .iter()
                .find(has_mac)
                .is_some_and(|nic| pci::can_unplug(live, pci::interface_connection(nic), nic.address.as_ref()))
        }
    }
}

/// Carries out one change, on the guest and on the stored definition.
///
/// # Errors
/// `OperationUnsupported` for what needs a restart; what `check` refuses, with nothing changed; `OperationTimeout` for an
/// unplugging that the guest has not answered: it is finished when the guest does.
pub(crate) async fn change(core: &Arc<Core>, entry: &Arc<Entry>, change: &Change) -> Result<()> {
    let guest = entry.guest()?;
    match change {
        Change::Labels(labels) => {
            guest.store(core, |status| label(&mut status.definition, labels)).await?;
            store(core, entry, |definition| {
                label(definition, labels);
                Ok(())
            })
            .await
        }
        Change::AttachDisk(new) => disk::attach(core, entry, &guest, new).await,
        Change::AttachInterface(new) => interface::attach(core, entry, &guest, new).await,
        Change::DetachDisk(name) => disk::detach(core, entry, &guest, name).await,
        Change::DetachInterface(mac) => interface::detach(core, entry, &guest, *mac).await,
    }
}

fn needs_restart() -> Error {
    Error::new(ErrorCode::OperationUnsupported, "the guest must be restarted for this change")
}

/// The running guest's definition with one more device, completed and checked as a definition is; `add` adds it.
///
/// # Errors
/// What `check` refuses; `OperationUnsupported` if the device needs more than itself.
async fn with_device(core: &Core, status: &Status, add: impl FnOnce(&mut Domain)) -> Result<Domain> {
    let live = &status.definition;
    let mut spec = live.clone();
    add(&mut spec);
    spec.validate()?;
    let host = core.host_of(status, &spec).await?;
    let completed = complete(&spec, Some(live), &host)?;
    check::check(&completed, &host)?;
    check::check_supported(&completed, &host)?;
    if completed.devices.controllers.len() != live.devices.controllers.len() {
        return Err(needs_restart());
    }
    Ok(completed)
}

/// Gives a device that was added to `live` its name in QEMU.
fn name_devices(mut live: Domain) -> Domain {
    alias::assign(&mut live);
    live
}

/// Takes over what only people read.
fn label(domain: &mut Domain, labels: &Domain) {
    domain.title.clone_from(&labels.title);
    domain.description.clone_from(&labels.description);
    domain.metadata.clone_from(&labels.metadata);
}

/// Changes the stored definition, if there is one, durably.
async fn store(core: &Arc<Core>, entry: &Arc<Entry>, change: impl FnOnce(&mut Domain) -> Result<()>) -> Result<()> {
    let Some(stored) = entry.state().definition.clone() else { return Ok(()) };
    let mut definition = stored.definition()?;
    change(&mut definition)?;
    let text = ostler_conf::format(&definition);
    if stored.is(&text) {
        return Ok(());
    }
    let (definitions, uuid) = (core.definitions.clone(), entry.uuid);
    let changed = blocking(move || definitions.save(uuid, &definition.name, &text)).await?;
    entry.state().definition = Some(changed);
    core.tell(uuid, DomainEvent::Defined);
    Ok(())
}
