//! Where objects come from and where their status goes.

pub mod cluster;
pub mod directory;
pub mod store;

use std::collections::HashSet;

use async_trait::async_trait;
use ostler_crds::{Object, ObjectRef, RunRecord};
use serde_json::Value;

/// Tells of objects: first all that there are, then each change.
#[async_trait]
pub trait Source: Send {
    /// The next thing to know; `None` when the source has ended. Cancel-safe: a dropped call loses nothing.
    async fn next(&mut self) -> Option<SourceEvent>;
}

/// What a source tells.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceEvent {
    /// An object is new or changed: its spec, or its deletion was asked for (`deletionTimestamp` is set).
    Changed(Box<Object>),
    /// An object is merely gone. That destroys nothing.
    Gone(ObjectRef),
    /// Secrets that objects may refer to are known, or others than before.
    Secrets,
    /// What has been told suffices to begin with, though more may follow.
    Started,
    /// All objects that were there at the start have been told.
    Synced,
    /// What is wrong with the source or with single manifests, in full; an empty list: nothing any more.
    Problems(Vec<SourceProblem>),
}

/// Something wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceProblem {
    /// The source itself is out of reach: all objects stay as they are.
    Lost(String),
    /// A manifest was refused: what it was about stays as it was.
    Refused {
        /// The file.
        file: String,
        /// What is wrong: line, column, field and what would be right.
        message: String,
    },
    /// Objects would be deleted that the source does not dare to delete by itself.
    DeletionHeld(String),
    /// Others may read what is secret; it is used all the same.
    Exposed(String),
}

/// Takes what reconcilers report.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Writes an object's whole status. The caller writes only what changed.
    ///
    /// # Errors
    /// Transient ones; the caller tries again later.
    async fn write_status(&self, object: &ObjectRef, status: Value) -> Result<(), SinkError>;

    /// Nothing of a deleted object is left: it can go.
    ///
    /// # Errors
    /// Transient ones.
    async fn finalize(&self, object: &ObjectRef) -> Result<(), SinkError>;

    /// Removes an object that has served (a finished operation).
    ///
    /// # Errors
    /// Transient ones.
    async fn remove(&self, object: &ObjectRef) -> Result<(), SinkError>;

    /// Asks whether this host still holds the claim of this number on the object, in a way that whoever takes it meanwhile notices.
    /// Where there are no claims, it does.
    ///
    /// # Errors
    /// Transient ones.
    async fn confirm_claim(&self, _object: &ObjectRef, _number: i64) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// Gives the claim of this number back: nothing of the object is left on this host. What happened to the guest so far goes with
    /// it. If it is not held any more, that is as well.
    ///
    /// # Errors
    /// Transient ones.
    async fn give_claim_back(&self, _object: &ObjectRef, _number: i64, _run: &RunRecord) -> Result<(), SinkError> {
        Ok(())
    }

    /// The domains that this host holds a claim on at this moment, by uid. `None`: there are no claims.
    ///
    /// # Errors
    /// Transient ones.
    async fn claimed_now(&self) -> Result<Option<HashSet<String>>, SinkError> {
        Ok(None)
    }

    /// The number of the claim that another host holds on the domain of this uid at this moment.
    ///
    /// # Errors
    /// Transient ones.
    async fn claimed_elsewhere(&self, _object: &ObjectRef, _uid: &str) -> Result<Option<i64>, SinkError> {
        Ok(None)
    }

    /// A network or pool is not carried out on this host any more. The source may forget it.
    fn released(&self, _object: &ObjectRef) {}

    /// Tells people of something that happened.
    async fn event(&self, object: &ObjectRef, kind: EventKind, reason: &str, message: &str);
}

/// Whether an event is good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Something a person should know.
    Warning,
}

/// An object or its status that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write down {object}")]
pub struct SinkError {
    /// Whose.
    pub object: ObjectRef,
    /// Why.
    #[source]
    pub source: std::io::Error,
}
