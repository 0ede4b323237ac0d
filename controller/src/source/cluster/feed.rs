//! What watches tell, turned into what the engine is told. Pure: no call to the API server, no file.
//!
//! An object is this host's by a claim (`status.host`), by its name (the Host), or because something of this host refers to it
//! (networks, pools). It is told when it is new to the engine in what matters there; what we wrote ourselves is not.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use ostler_crds::{Kind, Object, ObjectRef};
use serde_json::Value;

use super::judge::{Refusal, judge};
use super::local;
use crate::engine::references;
use crate::source::SourceEvent;

/// One watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Watched {
    /// Objects of a kind that this host holds a claim on.
    Claimed(Kind),
    /// One object, by its name.
    Named(ObjectRef),
}

/// Kinds that belong to one host.
pub(super) const CLAIMED: &[Kind] = &[Kind::StorageVolume, Kind::Domain, Kind::DomainOperation];

/// Status of a Host that the controller writes.
pub(super) const SAID_OF_A_HOST: &[&str] = &["wanted", "fence", "asked"];

/// What a watch tells.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// All objects follow anew.
    Restarted,
    /// One of them.
    Listed(Value),
    /// They were all.
    ListDone,
    /// An object is new or changed.
    Changed(Value),
    /// An object was deleted or does not match any more.
    Gone(Value),
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The engine is to know.
    Tell(SourceEvent),
    /// The object as the API server has it, whatever we make of it.
    Seen(ObjectRef, Box<Value>),
    /// The object was accepted: it is kept on this host.
    Keep(ObjectRef, Box<Value>),
    /// It is not this host's any more.
    Forget(ObjectRef),
    /// It was not accepted.
    Refuse(ObjectRef, Refusal),
    /// It can be applied again.
    Allow(ObjectRef),
    /// Its deletion was asked for; whether by a person who meant it shows in its CRD.
    AskForDeletion(ObjectRef),
    /// It is to be deleted, but nothing of it can be read: it lets go of its guest.
    LetGo(ObjectRef),
    /// The object is to be watched by its name, or no longer.
    Watch(ObjectRef),
    Unwatch(ObjectRef),
}

/// What matters to the engine.
#[derive(Clone, Debug, PartialEq)]
struct Digest {
    uid: String,
    generation: i64,
    deleted: bool,
    claim: Option<i64>,
    /// Of a Host: what the controller says in its status.
    said: Value,
    usable: Option<Value>,
    /// Of one generation too: a field that an old schema hid shows when the schema is new.
    spec: u64,
}

#[derive(Clone, Debug)]
struct Known {
    digest: Digest,
    /// As it was accepted last; absent: never.
    accepted: Option<Object>,
    /// Whether the engine knows it.
    told: bool,
    /// The deletion that is asked about: told once it is known to be meant.
    doomed: Option<Box<Object>>,
    /// The generation that was refused.
    refused: Option<i64>,
}

/// The state of all watches.
#[derive(Debug)]
pub(super) struct Feed {
    host: String,
    known: BTreeMap<ObjectRef, Known>,
    /// Objects that were kept on this host and that no watch has told of yet.
    kept: BTreeMap<ObjectRef, Object>,
    /// Per watch that is listing: what it listed so far.
    listing: BTreeMap<Watched, BTreeSet<ObjectRef>>,
    /// Watches that have told all at least once.
    complete: BTreeSet<Watched>,
    watched: BTreeSet<ObjectRef>,
    /// Definitions that the engine carries out no more.
    released: BTreeSet<ObjectRef>,
    started: bool,
    synced: bool,
}

impl Feed {
    /// A feed for `host`, which kept `objects` of an earlier run.
    pub(super) fn new(host: &str, objects: Vec<Object>) -> Self {
        let kept = objects.into_iter().map(|object| (object.object_ref(), object)).collect();
        Feed {
            host: host.to_owned(),
            known: BTreeMap::new(),
            kept,
            listing: BTreeMap::new(),
            complete: BTreeSet::new(),
            watched: BTreeSet::new(),
            released: BTreeSet::new(),
            started: false,
            synced: false,
        }
    }

