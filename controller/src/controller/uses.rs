//! Who uses what, all the way down: a guest uses its disks' volumes and what they stand on.
//!
//! It is made anew for each decision, of tens of thousands of objects at times: so it borrows all that it holds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ostler_crds::{Kind, Object, ObjectRef, VolumeFill};

use super::world::World;
use crate::engine;
use crate::references;

/// Names an object, like an [`ObjectRef`].
type Key<'a> = (Kind, &'a str, &'a str);

fn borrowed(key: &ObjectRef) -> Key<'_> {
    (key.kind, &key.namespace, &key.name)
}

/// An object that refers to another.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// Its name.
    pub key: &'a ObjectRef,
    /// The object.
    pub object: &'a Arc<Object>,
    /// The host that it is claimed for.
    pub host: Option<&'a str>,
}

/// What each domain and volume refers to, and who refers to each object.
#[derive(Debug, Default)]
pub struct Uses<'a> {
    used_by: HashMap<Key<'a>, Vec<User<'a>>>,
    backing: HashMap<Key<'a>, &'a str>,
    /// All domains, by name.
    pub domains: Vec<User<'a>>,
}

impl<'a> Uses<'a> {
    /// Looks through all domains and volumes.
    pub fn of(world: &'a World) -> Self {
        let mut uses = Uses::default();
        // Of thousands of texts that say the same, one stays near the processor.
        let hosts: HashSet<&str> = world.hosts().map(|(name, _)| name).collect();
        for kind in [Kind::StorageVolume, Kind::Domain] {
            for (key, object) in world.of_kind(kind) {
                let host = host_of(object).map(|host| hosts.get(host).copied().unwrap_or(host));
                let user = User { key, object, host };
                if kind == Kind::Domain {
                    uses.domains.push(user);
                }
                for reference in references::of(object) {
                    let used = reference.names(&key.namespace);
                    // Who may not use something doesn't keep it either.
                    let may_use = || {
                        let (kind, namespace, name) = used;
                        let target = world.get(&ObjectRef::new(kind, namespace, name));
                        target.is_some_and(|target| references::may_use(&key.namespace, target))
                    };
                    if used.1 != key.namespace && !may_use() {
                        continue;
                    }
                    let users = uses.used_by.entry(used).or_default();
                    // Its references come one after the other.
                    if users.last().is_none_or(|last| last.key != key) {
                        users.push(user);
                    }
                }
                if let Object::StorageVolume(volume) = &**object
                    && let Some(VolumeFill::Backing(backing)) = &volume.spec.source
                {
                    uses.backing.insert(borrowed(key), &backing.volume);
                }
            }
        }
        uses
    }

    /// Who refers to an object, by kind and name.
    pub fn users<'b>(&'b self, key: &'b ObjectRef) -> &'b [User<'a>] {
        self.used_by.get(&borrowed(key)).map_or(&[], Vec::as_slice)
    }

    /// The volumes of a domain, and what they stand on.
    pub fn volumes(&self, domain: &Object) -> BTreeSet<ObjectRef> {
        let mut found = BTreeSet::new();
        for volume in engine::references(domain).into_iter().filter(|key| key.kind == Kind::StorageVolume) {
            let mut next = Some(volume);
            // One that stands on itself by a detour is seen once.
            while let Some(volume) = next.filter(|volume| !found.contains(volume)) {
                let backing = self.backing.get(&borrowed(&volume));
                next = backing.map(|backing| ObjectRef::new(Kind::StorageVolume, &volume.namespace, *backing));
                found.insert(volume);
            }
        }
        found
    }

    /// The domains that use a volume, or one that stands on it, by name.
    pub fn domains_of_volume(&self, volume: &ObjectRef) -> Vec<User<'a>> {
        let (mut domains, mut seen) = (Vec::<User<'a>>::new(), BTreeSet::new());
        let mut open: Vec<User<'a>> = self.users(volume).to_vec();
        while let Some(user) = open.pop() {
            if !seen.insert(user.key) {
                continue;
            }
            match user.key.kind {
                Kind::Domain => domains.push(user),
                Kind::StorageVolume => open.extend(self.users(user.key)),
                Kind::Host | Kind::Network | Kind::StoragePool | Kind::DomainOperation => {}
            }
        }
        domains.sort_by_key(|user| user.key);
        domains
    }
}

fn host_of(object: &Object) -> Option<&str> {
    let host = match object {
        Object::Domain(domain) => domain.status.as_ref()?.host.as_deref(),
        Object::StorageVolume(volume) => volume.status.as_ref()?.host.as_deref(),
        Object::Host(_) | Object::Network(_) | Object::StoragePool(_) | Object::DomainOperation(_) => None,
    };
    host.filter(|host| !host.is_empty())
}

/// Names for people, the first few of them.
pub fn list(users: &[User<'_>]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = users.iter().take(SHOWN).map(|user| user.key.to_string()).collect();
    match users.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
