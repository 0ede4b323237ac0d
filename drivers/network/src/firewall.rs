//! What may pass a network: one nftables table of its own for each, replaced as a whole in one transaction.
//!
//! Nothing of others is touched. A packet must pass every table's chains, so a drop in somebody else's forward chain
//! stops our guests as well: that is found and told, never changed.

use std::fmt::Write as _;
use std::path::Path;

use ostler_conf::Network;
use ostler_conf::network::ForwardMode;
use ostler_driver::{Error, Result};
use ostler_util::run::Run;
use ostler_util::{ErrorCode, file};
use serde_json::Value;

use crate::bridge::subnets;
use crate::check::bridge_name;
use crate::config::Config;

/// The name of the network's table.
pub(crate) fn table(network: &Network) -> String {
    format!("ostler_{}", network.uuid.unwrap_or_default().simple())
}

/// The network's rules, as one transaction that takes the place of whatever the table held.
pub(crate) fn ruleset(network: &Network) -> String {
    let (table, bridge) = (table(network), bridge_name(network));
    let nat = (network.forward_mode() == Some(ForwardMode::Nat)).then_some(network.forward.as_ref()).flatten();
    let nat_ipv6 = nat.and_then(|forward| forward.nat.as_ref()?.ipv6).is_some_and(|ipv6| ipv6.0);
    let out =
        nat.and_then(|forward| forward.dev.as_deref()).map(|dev| format!(" oifname \"{dev}\"")).unwrap_or_default();
    let back =
        nat.and_then(|forward| forward.dev.as_deref()).map(|dev| format!(" iifname \"{dev}\"")).unwrap_or_default();
    let mut rules = String::new();
    let mut translations = String::new();
    let line = |to: &mut String, text: String| writeln!(to, "    {text}").expect("a String takes all");
    line(&mut rules, format!("iifname \"{bridge}\" oifname \"{bridge}\" accept"));
    for (address, prefix) in subnets(network) {
        let (family, many, all) =
            if address.is_ipv4() { ("ip", "224.0.0.0/24", "255.255.255.255/32") } else { ("ip6", "ff02::/16", "") };
        let translated = nat.is_some() && (address.is_ipv4() || nat_ipv6);
        if nat.is_none() {
            continue;
        }
        let subnet = format!("{address}/{prefix}");
        line(&mut rules, format!("iifname \"{bridge}\" {family} saddr {subnet}{out} accept"));
        let state = if translated { " ct state established,related" } else { "" };
        line(&mut rules, format!("oifname \"{bridge}\"{back} {family} daddr {subnet}{state} accept"));
        if !translated {
            continue;
        }
        for kept in [many, all].into_iter().filter(|kept| !kept.is_empty()) {
            line(&mut translations, format!("{family} saddr {subnet} {family} daddr {kept} return"));
        }
        let (addresses, ports) = translation(nat.and_then(|forward| forward.nat.as_ref()));
        line(
            &mut translations,
            format!(
                "meta l4proto {{ tcp, udp }} {family} saddr {subnet} {family} daddr != {subnet}{out} {addresses}{ports}"
            ),
        );
        line(&mut translations, format!("{family} saddr {subnet} {family} daddr != {subnet}{out} {addresses}"));
    }
    line(&mut rules, format!("oifname \"{bridge}\" reject"));
    line(&mut rules, format!("iifname \"{bridge}\" reject"));
    let mut text = format!("add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n");
    write!(text, "  chain forward {{\n    type filter hook forward priority filter; policy accept;\n{rules}  }}\n")
        .expect("a String takes all");
    if !translations.is_empty() {
        write!(text, "  chain postrouting {{\n    type nat hook postrouting priority srcnat; policy accept;\n{translations}  }}\n").expect("a String takes all");
    }
    text.push_str("}\n");
    text
}

/// As what guests appear: with an address of the host's, from ports that the host's own services don't use.
fn translation(nat: Option<&ostler_conf::network::Nat>) -> (String, String) {
    let (first, last) = nat.and_then(|nat| nat.port.as_ref()).map_or((1024, 65535), |port| (port.start, port.end));
    match nat.and_then(|nat| nat.address.as_ref()) {
        Some(address) => (format!("snat to {}-{}", address.start, address.end), format!(":{first}-{last}")),
        None => ("masquerade".to_owned(), format!(" to :{first}-{last}")),
    }
}

/// Puts the network's rules in force.
fn apply(nft: &Path, network: &Network) -> Result<()> {
    run(nft, &["-f", "-"], ruleset(network)).map(|_| ())
}

