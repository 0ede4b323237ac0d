//! Network interfaces: MAC address and model.

use ostler_conf::domain::{Interface, InterfaceDriver, InterfaceModel, InterfaceSource, Mac};
use ostler_conf::{Domain, MacAddress};
use uuid::Uuid;

use super::machine::{Arch, arch};
use super::{Host, MachineFamily, machine};
use crate::probe::Flag;

/// Models that are known by any case.
const MODELS: &[&str] = &[
    "netfront",
    "rtl8139",
    "virtio",
    "e1000",
    "e1000e",
    "igb",
    "virtio-transitional",
    "virtio-non-transitional",
    "usb-net",
    "spapr-vlan",
    "lan9118",
    "smc91c111",
    "vlance",
    "vmxnet",
    "vmxnet2",
    "vmxnet3",
];

pub(super) fn complete(domain: &mut Domain, host: &Host) {
    let default_model = default_model(domain, host);
    let uuid = domain.uuid.unwrap_or_default();
    for at in 0..domain.devices.interfaces.len() {
        let interface = &domain.devices.interfaces[at];
        let mac = interface.mac.clone().unwrap_or_else(|| Mac::new(free_mac(uuid, at, &domain.devices.interfaces)));
        let interface = &mut domain.devices.interfaces[at];
        interface.mac = Some(mac);
        // A device of the host is what it is.
        if !matches!(interface.source, InterfaceSource::Hostdev(_)) {
            let is_served = matches!(interface.source, InterfaceSource::Vdpa(_) | InterfaceSource::Vhostuser(_));
            let model = if is_served { "virtio" } else { default_model };
            let model = interface.model.get_or_insert_with(|| InterfaceModel { r#type: model.to_owned() });
            if let Some(known) = MODELS.iter().find(|known| known.eq_ignore_ascii_case(&model.r#type)) {
                model.r#type = (*known).to_owned();
            }
            // Others have nothing to be set.
            let is_virtio = model.r#type.starts_with("virtio");
            interface.driver.take_if(|_| !is_virtio);
            if let Some(backend) = interface.backend.as_mut().filter(|_| !is_virtio) {
                backend.vhost = None;
            }
        } else if let Some(driver) = &mut interface.driver {
            *driver = InterfaceDriver { name: driver.name, model: driver.model.take(), ..InterfaceDriver::default() };
            interface.driver.take_if(|driver| *driver == InterfaceDriver::default());
        }
    }
}

fn default_model(domain: &Domain, host: &Host) -> &'static str {
    use MachineFamily as Family;
    match (machine(domain), arch(domain)) {
        (Family::ArmVirt | Family::RiscvVirt | Family::LoongarchVirt, _) | (_, Arch::S390) => return "virtio",
        (_, Arch::Aarch64 | Arch::Arm) => {
            let is_versatile = domain.os.r#type.machine.as_deref() == Some("versatilepb");
            return if is_versatile { "smc91c111" } else { "lan9118" };
        }
        _ => {}
    }
    [(Flag::Rtl8139, "rtl8139"), (Flag::E1000, "e1000"), (Flag::VirtioNet, "virtio")]
        .into_iter()
        .find(|(flag, _)| host.capabilities.has(*flag))
        .map_or("virtio", |(_, model)| model)
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
