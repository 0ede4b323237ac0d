//! One agent a host: a lock on the state folder, held for as long as the process lives.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tracing::{info, warn};

/// Takes the lock; while another agent has it, says so and waits.
///
/// # Errors
/// A state folder that can't be made or written.
pub(super) async fn acquire(state_dir: &Path) -> io::Result<File> {
    ostler_util::file::create_directory(state_dir, 0o711)?;
    let path = state_dir.join("lock");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let holder = std::fs::read_to_string(&path).unwrap_or_default();
        warn!(path = %path.display(), "another agent ({}) works on this state: waiting for its end", holder.trim());
        let waiting = file.try_clone()?;
        tokio::task::spawn_blocking(move || flock(&waiting, FlockOperation::LockExclusive))
            .await
            .map_err(io::Error::other)??;
        info!("the other agent has ended");
    }
    file.set_len(0)?;
    writeln!(file, "pid {}", std::process::id())?;
    Ok(file)
}
