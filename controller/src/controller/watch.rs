//! The watches: what the API server tells, trimmed, into one channel.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use ostler_crds::{GROUP, Kind, Object, ObjectRef, VERSION};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tracing::warn;

use super::quota::Limits;
use super::world::{Node, Pod};
use crate::source::cluster::wait_for_crds;

/// The name of an agent's Lease begins so; its host's name follows.
pub(super) const AGENT_LEASE: &str = "ostler-host-";
/// The label that tells what a pod of the chart is, and its value for the one that books the guests' share of its node.
const COMPONENT: &str = "app.kubernetes.io/component";
const PLACEHOLDER: &str = "placeholder";
/// The webhook's certificate.
pub(super) const TLS_SECRET: &str = "ostler-webhook-tls";
/// The webhook's configuration.
pub(super) const WEBHOOK_CONFIGURATION: &str = "ostler-validate";

/// What a watch of things named `K` tells.
#[derive(Debug)]
pub(super) enum Seen<K, V> {
    /// All are told anew.
    Begin,
    /// One is there, in this version.
    There(K, u64, V),
    /// One is gone.
    Gone(K),
    /// All were told.
    End,
    /// The server can't be heard; what it told stays.
    Lost,
}

/// What is told.
#[derive(Debug)]
pub(super) enum Told {
    Object(Kind, Seen<ObjectRef, Box<Object>>),
    Node(Seen<String, Node>),
    Pod(Seen<(String, String), Pod>),
    Namespace(Seen<String, BTreeMap<String, String>>),
    Quota(Seen<(String, String), Limits>),
    Agent(Seen<String, ()>),
    Secret(Seen<String, Box<core::Secret>>),
    Webhooks(Seen<String, Box<ValidatingWebhookConfiguration>>),
}

/// What we know of a kind, for the API server.
pub(super) fn resource(kind: Kind) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, kind.name()), kind.plural())
}

/// Starts all watches, as soon as the CRDs are as new as we are: what an older one does not know would be lost in our writes.
/// None of them ends by itself.
pub(super) fn start(tasks: &mut JoinSet<&'static str>, client: &Client, namespace: &str, to: &Sender<Told>) {
    let (open, gate) = channel::channel(false);
    let to = &Way { gate, to: to.clone() };
    let crds = client.clone();
    tasks.spawn(async move {
        wait_for_crds(&crds, |_| {}).await;
        let _ = open.send(true);
        std::future::pending().await
    });
    let all = watcher::Config::default;
    for kind in Kind::ALL.iter().copied() {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind));
        let there = move |object: DynamicObject| {
            let namespace = object.namespace().unwrap_or_default();
            let key = ObjectRef::new(kind, namespace, object.name_any());
            let value = serde_json::to_value(object).unwrap_or_default();
            match Object::from_value(kind, &value) {
                Ok(object) => Some((key, Box::new(object))),
                Err(error) => {
                    warn!(object = %key, %error, "an object of a form that is not known here is left alone");
                    None
                }
            }
        };
        follow(tasks, kind.plural(), api, all(), to, move |seen| Told::Object(kind, seen), there);
    }
    let nodes: Api<core::Node> = Api::all(client.clone());
    follow(tasks, "nodes", nodes, all(), to, Told::Node, |node| Some((node.name_any(), Node::from(node))));
    let namespaces: Api<core::Namespace> = Api::all(client.clone());
    follow(tasks, "namespaces", namespaces, all(), to, Told::Namespace, |namespace| {
        Some((namespace.name_any(), namespace.metadata.labels.unwrap_or_default()))
    });
    let quotas: Api<core::ResourceQuota> = Api::all(client.clone());
    follow(tasks, "resourcequotas", quotas, all(), to, Told::Quota, |quota| {
        Some(((quota.namespace().unwrap_or_default(), quota.name_any()), Limits::from(quota)))
    });
    let pods: Api<core::Pod> = Api::all(client.clone());
    let placed = all().fields("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");
    let ours = namespace.to_owned();
    follow(tasks, "pods", pods, placed, to, Told::Pod, move |pod| {
        let key = (pod.namespace().unwrap_or_default(), pod.name_any());
        // Only the chart makes pods in its namespace.
        let is_placeholder = key.0 == ours && pod.labels().get(COMPONENT).is_some_and(|it| it == PLACEHOLDER);
        Some((key, Pod { is_placeholder, ..Pod::from(pod) }))
    });
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    // A connection that has silently died must be noticed long before an agent could be thought dead.
    follow(tasks, "leases", leases, all().timeout(30), to, Told::Agent, |lease| {
        Some((lease.name_any().strip_prefix(AGENT_LEASE)?.to_owned(), ()))
    });
    let secrets: Api<core::Secret> = Api::namespaced(client.clone(), namespace);
    let named = |name: &str| all().fields(&format!("metadata.name={name}"));
    follow(tasks, "secrets", secrets, named(TLS_SECRET), to, Told::Secret, |secret| {
        Some((secret.name_any(), Box::new(secret)))
    });
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    follow(
        tasks,
        "validatingwebhookconfigurations",
        webhooks,
        named(WEBHOOK_CONFIGURATION),
        to,
        Told::Webhooks,
        |found| Some((found.name_any(), Box::new(found))),
    );
}

/// The way to who is told.
#[derive(Clone)]
struct Way {
    gate: channel::Receiver<bool>,
    to: Sender<Told>,
}

/// Follows one watch. `there` gives an object's name and what is kept of it, or nothing.
fn follow<T, K, V>(
    tasks: &mut JoinSet<&'static str>,
    what: &'static str,
    api: Api<T>,
    config: watcher::Config,
    way: &Way,
    told: impl Fn(Seen<K, V>) -> Told + Send + 'static,
    there: impl Fn(T) -> Option<(K, V)> + Send + 'static,
) where
    T: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K: Send,
    V: Send,
{
    let Way { mut gate, to } = way.clone();
    tasks.spawn(async move {
        if gate.wait_for(|is_open| *is_open).await.is_err() {
            return what;
        }
        let mut stream = watch(api, config).default_backoff().boxed();
        while let Some(event) = stream.next().await {
            let seen = match event {
                Ok(Event::Init) => Some(Seen::Begin),
                Ok(Event::InitDone) => Some(Seen::End),
                Ok(Event::Apply(mut object) | Event::InitApply(mut object)) => {
                    object.meta_mut().managed_fields = None;
                    let version = object.meta().resource_version.as_deref().and_then(|text| text.parse().ok());
                    there(object).map(|(key, value)| Seen::There(key, version.unwrap_or(0), value))
                }
                Ok(Event::Delete(object)) => there(object).map(|(key, _)| Seen::Gone(key)),
                Err(error) => {
                    warn!(kind = what, error = %crate::reconcile::chain(&error), "the watch is interrupted");
                    Some(Seen::Lost)
                }
            };
            if let Some(seen) = seen
                && to.send(told(seen)).await.is_err()
            {
                break;
            }
        }
        what
    });
}
