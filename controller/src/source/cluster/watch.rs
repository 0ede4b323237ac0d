//! A watch of the API server, told to the feed for as long as the agent lives.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Error};
use ostler_crds::{GROUP, Kind, VERSION};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{debug, info};

use super::feed::{Told, Watched};
use super::pump::Message;

/// The longest that a watch goes without being begun anew by the server, in seconds, and the least: those of many agents that began
/// at the same moment don't end at the same moment.
const WATCH_SECONDS: u32 = 280;
const WATCH_SECONDS_MIN: u32 = 200;
/// The waits between two tries.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// A server that refuses a list by watch so often does not know it.
const REFUSALS: u32 = 2;

/// Objects of a kind, to all namespaces or to one.
pub(super) fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    let resource = resource(kind);
    if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    }
}

fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        api_version: ostler_crds::API_VERSION.to_owned(),
        kind: kind.name().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

/// An object of the API server as plain JSON, without what only the server needs.
pub(super) fn plain(kind: Kind, mut object: DynamicObject) -> Value {
    object.metadata.managed_fields = None;
    object.types =
        Some(kube::core::TypeMeta { api_version: ostler_crds::API_VERSION.to_owned(), kind: kind.name().to_owned() });
    serde_json::to_value(object).unwrap_or_default()
}

/// Watches until nobody listens any more.
///
/// Flow: 1. all objects by a watch, or by a list where the server refuses that; 2. changes, resumed where they broke off; 3. all
/// anew where the server forgot the place.
pub(super) async fn run(client: Client, watched: Watched, host: String, tell: mpsc::Sender<Message>) {
    let (kind, namespace, selector) = match &watched {
        Watched::Claimed(kind) => (*kind, "", format!("status.host={host}")),
        Watched::Named(key) => (key.kind, key.namespace.as_str(), format!("metadata.name={}", key.name)),
    };
    let api = api(&client, kind, namespace);
    let seconds = between(WATCH_SECONDS_MIN, WATCH_SECONDS);
    let (mut by_watch, mut failures, mut refusals) = (true, 0, 0);
    loop {
        let config = watcher::Config::default().fields(&selector).timeout(seconds);
        let config = if by_watch { config.streaming_lists() } else { config };
        let mut events = pin!(watcher(api.clone(), config));
        let mut complete = false;
        while let Some(event) = events.next().await {
            let told = match event {
                Ok(event) => {
                    failures = 0;
                    told(kind, event)
                }
                Err(error) => {
                    debug!(?watched, %error, "a watch broke off");
                    if by_watch && !complete && is_refusal(&error) {
                        refusals += 1;
                        if refusals >= REFUSALS {
                            info!(?watched, "the API server lists nothing by watch: listing first");
                            by_watch = false;
                            break;
                        }
                    }
                    if tell.send(Message::Waiting(error.to_string())).await.is_err() {
                        return;
                    }
                    let wait = RETRY_FIRST.saturating_mul(1 << u32::min(failures, 10)).min(RETRY_MAX);
                    failures += 1;
                    tokio::time::sleep(super::jittered(wait)).await;
                    continue;
                }
            };
            complete |= matches!(told, Told::ListDone);
            if tell.send(Message::Watch(watched.clone(), told)).await.is_err() {
                return;
            }
        }
    }
}

/// A number from `least` to `most`, by chance.
fn between(least: u32, most: u32) -> u32 {
    let random = u32::try_from(uuid::Uuid::new_v4().as_u128() & 0xffff).unwrap_or_default();
    least + random % (most - least + 1)
}

fn told(kind: Kind, event: Event<DynamicObject>) -> Told {
    match event {
        Event::Init => Told::Restarted,
        Event::InitApply(object) => Told::Listed(plain(kind, object)),
        Event::InitDone => Told::ListDone,
        Event::Apply(object) => Told::Changed(plain(kind, object)),
        Event::Delete(object) => Told::Gone(plain(kind, object)),
    }
}

/// Whether the server understood, and won't.
fn is_refusal(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(Error::Api(status)) = error else { return false };
    matches!(status.code, 400 | 405 | 406 | 422 | 501)
}
