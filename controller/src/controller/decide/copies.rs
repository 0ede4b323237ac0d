//! Guests that run, or lie, on hosts without a claim: as the hosts tell of them.

use std::collections::{BTreeMap, BTreeSet};

use ostler_claims::Copy;
use ostler_crds::{Domain, Object, ObjectRef};

use super::Pass;
use crate::controller::world::World;
use crate::controller::writes::Step;

/// What hosts have told, but those on which nothing runs any more.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// By the object's uid.
    of: BTreeMap<String, Vec<Copy<String>>>,
    /// Those that may be taken over, by `namespace/name`.
    named: BTreeMap<String, Vec<Copy<String>>>,
    /// Hosts that have not answered yet.
    pub(super) silent: Vec<String>,
}

impl Copies {
    /// Looks through the hosts; only what is told since `term` began counts as an answer.
    pub(super) fn of(world: &World, term: &str, gone: &BTreeSet<String>) -> Self {
        let mut copies = Copies::default();
        for (name, host) in world.hosts().filter(|(name, _)| !gone.contains(*name)) {
            let status = host.status.as_ref();
            if status.and_then(|status| status.told.as_deref()) != Some(term) {
                copies.silent.push(name.to_owned());
            }
            for orphan in status.into_iter().flat_map(|status| &status.orphans) {
                let copy = Copy { host: name.to_owned(), number: orphan.claim.unwrap_or(0), active: orphan.active };
                if let Some(object) = orphan.object.as_ref().filter(|_| orphan.adoptable) {
                    copies.named.entry(object.clone()).or_default().push(copy.clone());
                }
                if let Some(uid) = &orphan.uid {
                    copies.of.entry(uid.clone()).or_default().push(copy);
                }
            }
        }
        copies
    }

    /// The copies of a domain; `by_name`: also those that it may take over.
    pub(super) fn of_domain(&self, key: &ObjectRef, domain: &Domain, by_name: bool) -> Vec<Copy<String>> {
        let uid = domain.metadata.uid.as_deref().unwrap_or_default();
        let mut copies = self.of.get(uid).cloned().unwrap_or_default();
        if by_name {
            let named = self.named.get(&format!("{}/{}", key.namespace, key.name)).into_iter().flatten();
            copies.extend(named.filter(|copy| !copies.contains(copy)).cloned().collect::<Vec<_>>());
        }
        copies
    }
}

/// Asks the hosts that have not told since the term began.
pub(super) fn ask(pass: &mut Pass<'_>) {
    let term = pass.circumstances.term;
    let silent: BTreeSet<String> = pass.copies.silent.iter().cloned().collect();
    for (name, host) in pass.world.hosts().filter(|(name, _)| silent.contains(*name)) {
        let asked = host.status.as_ref().and_then(|status| status.asked.as_deref());
        if asked != Some(term) {
            tracing::info!(host = name, term, "asked for its copies");
            pass.writes().add(&Object::from(host.clone()), Step::Status(serde_json::json!({ "asked": term })));
        }
    }
}
