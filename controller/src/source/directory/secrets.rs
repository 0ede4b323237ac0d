//! Secrets among the manifests. They are kept in memory, by the file that they stand in, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use ostler_conf::values::SecretKeyRef;
use ostler_crds::ObjectRef;
use ostler_crds::manifest::Secret;

use super::Directory;
use crate::secrets::{Fetched, Keeper, OutOfReach};

/// Who may read a file besides its owner.
const OTHERS: u32 = 0o044;

/// All Secrets of the directory.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: BTreeMap<PathBuf, Vec<Secret>>,
    /// Whether the directory was read whole once.
    is_read: bool,
    is_news: bool,
}

impl Known {
    /// What a file holds now.
    pub(super) fn put(&mut self, file: &Path, secrets: Vec<Secret>) {
        let before =
            if secrets.is_empty() { self.files.remove(file) } else { self.files.insert(file.to_owned(), secrets) };
        self.is_news |= before.as_ref() != self.files.get(file);
    }

    /// Another file than this one that holds the Secret.
    pub(super) fn elsewhere(&self, file: &Path, secret: &Secret) -> Option<&Path> {
        let is_it = |other: &Secret| (&other.namespace, &other.name) == (&secret.namespace, &secret.name);
        let found = self.files.iter().find(|(other, secrets)| *other != file && secrets.iter().any(is_it));
        found.map(|(other, _)| other.as_path())
    }

    /// The files of a directory that hold Secrets.
    pub(super) fn files_in(&self, directory: &Path) -> BTreeSet<PathBuf> {
        self.files.keys().filter(|file| file.starts_with(directory)).cloned().collect()
    }

    /// The directory was read whole. Gives whether there is news for who refers to Secrets.
    pub(super) fn read(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.is_read, true);
        std::mem::take(&mut self.is_news) | is_first
    }

    /// A warning for each file that others may read.
    pub(super) fn exposed(&self) -> Vec<String> {
        let mode = |file: &Path| file.metadata().map_or(0, |metadata| metadata.permissions().mode());
        let exposed = self.files.keys().filter(|file| mode(file) & OTHERS != 0);
        exposed.map(|file| format!("{}: others may read the Secrets in it: 'chmod 600' it", file.display())).collect()
    }

    fn find(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.files.values().flatten().find(|secret| secret.namespace == namespace && secret.name == name)
    }
}

#[async_trait]
impl Keeper for Directory {
    async fn fetch(&self, domain: &ObjectRef, wanted: &[SecretKeyRef]) -> Result<Fetched, OutOfReach> {
        let state = self.shared.state();
        if !state.secrets.is_read {
            return Err(OutOfReach(format!("{} was not read yet", self.shared.config.manifests.display())));
        }
        let mut fetched = Fetched::default();
        for place in wanted {
            fetched.take(place, |name| state.secrets.find(&domain.namespace, name).map(|secret| &secret.data));
        }
        Ok(fetched)
    }

    fn is_at_hand(&self) -> bool {
        true
    }
}
