//! Storage pools: carried out where they are used.

use ostler_crds::{HostCounts, Object, ObjectRef, RetainOrDelete, StoragePool, StoragePoolStatus, reasons};
use ostler_driver::ErrorKind;

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
    definition.uuid = Some(names::host_uuid(object));
    storage.define_pool(&definition).await?;
    storage.start_pool(&definition.name).await?;
    let summary = storage.pool(&definition.name).await?;
    Ok(Some(summary.path.display().to_string()))
}

/// The definition goes; the folder only where its policy says so, and then only if it is ours and empty.
async fn take_down(context: &Context, object: &Object, pool: &StoragePool) -> ostler_driver::Result<Option<String>> {
    let storage = context.storage()?;
    let name = names::host_name(object);
    let summary = match storage.pool(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if summary.uuid != names::host_uuid(object) {
        return Ok(None);
    }
    // A pool that merely lost its last user keeps its place; only its object's end takes it away.
    let delete = object.is_deleted() && pool.spec.deletion.policy == RetainOrDelete::Delete;
    if summary.active {
        storage.stop_pool(&name).await?;
    }
    storage.undefine_pool(&name, delete).await?;
    Ok(None)
}
