//! Ports of virtio serial controllers.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{Address, ChannelTargetKind, Controller, ControllerKind, VirtioSerialAddress};

/// How many ports a controller has where nothing is said.
const PORTS: u32 = 31;

/// Gives each channel of virtio serial a free port; port 0 is kept for a console. A controller is added where none has room.
pub(super) fn assign(domain: &mut Domain) {
    let devices = &mut domain.devices;
    let mut taken: BTreeSet<(u32, u32)> = BTreeSet::new();
    for address in devices.channels.iter().map(|device| &device.address) {
        if let Some(Address::VirtioSerial(VirtioSerialAddress { controller, port: Some(port), .. })) = address
            && *port != 0
        {
            taken.insert((controller.unwrap_or(0), *port));
        }
    }
    for channel in &mut devices.channels {
        let is_virtio = channel.target.as_ref().is_some_and(|target| target.r#type == ChannelTargetKind::Virtio);
        let wanted = match &channel.address {
            _ if !is_virtio => continue,
            None => None,
            Some(Address::VirtioSerial(address)) if matches!(address.port, None | Some(0)) => address.controller,
            Some(_) => continue,
        };
        let controllers = ports(&devices.controllers);
        let of = controllers.iter().filter(|(index, _)| wanted.is_none_or(|wanted| wanted == *index));
        let mut places = of.flat_map(|(index, ports)| (1..*ports).map(move |port| (*index, port)));
        let (controller, port) = places.find(|place| !taken.contains(place)).unwrap_or_else(|| {
            let next = controllers.last().map_or(0, |(index, _)| index + 1);
            super::controller::insert(&mut devices.controllers, Controller::new(ControllerKind::VirtioSerial, next));
            (next, 1)
        });
        taken.insert((controller, port));
        let address = VirtioSerialAddress { controller: Some(controller), bus: Some(0), port: Some(port) };
        channel.address = Some(Address::VirtioSerial(address));
    }
}

/// The controllers, by number, with how many ports each has.
fn ports(controllers: &[Controller]) -> Vec<(u32, u32)> {
    let mut list: Vec<(u32, u32)> = controllers
        .iter()
        .filter(|controller| controller.r#type == ControllerKind::VirtioSerial)
        .map(|controller| (controller.index.unwrap_or(0), controller.ports.unwrap_or(PORTS)))
        .collect();
    list.sort_unstable();
    list
}
