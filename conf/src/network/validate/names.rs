//! The rules of name service.

use ostler_util::ErrorCode;

use super::{Problems, add};
use crate::network::{DnsHost, DnsSrv, DnsTxt, Network};
use crate::values::YesNo;

pub(super) fn check(network: &Network, problems: &mut Problems) {
    let Some(dns) = &network.dns else { return };
    let has_records =
        !(dns.forwarders.is_empty() && dns.txts.is_empty() && dns.srvs.is_empty() && dns.hosts.is_empty());
    if dns.enable == Some(YesNo(false)) && has_records {
        add(problems, ErrorCode::XmlError, "dns.enable", "without name service there are no records and forwarders");
    }
    for (index, forwarder) in dns.forwarders.iter().enumerate() {
        if forwarder.domain.is_none() && forwarder.addr.is_none() {
            let message = "a forwarder has a domain, an address, or both";
            add(problems, ErrorCode::XmlError, format!("dns.forwarders[{index}]"), message);
        }
    }
    for (index, txt) in dns.txts.iter().enumerate() {
        check_txt(txt, &format!("dns.txts[{index}]"), problems);
    }
    for (index, host) in dns.hosts.iter().enumerate() {
        check_host(host, &format!("dns.hosts[{index}]"), problems);
    }
    for (index, srv) in dns.srvs.iter().enumerate() {
        check_srv(srv, &format!("dns.srvs[{index}]"), problems);
    }
}

pub(in crate::network) fn check_txt(txt: &DnsTxt, path: &str, problems: &mut Problems) {
    if let Some(wrong) = txt.name.chars().find(|c| matches!(c, ' ' | ',')) {
        add(problems, ErrorCode::XmlDetail, format!("{path}.name"), format!("a record's name can't hold a '{wrong}'"));
    }
    if txt.value.is_none() {
        add(problems, ErrorCode::XmlDetail, format!("{path}.value"), "a TXT record needs a text");
    }
}

pub(in crate::network) fn check_host(host: &DnsHost, path: &str, problems: &mut Problems) {
    if host.ip.is_none() {
        add(problems, ErrorCode::XmlDetail, format!("{path}.ip"), "a host record needs an address");
    }
    if host.hostnames.is_empty() || host.hostnames.iter().any(String::is_empty) {
        add(problems, ErrorCode::XmlDetail, format!("{path}.hostnames"), "a host record needs a name");
    }
}

pub(in crate::network) fn check_srv(srv: &DnsSrv, path: &str, problems: &mut Problems) {
    let mut add = |field: &str, message: &str| add(problems, ErrorCode::XmlDetail, format!("{path}.{field}"), message);
    if srv.service.is_none() {
        add("service", "a SRV record needs a service");
    }
    if srv.protocol.is_none() {
        add("protocol", "a SRV record needs a protocol");
    }
    if srv.port == Some(0) {
        add("port", "a port is a number from 1");
    }
    if srv.target.is_none() {
        for (field, given) in
            [("port", srv.port.is_some()), ("priority", srv.priority.is_some()), ("weight", srv.weight.is_some())]
        {
            if given {
                add(field, "it says something of the target, so it needs one");
            }
        }
    }
}
