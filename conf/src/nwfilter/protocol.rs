//! The protocols that a rule can be about.

use crate::words;

words! {
    /// A protocol: the element inside a `<rule>`.
    pub enum Protocol {
        /// Ethernet.
        Mac = "mac",
        /// IEEE 802.1Q.
        Vlan = "vlan",
        /// The spanning tree protocol.
        Stp = "stp",
        /// ARP.
        Arp = "arp",
        /// Reverse ARP.
        Rarp = "rarp",
        /// IP version 4, as bridges see it.
        Ip = "ip",
        /// IP version 6, as bridges see it.
        Ipv6 = "ipv6",
        /// TCP over IPv4.
        Tcp = "tcp",
        /// TCP over IPv6.
        TcpIpv6 = "tcp-ipv6",
        /// ICMP.
        Icmp = "icmp",
        /// ICMP of IPv6.
        Icmpv6 = "icmpv6",
        /// IGMP.
        Igmp = "igmp",
        /// UDP over IPv4.
        Udp = "udp",
        /// UDP over IPv6.
        UdpIpv6 = "udp-ipv6",
        /// UDP-Lite over IPv4.
        Udplite = "udplite",
        /// UDP-Lite over IPv6.
        UdpliteIpv6 = "udplite-ipv6",
        /// ESP over IPv4.
        Esp = "esp",
        /// ESP over IPv6.
        EspIpv6 = "esp-ipv6",
        /// AH over IPv4.
        Ah = "ah",
        /// AH over IPv6.
        AhIpv6 = "ah-ipv6",
        /// SCTP over IPv4.
        Sctp = "sctp",
        /// SCTP over IPv6.
        SctpIpv6 = "sctp-ipv6",
        /// All of IPv4.
        All = "all",
        /// All of IPv6.
        AllIpv6 = "all-ipv6",
    }
}
