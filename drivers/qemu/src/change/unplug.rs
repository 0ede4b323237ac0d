//! Devices that leave a running guest: asked for by us, let go by the guest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::driver::Core;
use crate::guest::Guest;
use crate::monitor::MonitorError;

/// How long a guest has to let go of a device before the caller is told that it has not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the guest to let go of a device, and waits until it has.
///
/// # Errors
/// `OperationTimeout` if it has not yet: when it does, the rest is done all the same.
pub(super) async fn ask(guest: &Arc<Guest>, alias: &str) -> Result<()> {
    let mut unplugged = guest.unplugged.subscribe();
    let asked = guest.monitor()?.execute::<Value>("device_del", json!({ "id": alias })).await;
    match asked {
        Ok(_) => {}
        // It was asked before and has not answered.
        Err(MonitorError::Refused { refusal, .. }) if refusal.desc.contains("already in the process of unplug") => {}
        Err(error) => return Err(error.into()),
    }
    let is_it = |last: &Option<String>| last.as_deref() == Some(alias);
    match tokio::time::timeout(PATIENCE, unplugged.wait_for(is_it)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(ErrorCode::OperationTimeout, format!("the guest has not let go of {alias} yet"))),
    }
}

/// A device has left: what it stood on is taken from QEMU and given back, and the live definition forgets it. What is
/// gone already is fine.
pub(crate) async fn gone(core: &Arc<Core>, guest: &Arc<Guest>, alias: &str) {
    let status = guest.status();
    let is_it = |name: &Option<ostler_conf::domain::Alias>| name.as_ref().is_some_and(|name| name.name == alias);
    let devices = &status.definition.devices;
    let nodes = status.nodes.get(alias).cloned().unwrap_or_default();
    for node in nodes {
        try_to(guest, "blockdev-del", json!({ "node-name": node })).await;
    }
    if let Some(interface) = devices.interfaces.iter().find(|interface| is_it(&interface.alias)) {
        try_to(guest, "netdev_del", json!({ "id": format!("host{alias}") })).await;
        if let Some(mac) = &interface.mac
            && let Err(error) = core.services.networks.delete_ports(guest.uuid, Some(mac.address)).await
        {
            tracing::warn!(%error, uuid = %guest.uuid, "give a port back: it is given back when the guest ends");
        }
    }
    let forget = guest.store(core, |status| {
        status.nodes.remove(alias);
        status.definition.devices.disks.retain(|disk| !is_it(&disk.alias));
        status.definition.devices.interfaces.retain(|interface| !is_it(&interface.alias));
    });
    if let Err(error) = forget.await {
        tracing::warn!(%error, uuid = %guest.uuid, "forget a device");
    }
}

async fn try_to(guest: &Guest, command: &str, arguments: Value) {
    if let Err(error) = guest.execute::<Value>(command, arguments).await {
        tracing::debug!(%error, uuid = %guest.uuid, "clear away after a device");
    }
}

/// Which devices came or left while nobody watched: the live definition keeps those that QEMU has.
pub(crate) async fn catch_up(core: &Arc<Core>, guest: &Arc<Guest>) -> Result<()> {
    #[derive(Deserialize)]
    struct Property {
        name: String,
    }
    let list: Vec<Property> = guest.execute("qom-list", json!({ "path": "/machine/peripheral" })).await?;
    let present: BTreeSet<String> = list.into_iter().map(|property| property.name).collect();
    let definition = guest.status().definition;
    let disks = definition.devices.disks.iter().filter_map(|disk| disk.alias.as_ref());
    let interfaces = definition.devices.interfaces.iter().filter_map(|interface| interface.alias.as_ref());
    for alias in disks.chain(interfaces).filter(|alias| !present.contains(&alias.name)) {
        gone(core, guest, &alias.name).await;
    }
    Ok(())
}
