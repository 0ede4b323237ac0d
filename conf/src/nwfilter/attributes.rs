//! Which attributes each protocol has, in the order in which libvirt writes them.

use super::Protocol;
use super::kind::Kind::{self, *};

/// An attribute: its name, and what its value is.
pub(super) type Attribute = (&'static str, Kind);

const SOURCE_MAC: &[Attribute] = &[("srcmacaddr", Mac)];
const SOURCE_MACS: &[Attribute] = &[("srcmacaddr", Mac), ("srcmacmask", MacMask)];
const MACS: &[Attribute] =
    &[("srcmacaddr", Mac), ("srcmacmask", MacMask), ("dstmacaddr", Mac), ("dstmacmask", MacMask)];
const ETHERNET: &[Attribute] = &[("protocolid", EtherType)];
const VLAN: &[Attribute] = &[("vlanid", Number(0xfff)), ("encap-protocol", EtherType)];
const STP: &[Attribute] = &[
    ("type", Number(0xff)),
    ("flags", Number(0xff)),
    ("root-priority", Number(0xffff)),
    ("root-priority-hi", Number(0xffff)),
    ("root-address", Mac),
    ("root-address-mask", MacMask),
    ("root-cost", Number(0xffff_ffff)),
    ("root-cost-hi", Number(0xffff_ffff)),
    ("sender-priority", Number(0xffff)),
    ("sender-priority-hi", Number(0xffff)),
    ("sender-address", Mac),
    ("sender-address-mask", MacMask),
    ("port", Number(0xffff)),
    ("port-hi", Number(0xffff)),
    ("age", Number(0xffff)),
    ("age-hi", Number(0xffff)),
    ("max-age", Number(0xffff)),
    ("max-age-hi", Number(0xffff)),
    ("hello-time", Number(0xffff)),
    ("hello-time-hi", Number(0xffff)),
    ("forward-delay", Number(0xffff)),
    ("forward-delay-hi", Number(0xffff)),
];
const ARP: &[Attribute] = &[
    ("hwtype", Number(0xffff)),
    ("protocoltype", Number(0xffff)),
    ("opcode", ArpOpcode),
    ("arpsrcmacaddr", Mac),
    ("arpdstmacaddr", Mac),
    ("arpsrcipaddr", Ipv4),
    ("arpsrcipmask", Ipv4Mask),
    ("arpdstipaddr", Ipv4),
    ("arpdstipmask", Ipv4Mask),
    ("gratuitous", Boolean),
];
const IPV4S: &[Attribute] =
    &[("srcipaddr", Ipv4), ("srcipmask", Ipv4Mask), ("dstipaddr", Ipv4), ("dstipmask", Ipv4Mask)];
const IPV6S: &[Attribute] =
    &[("srcipaddr", Ipv6), ("srcipmask", Ipv6Mask), ("dstipaddr", Ipv6), ("dstipmask", Ipv6Mask)];
const IPV4_RANGES: &[Attribute] = &[("srcipfrom", Ipv4), ("srcipto", Ipv4), ("dstipfrom", Ipv4), ("dstipto", Ipv4)];
// That dstipto is of version 4 here is libvirt's (11.3): what it refuses, no filter can have.
const IPV6_RANGES: &[Attribute] = &[("srcipfrom", Ipv6), ("srcipto", Ipv6), ("dstipfrom", Ipv6), ("dstipto", Ipv4)];
const IP_PROTOCOL: &[Attribute] = &[("protocol", IpProtocol)];
const PORTS: &[Attribute] = &[
    ("srcportstart", Number(0xffff)),
    ("srcportend", Number(0xffff)),
    ("dstportstart", Number(0xffff)),
    ("dstportend", Number(0xffff)),
];
const DSCP: &[Attribute] = &[("dscp", Number(63))];
const CONNECTION: &[Attribute] = &[("dscp", Number(63)), ("connlimit-above", Decimal(0xffff)), ("state", State)];
const ICMP_RANGES: &[Attribute] =
    &[("type", Number(0xff)), ("typeend", Number(0xff)), ("code", Number(0xff)), ("codeend", Number(0xff))];
const ICMP: &[Attribute] = &[("type", Number(0xff)), ("code", Number(0xff))];
const TCP: &[Attribute] = &[("option", Number(0xff)), ("flags", TcpFlags)];
const TCP_IPV6: &[Attribute] = &[("option", Number(0xff))];
const IPSET: &[Attribute] = &[("ipset", IpSet), ("ipsetflags", IpSetFlags)];
const COMMENT: &[Attribute] = &[("comment", Comment)];

const fn groups(protocol: Protocol) -> &'static [&'static [Attribute]] {
    match protocol {
        Protocol::Mac => &[MACS, ETHERNET, COMMENT],
        Protocol::Vlan => &[MACS, VLAN, COMMENT],
        Protocol::Stp => &[SOURCE_MACS, STP, COMMENT],
        Protocol::Arp | Protocol::Rarp => &[MACS, ARP, COMMENT],
        Protocol::Ip => &[MACS, IPV4S, IP_PROTOCOL, PORTS, DSCP, COMMENT],
        Protocol::Ipv6 => &[MACS, IPV6S, IP_PROTOCOL, PORTS, ICMP_RANGES, COMMENT],
        Protocol::Tcp => &[SOURCE_MAC, IPV4S, IPV4_RANGES, CONNECTION, PORTS, TCP, IPSET, COMMENT],
        Protocol::TcpIpv6 => &[SOURCE_MAC, IPV6S, IPV6_RANGES, CONNECTION, PORTS, TCP_IPV6, IPSET, COMMENT],
        Protocol::Udp | Protocol::Sctp => &[SOURCE_MAC, IPV4S, IPV4_RANGES, CONNECTION, PORTS, IPSET, COMMENT],
        Protocol::UdpIpv6 | Protocol::SctpIpv6 => &[SOURCE_MAC, IPV6S, IPV6_RANGES, CONNECTION, PORTS, IPSET, COMMENT],
        Protocol::Icmp => &[SOURCE_MAC, IPV4S, IPV4_RANGES, CONNECTION, ICMP, IPSET, COMMENT],
        Protocol::Icmpv6 => &[SOURCE_MAC, IPV6S, IPV6_RANGES, CONNECTION, ICMP, IPSET, COMMENT],
        Protocol::Igmp | Protocol::Udplite | Protocol::Esp | Protocol::Ah | Protocol::All => {
            &[SOURCE_MAC, IPV4S, IPV4_RANGES, CONNECTION, IPSET, COMMENT]
        }
        Protocol::UdpliteIpv6 | Protocol::EspIpv6 | Protocol::AhIpv6 | Protocol::AllIpv6 => {
            &[SOURCE_MAC, IPV6S, IPV6_RANGES, CONNECTION, IPSET, COMMENT]
        }
    }
}

