//! `<pstore>`: where the guest's kernel keeps its last words.

use ostler_driver::Result;

use super::{Args, Props, Setup, alias};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let Some(pstore) = &setup.domain.devices.pstore else { return Ok(()) };
    let name = alias(&pstore.alias);
    args.object(
        Props::object("memory-backend-file", format!("mem{name}"))
            .maybe("mem-path", pstore.path.clone())
            .maybe("size", pstore.size.as_ref().map(|size| size.0.bytes()))
            .put("share", true),
    );
    let props = Props::driver("acpi-erst")
        .put("id", name)
        .put("memdev", format!("mem{name}"))
        .address(setup.domain, &pstore.address)?
        .acpi_index(pstore.acpi.as_ref());
    args.device(setup, props);
    Ok(())
}
