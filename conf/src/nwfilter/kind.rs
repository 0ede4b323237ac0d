//! What the value of a rule's attribute is, and how libvirt writes it.

use std::net::{Ipv4Addr, Ipv6Addr};

use ostler_util::MacAddress;

/// What an attribute's value is. Each may be a variable instead: `$NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A MAC address.
    Mac,
    /// A MAC address whose ones come first.
    MacMask,
    /// A number up to this one, decimal or hexadecimal; written as it was given.
    Number(u32),
    /// A number up to this one, decimal.
    Decimal(u32),
    /// An Ethernet type: a name, or a number from 0x600.
    EtherType,
    /// What an ARP packet asks: a name or a number.
    ArpOpcode,
    /// What an IP packet holds: a name or a number.
    IpProtocol,
    /// An address of version 4.
    Ipv4,
    /// A mask, or its length in bits.
    Ipv4Mask,
    /// An address of version 6.
    Ipv6,
    /// A mask, or its length in bits.
    Ipv6Mask,
    /// States of a connection.
    State,
    /// Flags of TCP: which are looked at, and which of them are set.
    TcpFlags,
    /// The name of a set of addresses.
    IpSet,
    /// What is looked up in a set.
    IpSetFlags,
    /// Yes or no.
    Boolean,
    /// A text.
    Comment,
}

const ETHER_TYPES: &[(&str, u32)] =
    &[("arp", 0x806), ("rarp", 0x8035), ("ipv4", 0x800), ("ipv6", 0x86dd), ("vlan", 0x8100)];
