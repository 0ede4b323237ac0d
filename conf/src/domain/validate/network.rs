//! Rules of what an interface says about the network that it is in: most are the network's own.

use std::fmt::Arguments;

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{Interface, InterfaceSource, Route};

pub(super) fn check(interface: &Interface, path: Arguments<'_>, problems: &mut Problems) {
    let Problems(all) = problems;
    all.extend(interface.vlan.iter().flat_map(|vlan| vlan.problems(&format!("{path}.vlan"))));
    all.extend(interface.virtualport.iter().flat_map(|port| port.problems(&format!("{path}.virtualport"))));
    check_routes(&interface.routes, path, problems);
    if let InterfaceSource::Ethernet(source) = &interface.source {
        check_routes(&source.routes, format_args!("{path}.source.ethernet"), problems);
    }
    let Some(bandwidth) = &interface.bandwidth else { return };
    let path = format_args!("{path}.bandwidth");
    problems.0.extend(bandwidth.problems(&path.to_string()));
    let is_in_network = matches!(interface.source, InterfaceSource::Network(_));
    if bandwidth.inbound.as_ref().is_some_and(|rate| rate.floor.is_some()) && !is_in_network {
        let message = "only a network can promise a floor: the interface is in none";
        problems.add(Code::ConfigUnsupported, format!("{path}.inbound.floor"), message);
    }
    if bandwidth.class_id.is_some() {
        problems.add(
            Code::XmlDetail,
            format!("{path}.classID"),
            "an interface's class of traffic is the network's choice",
        );
    }
}

fn check_routes(routes: &[Route], path: Arguments<'_>, problems: &mut Problems) {
    for (at, route) in routes.iter().enumerate() {
        problems.0.extend(route.problems(&format!("{path}.routes[{at}]")));
    }
}