/// A protocol's attributes, in order.
pub(super) fn attributes(protocol: Protocol) -> impl Iterator<Item = &'static Attribute> {
    groups(protocol).iter().copied().flatten()
}

/// Attributes that say more of another one, and so hold or don't hold with it.
const SAYS_MORE_OF_ADDRESSES: &[(&str, &str)] = &[
    ("srcipmask", "srcipaddr"),
    ("dstipmask", "dstipaddr"),
    ("srcipto", "srcipfrom"),
    ("dstipto", "dstipfrom"),
    ("srcportend", "srcportstart"),
    ("dstportstart", "srcportstart"),
    ("dstportend", "srcportstart"),
    ("typeend", "type"),
    ("code", "type"),
    ("codeend", "type"),
];
const SAYS_MORE_OF_MACS: &[(&str, &str)] = &[("srcmacmask", "srcmacaddr"), ("dstmacmask", "dstmacaddr")];
const SAYS_MORE_OF_STP: &[(&str, &str)] = &[
    ("srcmacmask", "srcmacaddr"),
    ("root-priority-hi", "root-priority"),
    ("root-address-mask", "root-address"),
    ("root-cost-hi", "root-cost"),
    ("sender-priority-hi", "sender-priority"),
    ("sender-address-mask", "sender-address"),
    ("port-hi", "port"),
    ("age-hi", "age"),
    ("max-age-hi", "max-age"),
    ("hello-time-hi", "hello-time"),
    ("forward-delay-hi", "forward-delay"),
];

/// Which attributes follow which in being negated.
pub(super) const fn followers(protocol: Protocol) -> &'static [(&'static str, &'static str)] {
    match protocol {
        Protocol::Mac | Protocol::Vlan => SAYS_MORE_OF_MACS,
        Protocol::Stp => SAYS_MORE_OF_STP,
        Protocol::Arp | Protocol::Rarp => &[],
        Protocol::Ip
        | Protocol::Ipv6
        | Protocol::Tcp
        | Protocol::TcpIpv6
        | Protocol::Icmp
        | Protocol::Icmpv6
        | Protocol::Igmp
        | Protocol::Udp
        | Protocol::UdpIpv6
        | Protocol::Udplite
        | Protocol::UdpliteIpv6
        | Protocol::Esp
        | Protocol::EspIpv6
        | Protocol::Ah
        | Protocol::AhIpv6
        | Protocol::Sctp
        | Protocol::SctpIpv6
        | Protocol::All
        | Protocol::AllIpv6 => SAYS_MORE_OF_ADDRESSES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attribute_stands_twice_and_followers_follow_what_is_there() {
        for protocol in Protocol::ALL {
            let names: Vec<&str> = attributes(*protocol).map(|(name, _)| *name).collect();
            let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{protocol}");
        }
        for (follower, leader) in followers(Protocol::Stp) {
            let names: Vec<&str> = attributes(Protocol::Stp).map(|(name, _)| *name).collect();
            assert!(names.contains(follower) && names.contains(leader), "{follower} {leader}");
        }
    }
}
