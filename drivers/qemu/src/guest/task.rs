//! The task that watches over one guest until its end.

use std::future::pending;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;

use ostler_driver::{DomainEvent, DomainState, Error, Result, ShutoffReason};
use tokio::time::{Instant, sleep_until};

use super::{Guest, events};
use crate::driver::Core;
use crate::monitor::{MonitorEvents, Notice};
use crate::readable::readable;
use crate::stop;

/// Watches over `guest`: follows QEMU's events, notices the process's end by its handle, then releases all that it held.
pub(crate) async fn run(core: Arc<Core>, guest: Arc<Guest>, mut notices: Option<MonitorEvents>) {
    if let Err(error) = watch(&core, &guest, notices.as_mut()).await {
        tracing::error!(%error, uuid = %guest.uuid, "watch a guest");
        return;
    }
    // What QEMU said before its end may tell why it ended.
    while let Some(notice) = notices.as_mut().and_then(|notices| notices.try_recv().ok()) {
        if let Notice::Event(event) = notice {
            events::handle_late(&guest, &event);
        }
    }
    finish(&core, &guest).await;
}

async fn watch(core: &Arc<Core>, guest: &Arc<Guest>, mut notices: Option<&mut MonitorEvents>) -> Result<()> {
    let end = guest
        .process
        .as_fd()
        .try_clone_to_owned()
        .and_then(readable)
        .map_err(|error| Error::system("wait for a process", error))?;
    let mut kill_at: Option<Instant> = None;
    let mut quitting: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(pending());
    loop {
        let notice = async {
            match notices.as_mut() {
                Some(notices) => notices.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            ready = end.readable() => {
                drop(ready.map_err(|error| Error::system("wait for a process", error))?);
                return Ok(());
            }
            notice = notice => {
                match notice {
                    Some(Notice::Event(event)) => events::handle(core, guest, &event).await,
                    Some(Notice::Silent(silent)) => core.tell(guest.uuid, DomainEvent::MonitorSilent(silent)),
                    // The process will follow, once the kernel has taken its network devices away.
                    Some(Notice::Closed) if guest.is_ending() => drop(tell_end(core, guest)),
                    Some(Notice::Closed) => {}
                    None => notices = None,
                }
            }
            () = guest.ending.notified(), if kill_at.is_none() => {
                kill_at = Some(Instant::now() + core.config.quit_timeout);
                let ending = guest.clone();
                quitting = Box::pin(async move { ending.quit().await });
            }
            () = &mut quitting => quitting = Box::pin(pending()),
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                if let Err(error) = guest.process.kill() {
                    tracing::warn!(%error, uuid = %guest.uuid, "kill QEMU");
                }
                // Once is enough: the process is not ours to wait for otherwise.
                kill_at = Some(Instant::now() + super::KILL_TIMEOUT);
            }
        }
    }
}

fn tell_end(core: &Core, guest: &Guest) -> ShutoffReason {
    let reason = guest.known().end.unwrap_or(ShutoffReason::Failed);
    guest.set_state(core, DomainState::Shutoff(reason));
    reason
}

/// Tells the end at once, then releases what the guest held.
async fn finish(core: &Arc<Core>, guest: &Arc<Guest>) {
    let reason = tell_end(core, guest);
    if reason == ShutoffReason::Failed {
        let log = core.running.log(guest.uuid);
        let said = crate::log::tail(&log);
        tracing::warn!(uuid = %guest.uuid, said, "QEMU vanished");
    }
    stop::release(core, guest, reason).await;
    guest.released.send_replace(true);
}
