//! What a volume in each type of pool has.

use ostler_util::ErrorCode;

use super::{StorageVolume, VolumeFormat, VolumeFormatName, VolumeType};
use crate::Problem;
use crate::storage_pool::PoolType;

/// The formats of volumes in a pool of this type; the first counts where none is given. Empty: volumes have none.
pub(crate) const fn formats(pool: PoolType) -> &'static [VolumeFormatName] {
    use VolumeFormatName as F;
    const IMAGES: &[F] = &[
        F::Raw,
        F::Dir,
        F::Bochs,
        F::Cloop,
        F::Dmg,
        F::Iso,
        F::Vpc,
        F::Vdi,
        F::Fat,
        F::Vhd,
        F::Ploop,
        F::Cow,
        F::Qcow,
        F::Qcow2,
        F::Qed,
        F::Vmdk,
    ];
    const PARTITIONS: &[F] =
        &[F::None, F::Linux, F::Fat16, F::Fat32, F::LinuxSwap, F::LinuxLvm, F::LinuxRaid, F::Extended];
    match pool {
        PoolType::Dir | PoolType::Fs | PoolType::Netfs | PoolType::Gluster | PoolType::Rbd | PoolType::Vstorage => {
            IMAGES
        }
        PoolType::Disk => PARTITIONS,
        PoolType::Logical
        | PoolType::Iscsi
        | PoolType::IscsiDirect
        | PoolType::Scsi
        | PoolType::Mpath
        | PoolType::Sheepdog
        | PoolType::Zfs => &[],
    }
}

/// Drops what only a volume that is there tells, and what says nothing; a format's newer features imply its newer version.
pub(super) fn settle(volume: &mut StorageVolume) {
    (volume.source, volume.physical) = (None, None);
    volume.backing_store.take_if(|backing| backing.path.is_none());
    if let Some(backing) = &mut volume.backing_store {
        backing.permissions.iter_mut().for_each(crate::storage_pool::Permissions::settle);
    }
    let Some(target) = &mut volume.target else { return };
    target.timestamps = None;
    target.permissions.iter_mut().for_each(crate::storage_pool::Permissions::settle);
    target.encryption.iter_mut().for_each(crate::encryption::Encryption::settle);
    if target.features.is_some() {
        target.compat.get_or_insert_with(|| "1.1".to_owned());
    }
}

pub(super) fn complete(volume: &mut StorageVolume, pool: PoolType) {
    volume.r#type.get_or_insert(VolumeType::File);
    let capacity = *volume.capacity.get_or_insert_default();
    volume.allocation.get_or_insert(capacity);
    let default = formats(pool).first().copied();
    let fill = |format: &mut Option<VolumeFormat>| match default {
        Some(default) => {
            format.get_or_insert_default().r#type.get_or_insert(default);
        }
        None => *format = None,
    };
    fill(&mut volume.target.get_or_insert_default().format);
    if let Some(backing) = &mut volume.backing_store {
        fill(&mut backing.format);
    }
}

pub(super) fn problems(volume: &StorageVolume, pool: PoolType) -> Vec<Problem> {
    let target = volume.target.as_ref().and_then(|target| target.format.as_ref());
    let backing = volume.backing_store.as_ref().and_then(|backing| backing.format.as_ref());
    let all = formats(pool);
    [("target.format.type", target), ("backingStore.format.type", backing)]
        .into_iter()
        .filter_map(|(path, format)| {
            let format = format?.r#type.filter(|format| !all.contains(format) && !all.is_empty())?;
            let message = format!("volumes in a pool of type '{pool}' have no format '{format}'");
            Some(Problem::new(ErrorCode::ConfigUnsupported, path, message))
        })
        .collect()
}
