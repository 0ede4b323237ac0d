//! What objects refer to, where they say so, and whether they may.
//!
//! A network or a pool of another namespace is named `namespace/name`, and may be used where its `usableFrom` picks the user's
//! namespace. Everything else is of the same namespace.

use std::collections::BTreeMap;
use std::fmt;

use ostler_conf::domain::{DiskSource, InterfaceSource};
use ostler_crds::{Kind, Object, ObjectRef, VolumeFill};

/// The label by which Kubernetes names a namespace; nobody can set it otherwise.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// One reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What it names.
    pub kind: Kind,
    /// As it is written.
    pub text: &'a str,
}

/// Where a reference stands; its text is the field's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A disk's source, by the disk's name, and the field there.
    Disk(&'a str, &'static str),
    /// An interface's source, by the interface's name.
    Interface(&'a str),
    /// A field of the spec.
    Spec(&'static str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Disk(disk, field) => write!(f, "spec.domain.devices.disks[{disk}].source.volume.{field}"),
            Place::Interface(nic) => write!(f, "spec.domain.devices.interfaces[{nic}].source.network.network"),
            Place::Spec(field) => write!(f, "spec.{field}"),
        }
    }
}

impl<'a> Reference<'a> {
    /// The object that it names, from an object of `namespace`.
    pub fn key(&self, namespace: &'a str) -> ObjectRef {
        let (kind, namespace, name) = self.names(namespace);
        ObjectRef::new(kind, namespace, name)
    }

    /// The kind, namespace and name of the object that it names, from an object of `namespace`.
    pub fn names(&self, namespace: &'a str) -> (Kind, &'a str, &'a str) {
        let (namespace, name) =
            self.text.split_once('/').filter(|_| is_shared(self.kind)).unwrap_or((namespace, self.text));
        (self.kind, namespace, name)
    }

    /// Whether it names an object at all: a DNS label, or two with a `/` between them where another namespace's may be used.
    pub fn is_sound(&self) -> bool {
        match self.text.split_once('/') {
            Some((namespace, name)) => is_shared(self.kind) && is_label(namespace) && is_label(name),
            None => is_label(self.text),
        }
    }
}

/// Kinds that other namespaces may be let use.
const fn is_shared(kind: Kind) -> bool {
    match kind {
        Kind::Network | Kind::StoragePool => true,
        Kind::Host | Kind::StorageVolume | Kind::Domain | Kind::DomainOperation => false,
    }
}

fn is_label(text: &str) -> bool {
    let inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// What an object refers to.
pub fn of(object: &Object) -> Vec<Reference<'_>> {
    let one = |place, kind, text| Reference { place, kind, text };
    match object {
        Object::Domain(domain) => {
            let devices = &domain.spec.domain.devices;
            let disks = devices.disks.iter().filter_map(|disk| match &disk.source {
                Some(DiskSource::Volume(source)) => Some([
                    one(Place::Disk(&disk.name, "volume"), Kind::StorageVolume, &source.volume),
                    one(Place::Disk(&disk.name, "pool"), Kind::StoragePool, &source.pool),
                ]),
                _ => None,
            });
            let interfaces = devices.interfaces.iter().filter_map(|nic| match &nic.source {
                InterfaceSource::Network(source) => {
                    Some(one(Place::Interface(&nic.name), Kind::Network, &source.network))
                }
                _ => None,
            });
            disks.flatten().chain(interfaces).collect()
        }
        Object::StorageVolume(volume) => {
            let mut references = vec![one(Place::Spec("pool"), Kind::StoragePool, &volume.spec.pool)];
            if let Some(VolumeFill::Backing(backing)) = &volume.spec.source {
                references.push(one(Place::Spec("source.backing.volume"), Kind::StorageVolume, &backing.volume));
            }
            references
        }
        Object::DomainOperation(operation) => {
            vec![one(Place::Spec("domain"), Kind::Domain, &operation.spec.domain)]
        }
        Object::Host(_) | Object::Network(_) | Object::StoragePool(_) => Vec::new(),
    }
}

/// Whether objects of `namespace` may refer to this one.
pub fn may_use(namespace: &str, target: &Object) -> bool {
    let own = target.object_ref().namespace == namespace;
    let (selector, told) = match target {
        Object::Network(network) => (&network.spec.usable_from, network.status.as_ref().map(|it| &it.usable_from)),
        Object::StoragePool(pool) => (&pool.spec.usable_from, pool.status.as_ref().map(|it| &it.usable_from)),
        _ => return own,
    };
    // Other labels than its name are the controller's to read: it writes down which namespaces have them.
    let by_name = || BTreeMap::from([(NAME_LABEL.to_owned(), namespace.to_owned())]);
    own || selector.as_ref().is_some_and(|usable| {
        usable.picks(&by_name()) || told.is_some_and(|told| told.iter().any(|name| name == namespace))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(kind: Kind, spec: &Value, status: &Value) -> Object {
        let metadata = json!({"name": "it", "namespace": "infra"});
        Object::from_value(kind, &json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
    }

    fn usable(labels: &Value, told: &[&str]) -> Object {
        let spec = json!({"network": {}, "usableFrom": {"namespaceSelector": {"matchLabels": labels}}});
        object(Kind::Network, &spec, &json!({"usableFrom": told}))
    }

    #[test]
    fn a_definition_is_its_own_namespaces_and_theirs_that_it_picks() {
        let private = object(Kind::Network, &json!({"network": {}}), &json!({"usableFrom": ["shop"]}));
        assert!(may_use("infra", &private) && !may_use("shop", &private), "a status alone lets nobody in");
        assert!(may_use("shop", &usable(&json!({}), &[])));
        assert!(may_use("shop", &usable(&json!({NAME_LABEL: "shop"}), &[])));
        assert!(!may_use("lab", &usable(&json!({NAME_LABEL: "shop"}), &[])));
        assert!(may_use("shop", &usable(&json!({"team": "a"}), &["shop"])));
        assert!(!may_use("lab", &usable(&json!({"team": "a"}), &["shop"])));
        let volume = object(Kind::StorageVolume, &json!({"pool": "p", "volume": {"capacity": "1Mi"}}), &json!({}));
        assert!(may_use("infra", &volume) && !may_use("shop", &volume));
    }

    #[test]
    fn only_networks_and_pools_are_named_across_namespaces() {
        let check = |kind, text: &str, namespace: &str, name: &str, is_sound: bool| {
            let reference = Reference { place: Place::Spec("x"), kind, text };
            assert_eq!(reference.key("shop"), ObjectRef::new(kind, namespace, name), "{text}");
            assert_eq!(reference.is_sound(), is_sound, "{text}");
        };
        check(Kind::Network, "lan", "shop", "lan", true);
        check(Kind::Network, "infra/lan", "infra", "lan", true);
        check(Kind::StoragePool, "infra/fast", "infra", "fast", true);
        check(Kind::StorageVolume, "infra/root", "shop", "infra/root", false);
        check(Kind::Domain, "infra/web", "shop", "infra/web", false);
        for text in ["", "../x", "a/b/c", "/a", "a/", "A", "-a", "a-", "a_b", "a.b"] {
            assert!(!Reference { place: Place::Spec("x"), kind: Kind::Network, text }.is_sound(), "{text}");
        }
    }
}
