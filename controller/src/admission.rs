//! What no schema can say: the rules of libvirt's documents, and what may change in an object. Every path that takes an
//! object asks here first.

use ostler_conf::{ErrorCode, Problem};
use ostler_crds::{Object, Placement, VolumeFill, rules};

use crate::{names, references};

/// What is wrong with an object, by the fields of its spec.
pub fn validate(object: &Object) -> Vec<Problem> {
    let mut problems = unsound_references(object);
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
            problems.extend(first_of(below("spec.network", document.validate()), || {
                by_driver("spec.network", ostler_driver_network::check_anywhere(&document))
            }));
        }
        Object::StoragePool(pool) => {
            let mut document = pool.spec.pool.clone();
            document.name = names::host_name(object);
            document.complete();
            problems.extend(first_of(below("spec.pool", document.validate()), || {
                by_driver("spec.pool", ostler_driver_storage::check_pool_anywhere(&document))
            }));
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
            problems.extend(first_of(below("spec.volume", document.validate()), || {
                by_driver("spec.volume", ostler_driver_storage::check_volume_anywhere(&document, &fill_of(volume)))
            }));
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

/// References that name no object of any name, as a path would. One that is empty is told by who needs it.
fn unsound_references(object: &Object) -> Vec<Problem> {
    let problem = |reference: references::Reference<'_>| {
        let message = format!(
            "'{}' is no name of a {}: a DNS label, of another namespace's networks and pools 'namespace/name'",
            reference.text, reference.kind
        );
        Problem::new(ErrorCode::XmlError, reference.place.to_string(), message)
    };
    let is_unsound = |reference: &references::Reference<'_>| !reference.text.is_empty() && !reference.is_sound();
    references::of(object).into_iter().filter(is_unsound).map(problem).collect()
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

/// What no host's driver can carry out is refused before any host is asked; it is looked for in what is right otherwise.
fn first_of(problems: Vec<Problem>, driver: impl FnOnce() -> Vec<Problem>) -> Vec<Problem> {
    if problems.is_empty() { driver() } else { problems }
}

fn by_driver(prefix: &str, result: ostler_driver::Result<()>) -> Vec<Problem> {
    let problem = |error: ostler_driver::Error| {
        let path = error.field.as_deref().map_or_else(|| prefix.to_owned(), |field| format!("{prefix}.{field}"));
        Problem::new(error.code, path, error.message)
    };
    result.err().map(problem).into_iter().collect()
}

/// What fills a volume, by the names of its manifest.
fn fill_of(volume: &ostler_crds::StorageVolume) -> ostler_driver::VolumeFill {
    match &volume.spec.source {
        None | Some(VolumeFill::Empty(_)) => ostler_driver::VolumeFill::Empty,
        Some(VolumeFill::Backing(backing)) => ostler_driver::VolumeFill::Backing { volume: backing.volume.clone() },
        Some(VolumeFill::Http(http)) => {
            ostler_driver::VolumeFill::Http { url: http.url.clone(), sha256: http.checksum.sha256.clone() }
        }
    }
}

fn below(prefix: &str, result: Result<(), ostler_conf::Invalid>) -> Vec<Problem> {
    let problems = result.err().map(|invalid| invalid.problems().to_vec()).unwrap_or_default();
    problems.into_iter().map(|problem| Problem { path: format!("{prefix}.{}", problem.path), ..problem }).collect()
}
