//! `<smartcard>`: readers of smart cards, each with its card.

use ostler_conf::domain::{Address, ControllerKind, SmartcardMode};
use ostler_driver::Result;

use super::{Args, Props, Setup, address, alias, chardev};

/// Where certificates are kept unless it is said.
const DATABASE: &str = "/etc/pki/nssdb";
const CERTIFICATES: [&str; 3] = ["cert1", "cert2", "cert3"];

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for card in &setup.domain.devices.smartcards {
        let name = alias(&card.alias);
        let props = match &card.mode {
            SmartcardMode::Host(_) => Props::driver("ccid-card-emulated").put("backend", "nss-emulated"),
            SmartcardMode::HostCertificates(host) => {
                let mut props = Props::driver("ccid-card-emulated").put("backend", "certificates");
                for (property, certificate) in CERTIFICATES.iter().zip(&host.certificates) {
                    props = props.put(property, certificate.clone());
                }
                props.put("db", host.database.clone().unwrap_or_else(|| DATABASE.to_owned()))
            }
            SmartcardMode::Passthrough(card) => {
                chardev::named(setup, args, name, Some(&card.source), None, "smartcard")?;
                Props::driver("ccid-card-passthru").put("chardev", format!("char{name}"))
            }
        };
        let reader = match &card.address {
            Some(Address::Ccid(place)) => place.controller.unwrap_or(0),
            _ => 0,
        };
        let bus = address::controller(setup.domain, ControllerKind::Ccid, reader)?;
        args.device(setup, props.put("id", name).put("bus", format!("{bus}.0")));
    }
    Ok(())
}
