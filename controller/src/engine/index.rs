//! Who refers to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ostler_crds::{Kind, Object, ObjectRef};

use crate::references;

/// All known objects, and their references.
#[derive(Debug, Default)]
pub struct Index {
    objects: BTreeMap<ObjectRef, Arc<Object>>,
}

impl Index {
    /// Takes in an object, or its new version.
    pub fn insert(&mut self, object: Object) {
        self.objects.insert(object.object_ref(), Arc::new(object));
    }

    /// Forgets an object.
    pub fn remove(&mut self, key: &ObjectRef) {
        self.objects.remove(key);
    }

    /// An object.
    pub fn get(&self, key: &ObjectRef) -> Option<Arc<Object>> {
        self.objects.get(key).cloned()
    }

    /// All objects of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values().filter(move |object| object.kind() == kind)
    }

    /// All names.
    pub fn refs(&self) -> Vec<ObjectRef> {
        self.objects.keys().cloned().collect()
    }

    /// The objects that refer to `key`, and may.
    pub fn users_of(&self, key: &ObjectRef) -> Vec<ObjectRef> {
        let target = self.objects.get(key);
        let may_use = |other: &ObjectRef| {
            other.namespace == key.namespace
                || target.is_some_and(|target| references::may_use(&other.namespace, target))
        };
        let users = self.objects.iter().filter(|(other, object)| may_use(other) && references(object).contains(key));
        users.map(|(other, _)| other.clone()).collect()
    }

    /// What the object refers to, as far as its coming and going matters there.
    pub fn references_of(&self, key: &ObjectRef) -> BTreeSet<ObjectRef> {
        let object = self.objects.get(key).filter(|object| !super::is_leaf(object));
        object.map(|object| references(object).into_iter().collect()).unwrap_or_default()
    }
}

/// What an object refers to.
pub(crate) fn references(object: &Object) -> Vec<ObjectRef> {
    let namespace = object.object_ref().namespace;
    references::of(object).iter().map(|reference| reference.key(&namespace)).collect()
}

#[cfg(test)]
mod tests {
    use ostler_crds::manifest;

    use super::*;

    fn object(text: &str) -> Object {
        manifest::read(text).unwrap().remove(0).object
    }

    fn domain(strategy: &str, network: &str) -> Object {
        object(&format!(
            "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {{name: a}}\nspec:\n  runStrategy: {strategy}\n  \
             domain:\n    memory: {{size: 64Mi}}\n    devices:\n      interfaces:\n      \
             - {{name: eth0, source: {{network: {{network: {network}}}}}}}\n"
        ))
    }

    #[test]
    fn who_uses_what_is_known_both_ways() {
        let (key, lan) = (domain("Always", "lan").object_ref(), ObjectRef::new(Kind::Network, "default", "lan"));
        let mut index = Index::default();
        assert!(index.references_of(&key).is_empty());
        index.insert(domain("Always", "lan"));
        assert_eq!((index.users_of(&lan), index.references_of(&key)), (vec![key.clone()], [lan.clone()].into()));
        // Another way to run is no news for the network; another network is, for both.
        let before = index.references_of(&key);
        index.insert(domain("Halted", "lan"));
        assert_eq!(index.references_of(&key), before);
        index.insert(domain("Halted", "wan"));
        assert_eq!(before.symmetric_difference(&index.references_of(&key)).count(), 2);
        assert!(index.users_of(&lan).is_empty());
    }
}
