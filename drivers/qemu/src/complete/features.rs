//! Features that a machine has, or has not, by itself.

use ostler_conf::Domain;
use ostler_conf::domain::{DomainType, Features, Gic, IoapicDriver, Iommu, IommuDriver, IommuModel};
use ostler_conf::values::OnOff;

use super::machine::{Arch, arch};
use super::{Host, MachineFamily, machine};

/// How many virtual CPUs have interrupts of the older kind.
const OLD_INTERRUPTS: u32 = 255;

pub(super) fn complete(domain: &mut Domain, host: &Host) {
    if machine(domain) == MachineFamily::ArmVirt {
        complete_gic(domain, host);
    }
    let machine = host.capabilities.machine(domain.os.r#type.machine.as_deref());
    if !host.is_new && arch(domain) == Arch::S390 && machine.is_some_and(|machine| machine.acpi == Some(false)) {
        // It was accepted, and did nothing, before machines told what they have.
        if let Some(features) = &mut domain.features {
            features.acpi = false;
        }
        domain.features.take_if(|features| *features == Features::default());
    }
    complete_iommu(domain, host);
}

/// The newest interrupt controller that the host's kernel can be; a translated guest has the older one.
fn complete_gic(domain: &mut Domain, host: &Host) {
    let has_kvm = domain.r#type == Some(DomainType::Kvm);
    let newest = host.capabilities.gic.iter().filter(|gic| gic.kernel).map(|gic| gic.version).max();
    let version = if has_kvm { newest.unwrap_or(3) } else { 2 };
    let gic = domain.features.get_or_insert_default().gic.get_or_insert(Gic { version: None });
    gic.version.get_or_insert_with(|| version.to_string());
}

/// More processors than old interrupts can name need an IOMMU that remaps them.
fn complete_iommu(domain: &mut Domain, host: &Host) {
    if !host.is_new || machine(domain) != MachineFamily::Q35 || domain.vcpus() <= OLD_INTERRUPTS {
        return;
    }
    let iommu = domain.devices.iommu.get_or_insert(Iommu {
        model: IommuModel::Intel,
        driver: None,
        alias: None,
        address: None,
    });
    if iommu.model != IommuModel::Intel {
        return;
    }
    let driver = iommu.driver.get_or_insert_with(IommuDriver::default);
    driver.intremap.get_or_insert(OnOff(true));
    driver.eim.get_or_insert(OnOff(true));
    domain.features.get_or_insert_default().ioapic.get_or_insert(IoapicDriver::Qemu);
}
