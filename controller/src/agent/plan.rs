//! What applying an object would do, told before it is done.

use ostler_conf::diff::{Difference, diff};
use ostler_crds::{DomainStatus, Kind, Object};
use ostler_driver::Definition;
use serde_json::{Value, json};

use crate::context::{Context, domains};
use crate::reconcile::{self, chain};
use crate::{admission, names, plan};

pub(super) async fn plan(context: &Context, value: &Value) -> Result<Value, String> {
    let kind =
        value.get("kind").and_then(Value::as_str).and_then(Kind::from_name).ok_or("the object has no known kind")?;
    let mut object = Object::from_value(kind, value).map_err(|error| error.to_string())?;
    let key = object.object_ref();
    let known = context.get(&key);
    let problems: Vec<String> = admission::validate(&object)
        .into_iter()
        .chain(known.iter().flat_map(|known| admission::validate_update(known, &object)))
        .map(|problem| problem.to_string())
        .collect();
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    if let Some(known) = &known {
        object.meta_mut().uid.clone_from(&known.meta().uid);
    }
    let fields = known.iter().flat_map(|known| changes(known, &object)).collect::<Vec<_>>();
    let mut answer = json!({ "object": key.to_string(), "exists": known.is_some(), "changes": fields });
    if let Object::Domain(domain) = &object {
        answer["pendingChanges"] = pending(context, &object, domain).await.map_err(|error| chain(&error))?;
    }
    Ok(answer)
}

/// What differs in the specs of two objects.
fn changes(known: &Object, object: &Object) -> impl Iterator<Item = Difference> {
    let all = diff(known, object).into_iter();
    all.filter_map(|one| Some(Difference { path: one.path.strip_prefix("spec.")?.to_owned(), ..one }))
}

/// What a running guest would get now, and what at its restart.
async fn pending(context: &Context, object: &Object, domain: &ostler_crds::Domain) -> ostler_driver::Result<Value> {
    let connection = context.hypervisor(domain.spec.driver.as_deref())?;
    let domains = domains(connection.as_ref())?;
    let status: DomainStatus = context.status(&object.object_ref());
    let uuid =
        status.resolved.and_then(|resolved| resolved.uuid.parse().ok()).unwrap_or_else(|| names::host_uuid(object));
    let mut definition = reconcile::preview(object, domain, &context.owner, |key| {
        context.get(key).map(|object| names::host_name(&object))
    });
    definition.uuid = Some(uuid);
    let checked = domains.check(&definition).await?;
    let Ok(live) = domains.definition(uuid, Definition::Live).await else { return Ok(json!([])) };
    let (pending, _) =
        plan::pending_changes(&live, &checked.definition, &|live, change| domains.can_change(live, change));
    Ok(serde_json::to_value(pending).expect("our types have only text keys"))
}
