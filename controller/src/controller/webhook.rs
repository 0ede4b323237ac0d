//! Admission: whether an object is valid, before it is persisted. From a review's bytes to its answer's, with no I/O.
//!
//! 1. What is only status, finalizers or labels, and what is being deleted, passes: an end must never be refused.
//! 2. Our own rules, the same that a directory's manifests meet.
//! 3. For a domain, the checks of its driver against each host that it may go to: refused only if all of them refuse.
//! 4. The namespace's quotas.
//! 5. What is referred to and does not exist yet is a warning: things are applied in any order.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use kube::core::response::{Status, StatusCause, StatusDetails, StatusSummary};
use ostler_crds::{Domain, GROUP, Host, Kind, Object, ObjectRef};
use serde_json::Value;

use super::placement::allowed;
use super::quota;
use super::world::World;
use crate::{admission, checks, names, reconcile, references};

/// The most that a warning holds, in characters: the API server cuts longer ones.
const WARNING_MAX: usize = 120;
/// The most warnings of one answer: all together may hold 4 KiB.
const WARNINGS_MAX: usize = 20;

/// An answer, and what is counted of it.
#[derive(Debug)]
pub struct Answer {
    /// The review that is sent back.
    pub review: AdmissionReview<DynamicObject>,
    /// The object's kind.
    pub kind: &'static str,
    /// In one word.
    pub result: &'static str,
}

/// Answers a review.
pub fn review(body: &[u8], world: &World) -> Answer {
    let parsed = serde_json::from_slice::<AdmissionReview<DynamicObject>>(body).map_err(|error| error.to_string());
    let request: Result<AdmissionRequest<DynamicObject>, String> = parsed.and_then(|review| {
        review.try_into().map_err(|error: kube::core::admission::ConvertAdmissionReviewError| error.to_string())
    });
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let response = AdmissionResponse::invalid(format!("this is no AdmissionReview: {error}"));
            return Answer { review: response.into_review(), kind: "", result: "malformed" };
        }
    };
    let kind = Kind::from_name(&request.kind.kind).filter(|_| request.kind.group == GROUP);
    let verdict = judge(&request, kind, world);
    let mut response = AdmissionResponse::from(&request);
    let result = match verdict {
        Verdict::Pass => "passed",
        Verdict::Allow(warnings) => {
            let warnings: Vec<String> = warnings.iter().take(WARNINGS_MAX).map(|warning| short(warning)).collect();
            response.warnings = (!warnings.is_empty()).then_some(warnings);
            "allowed"
        }
        Verdict::Refuse(faults) => {
            response.allowed = false;
            response.result = status(&request, &faults);
            "refused"
        }
        Verdict::Forbid(faults) => {
            response.allowed = false;
            response.result = Status { code: 403, reason: "Forbidden".to_owned(), ..status(&request, &faults) };
            "forbidden"
        }
    };
    Answer { review: response.into_review(), kind: kind.map_or("", Kind::name), result }
}

enum Verdict {
    /// It is not ours to judge.
    Pass,
    /// It is valid; people are told this.
    Allow(Vec<String>),
    Refuse(Vec<Fault>),
    /// It is valid, and more than the namespace may have.
    Forbid(Vec<Fault>),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    field: String,
    message: String,
}

impl Fault {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Fault { field: field.into(), message: message.into() }
    }

    fn text(&self) -> String {
        if self.field.is_empty() { self.message.clone() } else { format!("{}: {}", self.field, self.message) }
    }
}

fn judge(request: &AdmissionRequest<DynamicObject>, kind: Option<Kind>, world: &World) -> Verdict {
    let Some(kind) = kind else {
        return Verdict::Refuse(vec![Fault::new(
            "kind",
            format!("this controller does not know the kind {}", request.kind.kind),
        )]);
    };
    let read = |object: &Option<DynamicObject>| {
        let value = object.as_ref().map(serde_json::to_value).transpose().unwrap_or_default()?;
        let object = Object::from_value(kind, &value);
        Some((value, object))
    };
    let (old, new) = (read(&request.old_object), read(&request.object));
    if request.operation == Operation::Delete {
        return match old {
            Some((_, Ok(Object::Domain(domain)))) if domain.spec.deletion.protect => {
                let message = "this domain is protected: set spec.deletion.protect to false to delete it";
                Verdict::Refuse(vec![Fault::new("spec.deletion.protect", message)])
            }
            _ => Verdict::Pass,
        };
    }
    // Hosts are the controller's and the admins'; their schema says all.
    let Some((value, object)) = new.filter(|_| kind != Kind::Host) else { return Verdict::Pass };
    let is_deleted = value["metadata"]["deletionTimestamp"] != Value::Null;
    let is_same = old.as_ref().is_some_and(|(old, _)| old["spec"] == value["spec"]);
    if is_deleted || (is_same && request.operation == Operation::Update) {
        return Verdict::Pass;
    }
    let object = match object {
        Ok(object) => object,
        Err(error) => return Verdict::Refuse(vec![Fault::new(error.path().to_string(), error.inner().to_string())]),
    };
    // A stored object of a form that is not known any more can't be compared with.
    let old = old.and_then(|(_, old)| old.ok());
    let mut problems = admission::validate(&object);
    if let Some(old) = &old {
        problems.extend(admission::validate_update(old, &object));
    }
    if !problems.is_empty() {
        return Verdict::Refuse(
            problems.into_iter().map(|problem| Fault::new(problem.path, problem.message)).collect(),
        );
    }
    let foreign = not_usable(&object, world);
    if !foreign.is_empty() {
        return Verdict::Refuse(foreign);
    }
    let mut warnings = missing(&object, world);
    if let Object::Domain(domain) = &object {
        let old = match &old {
            Some(Object::Domain(old)) => Some(old.as_ref()),
            _ => None,
        };
        match check(&object, domain, old, world) {
            Checked::Taken => {}
            Checked::Unknown(why) => warnings.push(why),
            Checked::Refused(faults) => return Verdict::Refuse(faults),
        }
    }
    if let Err(excess) = quota::admit(world, old.as_ref(), &object) {
        return Verdict::Forbid(excess.iter().map(|excess| Fault::new(excess.field, excess.to_string())).collect());
    }
    Verdict::Allow(warnings)
}

