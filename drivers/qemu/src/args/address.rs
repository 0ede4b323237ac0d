//! Where a device is plugged in.

use ostler_conf::Domain;
use ostler_conf::domain::{Address, ControllerKind, ControllerModel as Model};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::alias;

/// The members `bus` and `addr` (PCI), or `bus` and `port` (USB), of a device.
pub(super) fn members(domain: &Domain, address: &Option<Address>) -> Result<Vec<(&'static str, Value)>> {
    let controller = |kind, index| {
        let found = domain.devices.controllers.iter().find(|other| other.r#type == kind && other.index == Some(index));
        found.ok_or_else(|| Error::new(ErrorCode::InternalError, format!("there is no {kind} controller {index}")))
    };
    match address {
        None => Ok(Vec::new()),
        Some(Address::Pci(pci)) => {
            let (_, bus, slot, function) = pci.key();
            let bus = alias(&controller(ControllerKind::Pci, bus)?.alias);
            let addr = if function == 0 { format!("{slot:#x}") } else { format!("{slot:#x}.{function:#x}") };
            let multifunction = pci.multifunction.map(|on| on.0);
            Ok(vec![("bus", json!(bus)), ("multifunction", json!(multifunction)), ("addr", json!(addr))])
        }
        Some(Address::Usb(usb)) => {
            let bus = alias(&controller(ControllerKind::Usb, usb.bus.unwrap_or(0))?.alias);
            Ok(vec![("bus", json!(format!("{bus}.0"))), ("port", json!(usb.port))])
        }
        Some(other) => {
            Err(Error::new(ErrorCode::InternalError, format!("an address that is neither PCI nor USB: {other:?}")))
        }
    }
}

/// Whether the bus is the machine's own PCI bus, under the name that QEMU gave it.
pub(super) const fn is_root(model: Option<Model>) -> bool {
    matches!(model, Some(Model::PciRoot | Model::PcieRoot))
}
