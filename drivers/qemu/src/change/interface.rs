//! Network interfaces plugged into and out of a running guest.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_conf::MacAddress;
use ostler_conf::domain::{DomainType, Interface};
use ostler_driver::{Change, Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::{can_change, name_devices, needs_restart, store, unplug, with_device};
use crate::args;
use crate::driver::Core;
use crate::entry::Entry;
use crate::guest::Guest;
use crate::start::interfaces;

/// Plugs an interface in, in the same steps as a disk.
pub(super) async fn attach(core: &Arc<Core>, entry: &Arc<Entry>, guest: &Arc<Guest>, new: &Interface) -> Result<()> {
    let status = guest.status();
    let completed = with_device(core, &status, |domain| domain.devices.interfaces.push(new.clone())).await?;
    let live = status.definition;
    // It was put last, and interfaces are not sorted.
    let interface = completed.devices.interfaces.last().cloned().ok_or_else(needs_restart)?;
    let mac = interface.mac.as_ref().map(|mac| mac.address).ok_or_else(needs_restart)?;
    if live.devices.interfaces.iter().any(|other| other.mac == interface.mac) {
        let message = format!("the guest has an interface with the address {mac} already");
        return Err(Error::new(ErrorCode::OperationFailed, message).at(format!("devices.interfaces[{}].mac", new.name)));
    }
    if !can_change(&live, &Change::AttachInterface(interface.clone())) {
        return Err(needs_restart());
    }
    let is_kvm = live.r#type == Some(DomainType::Kvm);
    let mut changed = live;
    changed.devices.interfaces.push(interface.clone());
    let mut changed = name_devices(changed);
    let owner_name = changed.name.clone();
    let plugged = changed.devices.interfaces.last_mut().ok_or_else(needs_restart)?;
    let alias = plugged.alias.as_ref().map(|alias| alias.name.clone()).unwrap_or_default();
    let opened = match interfaces::open_one(core, entry.uuid, &owner_name, plugged).await {
        Ok(opened) => opened,
        Err(error) => {
            core.services.networks.delete_ports(entry.uuid, Some(mac)).await?;
            return Err(error);
        }
    };
    let plugged = plugged.clone();
    guest.store(core, |status| status.definition.devices.interfaces.push(plugged.clone())).await?;
    let device = args::interface::device(&changed, &plugged, &args::interface::Seat::default())?.into_value();
    let make = async {
        let mut facts = args::interface::Facts::default();
        if let Some((tap, plug)) = opened {
            let vhost = interfaces::vhost(&plugged, is_kvm);
            let has_vhost = vhost.is_some();
            let tap_name = hand_over(guest, &alias, "fd", tap.into_iter().next()).await?;
            let vhost_name = hand_over(guest, &alias, "vhostfd", vhost).await?;
            let vhosts = has_vhost.then_some(vhost_name).into_iter().collect();
            facts.tap = Some(args::interface::TapNames { fds: vec![tap_name], vhosts });
            interfaces::plug_one(core, &plug).await?;
        }
        guest.execute::<Value>("netdev_add", args::interface::netdev(&plugged, &facts)).await?;
        guest.execute::<Value>("device_add", device).await
    };
    if let Err(error) = make.await {
        unplug::gone(core, guest, &alias).await;
        return Err(error);
    }
    store(core, entry, |definition| {
        if !definition.devices.interfaces.iter().any(|other| other.mac == interface.mac) {
            definition.devices.interfaces.push(interface);
        }
        Ok(())
    })
    .await
}

/// Gives QEMU a descriptor; gives the name by which it knows it.
async fn hand_over(guest: &Guest, alias: &str, kind: &str, fd: Option<OwnedFd>) -> Result<String> {
    let name = format!("{kind}-{alias}");
    if fd.is_some() {
        guest.monitor()?.execute_with::<Value>("getfd", json!({ "fdname": name }), fd).await?;
    }
    Ok(name)
}

/// Unplugs the interface with this address.
pub(super) async fn detach(core: &Arc<Core>, entry: &Arc<Entry>, guest: &Arc<Guest>, mac: MacAddress) -> Result<()> {
    let live = guest.status().definition;
    let has_mac = |nic: &Interface| nic.mac.as_ref().is_some_and(|own| own.address == mac);
    let Some(interface) = live.devices.interfaces.iter().find(|nic| has_mac(nic)) else {
        return Err(Error::new(ErrorCode::DeviceMissing, format!("the guest has no interface with the address {mac}")));
    };
    if !can_change(&live, &Change::DetachInterface(mac)) {
        return Err(needs_restart());
    }
    let alias = interface.alias.as_ref().map(|alias| alias.name.as_str()).unwrap_or_default();
    unplug::ask(guest, alias).await?;
    store(core, entry, |definition| {
        definition.devices.interfaces.retain(|nic| !has_mac(nic));
        Ok(())
    })
    .await
}
