//! `<memballoon>`: gives memory back to the host.

use ostler_conf::domain::{MemballoonModel as Model, VirtioModel};
use ostler_driver::Result;

use super::{Args, Setup, address, alias, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(balloon) = &setup.domain.devices.memballoon else { return Ok(()) };
    let model = match balloon.model {
        Model::Virtio => None,
        Model::VirtioTransitional => Some(VirtioModel::Transitional),
        Model::VirtioNonTransitional => Some(VirtioModel::NonTransitional),
        Model::None | Model::Xen => return Ok(()),
    };
    if let Some(zpci) = address::zpci(setup.domain, &balloon.address, &balloon.alias) {
        args.device(setup, zpci);
    }
    let props = virtio::device("virtio-balloon", model, &balloon.address, balloon.driver.as_ref())
        .put("id", alias(&balloon.alias))
        .maybe("deflate-on-oom", balloon.autodeflate.map(|on| on.0))
        .maybe("free-page-reporting", balloon.free_page_reporting.map(|on| on.0))
        .address(setup.domain, &balloon.address)?;
    args.device(setup, props);
    Ok(())
}
