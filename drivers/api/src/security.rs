//! Ownership of the files that guests use.

use std::path::Path;

use async_trait::async_trait;
use uuid::Uuid;

use crate::Result;

/// Gives a guest's process access to its files, and the files back to whom they belonged.
///
/// Owner and mode before the first claim are recorded durably, with the claims, before anything is changed. They are
/// restored when the last claim ends, also by the next agent after a crash.
#[async_trait]
pub trait Security: Send + Sync {
    /// Lets `uid`:`gid` use `path` for `owner`. Repeating a claim changes nothing.
    ///
    /// # Errors
    /// `ResourceBusy` if another owner writes it and either claim is not `Shared`; `SystemError`.
    async fn claim(&self, owner: Uuid, path: &Path, access: Access, uid: u32, gid: u32) -> Result<()>;

    /// Ends all claims of `owner` and restores what no one claims any more. A file that was removed meanwhile is fine.
    async fn release(&self, owner: Uuid) -> Result<()>;

    /// All owners that hold a claim: what no guest of which runs is to be released.
    async fn owners(&self) -> Result<Vec<Uuid>>;
}

/// What a guest does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads: a read ACL, never a new owner.
    Read,
    /// It alone writes: the file becomes its user's.
    Write,
    /// It and others write (`<shareable/>`): a write ACL, never a new owner.
    Shared,
}
