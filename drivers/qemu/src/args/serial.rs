//! `<serial>`: serial ports.

use ostler_conf::domain::{Serial, SerialTargetKind as Kind, SerialTargetModelName as Model};
use ostler_driver::Result;

use super::platform::is_x86;
use super::{Args, Props, Setup, address, alias, chardev};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for serial in &setup.domain.devices.serials {
        chardev::of(setup, args, &serial.alias, serial.source.as_ref(), serial.log.as_ref())?;
        let name = alias(&serial.alias);
        let Some(driver) = driver(setup, serial) else {
            args.option("-serial", format!("chardev:char{name}"));
            continue;
        };
        if let Some(zpci) = address::zpci(setup.domain, &serial.address, &serial.alias) {
            args.device(setup, zpci);
        }
        let target = serial.target.as_ref();
        let port = target.and_then(|target| target.port).filter(|_| driver == "isa-serial");
        let props = Props::driver(driver)
            .put("chardev", format!("char{name}"))
            .put("id", name)
            .maybe("index", port)
            .address(setup.domain, &serial.address)?;
        args.device(setup, props);
    }
    Ok(())
}

/// QEMU's name of the device; none: the board's own port.
fn driver(setup: &Setup<'_>, serial: &Serial) -> Option<&'static str> {
    let target = serial.target.as_ref();
    if let Some(model) = target.and_then(|target| target.model.as_ref()) {
        return match model.name {
            Model::Pl011 | Model::A16550 => None,
            other => Some(other.word()),
        };
    }
    match target.and_then(|target| target.r#type) {
        Some(Kind::UsbSerial) => Some("usb-serial"),
        Some(Kind::PciSerial) => Some("pci-serial"),
        Some(Kind::SpaprVioSerial) => Some("spapr-vty"),
        Some(Kind::SclpSerial) => Some("sclpconsole"),
        Some(Kind::IsaDebug) => Some("isa-debugcon"),
        Some(Kind::SystemSerial) => None,
        Some(Kind::IsaSerial) | None => is_x86(setup.domain).then_some("isa-serial"),
    }
}
