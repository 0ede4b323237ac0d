//! Trusted platform modules.

use ostler_conf::Domain;
use ostler_conf::domain::{TpmBackend, TpmModel, TpmVersion};

use super::{MachineFamily, machine};

pub(super) fn complete(domain: &mut Domain) {
    let is_pseries = machine(domain) == MachineFamily::Pseries;
    let is_x86 = matches!(domain.os.r#type.arch.as_deref(), Some("x86_64" | "i686"));
    for tpm in &mut domain.devices.tpms {
        let model = *tpm.model.get_or_insert(if is_pseries { TpmModel::Spapr } else { TpmModel::Tis });
        if let TpmBackend::Emulator(emulator) = &mut tpm.backend {
            // The older interface came with the older version on PCs.
            let is_old = model == TpmModel::Tis && is_x86;
            emulator.version.get_or_insert(if is_old { TpmVersion::V12 } else { TpmVersion::V20 });
        }
    }
}
