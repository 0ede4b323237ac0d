//! Changes of a running guest.

use std::sync::Arc;

use ostler_conf::Domain;
use ostler_conf::domain::Metadata;
use ostler_driver::{Change, DomainEvent, Error, Result};
use ostler_util::ErrorCode;

use crate::driver::{Core, blocking};
use crate::entry::Entry;

/// Whether [`change`] can do it on this running guest.
pub(crate) fn can_change(_live: &Domain, change: &Change) -> bool {
    match change {
        Change::Labels(_) => true,
        Change::AttachDisk(_) | Change::DetachDisk(_) | Change::AttachInterface(_) | Change::DetachInterface(_) => {
            false
        }
    }
}

/// Carries out one change, on the guest and on the stored definition.
///
/// # Errors
/// `OperationUnsupported` for what needs a restart; what `check` refuses, with nothing changed.
pub(crate) async fn change(core: &Arc<Core>, entry: &Arc<Entry>, change: &Change) -> Result<()> {
    let guest = entry.guest()?;
    if !can_change(&guest.status().definition, change) {
        return Err(Error::new(ErrorCode::OperationUnsupported, "the guest must be restarted for this change"));
    }
    match change {
        Change::Labels(labels) => {
            guest.store(core, |status| label(&mut status.definition, labels)).await?;
            change_stored(core, entry, |definition| label(definition, labels)).await
        }
        Change::AttachDisk(_) | Change::DetachDisk(_) | Change::AttachInterface(_) | Change::DetachInterface(_) => {
            Err(Error::new(ErrorCode::OperationUnsupported, "the guest must be restarted for this change"))
        }
    }
}

/// Takes over what only people read.
fn label(domain: &mut Domain, labels: &Domain) {
    domain.title.clone_from(&labels.title);
    domain.description.clone_from(&labels.description);
    // The names of a domain's devices travel in the same place; they are each definition's own.
    let own = domain.metadata.take().and_then(|metadata| metadata.ostler).map(|mark| mark.labels);
    domain.metadata.clone_from(&labels.metadata);
    if let Some(Metadata { ostler: Some(mark), .. }) = &mut domain.metadata {
        mark.labels = own.unwrap_or_default();
    }
}

async fn change_stored(core: &Arc<Core>, entry: &Arc<Entry>, change: impl FnOnce(&mut Domain)) -> Result<()> {
    let Some(stored) = entry.state().definition.clone() else { return Ok(()) };
    let mut definition = stored.as_ref().clone();
    change(&mut definition);
    if ostler_conf::format(&definition) == ostler_conf::format(stored.as_ref()) {
        return Ok(());
    }
    let (definitions, uuid, written) = (core.definitions.clone(), entry.uuid, definition.clone());
    blocking(move || definitions.save(uuid, &written)).await?;
    entry.state().definition = Some(Arc::new(definition));
    core.tell(uuid, DomainEvent::Defined);
    Ok(())
}
