//! Storage volumes: made on the host of their first user, and never deleted behind one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use ostler_conf::domain::Owner;
use ostler_conf::{ErrorCode, Size};
use ostler_crds::{
    AdoptVolume, Kind, Object, ObjectRef, RetainOrDelete, StorageVolume, StorageVolumeStatus, VolumeFill, reasons,
};
use ostler_driver::{ErrorKind, Progress, Storage, VolumeOwner, VolumeSummary};

use super::domain::not_for;
use super::network::list;
use super::orphan::is_orphan_of;
use super::{Again, Error, UNTOLD, report_failure};
use crate::context::Context;
use crate::names;
use crate::references;

pub(super) async fn reconcile(context: &Context, key: &ObjectRef, volume: &StorageVolume) -> Result<Again, Error> {
    let object = Object::from(volume.clone());
    let generation = object.generation();
    let mut status: StorageVolumeStatus = context.status(key);
    status.observed_generation = Some(generation);
    let users = context.index().users_of(key);
    if object.is_deleted() {
        return delete(context, key, volume, status, &users).await;
    }
    let placement = volume.spec.placement.as_ref();
    // A claim is the last word on where it is.
    let elsewhere = !context.by_claim
        && placement.and_then(|placement| placement.host.as_ref()).is_some_and(|host| *host != context.host);
    // Once made it stays made, used or not.
    let wanted = context.by_claim || status.host.is_some() || !users.is_empty() || placement.is_some();
    if elsewhere || !wanted {
        let why = if elsewhere { "it is placed on another host" } else { "no guest uses it yet" };
        status.conditions.ready(reasons::WAITING_FOR_FIRST_USE, why, generation);
        context.report(key, &status).await?;
        return Ok(Again::No);
    }
    let pool = ObjectRef::referred(ostler_crds::Kind::StoragePool, &key.namespace, &volume.spec.pool);
    let is_there = context.get(&pool).is_some_and(|pool| references::may_use(&key.namespace, &pool));
    match (is_there, context.outcome(&pool).is_some()) {
        (true, true) => {}
        // The pool comes first, and brings us back; what was said before an agent's restart still holds.
        (true, false) => return Ok(Again::No),
        (false, _) if !context.is_synced() => return Ok(Again::After(UNTOLD)),
        (false, _) => {
            status.conditions.reconciling(reasons::MISSING, not_for(&pool, &key.namespace), generation);
            context.report(key, &status).await?;
            return Ok(Again::No);
        }
    }
    let again = match provide(context, key, &object, volume, &mut status).await {
        Ok(summary) => {
            status.host = Some(context.host.clone());
            status.path = Some(summary.path.display().to_string());
            status.capacity = Some(Size::from_bytes(summary.capacity_bytes));
            status.progress = None;
            status.conditions.ready(
                reasons::READY,
                format!("{} at {}", summary.format, summary.path.display()),
                generation,
            );
            Again::No
        }
        // A pool that is not up yet is one that is missing.
        Err(error) if error.code == ErrorCode::OperationInvalid => {
            status.conditions.reconciling(reasons::MISSING, error.to_string(), generation);
            Again::Failed(reasons::MISSING)
        }
        Err(error) => report_failure(context, key, &mut status.conditions, &error, "volume.", generation).await,
    };
    context.report(key, &status).await?;
    Ok(again)
}

/// Makes the volume, or makes it larger.
async fn provide(
    context: &Context,
    key: &ObjectRef,
    object: &Object,
    volume: &StorageVolume,
    status: &mut StorageVolumeStatus,
) -> ostler_driver::Result<VolumeSummary> {
    context.check_allowed(object)?;
    let storage = context.storage()?;
    let pool = pool_name(context, key, volume);
    let mut definition = volume.spec.volume.clone();
    definition.name = names::host_name(object);
    let owner = owner_of(context, object);
    take_over(context, storage, &pool, &definition.name, &owner, volume.spec.adopt).await?;
    let fill = fill_of(context, key, volume);
    let progress = matches!(volume.spec.source, Some(VolumeFill::Http(_))).then(|| progress_of(context, key, status));
    let summary = storage.create_volume(&pool, &definition, &owner, fill, progress).await?;
    match definition.capacity {
        Some(capacity) if capacity.0.bytes() > summary.capacity_bytes => {
            storage.resize_volume(&pool, &definition.name, capacity.0.bytes()).await
        }
        Some(_) | None => Ok(summary),
    }
}

