//! Networks.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use ostler_conf::domain::{InterfaceSource, Mac};
use ostler_conf::network::{Bridge, Ip};
use ostler_conf::{ErrorCode, MacAddress, Network};
use ostler_driver::{Error, GuestAddress, Lease, NetworkEvent, NetworkSummary, Networks, Port, PortRequest, Result};
use uuid::Uuid;

use crate::world::{NetworkEntry, World};
use crate::{Operation, TestDriver};

#[async_trait]
impl Networks for TestDriver {
    async fn check(&self, definition: &Network) -> Result<Network> {
        self.call(Operation::NetworkCheck, &definition.name, |world| check(world, definition)).await
    }

    async fn define(&self, definition: &Network) -> Result<Network> {
        self.call(Operation::NetworkDefine, &definition.name, |world| define(world, definition)).await
    }

    async fn undefine(&self, name: &str) -> Result<()> {
        let undefine = |world: &mut World| {
            if world.network(name)?.active {
                return Err(Error::new(ErrorCode::OperationInvalid, format!("the network '{name}' is active")));
            }
            world.networks.remove(name);
            world.tell_network(name, NetworkEvent::Undefined);
            Ok(())
        };
        self.call(Operation::NetworkUndefine, name, undefine).await
    }

    async fn list(&self) -> Result<Vec<NetworkSummary>> {
        let list = |world: &mut World| Ok(world.networks.values().map(summary).collect());
        self.call(Operation::NetworkList, "", list).await
    }

    async fn get(&self, name: &str) -> Result<NetworkSummary> {
        self.call(Operation::NetworkGet, name, |world| world.network(name).map(summary)).await
    }

    async fn definition(&self, name: &str) -> Result<Network> {
        let find = |world: &mut World| world.network(name).map(|network| network.definition.clone());
        self.call(Operation::NetworkDefinition, name, find).await
    }

    async fn start(&self, name: &str) -> Result<()> {
        self.call(Operation::NetworkStart, name, |world| start(world, name)).await
    }

    async fn stop(&self, name: &str) -> Result<()> {
        self.call(Operation::NetworkStop, name, |world| stop(world, name)).await
    }

    async fn leases(&self, name: &str) -> Result<Vec<Lease>> {
        self.call(Operation::NetworkLeases, name, |world| Ok(world.network(name)?.leases.clone())).await
    }

    async fn release_leases(&self, name: &str, mac: MacAddress) -> Result<()> {
        self.call(Operation::NetworkReleaseLeases, name, |world| {
            world.network_mut(name)?.leases.retain(|lease| lease.mac != mac);
            Ok(())
        })
        .await
    }

    async fn create_port(&self, network: &str, request: &PortRequest) -> Result<Port> {
        self.call(Operation::NetworkCreatePort, network, |world| world.create_port(network, request)).await
    }

    async fn plug_port(&self, port: &Port) -> Result<()> {
        let plug = |world: &mut World| match world.ports.contains(port) {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::NoNetworkPort, format!("{} is no port that was made", port.tap))),
        };
        self.call(Operation::NetworkPlugPort, &port.network, plug).await
    }

    async fn delete_ports(&self, owner: Uuid, mac: Option<MacAddress>) -> Result<()> {
        let delete = |world: &mut World| {
            world.ports.retain(|port| port.owner != owner || mac.is_some_and(|mac| mac != port.mac));
            Ok(())
        };
        self.call(Operation::NetworkDeletePorts, owner, delete).await
    }

    async fn ports(&self) -> Result<Vec<Port>> {
        self.call(Operation::NetworkPorts, "", |world| Ok(world.ports.clone())).await
    }
}

fn summary(entry: &NetworkEntry) -> NetworkSummary {
    NetworkSummary {
        uuid: entry.definition.uuid.unwrap_or_default(),
        name: entry.definition.name.clone(),
        active: entry.active,
        bridge: Some(bridge_name(&entry.definition).to_owned()),
        problem: entry.problem.clone(),
    }
}

/// The bridge's name; every completed network has one.
fn bridge_name(network: &Network) -> &str {
    network.bridge.as_ref().and_then(|bridge| bridge.name.as_deref()).unwrap_or_default()
}

