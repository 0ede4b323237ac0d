//! dnsmasq's file of leases.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ostler_conf::{MacAddress, Network};
use ostler_driver::Lease;
use ostler_util::file;

/// The leases that the file holds; one that can't be read is left out.
pub(crate) fn read(path: &Path, network: &Network) -> Vec<Lease> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    parse(&text, network)
}

/// Takes the leases of `mac` out of a file that no server has open; `text`: what it holds.
pub(crate) fn remove(path: &Path, text: &str, mac: MacAddress) -> std::io::Result<()> {
    let is_held = |line: &&str| line.split_whitespace().nth(1).is_some_and(|holder| holder.parse() == Ok(mac));
    let kept: String = text.lines().filter(|line| !is_held(line)).flat_map(|line| [line, "\n"]).collect();
    let mode = std::fs::metadata(path)?.mode() & 0o777;
    file::write_atomic(path, kept.as_bytes(), mode)
}

/// Lines of `expiry mac address name client-id`; IPv6 leases follow a line `duid …` and have no MAC of their own.
fn parse(text: &str, network: &Network) -> Vec<Lease> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let expires = fields.next()?.parse().ok()?;
            let mac = fields.next()?.parse().ok()?;
            let address: IpAddr = fields.next()?.parse().ok()?;
            let hostname = fields.next().filter(|name| *name != "*").map(str::to_owned);
            let subnet = network.ips.iter().find(|ip| ip.address.is_some_and(|own| own.is_ipv4() == address.is_ipv4()));
            Some(Lease {
                mac,
                address,
                prefix: subnet.map_or(32, ostler_conf::network::Ip::prefix_length),
                hostname,
                expires,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dnsmasq_writes() {
        let text = "1700000000 52:54:00:00:00:01 10.0.0.5 web 01:52:54:00:00:00:01\n0 52:54:00:00:00:02 10.0.0.6 * *\nduid 00:01\nnonsense\n";
        let network =
            ostler_conf::parse::<Network>("<network><name>n</name><ip address='10.0.0.1' prefix='24'/></network>")
                .unwrap()
                .value;
        let leases = parse(text, &network);
        assert_eq!(leases.len(), 2);
        assert_eq!((leases[0].hostname.as_deref(), leases[0].prefix, leases[1].expires), (Some("web"), 24, 0));
        assert_eq!(leases[1].hostname, None);
    }
}
