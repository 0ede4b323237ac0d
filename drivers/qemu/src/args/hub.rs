//! `<hub>`: more USB ports.

use ostler_driver::Result;

use super::{Args, Props, Setup, alias};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for hub in &setup.domain.devices.hubs {
        let props = Props::driver("usb-hub").put("id", alias(&hub.alias)).address(setup.domain, &hub.address)?;
        args.device(setup, props);
    }
    Ok(())
}
