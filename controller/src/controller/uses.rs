//! Who uses what, all the way down: a guest uses its disks' volumes and what they stand on.

use std::collections::{BTreeMap, BTreeSet};

use ostler_crds::{Kind, Object, ObjectRef, VolumeFill};

use super::world::World;
use crate::engine;
use crate::references;

/// What each domain and volume refers to, and who refers to each object.
#[derive(Debug, Default)]
pub struct Uses {
    used_by: BTreeMap<ObjectRef, Vec<ObjectRef>>,
    backing: BTreeMap<ObjectRef, ObjectRef>,
}

impl Uses {
    /// Looks through all domains and volumes.
    pub fn of(world: &World) -> Self {
        let mut uses = Uses::default();
        for kind in [Kind::StorageVolume, Kind::Domain] {
            for (key, object) in world.of_kind(kind) {
                let used: BTreeSet<ObjectRef> = engine::references(object).into_iter().collect();
                // Who may not use something doesn't keep it either.
                let may_use = |used: &ObjectRef| {
                    let namespace = &key.namespace;
                    used.namespace == *namespace
                        || world.get(used).is_some_and(|target| references::may_use(namespace, target))
                };
                for used in used.into_iter().filter(may_use) {
                    uses.used_by.entry(used).or_default().push(key.clone());
                }
                if let Object::StorageVolume(volume) = &**object
                    && let Some(VolumeFill::Backing(backing)) = &volume.spec.source
                {
                    let backing = ObjectRef::new(Kind::StorageVolume, &key.namespace, &backing.volume);
                    uses.backing.insert(key.clone(), backing);
                }
            }
        }
        uses
    }

    /// Who refers to an object, by kind and name.
    pub fn users(&self, key: &ObjectRef) -> &[ObjectRef] {
        self.used_by.get(key).map_or(&[], Vec::as_slice)
    }

    /// The volumes of a domain, each before what it stands on.
    pub fn volumes(&self, domain: &Object) -> BTreeSet<ObjectRef> {
        let mut found = BTreeSet::new();
        for volume in engine::references(domain).into_iter().filter(|key| key.kind == Kind::StorageVolume) {
            let mut next = Some(volume);
            // One that stands on itself by a detour is seen once.
            while let Some(volume) = next.filter(|volume| !found.contains(volume)) {
                next = self.backing.get(&volume).cloned();
                found.insert(volume);
            }
        }
        found
    }

    /// The domains that use a volume, or one that stands on it.
    pub fn domains_of_volume(&self, volume: &ObjectRef) -> BTreeSet<&ObjectRef> {
        let (mut domains, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![volume]);
        while let Some(volume) = open.pop().filter(|volume| seen.insert(*volume)) {
            for user in self.users(volume) {
                match user.kind {
                    Kind::Domain => drop(domains.insert(user)),
                    Kind::StorageVolume => open.push(user),
                    Kind::Host | Kind::Network | Kind::StoragePool | Kind::DomainOperation => {}
                }
            }
        }
        domains
    }
}

/// Names for people, the first few of them.
pub fn list(users: &[ObjectRef]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = users.iter().take(SHOWN).map(ToString::to_string).collect();
    match users.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
