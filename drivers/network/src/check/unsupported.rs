//! What libvirt's format has and this driver does not carry out. Every field is named, so that a new one can't be forgotten.

use ostler_conf::ErrorCode;
use ostler_conf::network::{
    Bridge, Dhcp, DnsDomain, Forward, ForwardInterface, ForwardMode, Ip, MacTableManager, Network,
};
use ostler_driver::{Error, Result};

pub(super) fn check(network: &Network) -> Result<()> {
    let Network {
        connections: _,
        ipv6,
        trust_guest_rx_filters,
        name: _,
        uuid: _,
        title: _,
        description: _,
        metadata: _,
        forward,
        bridge,
        mtu: _,
        mac: _,
        domain,
        dns: _,
        vlan,
        bandwidth,
        port,
        ips,
        routes,
        virtualport,
        portgroups,
        dnsmasq_options,
    } = network;
    forward.as_ref().map_or(Ok(()), check_forward)?;
    bridge.as_ref().map_or(Ok(()), check_bridge)?;
    domain.as_ref().map_or(Ok(()), check_domain)?;
    ips.iter().enumerate().try_for_each(|(index, ip)| check_ip(ip, index))?;
    absent(ipv6.is_none(), "ipv6")?;
    absent(trust_guest_rx_filters.is_none(), "trustGuestRxFilters")?;
    absent(vlan.is_none(), "vlan")?;
    absent(bandwidth.is_none(), "bandwidth")?;
    absent(port.is_none(), "port")?;
    absent(routes.is_empty(), "routes")?;
    absent(virtualport.is_none(), "virtualport")?;
    absent(portgroups.is_empty(), "portgroups")?;
    absent(dnsmasq_options.is_none(), "dnsmasqOptions")
}

fn check_forward(forward: &Forward) -> Result<()> {
    let Forward { dev: _, mode, managed, driver, nat: _, pfs, interfaces, addresses } = forward;
    match mode {
        None | Some(ForwardMode::None | ForwardMode::Nat) => {}
        Some(
            other @ (ForwardMode::Route
            | ForwardMode::Open
            | ForwardMode::Bridge
            | ForwardMode::Private
            | ForwardMode::Vepa
            | ForwardMode::Passthrough
            | ForwardMode::Hostdev),
        ) => {
            let message = format!(
                "networks with forward mode '{other}' are not supported: 'nat' is, and none for an isolated network"
            );
            return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("forward.mode"));
        }
    }
    for (index, ForwardInterface { dev: _, connections: _ }) in interfaces.iter().enumerate() {
        absent(index == 0, &format!("forward.interfaces[{index}]"))?;
    }
    absent(managed.is_none(), "forward.managed")?;
    absent(driver.is_none(), "forward.driver")?;
    absent(pfs.is_empty(), "forward.pfs")?;
    absent(addresses.is_empty(), "forward.addresses")
}

fn check_bridge(bridge: &Bridge) -> Result<()> {
    let Bridge { name: _, zone, stp: _, delay: _, mac_table_manager } = bridge;
    absent(zone.is_none(), "bridge.zone")?;
    absent(matches!(mac_table_manager, None | Some(MacTableManager::Kernel)), "bridge.macTableManager")
}

fn check_domain(domain: &DnsDomain) -> Result<()> {
    let DnsDomain { name: _, local_only: _, register } = domain;
    absent(register.is_none(), "domain.register")
}

fn check_ip(ip: &Ip, index: usize) -> Result<()> {
    let Ip { family: _, address: _, netmask: _, prefix: _, local_ptr: _, tftp, dhcp } = ip;
    absent(tftp.is_none(), &format!("ips[{index}].tftp"))?;
    if let Some(Dhcp { ranges: _, hosts: _, bootp }) = dhcp {
        absent(bootp.is_none(), &format!("ips[{index}].dhcp.bootp"))?;
    }
    Ok(())
}

/// A field that must not be there.
fn absent(is_absent: bool, field: &str) -> Result<()> {
    if is_absent {
        return Ok(());
    }
    Err(Error::new(ErrorCode::ConfigUnsupported, "this driver does not carry it out yet").at(field))
}