/// The lowest number that is a type and no length (IEEE 802.3).
const MIN_ETHER_TYPE: u32 = 0x600;
const OPCODES: &[(&str, u32)] = &[
    ("Request", 1),
    ("Reply", 2),
    ("Request_Reverse", 3),
    ("Reply_Reverse", 4),
    ("DRARP_Request", 5),
    ("DRARP_Reply", 6),
    ("DRARP_Error", 7),
    ("InARP_Request", 8),
    ("ARP_NAK", 9),
];
const IP_PROTOCOLS: &[(&str, u32)] = &[
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("esp", 50),
    ("ah", 51),
    ("icmp", 1),
    ("igmp", 2),
    ("sctp", 132),
    ("icmpv6", 58),
];
const STATES: &[&str] = &["NEW", "ESTABLISHED", "RELATED", "INVALID"];
const TCP_FLAGS: &[&str] = &["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
/// The longest comment; what is behind is cut off.
const MAX_COMMENT: usize = 256;
/// The longest name of a set, in bytes: the kernel's.
const MAX_IPSET: usize = 31;
/// The most fields of a set.
const MAX_IPSET_FLAGS: usize = 6;

impl Kind {
    /// The value as libvirt writes it; `None`: it is none of this kind.
    pub(super) fn canonical(self, text: &str) -> Option<String> {
        if let Some(variable) = text.strip_prefix('$') {
            return canonical_variable(variable);
        }
        match self {
            Kind::Mac => text.parse::<MacAddress>().ok().map(|mac| mac.to_string()),
            Kind::MacMask => {
                let mac = text.parse::<MacAddress>().ok()?;
                let bits = mac.0.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                (bits.trailing_zeros().min(48) + bits.count_ones() == 48).then(|| mac.to_string())
            }
            Kind::Number(max) => number(text, max).map(|(number, is_hex)| show(number, is_hex)),
            Kind::Decimal(max) => number(text, max).filter(|(_, is_hex)| !is_hex).map(|(number, _)| number.to_string()),
            Kind::EtherType => named(text, ETHER_TYPES, MIN_ETHER_TYPE, 0xffff),
            Kind::ArpOpcode => named(text, OPCODES, 0, 0xffff),
            Kind::IpProtocol => named(text, IP_PROTOCOLS, 0, 0xff),
            Kind::Ipv4 => text.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
            Kind::Ipv6 => text.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
            Kind::Ipv4Mask => match text.parse::<Ipv4Addr>() {
                Ok(mask) => prefix(u128::from(mask.to_bits()), 32),
                Err(_) => number(text, 32).map(|(bits, _)| bits.to_string()),
            },
            Kind::Ipv6Mask => match text.parse::<Ipv6Addr>() {
                Ok(mask) => prefix(mask.to_bits(), 128),
                Err(_) => number(text, 128).map(|(bits, _)| bits.to_string()),
            },
            Kind::State => states(text),
            Kind::TcpFlags => {
                let (mask, set) = text.split_once('/')?;
                Some(format!("{}/{}", flags(mask)?, flags(set)?))
            }
            Kind::IpSet => {
                let is_legal = |c: char| c.is_ascii_alphanumeric() || "_.:-+ ".contains(c);
                (text.len() <= MAX_IPSET && text.chars().all(is_legal)).then(|| text.to_owned())
            }
            Kind::IpSetFlags => {
                let parts: Vec<String> = text.split(',').map(str::to_ascii_lowercase).collect();
                let is_legal = parts.len() <= MAX_IPSET_FLAGS && parts.iter().all(|p| p == "src" || p == "dst");
                is_legal.then(|| parts.join(","))
            }
            // Everything that is not a yes is a no.
            Kind::Boolean => Some(matches!(text, "true" | "yes" | "1").to_string()),
            Kind::Comment => Some(text.chars().take(MAX_COMMENT).collect()),
        }
    }

    /// What a value of this kind is, to stand behind "is not".
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Kind::Mac => "a MAC address",
            Kind::MacMask => "a mask of a MAC address, its ones first",
            Kind::Number(_) => "a number in range, hexadecimal with 0x",
            Kind::Decimal(_) => "a decimal number in range",
            Kind::EtherType => "one of arp, rarp, ipv4, ipv6, vlan, or a number from 0x600 to 0xffff",
            Kind::ArpOpcode => "an ARP operation such as Request, or a number up to 65535",
            Kind::IpProtocol => "a protocol such as tcp, or a number up to 255",
            Kind::Ipv4 => "an IP address of version 4",
            Kind::Ipv4Mask => "a mask, or its length up to 32",
            Kind::Ipv6 => "an IP address of version 6",
            Kind::Ipv6Mask => "a mask, or its length up to 128",
            Kind::State => "NONE, or some of NEW, ESTABLISHED, RELATED, INVALID with commas",
            Kind::TcpFlags => "flags and a slash and flags, of FIN, SYN, RST, PSH, ACK, URG, ALL, NONE",
            Kind::IpSet => "the name of a set",
            Kind::IpSetFlags => "up to six of src and dst with commas",
            Kind::Boolean => "true or false",
            Kind::Comment => "a text",
        }
    }
}

/// `NAME`, `NAME[3]` for its third value, `NAME[@2]` for the second loop's; the loop of number 0 is the usual one and not
/// written. Blanks may stand around the number, and behind it all.
fn canonical_variable(text: &str) -> Option<String> {
    let text = text.trim_matches(' ');
    let (name, index) = match text.split_once('[') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
        None => (text, None),
    };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let Some(index) = index.map(|index| index.trim_matches(' ')) else { return Some(format!("${name}")) };
    let (mark, digits) = index.strip_prefix('@').map_or(("", index), |digits| ("@", digits));
    let number: u32 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(if mark == "@" && number == 0 { format!("${name}") } else { format!("${name}[{mark}{number}]") })
}

/// A number, and whether it was given in hexadecimal.
fn number(text: &str, max: u32) -> Option<(u32, bool)> {
    let text = text.trim_start();
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = hex.unwrap_or(text);
    if digits.starts_with('+') {
        return None;
    }
    let number = u32::from_str_radix(digits, if hex.is_some() { 16 } else { 10 }).ok()?;
    (number <= max).then_some((number, hex.is_some()))
}

fn show(number: u32, is_hex: bool) -> String {
    if is_hex { format!("{number:#x}") } else { number.to_string() }
}

