//! What the emulator and this host can do: asked once, then remembered.

mod accelerated;
mod ask;
mod cache;
mod capabilities;
mod flags;
mod host;
mod kvm;
mod link;
mod process;
mod properties;
mod saved;
mod schema;
mod types;

#[cfg(test)]
pub(crate) use self::{capabilities::tests::qemu_10, types::flag_of_type};
pub use capabilities::{
    Accelerated, Accelerator, Capabilities, Cpu, CpuData, CpuProperty, CpuValue, Gic, HostCpu, Hyperv, Machine, Sev,
    Sgx, Stamp,
};
pub use flags::{Flag, Flags};
pub use link::{AskError, Link};

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::boot::boot_id;
use ostler_util::passwd::Credentials;
use tokio::sync::OnceCell;

use self::cache::{Identity, load, store};

/// The emulators of this host.
#[derive(Debug)]
pub(crate) struct Probe {
    cache: PathBuf,
    scratch: PathBuf,
    credentials: Option<Credentials>,
    known: Mutex<HashMap<PathBuf, (Identity, Arc<Capabilities>)>>,
    kvm: OnceCell<bool>,
}

impl Probe {
    /// What was found is kept in `cache`; `scratch` is a folder into which `credentials` can look.
    pub(crate) fn new(cache: PathBuf, scratch: PathBuf, credentials: Option<Credentials>) -> Self {
        Probe { cache, scratch, credentials, known: Mutex::default(), kvm: OnceCell::new() }
    }

    /// What `emulator` can do. It is asked anew only when its file has changed.
    ///
    /// # Errors
    /// `ConfigUnsupported` if there is no such program; `InternalError` if it doesn't answer.
    pub(crate) async fn capabilities(&self, emulator: &Path) -> Result<Arc<Capabilities>> {
        let identity = Identity::of(emulator).map_err(|source| {
            let message = format!("there is no emulator {}: {source}", emulator.display());
            Error::new(ErrorCode::ConfigUnsupported, message).at("devices.emulator").with_source(source)
        })?;
        if let Some((known, capabilities)) = self.lock().get(emulator) {
            if *known == identity {
                return Ok(capabilities.clone());
            }
        }
        let (file, path, credentials) =
            (self.file("capabilities", &identity), emulator.to_owned(), self.credentials.clone());
        let wanted = identity.clone();
        let found = blocking(move || match load(&file, &wanted) {
            Some(capabilities) => Ok(capabilities),
            None => {
                let found = process::ask(&path, credentials.as_ref())?;
                store(&file, &wanted, &found);
                Ok(found)
            }
        })
        .await?;
        let found = Arc::new(found);
        self.lock().insert(emulator.to_owned(), (identity, found.clone()));
        Ok(found)
    }

    /// Whether a guest really runs under KVM here. Tried once a boot, with `emulator`.
    pub(crate) async fn kvm_works(&self, emulator: &Path) -> bool {
        let probe = || async {
            let mut identity = Identity::of(emulator).ok()?;
            identity.boot_id = Some(boot_id().to_owned());
            let (file, path) = (self.file("kvm", &identity), emulator.to_owned());
            let (scratch, credentials) = (self.scratch.clone(), self.credentials.clone());
            let works = tokio::task::spawn_blocking(move || {
                load(&file, &identity).unwrap_or_else(|| {
                    let works = kvm::works(&path, &scratch, credentials);
                    store(&file, &identity, &works);
                    works
                })
            });
            works.await.ok()
        };
        *self.kvm.get_or_init(|| async { probe().await.unwrap_or(false) }).await
    }

    fn file(&self, kind: &str, identity: &Identity) -> PathBuf {
        self.cache.join(format!("{kind}-{}.json", identity.digest()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Identity, Arc<Capabilities>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks an emulator now, as ourselves.
///
/// # Errors
/// As [`Probe::capabilities`].
pub(crate) fn ask(emulator: &Path) -> Result<Capabilities> {
    process::ask(emulator, None)
}

/// What was kept of an emulator, whichever it was.
pub(crate) fn read_kept(text: &str) -> serde_json::Result<Capabilities> {
    cache::read(text)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(Error::new(ErrorCode::InternalError, panic.to_string())))
}
