//! What objects are called on the host, and who they are there.

use ostler_conf::domain::Owner;
use ostler_crds::{Kind, Object, ObjectRef};
use uuid::Uuid;

/// The namespace of the UUIDs that objects get on the host.
const UUID_NAMESPACE: Uuid = Uuid::from_u128(0x6f73_746c_6572_4c00_8f3e_2c1d_5a7b_9e04);

/// The object's name on the host: the granted one, else namespace and name.
pub fn host_name(object: &Object) -> String {
    let given = match object {
        Object::Domain(domain) => domain.spec.domain.name.as_str(),
        Object::Network(network) => network.spec.network.name.as_str(),
        Object::StoragePool(pool) => pool.spec.pool.name.as_str(),
        Object::StorageVolume(volume) => volume.spec.volume.name.as_str(),
        Object::Host(_) | Object::DomainOperation(_) => "",
    };
    if given.is_empty() { qualified(&object.object_ref()) } else { given.to_owned() }
}

/// Namespace and name. A DNS label holds no `_`, so no two objects share one.
pub fn qualified(key: &ObjectRef) -> String {
    format!("{}_{}", key.namespace, key.name)
}

/// The object's identity on the host: the given one, else one made from its uid, the same on every run.
pub fn host_uuid(object: &Object) -> Uuid {
    let given = match object {
        Object::Domain(domain) => domain.spec.domain.uuid,
        Object::Network(network) => network.spec.network.uuid,
        Object::StoragePool(pool) => pool.spec.pool.uuid,
        Object::Host(_) | Object::DomainOperation(_) | Object::StorageVolume(_) => None,
    };
    given.unwrap_or_else(|| Uuid::new_v5(&UUID_NAMESPACE, object.uid().as_bytes()))
}

/// The mark that an object leaves on what it owns.
pub fn owner_mark(owner: &str, object: &Object) -> Owner {
    let key = object.object_ref();
    Owner {
        id: owner.to_owned(),
        namespace: key.namespace,
        name: key.name,
        uid: object.uid().to_owned(),
        claim: claim(object).and_then(|claim| u64::try_from(claim).ok()),
        spec: None,
    }
}

/// The number of the claim that a host holds on the object; absent: claims have no numbers here.
pub fn claim(object: &Object) -> Option<i64> {
    match object {
        Object::Domain(domain) => domain.status.as_ref()?.claim,
        Object::StorageVolume(volume) => volume.status.as_ref()?.claim,
        Object::Host(_) | Object::Network(_) | Object::StoragePool(_) | Object::DomainOperation(_) => None,
    }
}

/// The kinds whose objects are named on the host.
pub const NAMED: &[Kind] = &[Kind::Network, Kind::StoragePool, Kind::StorageVolume, Kind::Domain];
