//! What a host may bring back by itself while the API server is out of reach: what no other host can have touched.

use std::collections::BTreeMap;

use ostler_conf::domain::{Disk, DiskSource};
use ostler_crds::{Kind, Object, ObjectRef};

/// Whether all that the object writes is on this host alone, as far as the objects kept here tell. A domain that writes nothing
/// could be anywhere.
pub(super) fn is_ours_alone(object: &Object, kept: &BTreeMap<ObjectRef, Object>) -> bool {
    let Object::Domain(domain) = object else { return true };
    let namespace = object.object_ref().namespace;
    let mut disks =
        domain.spec.domain.devices.disks.iter().filter(|disk| !disk.readonly && disk.source.is_some()).peekable();
    disks.peek().is_some() && disks.all(|disk| is_local(disk, &namespace, kept))
}

/// A path may lead to anywhere; only of a volume is it known where it is.
fn is_local(disk: &Disk, namespace: &str, kept: &BTreeMap<ObjectRef, Object>) -> bool {
    match &disk.source {
        None => true,
        Some(DiskSource::Volume(source)) => {
            let pool = ObjectRef::referred(Kind::StoragePool, namespace, &source.pool);
            matches!(kept.get(&pool), Some(Object::StoragePool(pool)) if !pool.spec.shared)
        }
        Some(_) => false,
    }
}
