//! Which guest is an object's: told by our mark in its definition, never by its name.

use ostler_conf::Domain as Definition;
use ostler_crds::{Adopt, Domain, DomainStatus, Kind, Object};
use ostler_driver::{Definition as Which, DomainSummary, Domains, ErrorKind, Result};
use uuid::Uuid;

use super::super::orphan::is_orphan_of;
use crate::context::Context;
use crate::names;

pub(super) enum Found {
    /// The guest has this uuid, or gets it.
    Uuid(Uuid),
    /// Somebody else's guest stands in the way.
    Conflict(String),
}

pub(super) async fn find(
    context: &Context,
    domains: &dyn Domains,
    object: &Object,
    domain: &Domain,
    status: &DomainStatus,
) -> Result<Found> {
    let chosen = status.resolved.as_ref().and_then(|resolved| resolved.uuid.parse().ok());
    let uuid = chosen.unwrap_or_else(|| names::host_uuid(object));
    let name = names::host_name(object);
    match domains.get(uuid).await {
        Ok(summary) if summary.damaged.is_some() => return Ok(Found::Uuid(uuid)),
        Ok(summary) => return judge(context, domains, object, domain, &summary).await,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let namesake = domains.list().await?.into_iter().find(|summary| summary.name == name);
    match namesake {
        Some(summary) => judge(context, domains, object, domain, &summary).await,
        None => Ok(Found::Uuid(uuid)),
    }
}

/// A guest of our uuid or name is there: is it ours, or may it be?
async fn judge(
    context: &Context,
    domains: &dyn Domains,
    object: &Object,
    domain: &Domain,
    summary: &DomainSummary,
) -> Result<Found> {
    let which = if summary.persistent { Which::Persistent } else { Which::Live };
    let definition = domains.definition(summary.uuid, which).await?;
    let mark = definition.mark().and_then(|mark| mark.owner.as_ref());
    let ours = names::owner_mark(&context.owner, object);
    if mark.is_some_and(|mark| mark.id == ours.id && mark.uid == ours.uid) {
        return Ok(Found::Uuid(summary.uuid));
    }
    let allowed = match domain.spec.adopt {
        Adopt::Never => Err("set spec.adopt to take it over".to_owned()),
        Adopt::Orphaned => is_orphan_of(context, Kind::Domain, mark, &ours)
            .then_some(())
            .ok_or_else(|| "it is no orphan of this object".to_owned()),
        Adopt::Any => is_same(context, domains, object, domain, summary, &definition).await?,
    };
    Ok(match allowed {
        Ok(()) => Found::Uuid(summary.uuid),
        Err(why) => {
            let owner = mark.map_or_else(
                || "nobody known".to_owned(),
                |mark| format!("{}/{} of {}", mark.namespace, mark.name, mark.id),
            );
            Found::Conflict(format!(
                "a domain '{}' ({}) is on this host already and belongs to {owner}: {why}",
                summary.name, summary.uuid
            ))
        }
    })
}

/// Anybody's guest is taken over only if that changes nothing about it.
async fn is_same(
    context: &Context,
    domains: &dyn Domains,
    object: &Object,
    domain: &Domain,
    summary: &DomainSummary,
    definition: &Definition,
) -> Result<std::result::Result<(), String>> {
    let mut wanted =
        super::resolve::resolve(context, object, domain, summary.uuid, names::claim(object)).await?.definition;
    wanted.name.clone_from(&definition.name);
    let checked = domains.check(&wanted).await?;
    if crate::plan::same_but_for_our_mark(definition, &checked.definition) {
        return Ok(Ok(()));
    }
    let (bare_old, bare_new) =
        (crate::plan::without_live_values(definition), crate::plan::without_live_values(&checked.definition));
    let fields: Vec<String> =
        ostler_conf::diff::diff(&bare_old, &bare_new).into_iter().map(|difference| difference.path).take(5).collect();
    Ok(Err(format!("it differs from the spec in {}", fields.join(", "))))
}
