//! What is lost is noticed and made again: rules and devices by the kernel's word, dnsmasq by its end, leases by their file.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use ostler_driver::NetworkEvent;
use ostler_util::netfilter_events::NetfilterEvents;
use rtnetlink::MulticastGroup;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::connection::Inner;
use crate::dnsmasq;

/// Changes come in bursts: one look follows each burst. A repair's own changes end in a look that finds nothing.
const SETTLE: Duration = Duration::from_millis(100);

/// The wait before a repair that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Watches the kernel's devices and rules, and the files of leases.
pub(crate) fn start(inner: &Arc<Inner>) -> io::Result<Vec<JoinHandle<()>>> {
    let look = Arc::new(Notify::new());
    let (connection, _, mut messages) = rtnetlink::new_multicast_connection(&[
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
    ])?;
    let devices = look.clone();
    let rules = (Arc::downgrade(inner), look.clone());
    let filter = asynchronous(NetfilterEvents::open()?)?;
    Ok(vec![
        tokio::spawn(connection),
        tokio::spawn(async move {
            while messages.next().await.is_some() {
                devices.notify_one();
            }
        }),
        tokio::spawn(async move {
            while let Ok(mut ready) = filter.readable().await {
                if ready.get_inner().drain() {
                    let Some(inner) = rules.0.upgrade() else { return };
                    inner.rules_changed.fetch_add(1, Ordering::Release);
                    rules.1.notify_one();
                }
                ready.clear_ready();
            }
        }),
        tokio::spawn(repair(Arc::downgrade(inner), look)),
        tokio::spawn(watch_leases(Arc::downgrade(inner))),
    ])
}

/// A descriptor that is waited for.
fn asynchronous<T: AsRawFd + OwnsFd>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `fd` owns its descriptor, which so stays open and the same for as long as the `AsyncFd` holds it.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

/// Types that own the descriptor that they give out, and never change it.
trait OwnsFd {}
impl OwnsFd for OwnedFd {}
impl OwnsFd for NetfilterEvents {}
impl OwnsFd for ostler_util::watch::DirectoryWatch {}

async fn repair(inner: Weak<Inner>, look: Arc<Notify>) {
    loop {
        look.notified().await;
        tokio::time::sleep(SETTLE).await;
        let Some(inner) = inner.upgrade() else { return };
        for name in inner.active_names() {
            match inner.heal(&name).await {
                Ok(true) => {
                    info!(network = name, "part of it was lost and is made again");
                    inner.tell(&name, NetworkEvent::Healed);
                }
                Ok(false) => {}
                Err(error) => {
                    warn!(network = name, %error, "part of it was lost and can't be made again now");
                    inner.tell(&name, NetworkEvent::Degraded);
                    let look = look.clone();
                    inner.own_task(tokio::spawn(async move {
                        tokio::time::sleep(RETRY).await;
                        look.notify_one();
                    }));
                }
            }
        }
    }
}

/// Starts dnsmasq again when it ends while its network is up.
pub(crate) fn watch_dnsmasq(inner: &Arc<Inner>, name: &str) {
    let Ok(entry) = inner.entry(name) else { return };
    let Some((process, fd)) = dnsmasq::running(&inner.config, &entry.definition) else { return };
    // One watch for each process, however often its network is looked at.
    if !inner.watch_once(&process) {
        return;
    }
    let Ok(fd) = asynchronous(OwnedFd::from(fd)) else { return };
    let (weak, name) = (Arc::downgrade(inner), name.to_owned());
    inner.own_task(tokio::spawn(async move {
        // A pidfd is readable from the process's end on.
        let _ = fd.readable().await;
        let Some(inner) = weak.upgrade() else { return };
        inner.unwatch(&process);
        let is_latest = |entry: &crate::store::Entry| {
            let text = std::fs::read(inner.config.run(entry.uuid()).join("process.json")).unwrap_or_default();
            serde_json::from_slice(&text).is_ok_and(|noted: ostler_util::pidfd::Process| noted == process)
        };
        // A network that is stopped, or whose dnsmasq was replaced, has seen to it.
        let lost = inner.entry(&name).is_ok_and(|entry| entry.active && is_latest(&entry));
        if !lost {
            return;
        }
        warn!(network = name, pid = fd.as_raw_fd(), "dnsmasq ended: starting it again");
        // Not in a tight loop, should it end at once each time.
        tokio::time::sleep(SETTLE).await;
        match inner.heal(&name).await {
            Ok(false) => {}
            Ok(true) => inner.tell(&name, NetworkEvent::Healed),
            Err(error) => {
                warn!(network = name, %error, "dnsmasq can't be started again now");
                inner.tell(&name, NetworkEvent::Degraded);
            }
        }
    }));
}

/// Tells of leases when a file of them changes.
async fn watch_leases(inner: Weak<Inner>) {
    let Some(directory) = inner.upgrade().map(|inner| inner.config.definitions()) else { return };
    let Ok(watch) = ostler_util::watch::DirectoryWatch::open(&directory).and_then(asynchronous) else {
        warn!(path = %directory.display(), "leases can't be watched");
        return;
    };
    loop {
        let Ok(mut ready) = watch.readable().await else { return };
        let names = ready.get_inner().changed();
        ready.clear_ready();
        let Some(inner) = inner.upgrade() else { return };
        for name in inner.active_names() {
            let Ok(entry) = inner.entry(&name) else { continue };
            if names.contains(&format!("{}.leases", entry.uuid())) {
                inner.tell(&name, NetworkEvent::Leases);
            }
        }
    }
}
