//! What no schema can say: the rules of libvirt's documents, and what may change in an object. Every path that takes an
//! object asks here first.

use ostler_conf::{ErrorCode, Problem};
use ostler_crds::{Object, Placement, VolumeFill, rules};

use crate::names;

/// What is wrong with an object, by the fields of its spec.
pub fn validate(object: &Object) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut invalid = |field: &str, message: &str| problems.push(Problem::new(ErrorCode::XmlError, field, message));
    match object {
        Object::Host(_) => invalid("kind", "a Host is made by its agent"),
        Object::DomainOperation(operation) => {
            if operation.spec.domain.is_empty() {
                invalid("spec.domain", "name the domain");
            }
        }
        Object::Network(network) => {
            let mut document = network.spec.network.clone();
            document.name = names::host_name(object);
            document.complete();
            problems.extend(below("spec.network", document.validate()));
        }
        Object::StoragePool(pool) => {
            let mut document = pool.spec.pool.clone();
            document.name = names::host_name(object);
            document.complete();
            problems.extend(below("spec.pool", document.validate()));
        }
        Object::StorageVolume(volume) => {
            if let (Some(VolumeFill::Backing(backing)), Some(name)) = (&volume.spec.source, &volume.metadata.name)
                && backing.volume == *name
            {
                invalid("spec.source.backing.volume", rules::NOT_ON_ITSELF);
            }
            if is_ambiguous(volume.spec.placement.as_ref()) {
                invalid("spec.placement", rules::ONE_PLACE);
            }
            let mut document = volume.spec.volume.clone();
            document.name = names::host_name(object);
            if !matches!(volume.spec.source, None | Some(VolumeFill::Empty(_))) {
                document.capacity.get_or_insert_default();
            }
            problems.extend(below("spec.volume", document.validate()));
        }
        Object::Domain(domain) => {
            if is_ambiguous(domain.spec.placement.as_ref()) {
                invalid("spec.placement", rules::ONE_PLACE);
            }
            let mut document = domain.spec.domain.clone();
            document.name = names::host_name(object);
            document.complete();
            problems.extend(below("spec.domain", document.validate()));
        }
    }
    problems
}

/// What may not change.
pub fn validate_update(old: &Object, new: &Object) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fixed = |field: &str, same: bool| {
        if !same {
            problems.push(Problem::new(ErrorCode::ConfigUnsupported, field, rules::FIXED));
        }
    };
    match (old, new) {
        (Object::DomainOperation(old), Object::DomainOperation(new)) => fixed("spec", old.spec == new.spec),
        (Object::StorageVolume(old), Object::StorageVolume(new)) => {
            fixed("spec.pool", old.spec.pool == new.spec.pool);
            fixed("spec.source", old.spec.source == new.spec.source);
            fixed("spec.volume.target.format", old.spec.volume.format() == new.spec.volume.format());
            let shrinks =
                matches!((old.spec.volume.capacity, new.spec.volume.capacity), (Some(old), Some(new)) if new.0 < old.0);
            if shrinks {
                problems.push(Problem::new(ErrorCode::InvalidArg, "spec.volume.capacity", rules::NEVER_SMALLER));
            }
        }
        (Object::StoragePool(old), Object::StoragePool(new)) => {
            let path =
                |pool: &ostler_crds::StoragePool| pool.spec.pool.target.as_ref().and_then(|target| target.path.clone());
            fixed("spec.pool.target.path", path(old) == path(new));
        }
        (Object::Domain(old), Object::Domain(new)) => {
            fixed("spec.domain.uuid", old.spec.domain.uuid == new.spec.domain.uuid || old.spec.domain.uuid.is_none());
        }
        _ => {}
    }
    problems
}

fn is_ambiguous(placement: Option<&Placement>) -> bool {
    placement.is_some_and(|placement| placement.host.is_some() && placement.host_selector.is_some())
}

fn below(prefix: &str, result: Result<(), ostler_conf::Invalid>) -> Vec<Problem> {
    let problems = result.err().map(|invalid| invalid.problems().to_vec()).unwrap_or_default();
    problems.into_iter().map(|problem| Problem { path: format!("{prefix}.{}", problem.path), ..problem }).collect()
}
