//! What sleep states the firmware offers, and what an end of the guest means for QEMU.

use ostler_driver::Result;

use super::platform::{Platform, is_arm, is_x86};
use super::{Args, Setup};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    // We decide what becomes of a guest that has ended.
    args.flag("-no-shutdown");
    if let Some(pm) = &setup.domain.pm {
        let device = if Platform::of(setup.domain) == Platform::Q35 { "ICH9-LPC" } else { "PIIX4_PM" };
        for (state, property) in [(&pm.suspend_to_mem, "disable_s3"), (&pm.suspend_to_disk, "disable_s4")] {
            if let Some(enabled) = state.as_ref().and_then(|state| state.enabled) {
                args.option("-global", format!("{device}.{property}={}", u8::from(!enabled.0)));
            }
        }
    }
    let had_no_property = is_x86(setup.domain) || is_arm(setup.domain);
    if had_no_property && !setup.machine_knows_acpi() && !setup.has_acpi() && setup.old_machine_has_acpi() {
        args.flag("-no-acpi");
    }
    Ok(())
}

impl Setup<'_> {
    /// Whether the machine has ACPI though it has no property to switch it.
    fn old_machine_has_acpi(&self) -> bool {
        self.machine_type().is_none_or(|machine| machine.acpi.is_none())
    }
}
