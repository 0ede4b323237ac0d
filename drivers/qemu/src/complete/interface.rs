//! Network interfaces: MAC address and model.

use ostler_conf::domain::{Interface, InterfaceModel, InterfaceSource, Mac};
use ostler_conf::{Domain, MacAddress};
use uuid::Uuid;

use super::Host;

pub(super) fn complete(domain: &mut Domain, host: &Host) {
    let default_model =
        ["rtl8139", "e1000", "virtio-net-pci"].into_iter().find(|model| host.capabilities.has_device(model));
    let default_model = default_model.map_or("virtio", |model| model.strip_suffix("-net-pci").unwrap_or(model));
    let uuid = domain.uuid.unwrap_or_default();
    for at in 0..domain.devices.interfaces.len() {
        let interface = &domain.devices.interfaces[at];
        let mac = interface.mac.clone().unwrap_or_else(|| Mac::new(free_mac(uuid, at, &domain.devices.interfaces)));
        let interface = &mut domain.devices.interfaces[at];
        interface.mac = Some(mac);
        interface.model.get_or_insert_with(|| InterfaceModel { r#type: default_model.to_owned() });
    }
}

/// An address of QEMU's prefix, worked out from the domain and the interface's name: the same whenever it is asked for.
fn free_mac(uuid: Uuid, at: usize, interfaces: &[Interface]) -> MacAddress {
    let name =
        Some(&interfaces[at].name).filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| format!("net{at}"));
    let is_taken =
        |mac: MacAddress| interfaces.iter().any(|other| other.mac.as_ref().is_some_and(|other| other.address == mac));
    let made = (0..).map(|attempt: u32| {
        let digest = Uuid::new_v5(&uuid, format!("{name}/{attempt}").as_bytes());
        let [a, b, c, ..] = *digest.as_bytes();
        MacAddress([0x52, 0x54, 0x00, a, b, c])
    });
    made.into_iter().find(|mac| !is_taken(*mac)).expect("there are more addresses than interfaces")
}

pub(super) fn forget_live_values(interfaces: &mut [Interface]) {
    for interface in interfaces {
        // The names that are made for tap devices, by libvirt and by us.
        let is_made = |dev: &str| dev.starts_with("vnet") || dev.starts_with("ot");
        interface.target.take_if(|target| target.dev.as_deref().is_none_or(is_made));
        if let InterfaceSource::Network(source) = &mut interface.source {
            source.bridge = None;
        }
    }
}
