//! `<parallel>`: parallel ports.

use ostler_driver::Result;

use super::{Args, Props, Setup, alias, chardev};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for parallel in &setup.domain.devices.parallels {
        chardev::of(setup, args, &parallel.alias, parallel.source.as_ref(), parallel.log.as_ref())?;
        let name = alias(&parallel.alias);
        let props = Props::driver("isa-parallel").put("chardev", format!("char{name}")).put("id", name);
        let props = props.address(setup.domain, &parallel.address)?;
        args.device(setup, props);
    }
    Ok(())
}
