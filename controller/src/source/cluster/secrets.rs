//! What domains keep in Secrets, from the cluster's controller. The agent itself may read none.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhookConfiguration, WebhookClientConfig};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use ostler_conf::values::SecretKeyRef;
use ostler_crds::ObjectRef;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::reconcile::chain;
use crate::secrets::wire::{self, Answer, Question};
use crate::secrets::{Fetched, Keeper, OutOfReach};

/// How long the controller may take. Who needs its answer comes again.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks the controller, each time anew: its address, its CA and our token change.
pub struct FromController {
    /// The way to the API server, which tells where the controller is.
    pub client: Client,
    /// The file of our token for the controller, if there is one.
    pub token: Option<PathBuf>,
}

impl std::fmt::Debug for FromController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FromController").field("token", &self.token).finish_non_exhaustive()
    }
}

#[async_trait]
impl Keeper for FromController {
    async fn fetch(&self, domain: &ObjectRef, wanted: &[SecretKeyRef]) -> Result<Fetched, OutOfReach> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(domain)).await;
        let answer = asked.unwrap_or_else(|_| Err(Failure::Silent(PATIENCE)));
        answer.map(|answer| answer.of(wanted)).map_err(|failure| OutOfReach(chain(&failure)))
    }

    fn is_at_hand(&self) -> bool {
        false
    }
}

/// Why the controller gives nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the agent has no token for the controller: --controller-token names its file")]
    NoToken,
    #[error("find the controller by ValidatingWebhookConfiguration ostler-validate")]
    Find(#[source] kube::Error),
    #[error("ValidatingWebhookConfiguration ostler-validate does not tell {0}")]
    Untold(&'static str),
    #[error("the controller refuses ({reason}): {message}")]
    Refused { reason: String, message: String },
    #[error("ask the controller at {0}")]
    Ask(String, #[source] kube::Error),
    #[error("the controller does not answer within {0:?}")]
    Silent(Duration),
    #[error("the controller's answer is none")]
    NoAnswer,
}

impl FromController {
    async fn ask(&self, domain: &ObjectRef) -> Result<Answer, Failure> {
        let token = self.token.as_ref().ok_or(Failure::NoToken)?;
        let mut config = self.controller().await?;
        config.auth_info.token_file = Some(token.display().to_string());
        let address = config.cluster_url.to_string();
        let failed = |error| match error {
            kube::Error::Api(status) => {
                Failure::Refused { reason: status.reason.clone(), message: status.message.clone() }
            }
            error => Failure::Ask(address.clone(), error),
        };
        let question = Question { namespace: domain.namespace.clone(), name: domain.name.clone() };
        let body = serde_json::to_vec(&question).expect("a question has only text keys");
        let request = http::Request::post(wire::PATH)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .expect("the path and header are constants");
        let client = Client::try_from(config).map_err(failed)?;
        // Read here: kube's own reader logs what it can't read.
        let text = client.request_text(request).await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|_| Failure::NoAnswer)
    }

    /// The way to the controller: where the API server asks for admission, by the CA that it trusts for that.
    async fn controller(&self) -> Result<kube::Config, Failure> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let found = api.get(wire::CONFIGURATION).await.map_err(Failure::Find)?;
        let webhook = found.webhooks.unwrap_or_default().into_iter().next();
        let WebhookClientConfig { ca_bundle, service, url } =
            webhook.ok_or(Failure::Untold("any webhook"))?.client_config;
        let bundle = ca_bundle.ok_or(Failure::Untold("whom to trust yet"))?;
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bundle.0).collect();
        let authorities = authorities.map_err(|_| Failure::Untold("whom to trust, in PEM"))?;
        let (uri, name) = match (service, url) {
            (Some(service), _) => {
                let services: Api<Service> = Api::namespaced(self.client.clone(), &service.namespace);
                let found = services.get(&service.name).await.map_err(Failure::Find)?;
                let address = found.spec.and_then(|spec| spec.cluster_ip).filter(|address| address != "None");
                let address = address.ok_or(Failure::Untold("a service with an address"))?;
                // An agent has its host's names, not the cluster's.
                let host = if address.contains(':') { format!("[{address}]") } else { address };
                let name = format!("{}.{}.svc", service.name, service.namespace);
                (format!("https://{host}:{}", service.port.unwrap_or(443)), Some(name))
            }
            (None, Some(url)) => (url, None),
            (None, None) => return Err(Failure::Untold("where the controller is")),
        };
        let uri: http::Uri = uri.parse().map_err(|_| Failure::Untold("an address"))?;
        let authority = uri.authority().ok_or(Failure::Untold("an address"))?;
        let server = format!("https://{authority}").parse().map_err(|_| Failure::Untold("an address"))?;
        let mut config = kube::Config::new(server);
        config.root_cert = Some(authorities.into_iter().map(|one| one.to_vec()).collect());
        config.tls_server_name = name;
        Ok(config)
    }
}