/// A name in any case, or a number; a number that has a name is written by it.
fn named(text: &str, names: &[(&str, u32)], min: u32, max: u32) -> Option<String> {
    if let Some((name, _)) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some((*name).to_owned());
    }
    let (number, is_hex) = number(text, max).filter(|(number, _)| *number >= min)?;
    let name = names.iter().find(|(_, known)| *known == number);
    Some(name.map_or_else(|| show(number, is_hex), |(name, _)| (*name).to_owned()))
}

/// The mask's length, if its ones come first.
fn prefix(mask: u128, bits: u32) -> Option<String> {
    let zeros = mask.trailing_zeros().min(bits);
    (zeros + mask.count_ones() == bits).then(|| mask.count_ones().to_string())
}

fn states(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| *part != "NONE" && !STATES.contains(part)) {
        return None;
    }
    if parts.contains(&"NONE") {
        return Some("NONE".to_owned());
    }
    Some(STATES.iter().copied().filter(|state| parts.contains(state)).collect::<Vec<_>>().join(","))
}

fn flags(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| !matches!(*part, "ALL" | "NONE") && !TCP_FLAGS.contains(part)) {
        return None;
    }
    let set: Vec<&str> =
        TCP_FLAGS.iter().copied().filter(|flag| parts.contains(flag) || parts.contains(&"ALL")).collect();
    Some(match set.len() {
        0 => "NONE".to_owned(),
        n if n == TCP_FLAGS.len() => "ALL".to_owned(),
        _ => set.join(","),
    })
}

#[cfg(test)]
mod tests {
    use super::Kind::{self, *};

    fn check(kind: Kind, cases: &[(&str, Option<&str>)]) {
        for (given, written) in cases {
            assert_eq!(kind.canonical(given).as_deref(), *written, "{kind:?} {given}");
        }
    }

    #[test]
    fn numbers_keep_their_base() {
        check(
            Number(63),
            &[("0x3F", Some("0x3f")), ("016", Some("16")), ("64", None), ("", None), ("5x", None), (" 5", Some("5"))],
        );
        check(Decimal(0xffff), &[("5", Some("5")), ("0x5", None)]);
    }

    #[test]
    fn what_has_a_name_is_written_by_it() {
        check(
            EtherType,
            &[
                ("0x806", Some("arp")),
                ("33024", Some("vlan")),
                ("ARP", Some("arp")),
                ("1500", None),
                ("0x1234", Some("0x1234")),
            ],
        );
        check(IpProtocol, &[("17", Some("udp")), ("0x99", Some("0x99")), ("256", None)]);
        check(ArpOpcode, &[("request", Some("Request")), ("0x9", Some("ARP_NAK")), ("65535", Some("65535"))]);
    }

    #[test]
    fn masks_become_lengths() {
        check(Ipv4Mask, &[("255.255.0.0", Some("16")), ("0.0.0.0", Some("0")), ("33", None), ("255.0.255.0", None)]);
        check(Ipv6Mask, &[("ffff::", Some("16")), ("128", Some("128")), ("129", None)]);
        check(MacMask, &[("ff:ff:fe:0:0:0", Some("ff:ff:fe:00:00:00")), ("ff:0:ff:0:0:0", None)]);
    }

    #[test]
    fn sets_have_an_order() {
        check(State, &[("ESTABLISHED,NEW", Some("NEW,ESTABLISHED")), ("NEW,NONE", Some("NONE")), ("x", None)]);
        check(TcpFlags, &[("ACK,SYN/ALL", Some("SYN,ACK/ALL")), ("PSH/", Some("PSH/NONE")), ("SYN", None)]);
    }

    #[test]
    fn a_variable_stands_for_any_value() {
        check(
            Mac,
            &[
                ("$MAC", Some("$MAC")),
                ("$A[@0]", Some("$A")),
                ("$A[@2]", Some("$A[@2]")),
                ("$A[1]", Some("$A[1]")),
                ("$A[ @2 ] ", Some("$A[@2]")),
                ("$A[@]", None),
                ("$A!", None),
            ],
        );
    }
}