    /// The watches that there always are.
    fn fixed(&self) -> Vec<Watched> {
        let host = ObjectRef::new(Kind::Host, "", &self.host);
        CLAIMED.iter().map(|kind| Watched::Claimed(*kind)).chain([Watched::Named(host)]).collect()
    }

    /// All watches that there should be now.
    pub(super) fn watches(&self) -> Vec<Watched> {
        self.fixed().into_iter().chain(self.watched.iter().cloned().map(Watched::Named)).collect()
    }

    /// The definitions to watch from the start: what was carried out here may have lost its last user meanwhile.
    pub(super) fn begin(&mut self) -> Vec<Step> {
        let kept: Vec<ObjectRef> = self.kept.keys().filter(|key| is_definition(key)).cloned().collect();
        self.watched.extend(kept.iter().cloned());
        kept.into_iter().map(Step::Watch).collect()
    }

    /// The API server is out of reach: goes on from what this host kept. A domain whose disks others may write waits for its
    /// claim to be seen.
    pub(super) fn begin_from_kept(&mut self) -> Vec<Step> {
        if self.started {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let local: Vec<ObjectRef> = self
            .kept
            .values()
            .filter(|object| local::is_ours_alone(object, &self.kept))
            .map(Object::object_ref)
            .collect();
        for key in local {
            let Some(object) = self.kept.get(&key).cloned() else { continue };
            // A deletion may have been that of a CRD, which can't be asked now.
            if object.is_deleted() {
                continue;
            }
            let known = Known {
                digest: digest_of(&object),
                accepted: Some(object.clone()),
                told: true,
                doomed: None,
                refused: None,
            };
            self.known.insert(key, known);
            steps.push(Step::Tell(SourceEvent::Changed(Box::new(object))));
        }
        self.started = true;
        steps.push(Step::Tell(SourceEvent::Started));
        steps
    }

    /// Takes in what a watch tells.
    pub(super) fn take(&mut self, watch: &Watched, told: Told) -> Vec<Step> {
        let mut steps = Vec::new();
        match told {
            Told::Restarted => {
                self.listing.insert(watch.clone(), BTreeSet::new());
            }
            Told::Listed(value) => {
                if let Some(key) = key_of(&value) {
                    self.listing.entry(watch.clone()).or_default().insert(key.clone());
                    self.see(key, value, &mut steps);
                }
            }
            Told::ListDone => self.list_done(watch, &mut steps),
            Told::Changed(value) => {
                if let Some(key) = key_of(&value) {
                    self.see(key, value, &mut steps);
                }
            }
            Told::Gone(value) => {
                if let Some(key) = key_of(&value) {
                    self.gone(&key, &mut steps);
                }
            }
        }
        self.watch_definitions(&mut steps);
        self.sync(&mut steps);
        steps
    }

    /// The CRD is there to stay: the deletion was meant.
    pub(super) fn deletion_is_meant(&mut self, key: &ObjectRef) -> Vec<Step> {
        let Some(known) = self.known.get_mut(key) else { return Vec::new() };
        let Some(object) = known.doomed.take() else { return Vec::new() };
        known.told = true;
        known.accepted = Some((*object).clone());
        vec![Step::Tell(SourceEvent::Changed(object))]
    }

    /// The engine carries a definition out no more: unless something refers to it, it is not watched any longer.
    pub(super) fn release(&mut self, key: &ObjectRef) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.watched.contains(key) {
            self.released.insert(key.clone());
        }
        self.watch_definitions(&mut steps);
        self.sync(&mut steps);
        steps
    }

    fn list_done(&mut self, watch: &Watched, steps: &mut Vec<Step>) {
        let listed = self.listing.remove(watch).unwrap_or_default();
        let covers = |key: &ObjectRef| match watch {
            Watched::Claimed(kind) => key.kind == *kind,
            Watched::Named(name) => key == name,
        };
        let all: BTreeSet<&ObjectRef> = self.known.keys().chain(self.kept.keys()).collect();
        let missing: Vec<ObjectRef> =
            all.into_iter().filter(|key| covers(key) && !listed.contains(key)).cloned().collect();
        for key in missing {
            self.gone(&key, steps);
        }
        self.complete.insert(watch.clone());
    }

