//! Where a device is plugged in.

use ostler_conf::Domain;
use ostler_conf::domain::{Address, Alias, ControllerKind, ControllerModel as Model, PciAddress};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::alias;
use super::platform::{Platform, arch};
use super::props::Props;

impl Props {
    /// The properties that say where a device is.
    pub(super) fn address(self, domain: &Domain, address: &Option<Address>) -> Result<Self> {
        Ok(self.extend(members(domain, address)?))
    }
}

/// The properties that say where a device is: those of its bus, then its place there.
pub(crate) fn members(domain: &Domain, address: &Option<Address>) -> Result<Vec<(&'static str, Value)>> {
    Ok(match address {
        Some(Address::Pci(pci)) => {
            let (.., slot, function) = pci.key();
            let addr = if function == 0 { format!("{slot:#x}") } else { format!("{slot:#x}.{function:#x}") };
            vec![
                ("bus", json!(pci_bus(domain, pci)?)),
                ("multifunction", json!(pci.multifunction.map(|on| on.0))),
                ("addr", json!(addr)),
            ]
        }
        Some(Address::Usb(usb)) => {
            let bus = controller(domain, ControllerKind::Usb, usb.bus.unwrap_or(0))?;
            vec![
                ("bus", json!(format!("{bus}.0"))),
                ("port", json!(usb.port.as_deref().filter(|port| !port.is_empty()))),
            ]
        }
        Some(Address::SpaprVio(vio)) => vec![("reg", json!(vio.reg.map(|reg| reg.0)))],
        Some(Address::Ccw(ccw)) => {
            let part = |value: Option<u32>| value.unwrap_or(0);
            let (css, ss) = (part(ccw.cssid.map(|id| id.0)), part(ccw.ssid.map(|id| id.0)));
            vec![("devno", json!(format!("{css:x}.{ss:x}.{:04x}", part(ccw.devno.map(|number| number.0)))))]
        }
        Some(Address::Isa(isa)) => {
            vec![("iobase", json!(isa.iobase.map(|base| base.0))), ("irq", json!(isa.irq.map(|irq| irq.0)))]
        }
        Some(Address::Dimm(dimm)) => {
            vec![("slot", json!(dimm.slot)), ("addr", json!(dimm.base.map(|base| base.0).filter(|base| *base > 0)))]
        }
        // A device itself says what these mean.
        Some(
            Address::Drive(_)
            | Address::VirtioSerial(_)
            | Address::Ccid(_)
            | Address::VirtioS390(_)
            | Address::VirtioMmio(_)
            | Address::Unassigned(_),
        )
        | None => Vec::new(),
    })
}

/// QEMU's name of the PCI bus that an address is on.
fn pci_bus(domain: &Domain, pci: &PciAddress) -> Result<String> {
    let (_, index, ..) = pci.key();
    let found = domain
        .devices
        .controllers
        .iter()
        .find(|other| other.r#type == ControllerKind::Pci && other.index.unwrap_or(0) == index);
    let Some(bus) = found else {
        return Err(Error::new(ErrorCode::InternalError, format!("there is no pci controller {index}")));
    };
    // What is part of the machine has QEMU's name, whatever people call it.
    let own = is_root(bus.model).then(|| crate::alias::own_name(domain, bus));
    let name = own.unwrap_or_else(|| alias(&bus.alias).to_owned());
    // A further host bridge of POWER is a device, and its bus is part of it.
    let is_further_bridge = Platform::of(domain) == Platform::Pseries
        && bus.model == Some(Model::PciRoot)
        && bus.target.as_ref().and_then(|target| target.index).is_some_and(|index| index > 0);
    Ok(if is_further_bridge { format!("{}.0", alias(&bus.alias)) } else { name })
}

/// QEMU's name of a controller: the alias, but for what is part of the machine.
pub(super) fn controller(domain: &Domain, kind: ControllerKind, index: u32) -> Result<String> {
    let mut controllers = domain.devices.controllers.iter();
    let found = controllers.find(|other| other.r#type == kind && other.index.unwrap_or(0) == index);
    let found =
        found.ok_or_else(|| Error::new(ErrorCode::InternalError, format!("there is no {kind} controller {index}")))?;
    let own = crate::alias::own_name(domain, found);
    Ok(if matches!(own.as_str(), "ide" | "scsi") { own } else { alias(&found.alias).to_owned() })
}

/// The device that gives a PCI device of s390 its identity there.
pub(crate) fn zpci(domain: &Domain, address: &Option<Address>, of: &Option<Alias>) -> Option<Props> {
    let Some(Address::Pci(PciAddress { zpci: Some(zpci), .. })) = address else { return None };
    if !matches!(arch(domain), "s390x" | "s390") {
        return None;
    }
    let (uid, fid) = (zpci.uid.map_or(0, |uid| uid.0), zpci.fid.map_or(0, |fid| fid.0));
    Some(Props::driver("zpci").put("uid", uid).put("fid", fid).put("target", alias(of)).put("id", format!("zpci{uid}")))
}

/// Whether the bus is the machine's own PCI bus, under the name that QEMU gave it.
pub(super) const fn is_root(model: Option<Model>) -> bool {
    matches!(model, Some(Model::PciRoot | Model::PcieRoot))
}

impl Props {
    /// The place that the guest's names of devices are made from.
    pub(super) fn acpi_index(self, acpi: Option<&ostler_conf::domain::AcpiIndex>) -> Self {
        self.maybe("acpi-index", acpi.map(|acpi| acpi.index).filter(|index| *index > 0))
    }
}
