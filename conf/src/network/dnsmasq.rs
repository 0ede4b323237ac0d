//! `<dnsmasq:options>`: lines handed to dnsmasq as they are.

use ostler_conf_derive::element;

/// `<dnsmasq:options>`: lines handed to dnsmasq as they are; need a grant.
#[element]
pub struct DnsmasqOptions {
    /// The lines.
    #[xml(name = "dnsmasq:option")]
    pub options: Vec<DnsmasqOption>,
}

/// `<dnsmasq:option value='dhcp-option=6,9.9.9.10'/>`: a line.
#[element]
pub struct DnsmasqOption {
    /// The line.
    #[xml(attr)]
    pub value: String,
}