    fn see(&mut self, key: ObjectRef, mut value: Value, steps: &mut Vec<Step>) {
        let host = value.pointer("/status/host").and_then(Value::as_str);
        if CLAIMED.contains(&key.kind) && host != Some(self.host.as_str()) {
            return self.gone(&key, steps);
        }
        if is_definition(&key)
            && let Some(object) = value.as_object_mut()
        {
            // What its hosts made of it together is nothing to this one; who may use it is.
            let usable =
                object.shift_remove("status").and_then(|mut status| status.get_mut("usableFrom").map(Value::take));
            if let Some(usable) = usable {
                object.insert("status".to_owned(), serde_json::json!({ "usableFrom": usable }));
            }
        }
        let digest = digest_of_value(&value);
        // One of the same name that is another object: the first is gone.
        if self.known.get(&key).is_some_and(|known| known.digest.uid != digest.uid) {
            self.gone(&key, steps);
        }
        steps.push(Step::Seen(key.clone(), Box::new(value.clone())));
        let known = self.known.get(&key);
        if known.is_some_and(|known| known.digest == digest) {
            self.kept.remove(&key);
            return;
        }
        // One that was accepted before and not told again, since nothing about it matters that changed.
        let last = known.and_then(|known| known.accepted.clone());
        let last = last.or_else(|| self.kept.get(&key).filter(|kept| kept.uid() == digest.uid).cloned());
        let told = known.is_some_and(|known| known.told);
        let was_refused = known.and_then(|known| known.refused);
        let mut next = Known { digest: digest.clone(), accepted: last.clone(), told, doomed: None, refused: None };
        let object = match judge(key.kind, &value) {
            Ok(object) => {
                if was_refused.is_some() {
                    steps.push(Step::Allow(key.clone()));
                }
                Some(object)
            }
            Err(refusal) => {
                next.refused = Some(refusal.generation);
                if was_refused != Some(refusal.generation) {
                    steps.push(Step::Refuse(key.clone(), refusal));
                }
                // Nothing of this spec is applied; the last one that was goes on, under the object's own metadata.
                last.map(|mut last| {
                    let meta = value.get("metadata").cloned().and_then(|meta| serde_json::from_value(meta).ok());
                    if let Some(meta) = meta {
                        *last.meta_mut() = meta;
                    }
                    last
                })
            }
        };
        match object {
            Some(object) if digest.deleted && is_asked_about(key.kind) => {
                next.doomed = Some(Box::new(object));
                steps.push(Step::AskForDeletion(key.clone()));
            }
            Some(object) => {
                next.accepted = Some(object.clone());
                if next.refused.is_none() {
                    steps.push(Step::Keep(key.clone(), Box::new(value)));
                }
                if next.refused.is_none() || !told {
                    next.told = true;
                    steps.push(Step::Tell(SourceEvent::Changed(Box::new(object))));
                }
            }
            None if digest.deleted => steps.push(Step::LetGo(key.clone())),
            None => {}
        }
        self.kept.remove(&key);
        if key.kind == Kind::Host {
            self.retell_picked(&key, next.accepted.as_ref(), steps);
        }
        self.known.insert(key, next);
    }

    /// Definitions that the controller picked for this host, or picks no more, are looked at again.
    fn retell_picked(&self, host: &ObjectRef, new: Option<&Object>, steps: &mut Vec<Step>) {
        let old = self.known.get(host).and_then(|known| known.accepted.as_ref()).map(picked).unwrap_or_default();
        let new = new.map(picked).unwrap_or_default();
        for key in old.symmetric_difference(&new) {
            if let Some(Known { accepted: Some(object), told: true, doomed: None, .. }) = self.known.get(key) {
                steps.push(Step::Tell(SourceEvent::Changed(Box::new(object.clone()))));
            }
        }
    }

