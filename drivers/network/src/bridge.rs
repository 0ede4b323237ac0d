//! A network's bridge, over netlink.

use std::net::IpAddr;

use futures::TryStreamExt;
use ostler_conf::Network;
use ostler_driver::{Error, Result};
use ostler_util::{ErrorCode, sysctl};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{BridgeStpState, LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, LinkBridge, LinkUnspec};

use crate::check::bridge_name;

fn failed(what: impl std::fmt::Display, error: rtnetlink::Error) -> Error {
    Error::new(ErrorCode::OperationFailed, format!("{what}: {error}")).with_source(error)
}

/// The device of this name.
pub(crate) async fn find(handle: &Handle, name: &str) -> Result<Option<LinkMessage>> {
    let mut links = handle.link().get().match_name(name).execute();
    match links.try_next().await {
        Ok(link) => Ok(link),
        // ENODEV: there is none.
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -19 => Ok(None),
        Err(error) => Err(failed(format!("look for the device {name}"), error)),
    }
}

/// Makes what is missing of the bridge: itself, its addresses, its being up. Gives whether anything was.
pub(crate) async fn ensure(handle: &Handle, network: &Network) -> Result<bool> {
    let name = bridge_name(network);
    let mut changed = false;
    let link = match find(handle, name).await? {
        Some(link) => link,
        None => {
            add(handle, network).await?;
            changed = true;
            find(handle, name).await?.ok_or_else(|| {
                Error::new(ErrorCode::OperationFailed, format!("the bridge {name} vanished while it was made"))
            })?
        }
    };
    let index = link.header.index;
    set_sysctls(network, name)?;
    changed |= ensure_addresses(handle, network, index).await?;
    if !link.header.flags.contains(LinkFlags::Up) {
        let message = LinkUnspec::new_with_index(index).up().build();
        handle
            .link()
            .set(message)
            .execute()
            .await
            .map_err(|error| failed(format!("bring the bridge {name} up"), error))?;
        changed = true;
    }
    Ok(changed)
}

async fn add(handle: &Handle, network: &Network) -> Result<()> {
    let name = bridge_name(network);
    let bridge = network.bridge.as_ref();
    let stp = bridge.and_then(|bridge| bridge.stp).is_none_or(|stp| stp.0);
    // The kernel counts hundredths of a second.
    let delay = bridge.and_then(|bridge| bridge.delay).unwrap_or(0) * 100;
    let mut link = LinkBridge::new(name)
        .stp_state(if stp { BridgeStpState::KernelStp } else { BridgeStpState::Disabled })
        .forward_delay(delay);
    if let Some(mac) = &network.mac {
        link = link.address(mac.address.0.to_vec());
    }
    if let Some(mtu) = &network.mtu {
        link = link.mtu(mtu.size);
    }
    handle.link().add(link.build()).execute().await.map_err(|error| failed(format!("make the bridge {name}"), error))
}

async fn ensure_addresses(handle: &Handle, network: &Network, index: u32) -> Result<bool> {
    let mut there = Vec::new();
    let mut addresses = handle.address().get().set_link_index_filter(index).execute();
    while let Some(message) =
        addresses.try_next().await.map_err(|error| failed("read the bridge's addresses", error))?
    {
        there.extend(message.attributes.iter().filter_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        }));
    }
    let mut changed = false;
    for ip in &network.ips {
        let Some(address) = ip.address.filter(|address| !there.contains(address)) else { continue };
        let what = format!("give the bridge the address {address}");
        handle
            .address()
            .add(index, address, ip.prefix_length())
            .execute()
            .await
            .map_err(|error| failed(what, error))?;
        changed = true;
    }
    Ok(changed)
}

/// Without addresses of its family the bridge has no part in IPv6; with them it gives routes and takes none.
fn set_sysctls(network: &Network, name: &str) -> Result<()> {
    let has_ipv6 = network.ips.iter().any(|ip| ip.address.is_some_and(|address| address.is_ipv6()));
    let conf = format!("net/ipv6/conf/{name}");
    let set = |setting: &str, value| {
        sysctl::set(setting, value).map_err(|error| Error::system(format!("set {setting}"), error))
    };
    set(&format!("{conf}/disable_ipv6"), if has_ipv6 { "0" } else { "1" })?;
    set(&format!("{conf}/accept_ra"), "0")?;
    set(&format!("{conf}/autoconf"), "0")?;
    if network.forward.is_some() {
        set("net/ipv4/ip_forward", "1")?;
        if has_ipv6 {
            set("net/ipv6/conf/all/forwarding", "1")?;
        }
    }
    Ok(())
}

/// Removes the bridge. One that is not there is fine.
pub(crate) async fn remove(handle: &Handle, name: &str) -> Result<()> {
    let Some(link) = find(handle, name).await? else { return Ok(()) };
    handle
        .link()
        .del(link.header.index)
        .execute()
        .await
        .map_err(|error| failed(format!("remove the bridge {name}"), error))
}

/// Plugs a device into a bridge and brings it up. Gives whether it was elsewhere; `None`: there is no such device.
pub(crate) async fn plug(handle: &Handle, device: &str, bridge: &str, mtu: Option<u32>) -> Result<Option<bool>> {
    let Some(link) = find(handle, device).await? else { return Ok(None) };
    let master = index_of(bridge)?;
    let is_there =
        link.attributes.contains(&LinkAttribute::Controller(master)) && link.header.flags.contains(LinkFlags::Up);
    if is_there {
        return Ok(Some(false));
    }
    let mut message = LinkUnspec::new_with_index(link.header.index).controller(master).up();
    if let Some(mtu) = mtu {
        message = message.mtu(mtu);
    }
    handle
        .link()
        .set(message.build())
        .execute()
        .await
        .map_err(|error| failed(format!("plug {device} into {bridge}"), error))?;
    Ok(Some(true))
}

/// The number of a device: what netlink would tell along with all else of it.
fn index_of(name: &str) -> Result<u32> {
    use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};
    socket(AddressFamily::INET, SocketType::DGRAM, None).and_then(|socket| name_to_index(socket, name)).map_err(
        |error| {
            Error::new(ErrorCode::OperationFailed, format!("look for the device {name}: {error}")).with_source(error)
        },
    )
}

/// The subnets of a network.
pub(crate) fn subnets(network: &Network) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
    network.ips.iter().filter_map(|ip| Some((ip.address?, ip.prefix_length())))
}