fn owner_of(context: &Context, object: &Object) -> VolumeOwner {
    // An image is whose it is, whatever the number of the claim.
    let mark = Owner { claim: None, ..names::owner_mark(&context.owner, object) };
    VolumeOwner { uuid: names::host_uuid(object), mark: Some(mark) }
}

/// Takes over the data of an earlier volume of this name, if that is wanted.
///
/// # Errors
/// `StorageVolExist`, if it is not.
async fn take_over(
    context: &Context,
    storage: &dyn Storage,
    pool: &str,
    name: &str,
    owner: &VolumeOwner,
    adopt: AdoptVolume,
) -> ostler_driver::Result<()> {
    let found = match storage.volume(pool, name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let is_orphan = |ours: &Owner| is_orphan_of(context, Kind::StorageVolume, found.mark.as_ref(), ours);
    if found.owner == Some(owner.uuid) || !owner.mark.as_ref().is_some_and(is_orphan) {
        return Ok(());
    }
    match adopt {
        AdoptVolume::Orphaned => storage.adopt_volume(pool, name, owner).await.map(drop),
        AdoptVolume::Never => {
            let message = format!(
                "{} has the data of an earlier volume of this name: spec.adopt: Orphaned takes them over",
                found.path.display()
            );
            Err(ostler_driver::Error::new(ErrorCode::StorageVolExist, message).at("name"))
        }
    }
}

fn pool_name(context: &Context, key: &ObjectRef, volume: &StorageVolume) -> String {
    let pool = ObjectRef::referred(ostler_crds::Kind::StoragePool, &key.namespace, &volume.spec.pool);
    context.get(&pool).map_or_else(|| names::qualified(&pool), |pool| names::host_name(&pool))
}

fn fill_of(context: &Context, key: &ObjectRef, volume: &StorageVolume) -> ostler_driver::VolumeFill {
    match &volume.spec.source {
        None | Some(VolumeFill::Empty(_)) => ostler_driver::VolumeFill::Empty,
        Some(VolumeFill::Backing(backing)) => {
            let backing = ObjectRef::new(ostler_crds::Kind::StorageVolume, &key.namespace, &backing.volume);
            let name =
                context.get(&backing).map_or_else(|| names::qualified(&backing), |volume| names::host_name(&volume));
            ostler_driver::VolumeFill::Backing { volume: name }
        }
        Some(VolumeFill::Http(http)) => {
            ostler_driver::VolumeFill::Http { url: http.url.clone(), sha256: http.checksum.sha256.clone() }
        }
    }
}

/// Reports in steps of ten percent: a status write is not free.
fn progress_of(_context: &Context, key: &ObjectRef, status: &mut StorageVolumeStatus) -> Progress {
    status.progress = Some(0);
    let key = key.clone();
    let last = AtomicI32::new(-1);
    Arc::new(move |done, total| {
        let Some(total) = total.filter(|total| *total > 0) else { return };
        let percent = i32::try_from(u128::from(done) * 10 / u128::from(total)).unwrap_or(10) * 10;
        if last.swap(percent, Ordering::Relaxed) != percent {
            tracing::info!(object = %key, percent, "fetching the image");
        }
    })
}

/// In use it stays; else its data go where the policy says so.
async fn delete(
    context: &Context,
    key: &ObjectRef,
    volume: &StorageVolume,
    mut status: StorageVolumeStatus,
    users: &[ObjectRef],
) -> Result<Again, Error> {
    let object = Object::from(volume.clone());
    let generation = object.generation();
    if !users.is_empty() {
        status.conditions.reconciling(reasons::IN_USE, format!("used by {}", list(users)), generation);
        context.report(key, &status).await?;
        return Ok(Again::No);
    }
    if volume.spec.deletion.policy == RetainOrDelete::Delete && status.host.is_some() {
        let (pool, name, storage) = (pool_name(context, key, volume), names::host_name(&object), context.storage()?);
        // An earlier volume's data, which it never took over, are not its own to delete.
        let deleted = match storage.volume(&pool, &name).await {
            Ok(found) if found.owner.is_some_and(|owner| owner != names::host_uuid(&object)) => Ok(()),
            Ok(_) => storage.delete_volume(&pool, &name).await,
            Err(error) => Err(error),
        };
        match deleted {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let reason = if error.code == ErrorCode::ResourceBusy { reasons::IN_USE } else { error.code.name() };
                status.conditions.reconciling(reason, error.to_string(), generation);
                context.report(key, &status).await?;
                return Ok(Again::Failed(error.code.name()));
            }
        }
    }
    context.sink.finalize(key).await?;
    Ok(Again::No)
}