/// Takes the network's rules away.
pub(crate) fn remove(nft: &Path, network: &Network) -> Result<()> {
    let table = table(network);
    run(nft, &["-f", "-"], format!("add table inet {table}\ndelete table inet {table}\n")).map(|_| ())
}

/// What was done for the network's rules, and what is in their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ensured {
    /// They were not in force before.
    pub(crate) applied: bool,
    /// Somebody else's chain that drops what it doesn't accept.
    pub(crate) blocker: Option<String>,
}

/// Looks whether the network's rules are in force, and puts them so.
pub(crate) fn ensure(config: &Config, network: &Network) -> Result<Ensured> {
    let found = look(&config.nft, network)?;
    let noted = config.run(network.uuid.unwrap_or_default()).join("rules.nft");
    let wanted = ruleset(network);
    let is_applied = found.has_table && std::fs::read_to_string(&noted).is_ok_and(|applied| applied == wanted);
    if !is_applied {
        apply(&config.nft, network)?;
        file::write_atomic(&noted, wanted.as_bytes(), 0o600).map_err(|error| Error::system("note the rules", error))?;
    }
    Ok(Ensured { applied: !is_applied, blocker: found.blocker })
}

/// What holds for the network's packets now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// The network's table is there.
    has_table: bool,
    /// Somebody else's chain that drops what it doesn't accept.
    blocker: Option<String>,
}

fn look(nft: &Path, network: &Network) -> Result<Found> {
    let listed = run(nft, &["-j", "list", "chains"], String::new())?;
    let listed: Value = serde_json::from_slice(&listed)
        .map_err(|error| Error::new(ErrorCode::InternalError, "read nft's list of chains").with_source(error))?;
    let chains: Vec<&Value> =
        listed["nftables"].as_array().into_iter().flatten().filter_map(|item| item.get("chain")).collect();
    let table = table(network);
    let has_table = chains.iter().any(|chain| chain["table"] == table.as_str() && chain["name"] == "forward");
    let blocks = |chain: &&&Value| {
        let is_ours = chain["table"].as_str().is_some_and(|name| name.starts_with("ostler_"));
        !is_ours
            && chain["hook"] == "forward"
            && chain["policy"] == "drop"
            && matches!(chain["family"].as_str(), Some("ip" | "inet" | "bridge"))
    };
    let name =
        |chain: &&Value| format!("{} {} {}", text(&chain["family"]), text(&chain["table"]), text(&chain["name"]));
    let blocker = if network.forward.is_some() { chains.iter().find(blocks).map(name) } else { None };
    Ok(Found { has_table, blocker })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn run(nft: &Path, args: &[&str], input: String) -> Result<Vec<u8>> {
    let output = Run::new(nft)
        .args(args)
        .input(input)
        .output()
        .map_err(|error| Error::system(format!("run {}", nft.display()), error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::new(
        ErrorCode::BuildFirewall,
        format!("the packet filter refused: {}", String::from_utf8_lossy(&output.stderr).trim()),
    ))
}

#[cfg(test)]
mod tests {
    use ostler_conf::parse;

    use super::*;

    fn rules(body: &str) -> String {
        let text = format!(
            "<network><name>n</name><uuid>00000000-0000-0000-0000-000000000001</uuid>{body}<bridge name='br0'/><ip address='10.0.0.1' prefix='24'/></network>"
        );
        ruleset(&parse::<Network>(&text).unwrap().strict().unwrap())
    }

    #[test]
    fn guests_of_a_nat_network_appear_as_the_host() {
        let expected = r#"add table inet ostler_00000000000000000000000000000001
delete table inet ostler_00000000000000000000000000000001
table inet ostler_00000000000000000000000000000001 {
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "br0" oifname "br0" accept
    iifname "br0" ip saddr 10.0.0.1/24 accept
    oifname "br0" ip daddr 10.0.0.1/24 ct state established,related accept
    oifname "br0" reject
    iifname "br0" reject
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.0.0.1/24 ip daddr 224.0.0.0/24 return
    ip saddr 10.0.0.1/24 ip daddr 255.255.255.255/32 return
    meta l4proto { tcp, udp } ip saddr 10.0.0.1/24 ip daddr != 10.0.0.1/24 masquerade to :1024-65535
    ip saddr 10.0.0.1/24 ip daddr != 10.0.0.1/24 masquerade
  }
}
"#;
        assert_eq!(rules("<forward mode='nat'/>"), expected);
    }

    #[test]
    fn an_isolated_network_lets_nothing_pass() {
        let rules = rules("");
        assert!(!rules.contains("saddr") && !rules.contains("postrouting"), "{rules}");
    }
}
