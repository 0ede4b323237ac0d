//! `<nvram>`: where POWER's firmware keeps its variables.

use ostler_conf::domain::Address;
use ostler_driver::Result;

use super::{Args, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    if let Some(nvram) = &setup.domain.devices.nvram
        && let Some(Address::SpaprVio(place)) = &nvram.address
        && let Some(reg) = place.reg
    {
        args.option("-global", format!("spapr-nvram.reg={:#x}", reg.0));
    }
    Ok(())
}
