//! `<interface>`: the host's side and the device.

use ostler_conf::Domain;
use ostler_conf::domain::{Interface, InterfaceSource};
use ostler_driver::Result;
use serde_json::{Value, json};

use super::{Args, Setup, Tap, address, alias, object};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Setup { domain, runtime, boot, .. } = setup;
    for (at, interface) in domain.devices.interfaces.iter().enumerate() {
        let tap = runtime.taps.get(alias(&interface.alias)).copied();
        let tap = tap.map(|tap: Tap| (tap.fd.to_string(), tap.vhost.map(|fd| fd.to_string())));
        args.netdev(setup, &netdev(interface, tap));
        let device = device(domain, interface, boot.interface(at))?;
        args.device(setup, device.into());
    }
    Ok(())
}

/// The host's side; `tap` names the descriptors of its tap device and that one's back end.
pub(crate) fn netdev(interface: &Interface, tap: Option<(String, Option<String>)>) -> Value {
    let id = json!(format!("host{}", alias(&interface.alias)));
    match (&interface.source, tap) {
        (InterfaceSource::Network(_) | InterfaceSource::Bridge(_), Some((fd, vhost))) => object([
            ("type", json!("tap")),
            ("fd", json!(fd)),
            ("vhost", json!(vhost.is_some().then_some(true))),
            ("vhostfd", json!(vhost)),
            ("id", id),
        ]),
        _ => object([("type", json!("user")), ("id", id)]),
    }
}

/// The device that the guest sees.
pub(crate) fn device(domain: &Domain, interface: &Interface, boot: Option<u32>) -> Result<Value> {
    let model = interface.model.as_ref().map_or("virtio", |model| model.r#type.as_str());
    let is_virtio = model == "virtio";
    let name = alias(&interface.alias);
    let mut members = vec![
        ("driver", json!(if is_virtio { "virtio-net-pci" } else { model })),
        ("host_mtu", json!(interface.mtu.as_ref().filter(|_| is_virtio).map(|mtu| mtu.size))),
        ("netdev", json!(format!("host{name}"))),
        ("id", json!(name)),
        ("mac", json!(interface.mac.as_ref().map(|mac| mac.address.to_string()))),
        ("bootindex", json!(boot)),
    ];
    members.extend(address::members(domain, &interface.address)?);
    Ok(object(members))
}
