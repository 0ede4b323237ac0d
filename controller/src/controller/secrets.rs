//! Hands agents what their domains keep in Secrets.
//!
//! 1. The token that comes along is reviewed, for our audience;
//! 2. it must be the agents' own account's,
//! 3. and bound to a node;
//! 4. the node's host, read anew, must not be fenced: nothing is to run there;
//! 5. the domain, read anew, must be claimed by that node;
//! 6. only what its spec refers to, in its own namespace, is given.
//!
//! What is refused has a reason, and tells no more of a domain that is another's than of one that does not exist.

use std::collections::BTreeMap;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use ostler_crds::{Domain, Host};
use serde_json::json;
use tracing::{debug, info};

use super::shared::Shared;
use crate::reconcile::chain;
use crate::secrets::wire::{AUDIENCE, Answer, Question};
use crate::secrets::{Fetched, references};

/// The longest question.
const QUESTION_MAX: usize = 4096;
/// Where a token says on which node its pod is.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// The account of agents, in the controller's namespace.
const AGENT: &str = "ostler-agent";

/// Why nothing is handed out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the request has no token: 'Authorization: Bearer …', for the audience ostler-controller, is expected")]
    NoToken,
    #[error("the token is not accepted for the audience ostler-controller: {0}")]
    TokenRefused(String),
    #[error("'{user}' is not the account of agents, which is '{expected}'")]
    NotAnAgent { user: String, expected: String },
    #[error("the token is bound to no node")]
    NoNode,
    #[error("the question can't be read: a domain's namespace and name are expected")]
    BadQuestion,
    #[error("the host '{0}' is fenced: nothing runs there")]
    Fenced(String),
    #[error("node '{node}' holds no claim on a domain {namespace}/{name}")]
    NotClaimed { node: String, namespace: String, name: String },
    #[error("{what}")]
    Unavailable {
        what: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
}

impl Refusal {
    /// HTTP's code and the reason.
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Refusal::NoToken => (StatusCode::UNAUTHORIZED, "NoToken"),
            Refusal::TokenRefused(_) => (StatusCode::UNAUTHORIZED, "TokenRefused"),
            Refusal::NotAnAgent { .. } => (StatusCode::FORBIDDEN, "NotAnAgent"),
            Refusal::NoNode => (StatusCode::FORBIDDEN, "NoNode"),
            Refusal::BadQuestion => (StatusCode::BAD_REQUEST, "BadQuestion"),
            Refusal::Fenced(_) => (StatusCode::FORBIDDEN, "Fenced"),
            Refusal::NotClaimed { .. } => (StatusCode::FORBIDDEN, "NotClaimed"),
            Refusal::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        }
    }
}

