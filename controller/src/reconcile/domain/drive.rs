//! Carries out a plan.

use ostler_crds::ObjectRef;
use ostler_driver::{DomainState, Domains, Error, LifecycleEvent, Result, Secrets, StartOptions};
use tracing::info;
use uuid::Uuid;

use crate::context::Context;
use crate::plan::{Action, Plan, Verdict};
use crate::source::EventKind;

/// Runs the plan's steps in order; the first that fails ends it, and the next plan goes on from there.
pub(super) async fn drive(
    context: &Context,
    key: &ObjectRef,
    domains: &dyn Domains,
    uuid: Uuid,
    definition: &ostler_conf::Domain,
    secrets: &Secrets,
    plan: &Plan,
) -> Result<()> {
    for action in &plan.actions {
        match action {
            Action::Define => {
                domains.define(definition).await?;
            }
            Action::Change(change) => domains.change(uuid, change).await?,
            Action::OnReboot(action) => domains.set_lifecycle_action(uuid, LifecycleEvent::Reboot, *action).await?,
            Action::Start => {
                context.set_shutdown_asked(key, false);
                note(context, uuid, secrets).await?;
                domains.start(uuid, StartOptions { secrets: secrets.clone(), ..StartOptions::default() }).await?;
                tell(context, key, "Started", "the guest was started").await;
            }
            Action::Shutdown => {
                let is_first = context.shutdown_asked(key).is_none();
                context.set_shutdown_asked(key, true);
                domains.shutdown(uuid).await?;
                if is_first {
                    tell(context, key, "ShuttingDown", "the guest was asked to shut down").await;
                }
            }
            Action::Destroy => {
                domains.destroy(uuid).await?;
                context.set_shutdown_asked(key, false);
                tell(context, key, "PoweredOff", "the guest was ended").await;
            }
            Action::Reboot => domains.reboot(uuid).await?,
            Action::Reset => domains.reset(uuid).await?,
            Action::Suspend => domains.suspend(uuid).await?,
            Action::Resume => domains.resume(uuid).await?,
        }
    }
    let wants_end = matches!(plan.verdict, Verdict::ShuttingDown | Verdict::ShutdownIgnored);
    let is_off = domains.get(uuid).await.map_or(true, |summary| matches!(summary.state, DomainState::Shutoff(_)));
    if !wants_end || is_off {
        context.set_shutdown_asked(key, false);
    }
    Ok(())
}

/// Notes what the guest is started with, before it is.
async fn note(context: &Context, uuid: Uuid, secrets: &Secrets) -> Result<()> {
    let (noted, secrets) = (context.noted.clone(), secrets.clone());
    let saved = tokio::task::spawn_blocking(move || noted.save(uuid, &secrets)).await.map_err(std::io::Error::other);
    saved.flatten().map_err(|error| Error::system("note what the guest is started with", error))
}

async fn tell(context: &Context, key: &ObjectRef, reason: &str, message: &str) {
    info!(object = %key, reason, "{message}");
    context.event(key, EventKind::Normal, reason, message).await;
}
