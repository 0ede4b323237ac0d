//! `<channel>`: private ways between host and guest.

use ostler_conf::domain::{Address, Channel, ChannelTargetKind, CharSource, ControllerKind};
use ostler_driver::Result;
use serde_json::json;

use super::{Args, Props, Setup, address, alias, chardev};

/// The name that Spice's own channel has inside the guest.
const SPICE: &str = "com.redhat.spice.0";

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for channel in &setup.domain.devices.channels {
        let name = alias(&channel.alias);
        match channel.target.as_ref().map(|target| target.r#type) {
            Some(ChannelTargetKind::Virtio) => {
                chardev::of(setup, args, &channel.alias, channel.source.as_ref(), channel.log.as_ref())?;
                let props = port(setup, &channel.address, "virtserialport")?
                    .put("chardev", format!("char{name}"))
                    .put("id", name)
                    .maybe("name", shown_name(channel));
                args.device(setup, props);
            }
            Some(ChannelTargetKind::Guestfwd) => {
                chardev::of(setup, args, &channel.alias, channel.source.as_ref(), channel.log.as_ref())?;
                forward(setup, channel, args);
            }
            Some(ChannelTargetKind::Xen) | None => {}
        }
    }
    Ok(())
}

fn shown_name(channel: &Channel) -> Option<&str> {
    let given = channel.target.as_ref().and_then(|target| target.name.as_deref());
    let is_spice = matches!(channel.source, Some(CharSource::Spicevmc(_)));
    given.or(is_spice.then_some(SPICE))
}

/// A port of a virtio-serial controller.
pub(super) fn port(setup: &Setup<'_>, place: &Option<Address>, driver: &str) -> Result<Props> {
    let props = Props::driver(driver);
    let Some(Address::VirtioSerial(place)) = place else { return props.address(setup.domain, place) };
    let controller = address::controller(setup.domain, ControllerKind::VirtioSerial, place.controller.unwrap_or(0))?;
    let bus = format!("{controller}.{}", place.bus.unwrap_or(0));
    Ok(props.put("bus", bus).maybe("nr", place.port))
}

/// What the guest sends to an address of QEMU's own network goes to the back end.
fn forward(setup: &Setup<'_>, channel: &Channel, args: &mut Args) {
    let Some(target) = &channel.target else { return };
    let name = alias(&channel.alias);
    let place = format!(
        "tcp:{}:{}-chardev:char{name}",
        target.address.as_deref().unwrap_or_default(),
        target.port.unwrap_or(0)
    );
    args.netdev(setup, &json!({ "type": "user", "guestfwd": [{ "str": place }], "id": name }));
}
