//! Trust between API server and webhook: every replica serves the Secret's certificate; the leader makes and renews it, and
//! tells the API server whom to trust.
//!
//! A new certificate is served only after the API server trusts its CA: the bundle with both CAs is written first, then, a
//! while later, the Secret, which all replicas load when they see it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::{info, warn};

use super::certificates::{self, Step, bundle, certified_key};
use super::shared::{FIELD_MANAGER, Shared};
use super::watch::{Seen, TLS_SECRET, WEBHOOK_CONFIGURATION};
use crate::reconcile::chain;

/// How long the API servers have to learn of a new CA.
const SPREAD: Duration = Duration::from_secs(10);
/// When what failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// A timer's longest wait; then it is looked at once more.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What was found of both.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    secret: Option<Box<Secret>>,
    /// Whether it is known that there is no Secret, where there is none.
    secret_told: bool,
    webhooks: Option<Box<ValidatingWebhookConfiguration>>,
}

pub(super) fn secret_seen(found: &mut Found, seen: Seen<String, Box<Secret>>) {
    match seen {
        Seen::Begin => (found.secret, found.secret_told) = (None, false),
        Seen::There(_, _, secret) => found.secret = Some(secret),
        Seen::Gone(_) => found.secret = None,
        Seen::End => found.secret_told = true,
        Seen::Lost => {}
    }
}

pub(super) fn webhooks_seen(found: &mut Found, seen: Seen<String, Box<ValidatingWebhookConfiguration>>) {
    match seen {
        Seen::There(_, _, webhooks) => found.webhooks = Some(webhooks),
        Seen::Begin | Seen::Gone(_) => found.webhooks = None,
        Seen::End | Seen::Lost => {}
    }
}

/// The certificate that is served.
#[derive(Debug, Default)]
pub(super) struct Served(RwLock<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks after certificate and trust, for ever.
pub(super) async fn keep(
    shared: Arc<Shared>,
    served: Arc<Served>,
    names: Vec<String>,
    mut found: watch::Receiver<Found>,
    mut leading: watch::Receiver<bool>,
) {
    loop {
        let now_found = found.borrow_and_update().clone();
        let leads = *leading.borrow_and_update();
        serve(&shared, &served, &now_found);
        let wait = if leads && now_found.secret_told {
            renew(&shared, &now_found, &names).await.unwrap_or_else(|error| {
                warn!(error = %chain(&error), "look after the webhook's certificate");
                AGAIN
            })
        } else {
            LONGEST
        };
        tokio::select! {
            Ok(()) = found.changed() => {}
            Ok(()) = leading.changed() => {}
            () = tokio::time::sleep(wait.min(LONGEST)) => {}
        }
    }
}

fn serve(shared: &Shared, served: &Served, found: &Found) {
    let Some(secret) = &found.secret else { return };
    match certified_key(secret) {
        Ok(key) => {
            let mut place = served.0.write().unwrap_or_else(PoisonError::into_inner);
            if place.as_ref().is_none_or(|old| old.cert != key.cert) {
                info!("the webhook serves a new certificate");
                *place = Some(key);
            }
            shared.serves();
        }
        // The one from before is served on.
        Err(error) => warn!(error = %chain(&error), "the webhook's certificate can't be used"),
    }
}

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Certificate(#[from] certificates::Error),
    #[error("write the secret {TLS_SECRET}")]
    Secret(#[source] kube::Error),
    #[error("tell {WEBHOOK_CONFIGURATION} whom to trust")]
    Trust(#[source] kube::Error),
}

/// The leader's part. Gives when to look again.
async fn renew(shared: &Shared, found: &Found, names: &[String]) -> Result<Duration, Error> {
    let api: Api<Secret> = Api::namespaced(shared.client.clone(), &shared.namespace);
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let old = found.secret.as_deref();
    match certificates::step(old, names, Timestamp::now()) {
        Step::LeaveAlone => Ok(LONGEST),
        Step::Keep(wait) => {
            if let Some(bundle) = old.and_then(bundle) {
                trust(shared, found, bundle).await?;
            }
            Ok(wait)
        }
        Step::Make => {
            let made = certificates::make(TLS_SECRET, names, None, SystemTime::now())?;
            match api.create(&parameters, &made).await {
                Ok(_) => info!("made the webhook's first certificate"),
                // Made by us or another a moment ago: the watch is about to tell.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                Err(error) => return Err(Error::Secret(error)),
            }
            Ok(LONGEST)
        }
        Step::Rotate => {
            let made = certificates::make(TLS_SECRET, names, old, SystemTime::now())?;
            if let Some(bundle) = bundle(&made).filter(|_| found.webhooks.is_some()) {
                trust(shared, found, bundle).await?;
                tokio::time::sleep(SPREAD).await;
            }
            api.replace(TLS_SECRET, &parameters, &made).await.map_err(Error::Secret)?;
            info!("the webhook's certificate is renewed");
            Ok(LONGEST)
        }
    }
}

/// Tells the API server whom to trust, where it does not know yet. Without a configuration there is nobody to be told.
async fn trust(shared: &Shared, found: &Found, bundle: &ByteString) -> Result<(), Error> {
    let Some(patch) = found.webhooks.as_deref().and_then(|webhooks| trust_patch(webhooks, bundle)) else {
        return Ok(());
    };
    let api: Api<ValidatingWebhookConfiguration> = Api::all(shared.client.clone());
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(WEBHOOK_CONFIGURATION, &parameters, &Patch::Apply(patch)).await.map_err(Error::Trust)?;
    info!("the API server is told whom to trust");
    Ok(())
}

/// Our fields of the configuration; `None` if they are so already.
fn trust_patch(webhooks: &ValidatingWebhookConfiguration, bundle: &ByteString) -> Option<Value> {
    let all = webhooks.webhooks.as_deref().unwrap_or_default();
    if all.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref() == Some(bundle)) {
        return None;
    }
    let ours: Vec<Value> =
        all.iter().map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": bundle } })).collect();
    Some(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": WEBHOOK_CONFIGURATION },
        "webhooks": ours,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bundle_is_ours_and_it_is_written_once() {
        let mut webhooks: ValidatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": WEBHOOK_CONFIGURATION},
            "webhooks": [{"name": "validate.ostler.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"url": "https://127.0.0.1:1/validate"}}]
        }))
        .unwrap();
        let bundle = ByteString(b"ca".to_vec());
        let patch = trust_patch(&webhooks, &bundle).unwrap();
        assert_eq!(patch["webhooks"], json!([{"name": "validate.ostler.dev", "clientConfig": {"caBundle": "Y2E="}}]));
        webhooks.webhooks.as_mut().unwrap()[0].client_config.ca_bundle = Some(bundle.clone());
        assert_eq!(trust_patch(&webhooks, &bundle), None);
    }
}
