//! The engine: turns what sources and drivers tell into reconciliations, one at a time for each object, many at once for
//! different ones, again after a while where they failed.
//!
//! There is no polling: an object is looked at when it changed, when something it refers to changed, when its driver
//! told of an event, or when it asked to be looked at again.

mod index;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use ostler_crds::{Kind, Object, ObjectRef};
use ostler_driver::{Event, NetworkEvent, PoolEvent};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, error, info_span, warn};

pub use index::Index;
pub(crate) use index::references;
use queue::Queue;

use crate::context::Context;
use crate::reconcile::{self, Again};
use crate::secrets;
use crate::source::{Source, SourceEvent};

/// Reconciliations at once. Most of their time is spent waiting for QEMU or the disk.
const CONCURRENCY: usize = 32;

/// The wait after a first failure; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A host sums up what is on it: what many objects tell within this time is summed up once.
const SUMMED_UP_WITHIN: Duration = Duration::from_millis(100);

/// How long it must have been quiet until what a burst of work needed is given back.
const QUIET: Duration = Duration::from_secs(3);

/// Runs until `source` ends or `stop` is told. Reconciliations under way are finished; no guest is touched by the end.
pub async fn run(context: Arc<Context>, mut source: Box<dyn Source>, mut stop: tokio::sync::watch::Receiver<bool>) {
    let (wake_sender, mut wakes) = mpsc::unbounded_channel();
    context.set_waker(wake_sender);
    let mut events = JoinSet::new();
    let (event_sender, mut driver_events) = mpsc::channel(1024);
    for receiver in context.driver_events() {
        events.spawn(forward(receiver, event_sender.clone()));
    }
    let mut queue = Queue::default();
    let mut running: JoinSet<(ObjectRef, Again)> = JoinSet::new();
    let mut started = false;
    let mut looks: u64 = 0;
    let mut trimmed_at = 0;
    loop {
        while started && running.len() < CONCURRENCY {
            let Some(key) = queue.pop() else { break };
            let context = context.clone();
            looks += 1;
            let span = info_span!("reconcile", object = %key, host = context.host, id = looks);
            running.spawn(async move { (key.clone(), reconcile::reconcile(&context, &key).await) }.instrument(span));
        }
        context.metrics.queue_depth(queue.len());
        tokio::select! {
            event = source.next() => match event {
                Some(SourceEvent::Started) => started = true,
                Some(SourceEvent::Synced) => {
                    started = true;
                    context.set_synced();
                    queue.push(context.host_ref());
                }
                Some(event) => take_source_event(&context, &mut queue, event),
                None => break,
            },
            Some(key) = wakes.recv() => match key.kind {
                Kind::Host => queue.push_within(key, SUMMED_UP_WITHIN),
                _ => queue.push(key),
            },
            Some(event) = driver_events.recv() => take_driver_event(&context, &mut queue, event).await,
            Some(done) = running.join_next(), if !running.is_empty() => match done {
                Ok((key, again)) => settle(&context, &mut queue, key, again),
                // A bug in one reconciliation must not stop the others; the object stays as it was.
                Err(error) => error!(%error, "a reconciliation panicked"),
            },
            () = queue.due(), if queue.has_timers() => {}
            () = tokio::time::sleep(QUIET), if running.is_empty() && looks > trimmed_at => {
                trimmed_at = looks;
                tokio::task::spawn_blocking(ostler_util::memory::give_back);
            }
            _ = stop.changed() => break,
        }
    }
    debug!(running = running.len(), "finishing what is under way");
    while running.join_next().await.is_some() {}
}

fn settle(context: &Context, queue: &mut Queue, key: ObjectRef, again: Again) {
    debug!(object = %key, ?again, "reconciled");
    match again {
        Again::No => queue.succeeded(&key, None),
        Again::After(wait) => queue.succeeded(&key, Some(wait)),
        Again::Failed(reason) => {
            let wait = queue.failed(&key, RETRY_FIRST, RETRY_MAX);
            context.metrics.failed(key.kind, reason);
            debug!(object = %key, ?wait, reason, "will try again");
        }
    }
}

