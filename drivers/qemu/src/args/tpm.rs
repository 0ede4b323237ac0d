//! `<tpm>`: the guest's trusted platform module.

use ostler_conf::domain::{Tpm, TpmBackend, TpmModel};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::chardev::{self, Backend};
use super::platform::{Platform, is_arm};
use super::{Args, Props, Setup, TpmFacts, alias, escape};

/// The back end of a program's; QEMU has one TPM only.
const SOCKET: &str = "chrtpm";

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for tpm in &setup.domain.devices.tpms {
        backend(setup, tpm, args)?;
        let name = alias(&tpm.alias);
        let driver = match tpm.model {
            Some(TpmModel::Tis) | None if has_mapped_registers(setup) => "tpm-tis-device",
            Some(model) => model.word(),
            None => TpmModel::Tis.word(),
        };
        let props = match &tpm.backend {
            // It hands everything on to the host's.
            TpmBackend::Passthrough(host) if tpm.model == Some(TpmModel::SpaprProxy) => {
                Props::driver(driver).put("id", name).maybe("host-path", host.device.clone())
            }
            _ => Props::driver(driver).put("tpmdev", format!("tpm-{name}")).put("id", name),
        };
        args.device(setup, props.address(setup.domain, &tpm.address)?);
    }
    Ok(())
}

fn has_mapped_registers(setup: &Setup<'_>) -> bool {
    is_arm(setup.domain) || matches!(Platform::of(setup.domain), Platform::RiscvVirt | Platform::LoongarchVirt)
}

fn backend(setup: &Setup<'_>, tpm: &Tpm, args: &mut Args) -> Result<()> {
    let name = alias(&tpm.alias);
    let facts = setup.runtime.tpms.get(name);
    let missing = || Error::new(ErrorCode::InternalError, format!("nothing was opened for the TPM '{name}'"));
    let socket = match (&tpm.backend, facts) {
        (TpmBackend::Passthrough(_), _) if tpm.model == Some(TpmModel::SpaprProxy) => return Ok(()),
        (TpmBackend::Passthrough(host), facts) => {
            let (device, cancel) = match facts {
                Some(TpmFacts::Passthrough { device, cancel }) => (
                    args.descriptor(*device, &format!("{name}-tpm")),
                    args.descriptor(*cancel, &format!("{name}-cancel")),
                ),
                _ => (host.device.clone().unwrap_or_else(|| "/dev/tpm0".to_owned()), String::new()),
            };
            let cancel = if cancel.is_empty() { cancel } else { format!(",cancel-path={}", escape(&cancel)) };
            args.option("-tpmdev", format!("passthrough,id=tpm-{name},path={}{cancel}", escape(&device)));
            return Ok(());
        }
        (TpmBackend::Emulator(_), Some(TpmFacts::Emulator(socket))) => socket.to_string_lossy().into_owned(),
        (TpmBackend::Emulator(_), _) => return Err(missing()),
        (TpmBackend::External(external), _) => external.source.as_ref().ok_or_else(missing)?.path.clone(),
    };
    chardev::write(setup, args, SOCKET, Backend::connecting(&socket));
    args.option("-tpmdev", format!("emulator,id=tpm-{name},chardev={SOCKET}"));
    Ok(())
}
