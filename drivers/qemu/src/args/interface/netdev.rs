//! The host's side of an interface.

use ostler_conf::domain::{Interface, InterfaceSource, IpFamily};
use serde_json::{Value, json};

use super::super::{Setup, Tap, alias, object};
use super::{is_passt, passt_socket, queues};
use crate::probe::Flag;

/// What was opened for the host's side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Its tap device: QEMU's names of the descriptors.
    pub(crate) tap: Option<TapNames>,
    /// The path of its vDPA device.
    pub(crate) vdpa: Option<String>,
    /// The socket of the passt that it is connected by, and how QEMU connects again.
    pub(crate) passt: Option<(String, Option<(&'static str, u32)>)>,
}

/// QEMU's names of the descriptors of a tap device: numbers, or names that they were given over the monitor.
#[derive(Clone, Debug, Default)]
pub(crate) struct TapNames {
    /// The device, one for each queue.
    pub(crate) fds: Vec<String>,
    /// The kernel's virtio back end, one for each queue.
    pub(crate) vhosts: Vec<String>,
}

impl From<&Tap> for TapNames {
    fn from(tap: &Tap) -> Self {
        let names = |list: &[i32]| list.iter().map(i32::to_string).collect();
        TapNames { fds: names(&tap.fds), vhosts: names(&tap.vhosts) }
    }
}

impl Facts {
    pub(super) fn of(setup: &Setup<'_>, interface: &Interface) -> Self {
        let is_user = matches!(interface.source, InterfaceSource::User(_));
        let passt = (is_user && is_passt(interface)).then(|| {
            let capabilities = setup.capabilities;
            let reconnect = if capabilities.has(Flag::NetdevStreamReconnectMiliseconds) {
                Some(("reconnect-ms", 5000))
            } else if capabilities.has(Flag::NetdevStreamReconnect) {
                Some(("reconnect", 5))
            } else {
                None
            };
            (passt_socket(setup, interface), reconnect)
        });
        let tap = setup.runtime.taps.get(alias(&interface.alias)).map(TapNames::from);
        Facts { tap, vdpa: None, passt }
    }
}

/// The descriptor of an interface's vDPA device.
pub(super) fn vdpa(setup: &Setup<'_>, interface: &Interface) -> Option<i32> {
    match &interface.source {
        InterfaceSource::Vdpa(source) => setup.runtime.vdpa.get(&source.dev).copied(),
        _ => None,
    }
}

/// The host's side; `facts` tell what was opened for it.
pub(crate) fn netdev(interface: &Interface, facts: &Facts) -> Value {
    let mut members = match (&interface.source, &facts.tap) {
        (
            InterfaceSource::Network(_)
            | InterfaceSource::Bridge(_)
            | InterfaceSource::Direct(_)
            | InterfaceSource::Ethernet(_),
            Some(names),
        ) => tap(interface, names),
        (InterfaceSource::Vhostuser(_), _) => {
            let count = queues(interface);
            vec![
                ("type", json!("vhost-user")),
                ("chardev", json!(format!("char{}", alias(&interface.alias)))),
                ("queues", json!((count > 1).then_some(count))),
            ]
        }
        (InterfaceSource::Vdpa(source), _) => {
            let count = queues(interface);
            vec![
                ("type", json!("vhost-vdpa")),
                ("vhostdev", json!(facts.vdpa.as_ref().unwrap_or(&source.dev))),
                ("queues", json!((count > 1).then_some(count))),
            ]
        }
        (InterfaceSource::Client(source), _) => socket("connect", &source.address, source.port),
        (InterfaceSource::Server(source), _) => socket("listen", &source.address, source.port),
        (InterfaceSource::Mcast(source), _) => socket("mcast", &source.address, source.port),
        (InterfaceSource::Udp(source), _) => {
            let mut members = socket("udp", &source.address, source.port);
            let local = source.local.as_ref().map(|local| place(&local.address, local.port));
            members.push(("localaddr", json!(local)));
            members
        }
        _ => match &facts.passt {
            Some((path, reconnect)) => {
                let mut members = vec![
                    ("type", json!("stream")),
                    ("addr", json!({ "type": "unix", "path": path })),
                    ("server", json!(false)),
                ];
                members.extend(reconnect.map(|(name, value)| (name, json!(value))));
                members
            }
            None => user(interface),
        },
    };
    members.push(("id", json!(format!("host{}", alias(&interface.alias)))));
    object(members)
}

fn tap(interface: &Interface, TapNames { fds, vhosts }: &TapNames) -> Vec<(&'static str, Value)> {
    let several = |names: &[String], one: &'static str, many: &'static str| match names {
        [] => (one, Value::Null),
        [only] => (one, json!(only)),
        names => (many, json!(names.join(":"))),
    };
    vec![
        ("type", json!("tap")),
        several(fds, "fd", "fds"),
        ("vhost", json!((!vhosts.is_empty()).then_some(true))),
        several(vhosts, "vhostfd", "vhostfds"),
        ("sndbuf", json!(interface.sndbuf)),
    ]
}

fn socket(role: &'static str, address: &Option<String>, port: u16) -> Vec<(&'static str, Value)> {
    vec![("type", json!("socket")), (role, json!(place(address, port)))]
}

fn place(address: &Option<String>, port: u16) -> String {
    format!("{}:{port}", address.as_deref().unwrap_or_default())
}

/// QEMU's own network, with the guest's addresses in it.
fn user(interface: &Interface) -> Vec<(&'static str, Value)> {
    let of_family = |wanted: IpFamily| {
        interface.ips.iter().find(|ip| {
            let by_address = if ip.address.is_ipv6() { IpFamily::Ipv6 } else { IpFamily::Ipv4 };
            ip.family.unwrap_or(by_address) == wanted
        })
    };
    let net = of_family(IpFamily::Ipv4).map(|ip| match ip.prefix {
        Some(prefix) => format!("{}/{prefix}", ip.address),
        None => ip.address.to_string(),
    });
    let v6 = of_family(IpFamily::Ipv6);
    vec![
        ("type", json!("user")),
        ("net", json!(net)),
        ("ipv6-prefix", json!(v6.map(|ip| ip.address.to_string()))),
        ("ipv6-prefixlen", json!(v6.and_then(|ip| ip.prefix))),
    ]
}
