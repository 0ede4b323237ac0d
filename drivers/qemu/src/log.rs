//! What QEMUs say on their error output: kept for people, in files of bounded size.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ostler_util::file::create_directory;
use rustix::fs::inotify;
use tokio::io::Interest;

use crate::readable::readable;

/// A log that has grown beyond this is cut.
const MOST: u64 = 1 << 20;
/// What is kept of it then.
const KEPT: u64 = 256 << 10;

/// Opens a guest's log to append, after cutting it if it is long.
///
/// # Errors
/// The operating system's.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        create_directory(parent, 0o700)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    cut(path)?;
    Ok(file)
}

/// The last lines of a guest's log.
pub(crate) fn tail(path: &Path) -> String {
    const MOST: i64 = 2000;
    let read = || {
        let mut file = File::open(path)?;
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        file.seek(SeekFrom::End(-length.min(MOST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}

/// Cuts a log that is too long to its last part. QEMU appends, so it goes on behind that.
fn cut(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    if file.metadata()?.len() <= MOST {
        return Ok(());
    }
    let mut kept = Vec::new();
    file.seek(SeekFrom::End(-i64::try_from(KEPT).expect("a small number")))?;
    Read::by_ref(&mut file).take(KEPT).read_to_end(&mut kept)?;
    file.set_len(0)?;
    file.write_all(&kept)
}

/// Cuts the logs in `folder` whenever one has grown too long.
pub(crate) async fn keep_short(folder: PathBuf) {
    if let Err(error) = watch(&folder).await {
        tracing::warn!(%error, folder = %folder.display(), "watch the guests' logs: they are cut at each start only");
    }
}

async fn watch(folder: &Path) -> io::Result<()> {
    create_directory(folder, 0o700)?;
    let watcher: OwnedFd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watcher, folder, inotify::WatchFlags::MODIFY)?;
    let watcher = readable(watcher)?;
    for entry in std::fs::read_dir(folder)? {
        cut(&entry?.path())?;
    }
    loop {
        let names = watcher.async_io(Interest::READABLE, names).await?;
        for name in names {
            // One that has just been removed needs no cutting.
            let _ = cut(&folder.join(name));
        }
    }
}

fn names(watcher: &OwnedFd) -> io::Result<Vec<String>> {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watcher, &mut space);
    let mut names = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => names.extend(event.file_name().and_then(|name| name.to_str().ok()).map(str::to_owned)),
            Err(rustix::io::Errno::AGAIN) if !names.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
        if reader.is_buffer_empty() {
            break;
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logs_stay_short_while_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut log = open(&path).unwrap();
        let watcher = tokio::spawn(keep_short(folder.path().to_owned()));
        let line = [b'x'; 1023];
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        let mut written = 0_u64;
        // It has been cut once there is less in it than was written.
        while log.metadata().unwrap().len() >= written {
            log.write_all(&line).unwrap();
            log.write_all(b"\n").unwrap();
            written += 1024;
            tokio::task::yield_now().await;
            assert!(tokio::time::Instant::now() < deadline);
        }
        log.write_all(b"the end\n").unwrap();
        assert!(tail(&path).ends_with("the end"));
        watcher.abort();
    }

    #[test]
    fn the_tail_of_nothing_is_nothing() {
        assert_eq!(tail(Path::new("/there/is/none")), "");
    }
}
