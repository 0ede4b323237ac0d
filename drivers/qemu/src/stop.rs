//! The end of a guest: everything that it held is released. Each step may be repeated.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ostler_driver::{Error, Result, ShutoffReason};
use ostler_util::file::remove_durably;
use uuid::Uuid;

use crate::driver::{Core, blocking};
use crate::entry::Entry;
use crate::guest::Guest;
use crate::start::{chardevs, folders, screens, shared_memory};

/// How long killed processes of a control group may take to go.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// Releases what an ended guest held and records how it ended. What fails is tried again by the next start, or by the next agent.
pub(crate) async fn release(core: &Arc<Core>, guest: &Arc<Guest>, reason: ShutoffReason) {
    let Ok(entry) = core.entry(guest.uuid) else { return };
    let sockets = guest.status().sockets;
    if let Err(error) = record_end(core, &entry, reason).await {
        tracing::warn!(%error, uuid = %guest.uuid, "record how a guest ended");
    }
    if let Err(error) = clean(core, guest.uuid, sockets).await {
        tracing::warn!(%error, uuid = %guest.uuid, "release what a guest held");
    }
    let is_transient = {
        let mut state = entry.state();
        state.guest = None;
        state.definition.is_none() && state.damaged.is_none()
    };
    if is_transient {
        core.entries().remove(&guest.uuid);
    }
}

/// Remembers how the guest ended, durably where the domain is stored.
pub(crate) async fn record_end(core: &Arc<Core>, entry: &Arc<Entry>, reason: ShutoffReason) -> Result<()> {
    let (is_stored, record) = {
        let mut state = entry.state();
        state.record.running_in_boot = None;
        state.record.last_end = Some(reason);
        (state.definition.is_some(), state.record.clone())
    };
    if !is_stored {
        return Ok(());
    }
    let (definitions, uuid) = (core.definitions.clone(), entry.uuid);
    blocking(move || definitions.save_record(uuid, &record)).await
}

/// Ends whatever process is left and gives back control group, files, ports, sockets and folder.
///
/// # Errors
/// The first thing that could not be released; the rest was. The guest's folder stays, so that it is tried again.
pub(crate) async fn clean(core: &Arc<Core>, uuid: Uuid, outside: Vec<PathBuf>) -> Result<()> {
    let cgroup = core.cgroup(uuid);
    let end_processes = blocking(move || {
        let end = || {
            cgroup.kill(KILL_TIMEOUT)?;
            cgroup.remove()
        };
        end().map_err(|error| Error::system("end the processes of a guest", error))
    });
    // Nothing is given back before nobody uses it any more.
    end_processes.await?;
    let (files, ports) =
        tokio::join!(core.services.security.release(uuid), core.services.networks.delete_ports(uuid, None));
    files.and(ports)?;
    let core = core.clone();
    blocking(move || {
        folders::remove(&core, uuid)?;
        // Who ends next must find that this guest needs it no more.
        let _held =
            outside.iter().any(|path| shared_memory::is_one(path)).then(|| shared_memory::hold(&core.shared_memory));
        for path in outside {
            remove_outside(&core, uuid, &path)
                .map_err(|error| Error::system(format!("remove {}", path.display()), error))?;
        }
        core.running.remove(uuid)
    })
    .await
}

/// Removes what was made for a guest at a place that others can name, unless others need it, or it is somebody else's: a start
/// that failed may have found it there.
fn remove_outside(core: &Core, uuid: Uuid, path: &Path) -> io::Result<()> {
    let is_its = screens::leads_into(path, &folders::own(core, uuid));
    if is_its || chardevs::is_left(path)? {
        return remove_durably(path);
    }
    if !shared_memory::is_one(path) || core.running.is_listed_by_others(path, uuid)? {
        return Ok(());
    }
    shared_memory::remove(path)
}