/// Answers a question, or says why not.
pub(super) async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let (code, body) = match hand_out(request, shared).await {
        Ok(answer) => (StatusCode::OK, serde_json::to_vec(&answer)),
        Err(refusal) => {
            let ((code, reason), message) = (refusal.code(), chain(&refusal));
            info!(reason, message, "no secrets are handed out");
            let status = json!({
                "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
                "reason": reason, "message": message, "code": code.as_u16(),
            });
            (code, serde_json::to_vec(&status))
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body.expect("our types have only text keys"))));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn hand_out(request: Request<Incoming>, shared: &Shared) -> Result<Answer, Refusal> {
    let token = bearer(request.headers()).ok_or(Refusal::NoToken)?;
    let node = node_of(review(shared, token).await?, &shared.namespace)?;
    let body = Limited::new(request.into_body(), QUESTION_MAX).collect().await.map_err(|_| Refusal::BadQuestion)?;
    let question: Question = serde_json::from_slice(&body.to_bytes()).map_err(|_| Refusal::BadQuestion)?;
    if is_fenced(shared, &node).await? {
        return Err(Refusal::Fenced(node));
    }
    let domain = claimed(shared, &question, &node).await?;
    let fetched = fetch(shared, &question.namespace, &domain).await?;
    debug!(node, namespace = question.namespace, name = question.name, ?fetched, "secrets are handed out");
    Ok(Answer::from(&fetched))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

async fn review(shared: &Shared, token: String) -> Result<TokenReviewStatus, Refusal> {
    let spec = TokenReviewSpec { audiences: Some(vec![AUDIENCE.to_owned()]), token: Some(token) };
    let review = TokenReview { metadata: ObjectMeta::default(), spec, status: None };
    let api: Api<TokenReview> = Api::all(shared.client.clone());
    let reviewed = api.create(&PostParams::default(), &review).await.map_err(unavailable("review the token"))?;
    Ok(reviewed.status.unwrap_or_default())
}

fn unavailable(what: &'static str) -> impl FnOnce(kube::Error) -> Refusal {
    move |source| Refusal::Unavailable { what, source: Box::new(source) }
}

/// The node whose agent a reviewed token is.
fn node_of(review: TokenReviewStatus, namespace: &str) -> Result<String, Refusal> {
    let TokenReviewStatus { audiences, authenticated, error, user } = review;
    let is_ours = audiences.iter().flatten().any(|audience| audience == AUDIENCE);
    if authenticated != Some(true) || !is_ours {
        return Err(Refusal::TokenRefused(error.unwrap_or_else(|| "it is another's".to_owned())));
    }
    let user = user.unwrap_or_default();
    let (name, expected) = (user.username.unwrap_or_default(), format!("system:serviceaccount:{namespace}:{AGENT}"));
    if name != expected {
        return Err(Refusal::NotAnAgent { user: name, expected });
    }
    let node = user.extra.unwrap_or_default().remove(NODE_NAME).unwrap_or_default();
    node.into_iter().find(|node| !node.is_empty()).ok_or(Refusal::NoNode)
}

async fn is_fenced(shared: &Shared, node: &str) -> Result<bool, Refusal> {
    let api: Api<Host> = Api::all(shared.client.clone());
    let host = api.get_opt(node).await.map_err(unavailable("read the host"))?;
    Ok(host.is_some_and(|host| host.spec.fenced || host.status.is_some_and(|status| status.fence.is_some())))
}

/// The domain, if the node holds its claim. It is not taken from what we watch: a claim may just have been lost.
async fn claimed(shared: &Shared, question: &Question, node: &str) -> Result<Domain, Refusal> {
    let Question { namespace, name } = question;
    let api: Api<Domain> = Api::namespaced(shared.client.clone(), namespace);
    let found = match is_name(namespace) && is_name(name) {
        true => api.get_opt(name).await.map_err(unavailable("read the domain"))?,
        false => return Err(Refusal::BadQuestion),
    };
    let is_held = |domain: &Domain| domain.status.as_ref().and_then(|status| status.host.as_deref()) == Some(node);
    found.filter(is_held).ok_or_else(|| Refusal::NotClaimed {
        node: node.to_owned(),
        namespace: namespace.clone(),
        name: name.clone(),
    })
}

/// Names become part of a path.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

async fn fetch(shared: &Shared, namespace: &str, domain: &Domain) -> Result<Fetched, Refusal> {
    let api: Api<Secret> = Api::namespaced(shared.client.clone(), namespace);
    let mut read: BTreeMap<String, Option<BTreeMap<String, Vec<u8>>>> = BTreeMap::new();
    let mut fetched = Fetched::default();
    for (_, place) in references(&domain.spec.domain) {
        // No Secret has such a name, and what would be asked for is something else.
        let is_name = place.name.split('.').all(is_name);
        if is_name && !read.contains_key(&place.name) {
            let found = api.get_opt(&place.name).await.map_err(unavailable("read a Secret"))?;
            let data = |secret: Secret| secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
            read.insert(place.name.clone(), found.map(|secret| data(secret).collect()));
        }
        fetched.take(&place, |name| read.get(name).and_then(Option::as_ref));
    }
    Ok(fetched)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(value: serde_json::Value) -> TokenReviewStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_an_agents_token_of_a_node_for_this_audience_tells_a_node() {
        let agent = "system:serviceaccount:sys:ostler-agent";
        let of = |authenticated: bool, audience: &str, user: &str, extra: serde_json::Value| {
            let status = json!({
                "authenticated": authenticated, "audiences": [audience], "user": {"username": user, "extra": extra},
            });
            node_of(review(status), "sys").map_err(|refusal| refusal.code().1)
        };
        let node = || json!({ NODE_NAME: ["node-a"] });
        assert_eq!(of(true, AUDIENCE, agent, node()), Ok("node-a".to_owned()));
        for (authenticated, audience, user, extra, reason) in [
            (false, AUDIENCE, agent, node(), "TokenRefused"),
            (true, "https://kubernetes.default.svc", agent, node(), "TokenRefused"),
            (true, AUDIENCE, "system:serviceaccount:shop:ostler-agent", node(), "NotAnAgent"),
            (true, AUDIENCE, "system:serviceaccount:sys:default", node(), "NotAnAgent"),
            (true, AUDIENCE, "system:node:node-a", node(), "NotAnAgent"),
            (true, AUDIENCE, agent, json!({}), "NoNode"),
            (true, AUDIENCE, agent, json!({ NODE_NAME: [""] }), "NoNode"),
        ] {
            assert_eq!(of(authenticated, audience, user, extra), Err(reason), "{user} {audience}");
        }
        assert_eq!(node_of(TokenReviewStatus::default(), "sys").unwrap_err().code().1, "TokenRefused");
    }

    #[test]
    fn a_token_is_taken_from_its_header_only() {
        let header = |value: &str| bearer(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]));
        assert_eq!(header("Bearer abc"), Some("abc".to_owned()));
        assert_eq!((header("Basic abc"), header("Bearer "), bearer(&HeaderMap::new())), (None, None, None));
    }
}
