//! `<console>`: what the guest's kernel takes for its console.

use ostler_conf::domain::ConsoleTargetKind as Kind;
use ostler_driver::Result;

use super::{Args, Props, Setup, alias, channel, chardev};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for console in &setup.domain.devices.consoles {
        let driver = match console.target.as_ref().and_then(|target| target.r#type) {
            Some(Kind::Virtio) => "virtconsole",
            Some(Kind::Sclp) => "sclpconsole",
            Some(Kind::Sclplm) => "sclplmconsole",
            // A serial port was said already.
            _ => continue,
        };
        chardev::of(setup, args, &console.alias, console.source.as_ref(), console.log.as_ref())?;
        let name = alias(&console.alias);
        let props = match driver {
            "virtconsole" => channel::port(setup, &console.address, driver)?,
            _ => Props::driver(driver),
        };
        args.device(setup, props.put("chardev", format!("char{name}")).put("id", name));
    }
    Ok(())
}
