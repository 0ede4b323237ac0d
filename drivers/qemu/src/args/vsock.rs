//! `<vsock>`: sockets between host and guest.

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::{Args, Setup, address, alias, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(vsock) = &setup.domain.devices.vsock else { return Ok(()) };
    let missing =
        || Error::new(ErrorCode::InternalError, "nothing was opened for the vsock device").at("devices.vsock");
    let facts = setup.runtime.vsock.ok_or_else(missing)?;
    let given = vsock.cid.as_ref().and_then(|cid| cid.address).filter(|cid| *cid != 0);
    if let Some(zpci) = address::zpci(setup.domain, &vsock.address, &vsock.alias) {
        args.device(setup, zpci);
    }
    let props = virtio::device("vhost-vsock", vsock.model, &vsock.address, vsock.driver.as_ref())
        .put("id", alias(&vsock.alias))
        .put("guest-cid", given.unwrap_or(facts.cid))
        .put("vhostfd", facts.fd.to_string())
        .address(setup.domain, &vsock.address)?
        .acpi_index(vsock.acpi.as_ref());
    args.device(setup, props);
    Ok(())
}
