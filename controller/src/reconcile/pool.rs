//! Storage pools: carried out where they are used.

use ostler_crds::{HostCounts, Kind, Object, ObjectRef, RetainOrDelete, StoragePool, StoragePoolStatus, reasons};
use ostler_driver::{ErrorKind, Storage};
use uuid::Uuid;

use super::network::{list, outcome};
use super::{Again, Error, report_failure};
use crate::context::Context;
use crate::names;

pub(super) async fn reconcile(context: &Context, key: &ObjectRef, pool: &StoragePool) -> Result<Again, Error> {
    let object = Object::from(pool.clone());
    let generation = object.generation();
    let mut status: StoragePoolStatus = context.status(key);
    let users = context.index().users_of(key);
    let wanted =
        !users.is_empty() || (context.is_picked(key, pool.spec.host_selector.as_ref()) && !object.is_deleted());
    let result = if wanted { bring_up(context, &object, pool).await } else { take_down(context, &object, pool).await };
    // What could not be taken down is still there to be.
    let carried_out = wanted || result.is_err();
    status.observed_generation = Some(generation);
    status.hosts = HostCounts { desired: i32::from(wanted), ready: i32::from(wanted && result.is_ok()) };
    let again = match result {
        Err(error) => report_failure(context, key, &mut status.conditions, &error, "pool.", generation).await,
        Ok(_) if object.is_deleted() && wanted => {
            status.conditions.reconciling(reasons::IN_USE, format!("used by {}", list(&users)), generation);
            Again::No
        }
        Ok(_) if object.is_deleted() => {
            context.set_outcome(key, None);
            context.sink.finalize(key).await?;
            return Ok(Again::No);
        }
        Ok(Some(path)) => {
            status.conditions.ready(reasons::READY, format!("at {path}"), generation);
            Again::No
        }
        Ok(None) => {
            status.conditions.ready(reasons::WAITING_FOR_FIRST_USE, "no volume uses it here", generation);
            Again::No
        }
    };
    context.set_outcome(key, carried_out.then(|| outcome(key, &status.conditions, generation)));
    context.report(key, &status).await?;
    Ok(again)
}

async fn bring_up(context: &Context, object: &Object, pool: &StoragePool) -> ostler_driver::Result<Option<String>> {
    context.check_allowed(object)?;
    let storage = context.storage()?;
    let mut definition = pool.spec.pool.clone();
    definition.name = names::host_name(object);
    definition.uuid = Some(uuid_here(context, storage, object).await?);
    storage.define_pool(&definition).await?;
    storage.start_pool(&definition.name).await?;
    let summary = storage.pool(&definition.name).await?;
    Ok(Some(summary.path.display().to_string()))
}

/// Its identity on this host. A pool that an earlier object of its name left is taken over, with its folder: nothing in it is
/// anybody's by that, since each volume tells whose it is.
async fn uuid_here(context: &Context, storage: &dyn Storage, object: &Object) -> ostler_driver::Result<Uuid> {
    let (name, own) = (names::host_name(object), names::host_uuid(object));
    let given = matches!(object, Object::StoragePool(pool) if pool.spec.pool.uuid.is_some());
    // Another name may be that of anybody's pool.
    if given || name != names::qualified(&object.object_ref()) {
        return Ok(own);
    }
    let found = match storage.pool(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(own),
        found => found?.uuid,
    };
    let is_anothers = |other: &Object| other.uid() != object.uid() && names::host_uuid(other) == found;
    let is_taken = context.index().of_kind(Kind::StoragePool).any(|other| is_anothers(other));
    Ok(if is_taken { own } else { found })
}

/// The definition goes; the folder only where its policy says so, and then only if it is ours and empty.
async fn take_down(context: &Context, object: &Object, pool: &StoragePool) -> ostler_driver::Result<Option<String>> {
    let storage = context.storage()?;
    let name = names::host_name(object);
    let summary = match storage.pool(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let is_taken_over = summary.uuid != names::host_uuid(object);
    if is_taken_over {
        // It may still wait for the objects of those who use it.
        if !object.is_deleted() || summary.uuid != uuid_here(context, storage, object).await? {
            return Ok(None);
        }
        storage.start_pool(&name).await?;
        if !storage.volumes(&name).await?.is_empty() {
            return Ok(None);
        }
    }
    // A pool that merely lost its last user keeps its place; only its object's end takes it away.
    let delete = object.is_deleted() && pool.spec.deletion.policy == RetainOrDelete::Delete;
    if summary.active || is_taken_over {
        storage.stop_pool(&name).await?;
    }
    storage.undefine_pool(&name, delete).await?;
    Ok(None)
}
