//! This host's own object: what it is, what it carries out, and which guests belong to nobody.

use std::collections::HashSet;

use ostler_conf::Size;
use ostler_crds::{Host, HostCapabilities, HostStatus, Kind, ObjectRef, Orphan, reasons, types};
use ostler_driver::{Accelerator, Definition};

use super::{Again, Error};
use crate::context::{Context, domains};
use crate::source::SourceProblem;

/// The condition that tells of manifests that were refused and of a source that is lost.
const MANIFESTS_ACCEPTED: &str = "ManifestsAccepted";

pub(super) async fn reconcile(context: &Context, key: &ObjectRef, host: &Host) -> Result<Again, Error> {
    if *key != context.host_ref() {
        return Ok(Again::No);
    }
    let generation = host.metadata.generation.unwrap_or(0);
    let mut status: HostStatus = context.status(key);
    status.observed_generation = Some(generation);
    status.drivers = context.hypervisors.iter().map(|connection| connection.driver().to_owned()).collect();
    if let Some(first) = context.hypervisors.first() {
        let facts = first.host().await?;
        status.hypervisor_version = facts.hypervisor_version;
        status.accelerators =
            facts.accelerators.iter().map(|accelerator| accelerator_name(*accelerator).to_owned()).collect();
        status.cpus = Some(i64::from(facts.cpus));
        status.memory = Some(Size::from_kib(facts.memory_bytes / 1024));
    }
    status.capabilities = capabilities(context).await?;
    status.networks = context.outcomes(Kind::Network);
    status.pools = context.outcomes(Kind::StoragePool);
    status.orphans = if context.is_synced() { orphans(context).await? } else { status.orphans };
    report_source(context, &mut status, generation);
    status.conditions.ready(reasons::READY, "the agent is at work", generation);
    context.report(key, &status).await?;
    Ok(Again::No)
}

/// What admission asks by, where this host can't be asked.
async fn capabilities(context: &Context) -> ostler_driver::Result<Vec<HostCapabilities>> {
    let mut capabilities = Vec::new();
    for connection in &context.hypervisors {
        if let Some(facts) = connection.check_facts().await? {
            capabilities.push(HostCapabilities { name: connection.driver().to_owned(), facts });
        }
    }
    Ok(capabilities)
}

const fn accelerator_name(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg",
    }
}

fn report_source(context: &Context, status: &mut HostStatus, generation: i64) {
    let problems = context.source_problems();
    let is_lost = problems.iter().any(|problem| matches!(problem, SourceProblem::Lost(_)));
    let is_held = problems.iter().any(|problem| matches!(problem, SourceProblem::DeletionHeld(_)));
    let reason = match (problems.is_empty(), is_lost, is_held) {
        (true, _, _) => "AllAccepted",
        (_, true, _) => "Lost",
        (_, _, true) => "DeletionHeld",
        (false, false, false) => "Refused",
    };
    let message: Vec<String> = problems.iter().map(message_of).collect();
    let message = if message.is_empty() { "every manifest was accepted".to_owned() } else { message.join("\n") };
    status.conditions.set(MANIFESTS_ACCEPTED, problems.is_empty(), reason, message, generation);
    // A cluster has no manifests of its own; there the condition says nothing.
    debug_assert!(status.conditions.get(types::READY).is_none_or(|ready| ready.type_ == types::READY));
}

fn message_of(problem: &SourceProblem) -> String {
    match problem {
        SourceProblem::Lost(message) | SourceProblem::DeletionHeld(message) => message.clone(),
        SourceProblem::Refused { message, .. } => message.clone(),
    }
}

/// Guests of ours whose object is not known here, and other people's.
async fn orphans(context: &Context) -> ostler_driver::Result<Vec<Orphan>> {
    let known: HashSet<String> = context.index().of_kind(Kind::Domain).map(|object| object.uid().to_owned()).collect();
    let mut orphans = Vec::new();
    for connection in &context.hypervisors {
        let domains = domains(connection.as_ref())?;
        for summary in domains.list().await? {
            if context.domain_of(summary.uuid).is_some_and(|key| context.get(&key).is_some()) {
                continue;
            }
            let which = if summary.persistent { Definition::Persistent } else { Definition::Live };
            // A damaged one belongs to somebody we can't name.
            let definition =
                if summary.damaged.is_some() { None } else { domains.definition(summary.uuid, which).await.ok() };
            let owner = definition.and_then(|definition| definition.mark().and_then(|mark| mark.owner.clone()));
            if owner.as_ref().is_some_and(|owner| known.contains(&owner.uid)) {
                continue;
            }
            orphans.push(Orphan {
                name: summary.name,
                uuid: summary.uuid.to_string(),
                driver: connection.driver().to_owned(),
                active: summary.state.is_active(),
                object: owner.map(|owner| format!("{}/{}", owner.namespace, owner.name)),
            });
        }
    }
    Ok(orphans)
}
