//! The host goes down: every guest is stopped as its spec says, all at once, within one deadline.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ostler_crds::{Kind, Object, OnHostShutdown};
use ostler_driver::{Connection, Events};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};
use uuid::Uuid;

use crate::context::{Context, domains};

/// Stops all guests; gives which ended, and which are left.
pub(super) async fn run(context: &Arc<Context>, timeout: Duration) -> Value {
    // From here on nothing is started again.
    context.set_draining();
    let deadline = Instant::now() + timeout;
    let mut guests = Vec::new();
    for object in context.index().of_kind(Kind::Domain) {
        let Object::Domain(domain) = &**object else { continue };
        let key = object.object_ref();
        let status: ostler_crds::DomainStatus =
            serde_json::from_value(object.to_value()["status"].clone()).unwrap_or_default();
        let uuid = status
            .resolved
            .and_then(|resolved| resolved.uuid.parse().ok())
            .unwrap_or_else(|| crate::names::host_uuid(object));
        if let Ok(connection) = context.hypervisor(domain.spec.driver.as_deref()) {
            guests.push((key, connection.clone(), uuid, domain.spec.shutdown.on_host_shutdown));
        }
    }
    let ends = guests.into_iter().map(|(key, connection, uuid, how)| async move {
        match end(connection.as_ref(), uuid, how, deadline).await {
            Ok(None) => None,
            Ok(Some(true)) => Some((key.to_string(), "ended".to_owned())),
            Ok(Some(false)) => Some((key.to_string(), "still runs".to_owned())),
            Err(error) => Some((key.to_string(), error.to_string())),
        }
    });
    let outcomes: Vec<(String, String)> = join_all(ends).await.into_iter().flatten().collect();
    let (ended, left): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, how)| how == "ended");
    info!(ended = ended.len(), left = left.len(), "guests were stopped for the host's shutdown");
    for (guest, why) in &left {
        warn!(guest, why, "not stopped");
    }
    json!({
        "ended": ended.into_iter().map(|(guest, _)| guest).collect::<Vec<_>>(),
        "left": left.into_iter().map(|(guest, why)| format!("{guest}: {why}")).collect::<Vec<_>>(),
    })
}

/// `None`: it did not run.
async fn end(
    connection: &dyn Connection,
    uuid: Uuid,
    how: OnHostShutdown,
    deadline: Instant,
) -> ostler_driver::Result<Option<bool>> {
    let domains = domains(connection)?;
    let mut events: Events = connection.events();
    let is_active = async |uuid| domains.get(uuid).await.is_ok_and(|summary| summary.state.is_active());
    if !is_active(uuid).await {
        return Ok(None);
    }
    match how {
        // No driver saves memory yet; a guest that is shut down loses nothing either.
        OnHostShutdown::Shutdown | OnHostShutdown::Save => domains.shutdown(uuid).await?,
        OnHostShutdown::PowerOff => domains.destroy(uuid).await?,
    }
    while is_active(uuid).await {
        if timeout_at(deadline, events.recv()).await.is_err() {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
