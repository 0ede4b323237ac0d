//! `<crypto>`: cryptography on the host's behalf.

use ostler_conf::domain::CryptoBackend;
use ostler_driver::Result;

use super::{Args, Props, Setup, alias, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for crypto in &setup.domain.devices.cryptos {
        let name = alias(&crypto.alias);
        let object = format!("obj{name}");
        let (kind, queues) = match &crypto.backend {
            CryptoBackend::Builtin(queues) => ("cryptodev-backend-builtin", queues.queues),
            CryptoBackend::Lkcf(queues) => ("cryptodev-backend-lkcf", queues.queues),
        };
        args.object(Props::object(kind, &*object).maybe("queues", queues.filter(|queues| *queues > 0)));
        let props = virtio::device("virtio-crypto", None, &crypto.address, crypto.driver.as_ref())
            .put("cryptodev", object)
            .put("id", name)
            .address(setup.domain, &crypto.address)?
            .acpi_index(crypto.acpi.as_ref());
        args.device(setup, props);
    }
    Ok(())
}
