//! Addresses on POWER's virtual I/O bus.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, ControllerKind, ControllerModel as Model, SerialTargetKind, SpaprVioAddress, TpmModel,
};
use ostler_conf::values::HexLong;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::{MachineFamily, machine};

/// Where the first device of a kind is; the next is a step further.
const NETWORK: u64 = 0x1000;
const SCSI: u64 = 0x2000;
const NVRAM: u64 = 0x3000;
const TPM: u64 = 0x4000;
const SERIAL: u64 = 0x3000_0000;
const STEP: u64 = 0x1000;

pub(super) fn assign(domain: &mut Domain) -> Result<()> {
    if machine(domain) != MachineFamily::Pseries {
        return Ok(());
    }
    let mut taken: BTreeSet<u64> = BTreeSet::new();
    let mut result = Ok(());
    visit(domain, &mut |path, address, _| {
        if let Some(Address::SpaprVio(SpaprVioAddress { reg: Some(reg) })) = address
            && !taken.insert(reg.0)
        {
            let message = format!("the address {:#x} is another device's already", reg.0);
            result = Err(Error::new(ErrorCode::XmlError, message).at(path));
        }
    });
    result?;
    visit(domain, &mut |_, address, first| {
        let is_open = matches!(address, None | Some(Address::SpaprVio(SpaprVioAddress { reg: None })));
        if is_open {
            let reg = (0..).map(|step| first + step * STEP).find(|reg| taken.insert(*reg)).unwrap_or(first);
            *address = Some(Address::SpaprVio(SpaprVioAddress { reg: Some(HexLong(reg)) }));
        }
    });
    Ok(())
}

/// Visits the devices that sit there, in the order in which libvirt gives addresses, with where their kind begins.
fn visit(domain: &mut Domain, visitor: &mut dyn FnMut(String, &mut Option<Address>, u64)) {
    let devices = &mut domain.devices;
    for interface in &mut devices.interfaces {
        if interface.model.as_ref().is_some_and(|model| model.r#type == "spapr-vlan") {
            visitor(format!("devices.interfaces[{}].address", interface.name), &mut interface.address, NETWORK);
        }
    }
    for controller in &mut devices.controllers {
        if controller.r#type == ControllerKind::Scsi && controller.model == Some(Model::Ibmvscsi) {
            visitor(format!("devices.controllers[{}].address", controller.name), &mut controller.address, SCSI);
        }
    }
    for serial in &mut devices.serials {
        if serial.target.as_ref().is_some_and(|target| target.r#type == Some(SerialTargetKind::SpaprVioSerial)) {
            visitor(format!("devices.serials[{}].address", serial.name), &mut serial.address, SERIAL);
        }
    }
    if let Some(nvram) = &mut devices.nvram {
        visitor("devices.nvram.address".to_owned(), &mut nvram.address, NVRAM);
    }
    for tpm in devices.tpms.iter_mut().filter(|tpm| tpm.model == Some(TpmModel::Spapr)) {
        visitor(format!("devices.tpms[{}].address", tpm.name), &mut tpm.address, TPM);
    }
}
