//! Events for people, published beside the work: nobody waits for them.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::{FIELD_MANAGER, Owned};
use crate::source::EventKind;

/// Events that wait at once; more are dropped.
const BACKLOG: usize = 256;
/// The most that the API server takes of a note.
const NOTE_BYTES: usize = 1024;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The one recorder of this agent.
pub(super) struct Events {
    queue: mpsc::Sender<(ObjectReference, Event)>,
    _task: Owned,
}

impl Events {
    pub(super) fn start(client: Client, host: &str) -> Self {
        let recorder =
            Recorder::new(client, Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(host.to_owned()) });
        let (queue, mut events) = mpsc::channel::<(ObjectReference, Event)>(BACKLOG);
        let task = tokio::spawn(async move {
            while let Some((object, event)) = events.recv().await {
                match timeout(PATIENCE, recorder.publish(&event, &object)).await {
                    Ok(Ok(())) => {}
                    // An event that nobody saw is no reason to stop.
                    Ok(Err(error)) => debug!(%error, "an event was not published"),
                    Err(_) => debug!("an event was not published in time"),
                }
            }
        });
        Events { queue, _task: Owned(task) }
    }

    pub(super) fn publish(&self, object: ObjectReference, kind: EventKind, reason: &str, message: &str) {
        let type_ = match kind {
            EventKind::Normal => EventType::Normal,
            EventKind::Warning => EventType::Warning,
        };
        let end = (0..=NOTE_BYTES.min(message.len())).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(message[..end].to_owned()),
            action: reason.to_owned(),
            secondary: None,
        };
        if self.queue.try_send((object, event)).is_err() {
            debug!("an event was dropped: too many wait");
        }
    }
}
