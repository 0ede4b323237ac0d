//! Which networks this driver can carry out, and what it fills in.

mod unsupported;

use std::net::IpAddr;

use ostler_conf::domain::Mac;
use ostler_conf::network::{Bridge, Network};
use ostler_conf::{ErrorCode, MacAddress};
use ostler_driver::{Error, Result};
use uuid::Uuid;

/// Fills in what the driver chooses; what was chosen before stays.
pub(crate) fn complete(network: &Network, old: Option<&Network>) -> Network {
    let mut network = network.clone();
    network.complete();
    let uuid = *network.uuid.get_or_insert_with(|| old.and_then(|old| old.uuid).unwrap_or_else(Uuid::new_v4));
    let bridge = network.bridge.get_or_insert_with(Bridge::default);
    if bridge.name.is_none() {
        let kept = old.and_then(|old| old.bridge.as_ref()?.name.clone());
        // 15 bytes at most: a prefix and the last 12 digits of the uuid, which are random in every version of it.
        bridge.name = Some(kept.unwrap_or_else(|| format!("ob{}", &uuid.simple().to_string()[20..])));
    }
    if network.mac.is_none() {
        let kept = old.and_then(|old| old.mac.clone());
        let [a, b, c] = [uuid.as_bytes()[13], uuid.as_bytes()[14], uuid.as_bytes()[15]];
        network.mac = Some(kept.unwrap_or(Mac::new(MacAddress::with_prefix(MacAddress::QEMU_PREFIX, [a, b, c]))));
    }
    network
}

/// What no host's driver can carry out, found without a host: the same rules as in a definition.
///
/// # Errors
/// As a definition's.
pub fn check_anywhere(network: &Network) -> Result<()> {
    check(&complete(network, None))
}

/// What the driver can't do is refused, by libvirt's codes.
pub(crate) fn check(network: &Network) -> Result<()> {
    network.validate()?;
    unsupported::check(network)?;
    if let Some(name) = network.bridge.as_ref().and_then(|bridge| bridge.name.as_deref())
        && (name.is_empty() || name.len() > 15 || name.contains(['/', ' ', '%']) || matches!(name, "." | ".."))
    {
        let message = format!("'{name}' is no name for a bridge: 1 to 15 bytes without '/', '%' and blanks");
        return Err(Error::new(ErrorCode::XmlError, message).at("bridge.name"));
    }
    for (index, ip) in network.ips.iter().enumerate() {
        if let Some(IpAddr::V4(mask)) = ip.netmask
            && mask.to_bits().leading_ones() + mask.to_bits().count_zeros() != 32
        {
            let message = format!("{mask} is no netmask: its ones must come first");
            return Err(Error::new(ErrorCode::XmlError, message).at(format!("ips[{index}].netmask")));
        }
    }
    for ipv4 in [true, false] {
        let mut with_dhcp = network
            .ips
            .iter()
            .enumerate()
            .filter(|(_, ip)| ip.dhcp.is_some() && ip.address.is_some_and(|a| a.is_ipv4() == ipv4));
        if let Some((index, _)) = with_dhcp.nth(1) {
            let family = if ipv4 { "IPv4" } else { "IPv6" };
            return Err(Error::new(
                ErrorCode::ConfigUnsupported,
                format!("only one {family} subnet of a network can have dhcp"),
            )
            .at(format!("ips[{index}].dhcp")));
        }
    }
    Ok(())
}

/// The bridge's name; every completed network has one.
pub(crate) fn bridge_name(network: &Network) -> &str {
    network.bridge.as_ref().and_then(|bridge| bridge.name.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ostler_conf::{Network, parse};

    use super::*;

    fn network(body: &str) -> Network {
        parse::<Network>(&format!("<network><name>n</name>{body}</network>")).unwrap().strict().unwrap()
    }

    fn refused(body: &str) -> ErrorCode {
        check(&complete(&network(body), None)).expect_err(body).code
    }

    #[test]
    fn what_was_chosen_stays() {
        let first = complete(&network(""), None);
        assert_eq!(bridge_name(&first).len(), 14);
        let again = complete(&network("<ip address='10.0.0.1' prefix='24'/>"), Some(&first));
        assert_eq!((&again.uuid, &again.bridge, &again.mac), (&first.uuid, &first.bridge, &first.mac));
        check(&again).unwrap();
    }

    #[test]
    fn impossible_networks_are_refused() {
        let dhcp = "<dhcp><range start='10.0.0.2' end='10.0.0.9'/></dhcp>";
        assert_eq!(
            refused("<forward mode='route'/><ip address='10.0.0.1' prefix='24'/>"),
            ErrorCode::ConfigUnsupported
        );
        for unused in [
            "<vlan><tag id='4'/></vlan>",
            "<bandwidth><inbound average='1'/></bandwidth>",
            "<port isolated='yes'/>",
            "<virtualport type='openvswitch'/>",
            "<portgroup name='p'/>",
            "<bridge name='b' zone='z'/>",
            "<domain name='a' register='yes'/>",
            "<ip address='10.0.0.1' prefix='24'><tftp root='/srv'/></ip>",
            "<ip address='10.0.0.1' prefix='24'/><route address='10.9.0.0' prefix='16' gateway='10.0.0.2'/>",
        ] {
            assert_eq!(refused(unused), ErrorCode::ConfigUnsupported, "{unused}");
        }
        let two = format!(
            "<ip address='10.0.0.1' prefix='24'>{dhcp}</ip><ip address='10.0.1.1' prefix='24'><dhcp><range start='10.0.1.2' end='10.0.1.3'/></dhcp></ip>"
        );
        assert_eq!(refused(&two), ErrorCode::ConfigUnsupported);
        assert_eq!(refused(&format!("<ip address='10.0.1.1' prefix='24'>{dhcp}</ip>")), ErrorCode::InternalError);
        assert_eq!(
            refused("<ip address='10.0.0.1' prefix='24'><dhcp><range start='10.0.0.9' end='10.0.0.2'/></dhcp></ip>"),
            ErrorCode::InternalError
        );
        assert_eq!(refused("<ip address='10.0.0.1' prefix='33'/>"), ErrorCode::ConfigUnsupported);
        assert_eq!(refused("<ip address='10.0.0.1' netmask='255.0.255.0'/>"), ErrorCode::XmlError);
        assert_eq!(refused("<bridge name='a-name-of-sixteen'/>"), ErrorCode::XmlError);
    }
}
