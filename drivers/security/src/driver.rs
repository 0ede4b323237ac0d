//! The driver's calls.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ostler_driver::{Access, Error, Result, Security};
use ostler_util::ErrorCode;
use uuid::Uuid;

use crate::claims::{Claim, Claimed, Records, Word};
use crate::file::{Subject, closed_folder};

/// Discretionary access control for guests' files.
#[derive(Clone, Debug)]
pub struct SecurityDriver {
    records: Arc<Mutex<Records>>,
}

impl SecurityDriver {
    /// Opens the driver; records are in `security/` below `state_dir`.
    ///
    /// # Errors
    /// A folder that can't be made or read.
    pub fn open(state_dir: &Path) -> Result<Self> {
        let records = Records::open(state_dir.join("security"))
            .map_err(|error| Error::system("open the records of claims", error))?;
        Ok(SecurityDriver { records: Arc::new(Mutex::new(records)) })
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let driver = self.clone();
        tokio::task::spawn_blocking(move || work(&driver.lock())).await.map_err(|error| {
            Error::new(ErrorCode::InternalError, "a security task ended unexpectedly").with_source(error)
        })?
    }
}

#[async_trait]
impl Security for SecurityDriver {
    async fn claim(&self, owner: Uuid, path: &Path, access: Access, uid: u32, gid: u32) -> Result<()> {
        let path = path.to_owned();
        self.blocking(move |records| claim(records, owner, &path, access.into(), uid, gid)).await
    }

    async fn release(&self, owner: Uuid) -> Result<()> {
        self.blocking(move |records| release(records, owner)).await
    }

    async fn owners(&self) -> Result<Vec<Uuid>> {
        self.blocking(|records| {
            let all = records.all().map_err(|error| Error::system("read the records of claims", error))?;
            let owners: BTreeSet<Uuid> =
                all.iter().flat_map(|claimed| &claimed.claims).map(|claim| claim.owner).collect();
            Ok(owners.into_iter().collect())
        })
        .await
    }
}

fn claim(records: &Records, owner: Uuid, path: &Path, access: Word, uid: u32, gid: u32) -> Result<()> {
    let system = |what: &str, error: io::Error| Error::system(format!("{what} {}", path.display()), error);
    // One file has one record, whatever leads to it; a link at the end is followed once, here, by us.
    let path: PathBuf = path.canonicalize().map_err(|error| system("find", error))?;
    let subject = Subject::open(&path).map_err(|error| system("open", error))?;
    if let Some(folder) = closed_folder(&path, uid, gid) {
        let message = format!(
            "the guest's user (uid {uid}) can't reach {}: the folder {} is closed to it",
            path.display(),
            folder.display()
        );
        return Err(Error::new(ErrorCode::OperationFailed, message));
    }
    let known = records.get(&path).map_err(|error| system("read the claims on", error))?;
    // Another file took its place: what is recorded is not about this one.
    let known = known
        .filter(|claimed| (claimed.original.device, claimed.original.inode) == (subject.now.device, subject.now.inode));
    let mut claimed =
        known.unwrap_or_else(|| Claimed { path: path.clone(), original: subject.now.clone(), claims: Vec::new() });
    if let Some(other) = claimed.claims.iter().find(|claim| claim.owner != owner && !claim.access.agrees_with(access)) {
        let message = format!(
            "{} is in use by the domain {}: two may write one image only if both say <shareable/>",
            path.display(),
            other.owner
        );
        return Err(Error::new(ErrorCode::ResourceBusy, message));
    }
    let mine = Claim { owner, access };
    if !claimed.claims.contains(&mine) {
        claimed.claims.retain(|claim| claim.owner != owner);
        claimed.claims.push(mine);
        records.put(&claimed).map_err(|error| system("record the claim on", error))?;
    }
    let changed = match access {
        Word::Write => subject.give(uid, gid),
        Word::Read => subject.admit(uid, gid, 4),
        Word::Shared => subject.admit(uid, gid, 6),
    };
    if let Err(error) = changed {
        // What could not be given is not held.
        let _ = drop_claim(records, claimed, owner);
        return Err(system("give the guest's user access to", error));
    }
    Ok(())
}

fn release(records: &Records, owner: Uuid) -> Result<()> {
    let all = records.all().map_err(|error| Error::system("read the records of claims", error))?;
    let mut first_error = None;
    for claimed in all.into_iter().filter(|claimed| claimed.claims.iter().any(|claim| claim.owner == owner)) {
        let path = claimed.path.clone();
        if let Err(error) = drop_claim(records, claimed, owner) {
            first_error.get_or_insert(Error::system(format!("give back {}", path.display()), error));
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Ends a claim; the last one's end restores the file, and only then is the record removed.
fn drop_claim(records: &Records, mut claimed: Claimed, owner: Uuid) -> io::Result<()> {
    claimed.claims.retain(|claim| claim.owner != owner);
    if !claimed.claims.is_empty() {
        return records.put(&claimed);
    }
    match Subject::open(&claimed.path) {
        Ok(subject) => {
            let is_same = (subject.now.device, subject.now.inode) == (claimed.original.device, claimed.original.inode);
            if is_same {
                subject.restore(&claimed.original)?;
            }
        }
        // Removed, or replaced by a link: not ours to touch.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {}
        Err(error) => return Err(error),
    }
    records.remove(&claimed.path)
}
