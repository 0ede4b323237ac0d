//! Networks: carried out where they are used.

use ostler_conf::domain::{Metadata, OstlerMark, Owner};
use ostler_crds::{HostCounts, HostOutcome, Kind, Network, NetworkStatus, Object, ObjectRef, reasons};
use ostler_driver::{ErrorKind, Networks};
use uuid::Uuid;

use super::orphan::is_orphan_of;
use super::{Again, Error, report_failure};
use crate::context::Context;
use crate::names;

pub(super) async fn reconcile(context: &Context, key: &ObjectRef, network: &Network) -> Result<Again, Error> {
    let object = Object::from(network.clone());
    let generation = object.generation();
    let mut status: NetworkStatus = context.status(key);
    let users = context.index().users_of(key);
    let wanted =
        !users.is_empty() || (context.is_picked(key, network.spec.host_selector.as_ref()) && !object.is_deleted());
    let result = if wanted { bring_up(context, &object, network).await } else { take_down(context, &object).await };
    // What could not be taken down is still there to be.
    let carried_out = wanted || result.is_err();
    status.observed_generation = Some(generation);
    status.hosts = HostCounts { desired: i32::from(wanted), ready: i32::from(wanted && result.is_ok()) };
    let again = match result {
        Err(error) => report_failure(context, key, &mut status.conditions, &error, "network.", generation).await,
        Ok(()) if object.is_deleted() && wanted => {
            let message = format!("used by {}", list(&users));
            status.conditions.reconciling(reasons::IN_USE, message, generation);
            Again::No
        }
        Ok(()) if object.is_deleted() => {
            context.set_outcome(key, None);
            context.sink.finalize(key).await?;
            return Ok(Again::No);
        }
        Ok(()) if wanted => report_health(context, &object, &mut status, generation).await?,
        Ok(()) => {
            status.conditions.ready(reasons::WAITING_FOR_FIRST_USE, "no guest uses it here", generation);
            Again::No
        }
    };
    context.set_outcome(key, carried_out.then(|| outcome(key, &status.conditions, generation)));
    context.report(key, &status).await?;
    Ok(again)
}

/// Up, but perhaps not well.
async fn report_health(
    context: &Context,
    object: &Object,
    status: &mut NetworkStatus,
    generation: i64,
) -> Result<Again, Error> {
    let summary = context.networks()?.get(&names::host_name(object)).await?;
    match summary.problem {
        None => status.conditions.ready(
            reasons::READY,
            format!("up on bridge {}", summary.bridge.unwrap_or_default()),
            generation,
        ),
        Some((reason, message)) => {
            status.hosts.ready = 0;
            status.conditions.stalled(&reason, message, generation);
        }
    }
    Ok(Again::No)
}

async fn bring_up(context: &Context, object: &Object, network: &Network) -> ostler_driver::Result<()> {
    context.check_allowed(object)?;
    let networks = context.networks()?;
    let uuid = uuid_here(context, networks, object).await?;
    let mut definition = network.spec.network.clone();
    definition.name = names::host_name(object);
    definition.uuid = Some(uuid);
    let metadata = definition.metadata.get_or_insert_with(Metadata::default);
    metadata.ostler = Some(OstlerMark { owner: Some(names::owner_mark(&context.owner, object)), labels: Vec::new() });
    networks.define(&definition).await?;
    networks.start(&definition.name).await
}

/// Its identity on this host. What an earlier object of its name left is taken over as it is: guests are connected to it.
async fn uuid_here(context: &Context, networks: &dyn Networks, object: &Object) -> ostler_driver::Result<Uuid> {
    let own = names::host_uuid(object);
    let definition = match networks.definition(&names::host_name(object)).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(own),
        found => found?,
    };
    let ours = names::owner_mark(&context.owner, object);
    let is_given = matches!(object, Object::Network(network) if network.spec.network.uuid.is_some());
    let mark = mark_of(&definition);
    let is_ours = is_mark(mark, &ours) || is_orphan_of(context, Kind::Network, mark, &ours);
    Ok(definition.uuid.filter(|_| is_ours && !is_given).unwrap_or(own))
}

/// Whether the network of this name bears the object's mark.
async fn is_marked(context: &Context, networks: &dyn Networks, object: &Object) -> ostler_driver::Result<bool> {
    let definition = networks.definition(&names::host_name(object)).await?;
    Ok(is_mark(mark_of(&definition), &names::owner_mark(&context.owner, object)))
}

fn mark_of(definition: &ostler_conf::Network) -> Option<&Owner> {
    definition.metadata.as_ref()?.ostler.as_ref()?.owner.as_ref()
}

fn is_mark(mark: Option<&Owner>, ours: &Owner) -> bool {
    mark.is_some_and(|mark| mark.id == ours.id && mark.uid == ours.uid)
}

/// Nothing of it is left; what is not ours is not touched.
async fn take_down(context: &Context, object: &Object) -> ostler_driver::Result<()> {
    let networks = context.networks()?;
    let name = names::host_name(object);
    let summary = match networks.get(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    // What an earlier object left may have guests that wait for theirs: it is taken over where it is used.
    let is_own = summary.uuid == names::host_uuid(object) || is_marked(context, networks, object).await?;
    if !is_own {
        return Ok(());
    }
    if summary.active {
        networks.stop(&name).await?;
    }
    networks.undefine(&name).await
}

pub(super) fn list(users: &[ObjectRef]) -> String {
    users.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How a definition fares on this host, from its conditions.
pub(super) fn outcome(key: &ObjectRef, conditions: &ostler_crds::Conditions, generation: i64) -> HostOutcome {
    let ready = conditions.get(ostler_crds::types::READY);
    HostOutcome {
        name: format!("{}/{}", key.namespace, key.name),
        observed_generation: generation,
        ready: conditions.is_true(ostler_crds::types::READY),
        reason: ready.map(|c| c.reason.clone()).unwrap_or_default(),
        message: ready.map(|c| c.message.clone()).unwrap_or_default(),
    }
}
