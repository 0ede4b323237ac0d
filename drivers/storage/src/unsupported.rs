//! What libvirt's format has and this driver does not carry out. Every field is named, so that a new one can't be forgotten.

use ostler_conf::storage_pool::{PoolSource, PoolTarget};
use ostler_conf::storage_volume::VolumeTarget;
use ostler_conf::{ErrorCode, StoragePool, StorageVolume};
use ostler_driver::{Error, Result};

/// The rules of a directory, the only type of pool that is carried out.
pub(crate) fn check_pool(pool: &StoragePool) -> Result<()> {
    let StoragePool {
        r#type: _,
        name: _,
        uuid: _,
        capacity: _,
        allocation: _,
        available: _,
        features,
        source,
        target,
        refresh,
        fs_mount_options,
        rbd_config_options,
    } = pool;
    absent(features.is_none(), "features")?;
    absent(refresh.is_none(), "refresh")?;
    absent(fs_mount_options.is_none(), "fsMountOptions")?;
    absent(rbd_config_options.is_none(), "rbdConfigOptions")?;
    if let Some(PoolTarget { path: _, permissions: _ }) = target {}
    let Some(PoolSource {
        hosts: _,
        devices: _,
        dir: _,
        adapter: _,
        name: _,
        initiator: _,
        format: _,
        auth,
        vendor,
        product,
        protocol: _,
    }) = source
    else {
        return Ok(());
    };
    // What a directory's source can't have is refused by conf already.
    absent(auth.is_none(), "source.auth")?;
    absent(vendor.is_none(), "source.vendor")?;
    absent(product.is_none(), "source.product")
}

pub(crate) fn check_volume(volume: &StorageVolume) -> Result<()> {
    let StorageVolume {
        r#type: _,
        name: _,
        key: _,
        source: _,
        capacity: _,
        allocation: _,
        physical: _,
        target,
        backing_store: _,
    } = volume;
    let Some(VolumeTarget {
        path: _,
        format: _,
        permissions: _,
        timestamps: _,
        encryption,
        compat: _,
        cluster_size: _,
        features: _,
        nocow,
    }) = target
    else {
        return Ok(());
    };
    absent(encryption.is_none(), "target.encryption")?;
    absent(!nocow, "target.nocow")
}

/// A field that must not be there.
fn absent(is_absent: bool, field: &str) -> Result<()> {
    if is_absent {
        return Ok(());
    }
    Err(Error::new(ErrorCode::ConfigUnsupported, "this driver does not carry it out yet").at(field))
}