/// The definition completed, and checked against the other networks.
fn check(world: &World, definition: &Network) -> Result<Network> {
    let mut definition = definition.clone();
    definition.complete();
    definition.validate()?;
    let old = world.networks.get(&definition.name).map(|entry| &entry.definition);
    let uuid = *definition.uuid.get_or_insert_with(|| old.and_then(|old| old.uuid).unwrap_or_else(Uuid::new_v4));
    if old.is_some_and(|old| old.uuid != Some(uuid)) {
        let message = format!("a network '{}' with another uuid exists already", definition.name);
        return Err(Error::new(ErrorCode::NetworkExist, message).at("name"));
    }
    let others = || world.networks.values().filter(|entry| entry.definition.name != definition.name);
    if let Some(other) = others().find(|entry| entry.definition.uuid == Some(uuid)) {
        let message = format!("the uuid is that of the network '{}'", other.definition.name);
        return Err(Error::new(ErrorCode::NetworkExist, message).at("uuid"));
    }
    let taken = |name: &str| others().find(|entry| bridge_name(&entry.definition) == name);
    let wanted = definition.bridge.as_ref().and_then(|bridge| bridge.name.as_deref());
    if let Some((name, other)) = wanted.and_then(|name| Some((name, taken(name)?))) {
        let message = format!("the bridge '{name}' is that of the network '{}'", other.definition.name);
        return Err(Error::new(ErrorCode::OperationFailed, message).at("bridge.name"));
    }
    let kept = old.map(|old| bridge_name(old).to_owned());
    let free = || (0..).map(|number| format!("virbr{number}")).find(|name| taken(name).is_none());
    let chosen = wanted.map(str::to_owned).or(kept).or_else(free);
    definition.bridge.get_or_insert_with(Bridge::default).name = chosen;
    definition.mac = definition.mac.or_else(|| old.and_then(|old| old.mac.clone())).or_else(|| {
        let bytes = uuid.as_bytes();
        Some(Mac::new(MacAddress::with_prefix(MacAddress::QEMU_PREFIX, [bytes[13], bytes[14], bytes[15]])))
    });
    Ok(definition)
}

fn define(world: &mut World, definition: &Network) -> Result<Network> {
    let definition = check(world, definition)?;
    let name = definition.name.clone();
    match world.networks.get_mut(&name) {
        Some(entry) if entry.definition == definition => return Ok(definition),
        Some(entry) => entry.definition = definition.clone(),
        None => {
            let entry =
                NetworkEntry { definition: definition.clone(), active: false, problem: None, leases: Vec::new() };
            world.networks.insert(name.clone(), entry);
        }
    }
    world.tell_network(&name, NetworkEvent::Defined);
    Ok(definition)
}

fn start(world: &mut World, name: &str) -> Result<()> {
    let entry = world.network(name)?;
    if entry.active {
        let entry = world.network_mut(name)?;
        if entry.problem.take().is_some() {
            world.tell_network(name, NetworkEvent::Healed);
        }
        return Ok(());
    }
    let routed = world
        .networks
        .values()
        .filter(|other| other.active)
        .find(|other| overlap(&other.definition, &entry.definition));
    if let Some(other) = routed {
        let message =
            format!("the host routes a subnet of the network '{name}' to {} already", bridge_name(&other.definition));
        return Err(Error::new(ErrorCode::OperationFailed, message).at("ips"));
    }
    world.network_mut(name)?.active = true;
    world.tell_network(name, NetworkEvent::Started);
    Ok(())
}

/// Whether two networks have a subnet in common.
fn overlap(one: &Network, other: &Network) -> bool {
    let subnets = |network: &Network| -> Vec<(IpAddr, u8)> {
        network.ips.iter().filter_map(|ip| Some((ip.address?, ip.prefix_length()))).collect()
    };
    let is_same = |(a, a_length): (IpAddr, u8), (b, b_length): (IpAddr, u8)| {
        let length = u32::from(a_length.min(b_length));
        match (a, b) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= length,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= length,
            (IpAddr::V4(_) | IpAddr::V6(_), _) => false,
        }
    };
    subnets(one).iter().any(|a| subnets(other).iter().any(|b| is_same(*a, *b)))
}

fn stop(world: &mut World, name: &str) -> Result<()> {
    if !world.network(name)?.active {
        return Ok(());
    }
    let users: Vec<&str> =
        world.ports.iter().filter(|port| port.network == name).map(|port| port.owner_name.as_str()).collect();
    if !users.is_empty() {
        return Err(Error::new(
            ErrorCode::ResourceBusy,
            format!("the network '{name}' is in use by {}", users.join(", ")),
        ));
    }
    let entry = world.network_mut(name)?;
    (entry.active, entry.problem) = (false, None);
    world.tell_network(name, NetworkEvent::Stopped);
    Ok(())
}

impl World {
    pub(crate) fn network(&self, name: &str) -> Result<&NetworkEntry> {
        self.networks.get(name).ok_or_else(|| missing(name))
    }

