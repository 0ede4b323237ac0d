//! What is to be written: decided purely, carried out elsewhere.

use std::collections::BTreeMap;

use ostler_crds::{Object, ObjectRef};
use serde_json::{Value, json};

pub use crate::source::cluster::FINALIZER;

/// The label of a domain whose claim is being taken from one host for another. The policy `ostler-fenced` looks at every Host, and a
/// label is all that tells the API server beforehand that it must: else each write of a status would cost as much as there are hosts.
pub const TAKEN_OVER: &str = "ostler.dev/taken-over";

/// One step of a change: a merge patch with the version that was read, so that a newer object is never overwritten.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The object's whole list of finalizers.
    Finalizers(Vec<String>),
    /// A label with its value; none takes it away.
    Label(&'static str, Option<&'static str>),
    /// Fields of its status.
    Status(Value),
}

impl Step {
    /// The patch, for an object of this version.
    pub fn patch(&self, version: &str) -> Value {
        match self {
            Step::Finalizers(list) => json!({ "metadata": { "resourceVersion": version, "finalizers": list } }),
            Step::Label(name, value) => {
                json!({ "metadata": { "resourceVersion": version, "labels": { *name: value } } })
            }
            Step::Status(status) => json!({ "metadata": { "resourceVersion": version }, "status": status }),
        }
    }
}

/// Something that people are told once it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it is bad news.
    pub warning: bool,
    /// In one CamelCase word.
    pub reason: &'static str,
    /// In a sentence.
    pub message: String,
}

/// The steps for one object, in order; each takes the version that the one before it left.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The version that was decided by.
    pub version: String,
    /// The steps.
    pub steps: Vec<Step>,
    /// What people are told.
    pub notes: Vec<Note>,
}

/// All that is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    /// Hosts to make.
    pub hosts: Vec<String>,
    /// Changes of objects.
    pub changes: BTreeMap<ObjectRef, Change>,
}

impl Writes {
    /// One more step for an object.
    pub fn add(&mut self, object: &Object, step: Step) -> &mut Change {
        let version = object.meta().resource_version.clone().unwrap_or_default();
        let change =
            self.changes.entry(object.object_ref()).or_insert(Change { version, steps: Vec::new(), notes: Vec::new() });
        change.steps.push(step);
        change
    }

    /// The object stays until its finalizer goes.
    pub fn hold(&mut self, object: &Object) {
        let mut list = object.meta().finalizers.clone().unwrap_or_default();
        if !list.iter().any(|finalizer| finalizer == FINALIZER) {
            list.push(FINALIZER.to_owned());
            self.add(object, Step::Finalizers(list));
        }
    }

    /// Nothing of the object is left.
    pub fn release(&mut self, object: &Object) {
        let mut list = object.meta().finalizers.clone().unwrap_or_default();
        if list.iter().any(|finalizer| finalizer == FINALIZER) {
            list.retain(|finalizer| finalizer != FINALIZER);
            self.add(object, Step::Finalizers(list));
        }
    }

    /// The domain's claim may go from one host to another, as far as policies allow.
    pub fn begin_take_over(&mut self, domain: &Object) {
        if !is_taken_over(domain) {
            self.add(domain, Step::Label(TAKEN_OVER, Some("true")));
        }
    }

    /// Its claim stays where it is.
    pub fn end_take_over(&mut self, domain: &Object) {
        if is_taken_over(domain) {
            self.add(domain, Step::Label(TAKEN_OVER, None));
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.changes.is_empty()
    }
}

fn is_taken_over(domain: &Object) -> bool {
    domain.meta().labels.as_ref().is_some_and(|labels| labels.contains_key(TAKEN_OVER))
}
