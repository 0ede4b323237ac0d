//! The behaviour suite that every driver runs (feature `behaviour`).
//!
//! A driver's test gives a [`Subject`]; [`run`] then tries each [`Trial`] whose features the driver declares, and for each
//! feature that it doesn't declare checks that the calls return `NoSupport`. A trial leaves nothing behind: the
//! suite looks after each whether domains, networks, pools and ports are as before.

// A trial that fails panics, as tests do.
#![allow(clippy::unwrap_used, reason = "these are tests, in a library so that all drivers share them")]

mod domains;
mod networks;
mod refusals;
mod storage;
mod wait;

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use ostler_conf::{Domain, Network, StoragePool};
use uuid::Uuid;

use crate::{Connection, Feature};

/// A driver that is tried.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the driver, at the same place each time: what was stored and what runs is found again.
    async fn open(&self) -> Arc<dyn Connection>;

    /// A definition that the driver can start: without uuid, with one disk `vda` on a file and no interface.
    fn domain(&self, name: &str) -> Domain;

    /// Makes a guest ignore being asked to shut down, where it doesn't do so anyway.
    async fn deafen(&self, _uuid: Uuid) {}

    /// A network that the driver can start.
    fn network(&self, name: &str) -> Network {
        let text = format!(
            "<network><name>{name}</name><forward mode='nat'/><ip address='10.99.7.1' prefix='24'>\
             <dhcp><range start='10.99.7.10' end='10.99.7.20'/></dhcp></ip></network>"
        );
        ostler_conf::parse::<Network>(&text).unwrap().strict().unwrap()
    }

    /// A pool that the driver can start, in a folder of its own choice.
    fn pool(&self, name: &str) -> StoragePool {
        StoragePool { name: name.to_owned(), ..StoragePool::default() }
    }
}

/// What a trial works with.
pub(crate) struct Stage<'a> {
    subject: &'a dyn Subject,
    /// Absent only while the agent restarts.
    open: Option<Arc<dyn Connection>>,
}

impl Stage<'_> {
    /// The agent ends and the next one starts.
    async fn restart(&mut self) {
        // Dropped before the next is opened: two agents are never at work at once.
        self.open.take().expect("an agent is at work").close().await.unwrap();
        self.open = Some(self.subject.open().await);
    }

    fn connection(&self) -> &Arc<dyn Connection> {
        self.open.as_ref().expect("an agent is at work")
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One thing that every driver with these features does alike.
#[derive(Debug)]
pub struct Trial {
    /// What it shows, as a sentence.
    pub name: &'static str,
    /// The features it needs.
    pub features: &'static [Feature],
    run: for<'a> fn(&'a mut Stage<'_>) -> Running<'a>,
}

/// Declares trials: `name: [features] => function;`
macro_rules! declare {
    ($($function:ident: [$($feature:ident),*];)*) => {
        /// The trials of this file.
        pub(super) const TRIALS: &[super::Trial] = &[
            $(super::Trial {
                name: stringify!($function),
                features: &[$(crate::Feature::$feature),*],
                run: |stage| Box::pin($function(stage)),
            },)*
        ];
    };
}
use declare;

/// All trials.
pub fn trials() -> impl Iterator<Item = &'static Trial> {
    [domains::TRIALS, networks::TRIALS, storage::TRIALS].into_iter().flatten()
}

/// What was tried.
#[derive(Debug, Default)]
pub struct Report {
    /// The trials that ran.
    pub ran: Vec<&'static str>,
    /// The features whose calls were shown to be refused.
    pub refused: Vec<Feature>,
}

/// Tries all that `subject` declares, and that it refuses the rest.
///
/// # Panics
/// As soon as something is not as it should be.
pub async fn run(subject: &dyn Subject) -> Report {
    let mut stage = Stage { subject, open: Some(subject.open().await) };
    let declared = stage.connection().features();
    let mut report = Report::default();
    let before = census(&**stage.connection()).await;
    for trial in trials().filter(|trial| trial.features.iter().all(|feature| declared.contains(feature))) {
        tracing::info!(trial = trial.name);
        eprintln!("trial {}", trial.name);
        (trial.run)(&mut stage).await;
        assert_eq!(census(&**stage.connection()).await, before, "{} leaves something behind", trial.name);
        report.ran.push(trial.name);
    }
    for feature in Feature::ALL.iter().copied().filter(|feature| !declared.contains(feature)) {
        refusals::check(&**stage.connection(), feature).await;
        report.refused.push(feature);
    }
    stage.connection().close().await.unwrap();
    report
}

/// All that a connection tells of.
async fn census(connection: &dyn Connection) -> Vec<String> {
    let has = |feature| connection.features().contains(&feature);
    let mut all = Vec::new();
    if let Some(domains) = connection.domains().filter(|_| has(Feature::DomainDefine)) {
        all.extend(domains.list().await.unwrap().into_iter().map(|domain| format!("domain {}", domain.name)));
    }
    if let Some(networks) = connection.networks().filter(|_| has(Feature::Network)) {
        all.extend(networks.list().await.unwrap().into_iter().map(|network| format!("network {}", network.name)));
    }
    if let Some(networks) = connection.networks().filter(|_| has(Feature::NetworkPorts)) {
        all.extend(networks.ports().await.unwrap().into_iter().map(|port| format!("port {}", port.tap)));
    }
    if let Some(storage) = connection.storage().filter(|_| has(Feature::StoragePool)) {
        all.extend(storage.pools().await.unwrap().into_iter().map(|pool| format!("pool {}", pool.name)));
    }
    all
}

/// The error of a call that must fail.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: crate::Result<T>) -> ostler_conf::ErrorCode {
    result.expect_err("this must be refused").code
}