    pub(crate) fn network_mut(&mut self, name: &str) -> Result<&mut NetworkEntry> {
        self.networks.get_mut(name).ok_or_else(|| missing(name))
    }

    /// A port on a network that is up; the same owner and address get the same one.
    pub(crate) fn create_port(&mut self, network: &str, request: &PortRequest) -> Result<Port> {
        let entry = self.network(network)?;
        if !entry.active {
            return Err(Error::new(ErrorCode::OperationInvalid, format!("the network '{network}' is not active")));
        }
        let PortRequest { owner, owner_name, mac } = request.clone();
        let is_it = |port: &&Port| port.network == network && port.owner == owner && port.mac == mac;
        if let Some(port) = self.ports.iter().find(is_it) {
            return Ok(port.clone());
        }
        let free = |tap: &String| !self.ports.iter().any(|port| port.tap == *tap);
        let tap = (0..).map(|number| format!("testnet{number}")).find(free).expect("there are more numbers than ports");
        let bridge = bridge_name(&entry.definition).to_owned();
        let mtu = entry.definition.mtu.as_ref().map(|mtu| mtu.size);
        let port = Port { network: network.to_owned(), owner, owner_name, mac, bridge, tap, mtu };
        self.ports.push(port.clone());
        Ok(port)
    }

    /// A running guest asks for addresses wherever they are given away, and keeps the one it had.
    pub(crate) fn get_leases(&mut self, uuid: Uuid) {
        let Some(live) = self.domains.get(&uuid).and_then(|entry| entry.guest.as_ref()).map(|guest| &guest.live) else {
            return;
        };
        let mut wishes = Vec::new();
        for interface in &live.devices.interfaces {
            if let (InterfaceSource::Network(source), Some(mac)) = (&interface.source, &interface.mac) {
                wishes.push((source.network.clone(), mac.address, live.name.clone()));
            }
        }
        for (network, mac, hostname) in wishes {
            let Some(entry) = self.networks.get_mut(&network) else { continue };
            if entry.leases.iter().any(|lease| lease.mac == mac) {
                continue;
            }
            if let Some((address, prefix)) = free_address(entry, mac) {
                entry.leases.push(Lease { mac, address, prefix, hostname: Some(hostname), expires: 0 });
                self.tell_network(&network, NetworkEvent::Leases);
            }
        }
    }

    /// What a guest's interfaces were given.
    pub(crate) fn addresses(&self, uuid: Uuid) -> Result<Vec<GuestAddress>> {
        let mut addresses = Vec::new();
        for interface in &self.domain(uuid)?.guest()?.live.devices.interfaces {
            let (InterfaceSource::Network(source), Some(mac)) = (&interface.source, &interface.mac) else { continue };
            let leases = self.network(&source.network)?.leases.iter().filter(|lease| lease.mac == mac.address);
            addresses.extend(leases.map(|lease| GuestAddress {
                mac: lease.mac,
                address: lease.address,
                prefix: lease.prefix,
            }));
        }
        Ok(addresses)
    }
}

/// The address that the network's definition has for this guest, else the next that is free. Version 4 only: a guest
/// makes its own of version 6.
fn free_address(entry: &NetworkEntry, mac: MacAddress) -> Option<(IpAddr, u8)> {
    let with_dhcp = |ip: &&Ip| ip.dhcp.is_some() && ip.address.is_some_and(|address| address.is_ipv4());
    let ip = entry.definition.ips.iter().find(with_dhcp)?;
    let dhcp = ip.dhcp.as_ref()?;
    let is_own = |own: &Option<String>| own.as_deref().and_then(|own| own.parse().ok()) == Some(mac);
    let fixed = dhcp.hosts.iter().find(|host| is_own(&host.mac)).and_then(|host| host.ip);
    let is_taken = |address: IpAddr| {
        entry.leases.iter().any(|lease| lease.address == address)
            || dhcp.hosts.iter().any(|host| host.ip == Some(address))
    };
    let ranges = dhcp.ranges.iter().filter_map(|range| match (range.start, range.end) {
        (IpAddr::V4(start), IpAddr::V4(end)) => Some(start.to_bits()..=end.to_bits()),
        _ => None,
    });
    let free =
        || ranges.flatten().map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))).find(|address| !is_taken(*address));
    Some((fixed.or_else(free)?, ip.prefix_length()))
}

fn missing(name: &str) -> Error {
    Error::new(ErrorCode::NoNetwork, format!("no network '{name}'"))
}