/// References to what other namespaces have and don't let this one use. Whether it exists is not told.
fn not_usable(object: &Object, world: &World) -> Vec<Fault> {
    let namespace = object.object_ref().namespace;
    let mut faults = Vec::new();
    for reference in references::of(object) {
        let key = reference.key(&namespace);
        let may_use = || world.get(&key).is_some_and(|target| references::may_use(&namespace, target));
        if key.namespace != namespace && !may_use() {
            faults.push(Fault::new(reference.place.to_string(), reconcile::not_for(&key, &namespace)));
        }
    }
    faults
}

/// What an object refers to and does not exist.
fn missing(object: &Object, world: &World) -> Vec<String> {
    let references: BTreeSet<ObjectRef> = crate::engine::references(object).into_iter().collect();
    references.iter().filter(|key| world.get(key).is_none()).map(|key| format!("{key} does not exist yet")).collect()
}

/// What the hosts say.
enum Checked {
    Taken,
    Unknown(String),
    Refused(Vec<Fault>),
}

/// Asks the hosts that a domain may go to, one of each sort, until one takes it.
fn check(object: &Object, domain: &Domain, old: Option<&Domain>, world: &World) -> Checked {
    let placements: Vec<_> = domain.spec.placement.iter().cloned().collect();
    let mut hosts = allowed(&placements, world.hosts().map(|(name, _)| (name, world.labels_of(name))));
    // One that has its host stays there, unless its placement says otherwise now.
    let claimed = domain.status.as_ref().and_then(|status| status.host.as_deref());
    if let Some(claimed) = claimed.filter(|claimed| hosts.contains(claimed)) {
        hosts.retain(|host| *host == claimed);
    }
    let definition = definition(object, domain, world);
    let last = old.map(|old| self::definition(&Object::from(old.clone()), old, world));
    let mut asked: Vec<&Value> = Vec::new();
    let mut refusals: Vec<(&str, Fault)> = Vec::new();
    for (name, host) in world.hosts().filter(|(name, _)| hosts.contains(name)) {
        let Some((driver, facts)) = facts(domain, host) else { continue };
        if asked.contains(&facts) {
            continue;
        }
        asked.push(facts);
        match checks::check(driver, facts, &definition, last.as_ref()) {
            // Facts of a later agent than this controller say nothing.
            None => drop(asked.pop()),
            Some(Ok(())) => return Checked::Taken,
            Some(Err(error)) => {
                let field =
                    error.field.as_ref().map_or("spec.domain".to_owned(), |field| format!("spec.domain.{field}"));
                refusals.push((name, Fault::new(field, reconcile::chain(&error))));
            }
        }
    }
    match (asked.is_empty(), refusals.as_slice()) {
        (true, _) => {
            Checked::Unknown("not checked against a host: none that it may go to has told what it can do".to_owned())
        }
        (false, [(_, only)]) => Checked::Refused(vec![only.clone()]),
        (false, several) => {
            let mut faults: Vec<Fault> = Vec::new();
            for (host, fault) in several {
                if !faults.iter().any(|known| known.field == fault.field && known.message.contains(&fault.message)) {
                    faults.push(Fault::new(&fault.field, format!("{} (host {host})", fault.message)));
                }
            }
            Checked::Refused(faults)
        }
    }
}

/// The definition as the agent would make it.
fn definition(object: &Object, domain: &Domain, world: &World) -> ostler_conf::Domain {
    reconcile::preview(object, domain, "", |key| world.get(key).map(|object| names::host_name(object)))
}

/// The driver that would run a domain on a host, with what the host has told of it.
fn facts<'a>(domain: &'a Domain, host: &'a Host) -> Option<(&'a str, &'a Value)> {
    let status = host.status.as_ref()?;
    let driver = domain.spec.driver.as_deref().or(status.drivers.first().map(String::as_str))?;
    let told = status.capabilities.iter().find(|capabilities| capabilities.name == driver)?;
    Some((driver, &told.facts))
}

fn short(text: &str) -> String {
    if text.chars().count() <= WARNING_MAX {
        return text.to_owned();
    }
    text.chars().take(WARNING_MAX - 1).chain(['…']).collect()
}

/// A refusal, as the API server's own look.
fn status(request: &AdmissionRequest<DynamicObject>, faults: &[Fault]) -> Status {
    let message = faults.iter().map(Fault::text).collect::<Vec<_>>().join("; ");
    let causes = faults.iter().map(|fault| StatusCause {
        reason: "FieldValueInvalid".to_owned(),
        message: fault.message.clone(),
        field: fault.field.clone(),
    });
    Status {
        status: Some(StatusSummary::Failure),
        code: 422,
        reason: "Invalid".to_owned(),
        message,
        details: Some(StatusDetails {
            name: request.name.clone(),
            group: request.kind.group.clone(),
            kind: request.kind.kind.clone(),
            uid: String::new(),
            causes: causes.collect(),
            retry_after_seconds: 0,
        }),
        ..Status::default()
    }
}

#[cfg(test)]
mod tests;
