//! `<vmcoreinfo>`: the guest's kernel tells where its tables are, for whoever reads a dump.

use ostler_driver::Result;

use super::{Args, Props, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let wanted = setup.domain.features.as_ref().and_then(|features| features.vmcoreinfo.as_ref());
    if wanted.is_some_and(|wanted| wanted.state.is_none_or(|on| on.0)) {
        args.device(setup, Props::driver("vmcoreinfo"));
    }
    Ok(())
}
