//! Told when something changed in the directory.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// inotify on the manifests and on the folder of operations, and the kernel's word on mounts: a file system that leaves
/// while somebody else still has it mounted says nothing to inotify.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    mounts: AsyncFd<File>,
    /// The file system that the manifests were on at the last look.
    device: Option<u64>,
    manifests: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    changed: Notify,
    /// Files that are open for writing: not read before they are closed.
    writing: Mutex<HashSet<PathBuf>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("manifests", &self.manifests).finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) fn new(manifests: &Path, operations: &Path) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let handler = shared.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| handler.take(event))
            .map_err(io::Error::other)?;
        let mounts = File::open("/proc/self/mountinfo")?;
        // SAFETY: a file owns its descriptor, gives the same one each time, and closes it only when it is dropped.
        let mounts = unsafe { AsyncFd::register_with_interest(mounts, Interest::PRIORITY) }.map_err(io::Error::from)?;
        let mut watch = Watch { watcher, mounts, device: None, manifests: manifests.to_owned(), shared };
        watch.watcher.watch(operations, RecursiveMode::NonRecursive).map_err(io::Error::other)?;
        watch.renew();
        Ok(watch)
    }

    /// Watches the directory that now has the name; one that is missing is found by its parent.
    pub(super) fn renew(&mut self) {
        self.device = device_of(&self.manifests);
        // Watching twice is harmless, and neither need exist.
        let _ = self.watcher.watch(&self.manifests, RecursiveMode::NonRecursive);
        if let Some(parent) = self.manifests.parent() {
            let _ = self.watcher.watch(parent, RecursiveMode::NonRecursive);
        }
    }

    /// Waits until something changed. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::select! {
                () = self.shared.changed.notified() => return,
                ready = self.mounts.ready(Interest::PRIORITY) => match ready {
                    Ok(mut ready) => ready.clear_ready(),
                    // The runtime ends, and the agent with it.
                    Err(_) => return std::future::pending().await,
                }
            }
            if device_of(&self.manifests) != self.device {
                self.renew();
                return;
            }
        }
    }

    pub(super) fn being_written(&self) -> HashSet<PathBuf> {
        self.shared.writing.lock().map(|writing| writing.clone()).unwrap_or_default()
    }
}

fn device_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.dev())
}

impl Shared {
    fn take(&self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else { return self.changed.notify_one() };
        let Ok(mut writing) = self.writing.lock() else { return };
        match event.kind {
            // Begun, or going on: its end is told as well.
            EventKind::Create(_) => {
                // A directory or a link is complete at once.
                let (files, others): (Vec<_>, Vec<_>) = event
                    .paths
                    .into_iter()
                    .partition(|path| path.symlink_metadata().is_ok_and(|m| m.is_file() && m.len() == 0));
                writing.extend(files);
                if others.is_empty() {
                    return;
                }
            }
            EventKind::Modify(ModifyKind::Data(_)) => {
                writing.extend(event.paths);
                return;
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_)) => {
                for path in &event.paths {
                    writing.remove(path);
                }
            }
            EventKind::Access(_) => return,
            EventKind::Modify(_) | EventKind::Any | EventKind::Other => {}
        }
        drop(writing);
        self.changed.notify_one();
    }
}
