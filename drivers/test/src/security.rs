//! Claims on files: only remembered, since there are no files.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;
use ostler_conf::ErrorCode;
use ostler_driver::{Access, Error, Result, Security};
use uuid::Uuid;

use crate::TestDriver;
use crate::world::World;

#[async_trait]
impl Security for TestDriver {
    async fn claim(&self, owner: Uuid, path: &Path, access: Access, _uid: u32, _gid: u32) -> Result<()> {
        self.host.lock().claim(owner, path, access)
    }

    async fn release(&self, owner: Uuid) -> Result<()> {
        self.host.lock().claims.retain(|(_, by, _)| *by != owner);
        Ok(())
    }

    async fn owners(&self) -> Result<Vec<Uuid>> {
        let owners: BTreeSet<Uuid> = self.host.lock().claims.iter().map(|(_, owner, _)| *owner).collect();
        Ok(owners.into_iter().collect())
    }
}

impl World {
    /// Notes a claim. Whoever writes a file alone shares it with nobody.
    pub(crate) fn claim(&mut self, owner: Uuid, path: &Path, access: Access) -> Result<()> {
        let disagrees = |other: Access| other == Access::Write || access == Access::Write;
        let conflict =
            self.claims.iter().find(|(claimed, by, other)| claimed == path && *by != owner && disagrees(*other));
        if let Some((_, by, _)) = conflict {
            let user = self.name_of(*by);
            let message = format!(
                "{} is in use by {user}: two may write one image only if both say <shareable/>",
                path.display()
            );
            return Err(Error::new(ErrorCode::ResourceBusy, message));
        }
        let claim = (path.to_owned(), owner, access);
        if !self.claims.contains(&claim) {
            self.claims.push(claim);
        }
        Ok(())
    }

    /// The name of a guest that has the file open.
    pub(crate) fn user_of(&self, path: &Path) -> Option<String> {
        self.claims.iter().find(|(claimed, ..)| claimed == path).map(|(_, owner, _)| self.name_of(*owner))
    }
}
