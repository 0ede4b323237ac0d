//! What domains keep in Secrets, on its way to the start of a guest.
//!
//! A [`Keeper`] has the texts: a directory in memory, a cluster's controller over TLS. Definitions, statuses and records hold only
//! where a text is kept. What a guest was started with is noted in [`Noted`], for the start that finds no keeper.

pub mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use ostler_conf::Domain;
use ostler_conf::values::{Confidential, SecretKeyRef};
use ostler_crds::ObjectRef;
use ostler_driver::Secrets;
use ostler_util::file;
use tracing::warn;
use uuid::Uuid;

/// Has the texts.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// What `domain` keeps under `wanted`, in Secrets of its own namespace.
    ///
    /// # Errors
    /// It can't be known now.
    async fn fetch(&self, domain: &ObjectRef, wanted: &[SecretKeyRef]) -> Result<Fetched, OutOfReach>;

    /// Whether asking costs nothing. Else it is asked before a start only.
    fn is_at_hand(&self) -> bool;
}

/// What a keeper has of what was wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// What is there.
    pub secrets: Secrets,
    /// Why the others are not.
    pub missing: BTreeMap<SecretKeyRef, String>,
}

impl Fetched {
    /// Takes in what a Secret's key holds, of a Secret that `find` gives: `None`: there is none.
    pub fn take<'a>(&mut self, place: &SecretKeyRef, find: impl FnOnce(&str) -> Option<&'a BTreeMap<String, Vec<u8>>>) {
        let SecretKeyRef { name, key } = place;
        let why = match find(name).map(|data| data.get(key)) {
            Some(Some(value)) => return self.secrets.insert(place.clone(), value.clone()),
            Some(None) => format!("the Secret '{name}' has no key '{key}'"),
            None => format!("there is no Secret '{name}' in this namespace"),
        };
        self.missing.insert(place.clone(), why);
    }
}

/// Why the keeper can't tell now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutOfReach(pub String);

/// Nobody keeps anything.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

#[async_trait]
impl Keeper for Nobody {
    async fn fetch(&self, _: &ObjectRef, _: &[SecretKeyRef]) -> Result<Fetched, OutOfReach> {
        Err(OutOfReach("nobody keeps Secrets for this agent".to_owned()))
    }

    fn is_at_hand(&self) -> bool {
        true
    }
}

/// Each field whose text a Secret keeps, and where.
pub fn references(domain: &Domain) -> Vec<(String, SecretKeyRef)> {
    let mut domain = domain.clone();
    let fields = domain.confidential_mut().into_iter();
    fields
        .filter_map(|(field, secret)| match secret {
            Confidential::Kept(place) => Some((field, place.clone())),
            Confidential::Text(_) => None,
        })
        .collect()
}

/// What guests were started with, in files that only root may read: a host that boots starts them again, whoever is out of reach.
#[derive(Clone, Debug)]
pub struct Noted(PathBuf);

impl Noted {
    /// In this folder.
    pub fn new(folder: PathBuf) -> Self {
        Noted(folder)
    }

    fn path(&self, uuid: Uuid) -> PathBuf {
        self.0.join(format!("{uuid}.json"))
    }

    /// What the guest was started with; what can't be read is as if it were not there.
    pub fn load(&self, uuid: Uuid) -> Secrets {
        let path = self.path(uuid);
        let read = || -> io::Result<BTreeMap<String, ByteString>> {
            // The reader's own message may quote the text.
            serde_json::from_slice(&std::fs::read(&path)?).map_err(|_| io::ErrorKind::InvalidData.into())
        };
        let values = read().unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(file = %path.display(), %error, "what a guest was started with can't be read");
            }
            BTreeMap::new()
        });
        let mut secrets = Secrets::NONE;
        for (place, value) in values {
            let Some((name, key)) = place.split_once('/') else { continue };
            secrets.insert(SecretKeyRef { name: name.to_owned(), key: key.to_owned() }, value.0);
        }
        secrets
    }

    /// Notes what the guest is started with.
    ///
    /// # Errors
    /// The operating system's.
    pub fn save(&self, uuid: Uuid, secrets: &Secrets) -> io::Result<()> {
        if secrets.is_empty() {
            return self.remove(uuid);
        }
        if *secrets == self.load(uuid) {
            return Ok(());
        }
        let values: BTreeMap<String, ByteString> =
            secrets.iter().map(|(place, value)| (place.to_string(), ByteString(value.to_vec()))).collect();
        file::create_directory(&self.0, 0o700)?;
        file::write_atomic(&self.path(uuid), &serde_json::to_vec(&values)?, 0o600)
    }

    /// Forgets the guest.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove(&self, uuid: Uuid) -> io::Result<()> {
        let path = self.path(uuid);
        if path.exists() { file::remove_durably(&path) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_noted_is_what_is_read(
            values in prop::collection::btree_map(("[a-z.-]{1,9}", "[A-Za-z._-]{1,9}"), prop::collection::vec(any::<u8>(), 0..40), 0..5)
        ) {
            let directory = tempfile::tempdir().unwrap();
            let (noted, uuid) = (Noted::new(directory.path().join("secrets")), Uuid::from_u128(7));
            let mut secrets = Secrets::NONE;
            for ((name, key), value) in values {
                secrets.insert(SecretKeyRef { name, key }, value);
            }
            noted.save(uuid, &secrets).unwrap();
            prop_assert_eq!(&noted.load(uuid), &secrets);
            prop_assert_eq!(&noted.load(Uuid::nil()), &Secrets::NONE);
            if !secrets.is_empty() {
                let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
                prop_assert_eq!((mode(&noted.0), mode(&noted.path(uuid))), (0o700, 0o600));
            }
            noted.remove(uuid).unwrap();
            prop_assert_eq!(noted.load(uuid), Secrets::NONE);
        }
    }

    #[test]
    fn what_is_missing_is_told_by_name() {
        let data = BTreeMap::from([("vnc".to_owned(), b"hunter2".to_vec())]);
        let place = |name: &str, key: &str| SecretKeyRef { name: name.to_owned(), key: key.to_owned() };
        let mut fetched = Fetched::default();
        for (name, key) in [("web", "vnc"), ("web", "spice"), ("other", "vnc")] {
            fetched.take(&place(name, key), |name| (name == "web").then_some(&data));
        }
        assert_eq!(fetched.secrets.get(&place("web", "vnc")), Some(&b"hunter2"[..]));
        let why: Vec<_> = fetched.missing.values().map(String::as_str).collect();
        assert_eq!(why, ["there is no Secret 'other' in this namespace", "the Secret 'web' has no key 'spice'"]);
    }
}
