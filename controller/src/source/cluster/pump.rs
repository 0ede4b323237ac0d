//! Carries out what the feed decides, in its order: keeps objects on this host, begins and ends watches, tells the engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use ostler_crds::{Kind, Object, ObjectRef};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{info, warn};
use uuid::Uuid;

use super::deletions::Deletions;
use super::feed::{Feed, Step, Told, Watched};
use super::newness::{self, Deletion};
use super::sink::Cluster;
use super::{Config, known_crds, watch};
use crate::source::{Sink, SourceEvent};

/// How long the API server may take to tell all at the start before this host goes on from what it kept.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the pump hears.
#[derive(Debug)]
pub(super) enum Message {
    /// From a watch.
    Watch(Watched, Told),
    /// The API server can't be asked, or is not what this agent needs: whoever says so tries again.
    Waiting(String),
    /// It is: the watches can begin.
    Ready,
    /// It is another cluster than it was: nothing that this agent knows holds there.
    OtherCluster,
    /// What a CRD says of the deletions that waited for it.
    Deletion(Kind, Deletion),
    /// The engine carries a definition out no more.
    Released(ObjectRef),
}

#[derive(Debug)]
pub(super) struct Pump {
    client: ClientHolder,
    host: String,
    owner: Uuid,
    state_dir: std::path::PathBuf,
    cluster: Cluster,
    feed: Feed,
    deletions: Deletions,
    news: mpsc::Sender<Message>,
    tell: mpsc::Sender<SourceEvent>,
    watches: HashMap<Watched, AbortHandle>,
    tasks: JoinSet<()>,
    ready: bool,
}

/// A client has nothing to show.
struct ClientHolder(Client);

impl std::fmt::Debug for ClientHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Pump {
    pub(super) fn new(
        config: &Config,
        owner: Uuid,
        cluster: Cluster,
        kept: Vec<Object>,
        news: mpsc::Sender<Message>,
        tell: mpsc::Sender<SourceEvent>,
    ) -> Self {
        Pump {
            client: ClientHolder(config.client.clone()),
            host: config.host.clone(),
            owner,
            state_dir: config.state_dir.clone(),
            cluster,
            feed: Feed::new(&config.host, kept),
            deletions: Deletions::default(),
            news,
            tell,
            watches: HashMap::new(),
            tasks: JoinSet::new(),
            ready: false,
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let (client, news, owner) = (self.client.0.clone(), self.news.clone(), self.owner);
        let state_dir = self.state_dir.clone();
        self.tasks.spawn(async move {
            // Said again while it lasts: one that finds the channel full is no loss.
            known_crds::wait_for_crds(&client, &state_dir, |why| drop(news.try_send(Message::Waiting(why)))).await;
            if newness::cluster_id(&client).await != owner {
                // Guests of the other cluster go on; they belong to nobody here.
                warn!("this is another cluster than the one this host belonged to: the agent must start anew");
                if let Err(error) = super::forget_owner(&state_dir) {
                    warn!(%error, "the old cluster's id can't be removed");
                }
                let _ = news.send(Message::OtherCluster).await;
                return;
            }
            // Nobody listens: the agent ends.
            let _ = news.send(Message::Ready).await;
        });
        let steps = self.feed.begin();
        if !self.carry_out(steps).await {
            return;
        }
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        let mut patient = true;
        loop {
            let steps = tokio::select! {
                message = messages.recv() => {
                    match message {
                        None | Some(Message::OtherCluster) => return,
                        Some(message) => self.hear(message),
                    }
                }
                () = &mut patience, if patient => {
                    patient = false;
                    self.begin_from_kept("it has not told all yet")
                }
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => Vec::new(),
            };
            if !self.carry_out(steps).await {
                return;
            }
        }
    }

    fn hear(&mut self, message: Message) -> Vec<Step> {
        match message {
            // What an ended watch still had to say is not heard.
            Message::Watch(watched, _) if !self.watches.contains_key(&watched) => Vec::new(),
            Message::Watch(watched, told) => self.feed.take(&watched, told),
            Message::OtherCluster => Vec::new(),
            Message::Waiting(why) => self.begin_from_kept(&why),
            Message::Ready => {
                self.ready = true;
                let waiting: Vec<Watched> = self.feed.watches();
                waiting.into_iter().for_each(|watched| self.begin_watch(watched));
                Vec::new()
            }
            Message::Deletion(kind, answer) => {
                let (keys, again) = self.deletions.answered(kind);
                if again {
                    self.ask_for_deletions(kind);
                }
                let steps = |key: ObjectRef| match answer {
                    Deletion::Meant => self.feed.deletion_is_meant(&key),
                    Deletion::WithItsCrd => {
                        info!(object = %key, "its CRD is being deleted: what it stands for stays as it is");
                        vec![Step::LetGo(key)]
                    }
                };
                keys.into_iter().flat_map(steps).collect()
            }
            Message::Released(key) => self.feed.release(&key),
        }
    }

    fn begin_from_kept(&mut self, why: &str) -> Vec<Step> {
        let steps = self.feed.begin_from_kept();
        if steps.len() > 1 {
            info!(why, objects = steps.len() - 1, "the API server is away: going on from what this host kept");
        }
        steps
    }

    fn begin_watch(&mut self, watched: Watched) {
        if !self.ready || self.watches.contains_key(&watched) {
            return;
        }
        let task = watch::run(self.client.0.clone(), watched.clone(), self.host.clone(), self.news.clone());
        let handle = self.tasks.spawn(task);
        self.watches.insert(watched, handle);
    }

    /// `false`: the engine has ended.
    async fn carry_out(&mut self, steps: Vec<Step>) -> bool {
        for step in steps {
            match step {
                Step::Tell(event) => {
                    if self.tell.send(self.cluster.with_our_status(event)).await.is_err() {
                        return false;
                    }
                }
                Step::Seen(key, value) => self.cluster.seen(&key, *value),
                Step::Keep(key, value) => self.cluster.keep(&key, *value).await,
                Step::Forget(key) => self.cluster.forget(&key).await,
                Step::Refuse(key, refusal) => self.cluster.refuse(&key, refusal),
                Step::Allow(key) => self.cluster.allow(&key),
                Step::AskForDeletion(key) => {
                    let kind = key.kind;
                    if self.deletions.add(key) {
                        self.ask_for_deletions(kind);
                    }
                }
                Step::LetGo(key) => self.let_go(key),
                Step::Watch(key) => self.begin_watch(Watched::Named(key)),
                Step::Unwatch(key) => {
                    if let Some(handle) = self.watches.remove(&Watched::Named(key)) {
                        handle.abort();
                    }
                }
            }
        }
        true
    }

    fn ask_for_deletions(&mut self, kind: Kind) {
        let (client, news) = (self.client.0.clone(), self.news.clone());
        self.tasks.spawn(async move {
            let answer = newness::deletion(&client, kind).await;
            // Nobody listens: the agent ends.
            let _ = news.send(Message::Deletion(kind, answer)).await;
        });
    }

    /// Takes our finalizer off, however long that takes; nothing on this host changes.
    fn let_go(&mut self, key: ObjectRef) {
        if !matches!(key.kind, Kind::Domain | Kind::StorageVolume) {
            return;
        }
        let cluster = Arc::new(self.cluster.clone());
        self.tasks.spawn(async move {
            while let Err(error) = cluster.finalize(&key).await {
                warn!(object = %key, %error, "the finalizer could not be taken off yet");
                tokio::time::sleep(super::jittered(Duration::from_secs(5))).await;
            }
        });
    }
}
