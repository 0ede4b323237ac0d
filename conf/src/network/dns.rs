//! `<dns>`: name service for a network's guests.

use std::net::IpAddr;

use ostler_conf_derive::element;

use crate::values::YesNo;

/// `<domain name='example.com' localOnly='yes'/>`: the DNS domain of the guests.
#[element]
pub struct DnsDomain {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Whether questions about it are never passed on.
    #[xml(attr)]
    pub local_only: Option<YesNo>,
    /// Whether the host's own resolver asks the network's about it.
    #[xml(attr)]
    pub register: Option<YesNo>,
}

/// `<dns>`: name service for the guests.
#[element]
pub struct Dns {
    /// Whether there is any.
    #[xml(attr)]
    pub enable: Option<YesNo>,
    /// Whether names without a dot are passed on.
    #[xml(attr)]
    pub forward_plain_names: Option<YesNo>,
    /// Where questions are passed on to.
    #[xml(name = "forwarder")]
    pub forwarders: Vec<DnsForwarder>,
    /// TXT records.
    #[xml(name = "txt")]
    pub txts: Vec<DnsTxt>,
    /// SRV records.
    #[xml(name = "srv")]
    pub srvs: Vec<DnsSrv>,
    /// Host records.
    #[xml(name = "host")]
    pub hosts: Vec<DnsHost>,
}

/// `<forwarder domain='example.com' addr='8.8.8.8'/>`: where questions are passed on to.
#[element]
pub struct DnsForwarder {
    /// For this domain only.
    #[xml(attr)]
    pub domain: Option<String>,
    /// The server; absent: the host's own.
    #[xml(attr)]
    pub addr: Option<IpAddr>,
}

/// `<txt name='example' value='text'/>`: a TXT record.
#[element(root = "txt")]
pub struct DnsTxt {
    /// Its name.
    #[xml(attr, code = "XmlDetail")]
    pub name: String,
    /// Its text.
    #[xml(attr)]
    pub value: Option<String>,
}

/// `<host ip='192.168.122.2'>`: a host record.
#[element(root = "host")]
pub struct DnsHost {
    /// The address.
    #[xml(attr, code = "XmlDetail")]
    pub ip: Option<IpAddr>,
    /// Its names.
    #[xml(name = "hostname")]
    pub hostnames: Vec<String>,
}

/// `<srv service='ldap' protocol='tcp' …/>`: an SRV record.
#[element(root = "srv")]
pub struct DnsSrv {
    /// The service.
    #[xml(attr)]
    pub service: Option<String>,
    /// Its protocol.
    #[xml(attr)]
    pub protocol: Option<String>,
    /// The domain; absent: the network's.
    #[xml(attr)]
    pub domain: Option<String>,
    /// The host that serves.
    #[xml(attr)]
    pub target: Option<String>,
    /// Its port.
    #[xml(attr, code = "XmlDetail")]
    pub port: Option<u16>,
    /// Its priority.
    #[xml(attr, code = "XmlDetail")]
    pub priority: Option<u16>,
    /// Its weight.
    #[xml(attr, code = "XmlDetail")]
    pub weight: Option<u16>,
}
