//! `<panic>`: how the guest says that it has crashed.

use ostler_conf::domain::{Address, PanicModel};
use ostler_driver::Result;

use super::{Args, Props, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for panic in &setup.domain.devices.panics {
        match panic.model {
            Some(PanicModel::Isa) => {
                let port = match &panic.address {
                    Some(Address::Isa(place)) => place.iobase.map(|base| base.0),
                    _ => None,
                };
                args.device(setup, Props::driver("pvpanic").maybe("ioport", port));
            }
            Some(PanicModel::Pvpanic) => {
                let props = Props::driver("pvpanic-pci").address(setup.domain, &panic.address)?;
                args.device(setup, props.acpi_index(panic.acpi.as_ref()));
            }
            // They are part of the machine, or of the processor.
            Some(PanicModel::Hyperv | PanicModel::Pseries | PanicModel::S390) | None => {}
        }
    }
    Ok(())
}
