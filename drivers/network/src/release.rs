//! Giving an address back for a guest that is gone: what the guest itself would say at its end (RFC 2131, DHCPRELEASE).

use std::net::{IpAddr, Ipv4Addr};

use ostler_conf::MacAddress;
use tokio::net::UdpSocket;

/// Tells the DHCP server `server` on `bridge` that `client` needs `address` no longer.
///
/// # Errors
/// The operating system's. That the server took it shows in its leases.
pub(crate) async fn send(bridge: &str, server: Ipv4Addr, client: &Client) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    // The server believes what comes through the bridge that it serves.
    socket.bind_device(Some(bridge.as_bytes()))?;
    socket.send_to(&message(server, client), (server, SERVER_PORT)).await?;
    Ok(())
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) mac: MacAddress,
    pub(crate) address: Ipv4Addr,
    /// What it called itself by, when that was not its MAC address.
    pub(crate) id: Option<Vec<u8>>,
}

/// The IPv4 leases of `mac` in dnsmasq's file: `expiry mac address name client-id`.
pub(crate) fn clients(leases: &str, mac: MacAddress) -> Vec<Client> {
    leases
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, holder, address, _, id] = fields[..] else { return None };
            let IpAddr::V4(address) = address.parse().ok()? else { return None };
            let is_held = holder.parse::<MacAddress>().is_ok_and(|holder| holder == mac);
            is_held.then(|| Client { mac, address, id: bytes(id) })
        })
        .collect()
}

/// Bytes written as `01:52:54`; `None` for dnsmasq's `*`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

const SERVER_PORT: u16 = 67;

/// Operation "request", hardware "Ethernet" with addresses of 6 bytes, no hops.
const HEAD: [u8; 4] = [1, 1, 6, 0];
/// The parts of the fixed head that a release leaves empty: server name and boot file.
const UNUSED: usize = 64 + 128;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
const MESSAGE_TYPE: u8 = 53;
const RELEASE: u8 = 7;
const SERVER_ID: u8 = 54;
const CLIENT_ID: u8 = 61;
const END: u8 = 255;

fn message(server: Ipv4Addr, client: &Client) -> Vec<u8> {
    let mut message = Vec::with_capacity(300);
    message.extend(HEAD);
    // Nobody answers a release, so that its number matters to nobody; no seconds, no flags.
    message.extend([0; 8]);
    message.extend(client.address.octets());
    // The addresses of "you", the next server and the relay.
    message.extend([0; 12]);
    message.extend(client.mac.0);
    message.extend([0; 10]);
    message.extend([0; UNUSED]);
    message.extend(MAGIC_COOKIE);
    message.extend([MESSAGE_TYPE, 1, RELEASE]);
    message.extend([SERVER_ID, 4]);
    message.extend(server.octets());
    if let Some(id) = client.id.as_ref().filter(|id| !id.is_empty() && id.len() <= 255) {
        message.extend([CLIENT_ID, u8::try_from(id.len()).unwrap_or(u8::MAX)]);
        message.extend(id);
    }
    message.push(END);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 1]);

    #[test]
    fn finds_the_leases_of_a_guest() {
        let leases = "1 52:54:00:00:00:01 10.0.0.5 web 01:52:54:00:00:00:01\n1 52:54:00:00:00:02 10.0.0.6 * *\n1 52:54:00:00:00:01 10.0.0.7 * *\nduid 00:01\n1 77 fd00::5 web 00:01\n";
        let found = clients(leases, MAC);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].address, found[0].id.as_deref()),
            (Ipv4Addr::new(10, 0, 0, 5), Some(&[1, 0x52, 0x54, 0, 0, 0, 1][..]))
        );
        assert_eq!(found[1].id, None);
    }

    #[test]
    fn a_release_has_its_parts_where_the_rfc_has_them() {
        let client = Client { mac: MAC, address: Ipv4Addr::new(10, 0, 0, 5), id: Some(vec![1, 2]) };
        let message = message(Ipv4Addr::new(10, 0, 0, 1), &client);
        assert_eq!(message[12..16], [10, 0, 0, 5]);
        assert_eq!(message[28..34], MAC.0);
        assert_eq!(message[236..240], MAGIC_COOKIE);
        assert_eq!(message[240..], [53, 1, 7, 54, 4, 10, 0, 0, 1, 61, 2, 1, 2, 255]);
    }
}
