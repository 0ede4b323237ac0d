//! From a spec to a definition: names on the host, references looked up, our mark set.

use ostler_conf::domain::{DiskSource, InterfaceSource, Metadata, OstlerMark};
use ostler_crds::{Domain, Kind, Object, ObjectRef, StorageVolumeStatus};
use ostler_driver::{ErrorKind, Result};
use uuid::Uuid;

use crate::context::Context;
use crate::names;
use crate::references;

/// A definition for the driver, and what a start of it would miss.
pub(super) struct Resolved {
    pub(super) definition: ostler_conf::Domain,
    pub(super) missing: Vec<Missing>,
}

/// Something that a start needs and that is not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Missing {
    pub(super) what: MissingKind,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissingKind {
    Network,
    Volume,
    Secret,
    Other,
}

impl Missing {
    pub(super) fn other(field: &str, message: &str) -> Self {
        Missing { what: MissingKind::Other, message: format!("domain.{field}: {message}") }
    }

    pub(super) fn secret(field: &str, message: &str) -> Self {
        Missing { what: MissingKind::Secret, ..Missing::other(field, message) }
    }

    pub(super) fn not_allowed(refusal: &ostler_driver::Error) -> Self {
        Missing { what: MissingKind::Other, message: refusal.to_string() }
    }
}

/// `number`: that of the claim that it is defined under.
pub(super) async fn resolve(
    context: &Context,
    object: &Object,
    domain: &Domain,
    uuid: Uuid,
    number: Option<i64>,
) -> Result<Resolved> {
    let mut definition =
        preview(object, domain, &context.owner, |key| context.get(key).map(|object| names::host_name(&object)));
    definition.uuid = Some(uuid);
    let mark = definition.metadata.as_mut().and_then(|metadata| metadata.ostler.as_mut());
    if let Some(owner) = mark.and_then(|mark| mark.owner.as_mut()) {
        owner.claim = number.and_then(|number| u64::try_from(number).ok());
    }
    let mut missing = Vec::new();
    let namespace = object.object_ref().namespace;
    for key in crate::engine::references(object) {
        // Whether it exists is nobody's to learn who may not use it.
        if context.get(&key).is_some_and(|target| !references::may_use(&namespace, &target)) {
            let what = if key.kind == Kind::Network { MissingKind::Network } else { MissingKind::Volume };
            missing.push(Missing { what, message: not_for(&key, &namespace) });
            continue;
        }
        match key.kind {
            Kind::Network => missing.extend(missing_network(context, &key, &namespace).await?),
            Kind::StorageVolume => missing.extend(missing_volume(context, &key)),
            Kind::StoragePool | Kind::Host | Kind::Domain | Kind::DomainOperation => {}
        }
    }
    missing.dedup();
    Ok(Resolved { definition, missing })
}

/// The definition as far as it can be made without a host: `name_of` gives the names of what it refers to.
pub fn preview(
    object: &Object,
    domain: &Domain,
    owner: &str,
    name_of: impl Fn(&ObjectRef) -> Option<String>,
) -> ostler_conf::Domain {
    let namespace = object.object_ref().namespace;
    let qualify = |kind: Kind, name: &mut String| {
        let key = match kind {
            Kind::Network | Kind::StoragePool => ObjectRef::referred(kind, &namespace, name),
            _ => ObjectRef::new(kind, &namespace, name.as_str()),
        };
        *name = name_of(&key).unwrap_or_else(|| names::qualified(&key));
    };
    let mut definition = domain.spec.domain.clone();
    definition.name = names::host_name(object);
    definition.uuid = Some(names::host_uuid(object));
    for disk in &mut definition.devices.disks {
        if let Some(DiskSource::Volume(source)) = &mut disk.source {
            qualify(Kind::StoragePool, &mut source.pool);
            qualify(Kind::StorageVolume, &mut source.volume);
        }
    }
    for interface in &mut definition.devices.interfaces {
        if let InterfaceSource::Network(source) = &mut interface.source {
            qualify(Kind::Network, &mut source.network);
        }
    }
    let metadata = definition.metadata.get_or_insert_with(Metadata::default);
    metadata.ostler = Some(OstlerMark { owner: Some(names::owner_mark(owner, object)), labels: Vec::new() });
    definition
}

/// Something that is not there for a namespace.
pub(crate) fn not_for(key: &ObjectRef, namespace: &str) -> String {
    if key.namespace == namespace {
        format!("{key} does not exist")
    } else {
        format!("{key} does not exist, or its spec.usableFrom does not pick namespace {namespace}")
    }
}

async fn missing_network(context: &Context, key: &ObjectRef, namespace: &str) -> Result<Option<Missing>> {
    let missing = |message: String| Ok(Some(Missing { what: MissingKind::Network, message }));
    let Some(network) = context.get(key) else {
        return missing(not_for(key, namespace));
    };
    match context.networks()?.get(&names::host_name(&network)).await {
        Ok(summary) if summary.active => Ok(None),
        Ok(_) => missing(format!("{key} is not up yet")),
        Err(error) if error.kind() == ErrorKind::NotFound => missing(format!("{key} is not up yet")),
        Err(error) => Err(error),
    }
}

fn missing_volume(context: &Context, key: &ObjectRef) -> Option<Missing> {
    let missing = |message: String| Some(Missing { what: MissingKind::Volume, message });
    if context.get(key).is_none() {
        let where_ = if context.by_claim { "is not on this host" } else { "does not exist" };
        return missing(format!("{key} {where_}"));
    }
    let status: StorageVolumeStatus = context.status(key);
    match (status.conditions.is_true(ostler_crds::types::READY), &status.path) {
        (true, Some(_)) => None,
        _ => missing(format!("{key} is not ready yet")),
    }
}