fn take_source_event(context: &Context, queue: &mut Queue, event: SourceEvent) {
    match event {
        SourceEvent::Changed(object) => {
            let key = object.object_ref();
            let before = context.index().references_of(&key);
            let mut users = context.index().users_of(&key);
            let allowed = context.allowed();
            context.insert(*object);
            // What the host lets objects reach is news for all of them.
            if context.allowed() != allowed {
                context.all_refs().into_iter().for_each(|key| queue.push(key));
            }
            let after = context.index().references_of(&key);
            // Those that may use it no more, too.
            users.extend(context.index().users_of(&key));
            queue.push(key);
            users.into_iter().for_each(|key| queue.push(key));
            // Who uses something, but not what a user is like, matters to what is used.
            before.symmetric_difference(&after).for_each(|key| queue.push(key.clone()));
        }
        SourceEvent::Gone(key) => {
            let mut affected = context.index().users_of(&key);
            affected.extend(context.index().references_of(&key));
            context.remove(&key);
            affected.into_iter().for_each(|key| queue.push(key));
            queue.forget(&key);
            queue.push(context.host_ref());
        }
        SourceEvent::Secrets => {
            let keeps = |object: &Object| matches!(object, Object::Domain(domain) if !secrets::references(&domain.spec.domain).is_empty());
            let domains: Vec<_> = context
                .index()
                .of_kind(Kind::Domain)
                .filter(|object| keeps(object))
                .map(|object| object.object_ref())
                .collect();
            domains.into_iter().for_each(|key| queue.push(key));
        }
        SourceEvent::Problems(problems) => {
            context.set_source_problems(problems);
            queue.push(context.host_ref());
        }
        SourceEvent::Started | SourceEvent::Synced => {}
    }
}

async fn take_driver_event(context: &Context, queue: &mut Queue, event: DriverNews) {
    match event {
        DriverNews::Event(Event::Domain { uuid, .. }) => match context.domain_of(uuid) {
            Some(key) => queue.push(key),
            None => queue.push(context.host_ref()),
        },
        DriverNews::Event(Event::Network { name, event }) => {
            for key in context.named_on_host(Kind::Network, &name) {
                // A lease is news for the guests, a start for all, everything else for the network.
                if matches!(event, NetworkEvent::Leases | NetworkEvent::Started) {
                    context.index().users_of(&key).into_iter().for_each(|user| queue.push(user));
                }
                if event != NetworkEvent::Leases {
                    queue.push(key);
                }
            }
        }
        DriverNews::Event(Event::Pool { name, event }) => {
            for key in context.named_on_host(Kind::StoragePool, &name) {
                // Its status may say what it said before the agent's restart: volumes that came too early don't hear of it.
                if event == PoolEvent::Started {
                    context.index().users_of(&key).into_iter().for_each(|user| queue.push(user));
                }
                queue.push(key);
            }
        }
        DriverNews::Lagged => {
            warn!("driver events were lost: looking at everything again");
            context.all_refs().into_iter().for_each(|key| queue.push(key));
        }
    }
}

enum DriverNews {
    Event(Event),
    Lagged,
}

async fn forward(mut receiver: ostler_driver::Events, sender: mpsc::Sender<DriverNews>) {
    loop {
        let news = match receiver.recv().await {
            Ok(event) => DriverNews::Event(event),
            Err(broadcast::error::RecvError::Lagged(_)) => DriverNews::Lagged,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if sender.send(news).await.is_err() {
            return;
        }
    }
}

/// Whether an object's own change is all that can matter to it.
pub(crate) fn is_leaf(object: &Object) -> bool {
    matches!(object.kind(), Kind::Host | Kind::DomainOperation)
}
