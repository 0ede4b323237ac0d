//! `<rng>`: random numbers from the host.

use ostler_conf::domain::{RngBackend, VirtioModel};
use ostler_driver::Result;

use super::{Args, Props, Setup, address, alias, chardev, virtio};

/// How long a limit is for, unless it is said: a second, in milliseconds.
const PERIOD: u32 = 1000;

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for rng in &setup.domain.devices.rngs {
        let name = alias(&rng.alias);
        let object = format!("obj{name}");
        let backend = match &rng.backend {
            RngBackend::Random(random) => {
                let file = random.path.clone().unwrap_or_else(|| "/dev/random".to_owned());
                Props::object("rng-random", &*object).put("filename", file)
            }
            RngBackend::Egd(egd) => {
                chardev::named(setup, args, name, Some(&egd.source), None, "")?;
                Props::object("rng-egd", &*object).put("chardev", format!("char{name}"))
            }
            RngBackend::Builtin(_) => Props::object("rng-builtin", &*object),
        };
        args.object(backend);
        if let Some(zpci) = address::zpci(setup.domain, &rng.address, &rng.alias) {
            args.device(setup, zpci);
        }
        let rate = rng.rate.as_ref();
        let model = Some(rng.model).filter(|model| *model != VirtioModel::Virtio);
        let props = virtio::device("virtio-rng", model, &rng.address, rng.driver.as_ref())
            .put("rng", object)
            .put("id", name)
            .maybe("max-bytes", rate.map(|rate| rate.bytes))
            .maybe("period", rate.map(|rate| rate.period.filter(|period| *period > 0).unwrap_or(PERIOD)))
            .address(setup.domain, &rng.address)?;
        args.device(setup, props);
    }
    Ok(())
}