    fn gone(&mut self, key: &ObjectRef, steps: &mut Vec<Step>) {
        let kept = self.kept.remove(key).is_some();
        let Some(known) = self.known.remove(key) else {
            if kept {
                steps.push(Step::Forget(key.clone()));
            }
            return;
        };
        steps.push(Step::Forget(key.clone()));
        if known.told {
            steps.push(Step::Tell(SourceEvent::Gone(key.clone())));
        }
    }

    /// Brings the watches by name up to what is referred to or still carried out.
    fn watch_definitions(&mut self, steps: &mut Vec<Step>) {
        let objects = self.known.values().filter_map(|known| known.accepted.as_ref());
        let mut needed: BTreeSet<ObjectRef> = objects.clone().flat_map(references).filter(is_definition).collect();
        needed.extend(objects.flat_map(picked));
        self.released.retain(|key| !needed.contains(key));
        let still_there = |key: &&ObjectRef| !self.released.contains(*key);
        needed.extend(self.known.keys().filter(|key| is_definition(key)).filter(still_there).cloned());
        // What was kept is watched until it was found and let go.
        needed.extend(self.kept.keys().filter(|key| is_definition(key) && self.watched.contains(*key)).cloned());
        for key in needed.difference(&self.watched) {
            steps.push(Step::Watch(key.clone()));
        }
        let left: Vec<ObjectRef> = self.watched.difference(&needed).cloned().collect();
        self.watched = needed;
        for key in left {
            steps.push(Step::Unwatch(key.clone()));
            self.released.remove(&key);
            let watch = Watched::Named(key.clone());
            self.complete.remove(&watch);
            self.listing.remove(&watch);
            self.gone(&key, steps);
        }
    }

    fn sync(&mut self, steps: &mut Vec<Step>) {
        if self.synced {
            return;
        }
        if self.watches().iter().all(|watch| self.complete.contains(watch)) {
            (self.started, self.synced) = (true, true);
            steps.push(Step::Tell(SourceEvent::Synced));
        }
    }
}

/// Networks and pools: definitions that hosts carry out where they are used.
fn is_definition(key: &ObjectRef) -> bool {
    matches!(key.kind, Kind::Network | Kind::StoragePool)
}

/// Deleting a CRD deletes its objects without asking anybody: of these kinds, that must not take what they stand for along.
const fn is_asked_about(kind: Kind) -> bool {
    match kind {
        Kind::Network | Kind::StoragePool | Kind::StorageVolume | Kind::Domain => true,
        Kind::Host | Kind::DomainOperation => false,
    }
}

/// What the controller picked for this host.
fn picked(object: &Object) -> BTreeSet<ObjectRef> {
    let Object::Host(host) = object else { return BTreeSet::new() };
    let wanted = host.status.iter().flat_map(|status| &status.wanted);
    wanted
        .filter_map(|wanted| Some(ObjectRef::new(Kind::from_name(&wanted.kind)?, &wanted.namespace, &wanted.object)))
        .filter(is_definition)
        .collect()
}

fn key_of(value: &Value) -> Option<ObjectRef> {
    let kind = Kind::from_name(value.get("kind")?.as_str()?)?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    Some(ObjectRef::new(kind, text("/metadata/namespace"), text("/metadata/name")))
}

fn digest_of(object: &Object) -> Digest {
    digest_of_value(&object.to_value())
}

fn digest_of_value(value: &Value) -> Digest {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Digest {
        uid: text("/metadata/uid"),
        generation: value.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0),
        deleted: value.pointer("/metadata/deletionTimestamp").is_some(),
        claim: value.pointer("/status/claim").and_then(Value::as_i64),
        said: SAID_OF_A_HOST.iter().map(|field| value["status"][field].clone()).collect(),
        usable: value.pointer("/status/usableFrom").cloned(),
        spec: {
            let mut hasher = DefaultHasher::new();
            value.get("spec").map(Value::to_string).hash(&mut hasher);
            hasher.finish()
        },
    }
}

#[cfg(test)]
mod tests;
