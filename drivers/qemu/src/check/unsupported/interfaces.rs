//! Network interfaces.

use ostler_conf::domain::{
    EthernetSource, Interface, InterfaceSource, InterfaceTarget, Mac, NetworkSource, Rom, Teaming,
};
use ostler_conf::xml::Union as _;
use ostler_util::tap;

use super::super::is_plain_name;
use super::{Problems, Says, camel_case};

pub(super) fn check(interface: &Interface, problems: &mut Problems) {
    let at = format!("devices.interfaces[{}]", interface.name);
    let Interface {
        mac,
        source,
        target,
        boot: _,
        address: _,
        name: _,
        model: _,
        link: _,
        mtu: _,
        alias: _,
        actual: _,
        managed,
        trust_guest_rx_filters,
        vlan,
        virtualport,
        bandwidth,
        port,
        ips,
        routes,
        port_forwards,
        script,
        downscript,
        backend_domain,
        guest,
        driver: _,
        backend,
        filterref,
        sndbuf: _,
        coalesce,
        teaming,
        rom,
        acpi: _,
    } = interface;
    refuse!(problems, at, "interfaces": managed trust_guest_rx_filters vlan virtualport bandwidth port routes port_forwards script downscript backend_domain guest backend filterref coalesce);
    let is_user = matches!(source, InterfaceSource::User(_));
    problems.unless(is_user || ips.is_empty(), format!("{at}.ips"), "only a user network gives a guest addresses");
    let is_pair = matches!(teaming, None | Some(Teaming::Persistent(_)));
    problems.unless(is_pair, format!("{at}.teaming"), "only a device of the host is the transient part of a pair");
    if let Some(Rom { enabled: _, bar: _, file }) = rom {
        refuse!(problems, format!("{at}.rom"), "interfaces": file);
    }
    if let Some(Mac { address: _, r#type, check }) = mac {
        refuse!(problems, format!("{at}.mac"), "interfaces": r#type check);
    }
    let is_ethernet = matches!(source, InterfaceSource::Ethernet(_));
    if let Some(InterfaceTarget { dev: _, managed }) = target.as_ref().filter(|_| !is_ethernet) {
        refuse!(problems, format!("{at}.target"), "interfaces": managed);
    }
    match source {
        InterfaceSource::Network(NetworkSource { network: _, portid: _, portgroup, bridge: _ }) => {
            refuse!(problems, format!("{at}.source.network"), "networks": portgroup);
        }
        InterfaceSource::Bridge(source) => {
            problems.unless(
                is_device_name(&source.bridge),
                format!("{at}.source.bridge.bridge"),
                format!("'{}' is no name of a bridge", source.bridge),
            );
            check_target(target.as_ref(), &at, problems);
        }
        InterfaceSource::Ethernet(EthernetSource { dev, ips, routes }) => {
            refuse!(problems, format!("{at}.source.ethernet"), "tap devices": dev ips routes);
            check_target(target.as_ref(), &at, problems);
        }
        InterfaceSource::User(source) => {
            let dev = &source.dev;
            refuse!(problems, format!("{at}.source.user"), "user networks": dev);
        }
        InterfaceSource::Server(_)
        | InterfaceSource::Client(_)
        | InterfaceSource::Mcast(_)
        | InterfaceSource::Udp(_) => {}
        InterfaceSource::Vhostuser(_)
        | InterfaceSource::Internal(_)
        | InterfaceSource::Direct(_)
        | InterfaceSource::Hostdev(_)
        | InterfaceSource::Vdpa(_)
        | InterfaceSource::Null(_)
        | InterfaceSource::Vds(_) => {
            let kind = source.tag();
            problems.unsupported(format!("{at}.source"), format!("interfaces of the type '{kind}' are not supported"));
        }
    }
}

fn is_device_name(name: &str) -> bool {
    is_plain_name(name) && name.len() <= tap::MAX_NAME
}

/// The host's end that the user names.
fn check_target(target: Option<&InterfaceTarget>, at: &str, problems: &mut Problems) {
    let dev = target.and_then(|target| target.dev.as_deref());
    problems.unless(
        dev.is_none_or(is_device_name),
        format!("{at}.target.dev"),
        "a device's name has 15 letters, digits and -_. at most",
    );
}
