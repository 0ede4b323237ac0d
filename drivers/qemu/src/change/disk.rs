//! Disks plugged into and out of a running guest.

use std::sync::Arc;

use ostler_conf::domain::Disk;
use ostler_driver::{Change, Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::{can_change, name_devices, needs_restart, store, unplug, with_device};
use crate::args;
use crate::driver::Core;
use crate::entry::Entry;
use crate::guest::Guest;
use crate::start::claim_images;

/// Plugs a disk in.
///
/// Flow: 1. checked as in a definition; 2. its files are claimed; 3. stored as part of the guest, so that the next agent
/// finds out whether it came to be; 4. made in QEMU; 5. stored in the definition.
pub(super) async fn attach(core: &Arc<Core>, entry: &Arc<Entry>, guest: &Arc<Guest>, new: &Disk) -> Result<()> {
    let status = guest.status();
    let completed = with_device(core, &status, |domain| domain.devices.disks.push(new.clone())).await?;
    let disk = completed.devices.disks.into_iter().find(|disk| disk.name == new.name).ok_or_else(needs_restart)?;
    if !can_change(&status.definition, &Change::AttachDisk(disk.clone())) {
        return Err(needs_restart());
    }
    let mut changed = status.definition.clone();
    changed.devices.disks.push(disk.clone());
    let changed = name_devices(changed);
    let plugged = changed.devices.disks.last().cloned().ok_or_else(needs_restart)?;
    let alias = plugged.alias.as_ref().map(|alias| alias.name.clone()).unwrap_or_default();
    let chain = claim_images(core, entry.uuid, &plugged).await?;
    let first = free_number(guest).await?;
    let capabilities = core.host_of(&status, &changed).await?.capabilities;
    let stack = chain.as_ref().map(|chain| args::disk::stack(&plugged, chain, first, &capabilities));
    let nodes = stack.as_ref().map(args::disk::Stack::nodes).transpose()?.unwrap_or_default();
    let names = stack.as_ref().map(args::disk::Stack::names).unwrap_or_default();
    let seat = args::disk::Seat { node: stack.as_ref().map(args::disk::Stack::top), ..args::disk::Seat::default() };
    let device = args::disk::device(&changed, &plugged, &seat)?.into_value();
    let stored = guest.store(core, |status| {
        status.definition.devices.disks.push(plugged);
        status.nodes.insert(alias.clone(), names);
    });
    stored.await?;
    let make = async {
        for node in &nodes {
            guest.execute::<Value>("blockdev-add", node.clone()).await?;
        }
        guest.execute::<Value>("device_add", device).await
    };
    if let Err(error) = make.await {
        unplug::gone(core, guest, &alias).await;
        return Err(error);
    }
    store(core, entry, |definition| {
        if !definition.devices.disks.iter().any(|other| other.name == disk.name) {
            definition.devices.disks.push(disk);
        }
        Ok(())
    })
    .await
}

/// Unplugs the disk with this target.
pub(super) async fn detach(core: &Arc<Core>, entry: &Arc<Entry>, guest: &Arc<Guest>, name: &str) -> Result<()> {
    let live = guest.status().definition;
    let Some(disk) = live.devices.disks.iter().find(|disk| disk.name == name) else {
        return Err(Error::new(ErrorCode::DeviceMissing, format!("the guest has no disk {name}")));
    };
    if !can_change(&live, &Change::DetachDisk(name.to_owned())) {
        return Err(needs_restart());
    }
    let alias = disk.alias.as_ref().map(|alias| alias.name.as_str()).unwrap_or_default();
    unplug::ask(guest, alias).await?;
    store(core, entry, |definition| {
        definition.devices.disks.retain(|disk| disk.name != name);
        Ok(())
    })
    .await
}

/// The first number that no node of the guest has.
async fn free_number(guest: &Guest) -> Result<usize> {
    let nodes: Vec<Value> = guest.execute("query-named-block-nodes", json!({ "flat": true })).await?;
    let number = |node: &Value| node["node-name"].as_str()?.strip_prefix("libvirt-")?.split('-').next()?.parse().ok();
    Ok(nodes.iter().filter_map(number).max().map_or(1, |last: usize| last + 1))
}
