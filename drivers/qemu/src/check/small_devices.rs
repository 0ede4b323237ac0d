//! Rules of devices with little to say, of cards and of devices of the host.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, AudioKind, FilesystemDriverKind, GraphicsKind, HostdevSource, InputKind, IommuModel, LaunchSecurity,
    PanicModel, TpmBackend, TpmModel, VirtioModel,
};
use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::complete::{Arch, Host, MachineFamily, arch, machine};
use crate::probe::Flag;

/// The highest address on POWER's virtual I/O bus.
const MAX_SPAPR_VIO: u64 = 0xffff_ffff;

pub(super) fn check(domain: &Domain, host: &Host, problems: &mut Problems) {
    check_shmems(domain, problems);
    if domain.devices.pstore.as_ref().is_some_and(|pstore| pstore.size.is_none()) {
        problems.add(Code::XmlError, "devices.pstore.size", "say how much a place for last words holds");
    }
    check_tpms(domain, host, problems);
    check_iommu(domain, problems);
    check_panics(domain, problems);
    check_graphics(domain, problems);
    check_hostdevs(domain, problems);
    for input in &domain.devices.inputs {
        let is_plain = matches!(input.model, None | Some(VirtioModel::Virtio));
        problems.unless(
            is_plain || input.r#type == InputKind::Passthrough,
            format!("devices.inputs[{}].model", input.name),
            "there is one model of this device only",
        );
    }
    for filesystem in &domain.devices.filesystems {
        let is_served =
            filesystem.driver.as_ref().and_then(|driver| driver.r#type) == Some(FilesystemDriverKind::Virtiofs);
        let is_pci = matches!(filesystem.address, None | Some(Address::Pci(_)));
        problems.unless(
            filesystem.boot.is_none() || !is_served || is_pci,
            format!("devices.filesystems[{}].boot", filesystem.name),
            "it can be booted from on a PCI bus only",
        );
    }
    for interface in &domain.devices.interfaces {
        let Some(driver) = &interface.driver else { continue };
        let sizes = [("rxQueueSize", driver.rx_queue_size), ("txQueueSize", driver.tx_queue_size)];
        for (field, size) in sizes {
            problems.unless(
                size.is_none_or(u32::is_power_of_two),
                format!("devices.interfaces[{}].driver.{field}", interface.name),
                "a power of two is expected",
            );
        }
    }
    check_spapr_vio(domain, problems);
    let has_spice = domain.devices.graphics.iter().any(|graphics| matches!(graphics.kind, GraphicsKind::Spice(_)));
    for audio in &domain.devices.audios {
        let is_spice = matches!(audio.kind, AudioKind::Spice(_));
        problems.unless(
            !is_spice || has_spice,
            format!("devices.audios[{}].kind", audio.name),
            "SPICE carries sound only where it shows the screen",
        );
    }
    let needed = match &domain.launch_security {
        Some(LaunchSecurity::Sev(_)) => Some(Flag::SevGuest),
        Some(LaunchSecurity::SevSnp(_)) => Some(Flag::SevSnpGuest),
        Some(LaunchSecurity::S390Pv(_)) => Some(Flag::S390PvGuest),
        None => None,
    };
    problems.unless(
        needed.is_none_or(|flag| host.capabilities.has(flag)),
        "launchSecurity",
        "the emulator can't hide a guest from its host so",
    );
}

/// The least that guests share.
const LEAST_SHARED: u64 = 1 << 20;

/// The name of shared memory is a file's.
fn check_shmems(domain: &Domain, problems: &mut Problems) {
    for shmem in &domain.devices.shmems {
        let at = format!("devices.shmems[{}]", shmem.name);
        let is_name = !shmem.name.contains('/') && !matches!(shmem.name.as_str(), "" | "." | "..");
        problems.unless(is_name, format!("{at}.name"), "that is no name of shared memory: it is a file's");
        let is_right = |bytes: u64| bytes >= LEAST_SHARED && bytes.is_power_of_two();
        if !shmem.size.as_ref().is_none_or(|size| is_right(size.0.bytes())) {
            let message = "the size of shared memory is a power of two, and 1 MiB at least";
            problems.add(Code::XmlError, format!("{at}.size"), message);
        }
    }
}

fn check_tpms(domain: &Domain, host: &Host, problems: &mut Problems) {
    let tpms = &domain.devices.tpms;
    let proxies = tpms.iter().filter(|tpm| tpm.model == Some(TpmModel::SpaprProxy)).count();
    problems.unless(tpms.len() - proxies <= 1, "devices.tpms", "a guest has one TPM");
    problems.unless(proxies <= 1, "devices.tpms", "a guest has one TPM proxy");
    for tpm in tpms {
        let TpmBackend::Emulator(emulator) = &tpm.backend else { continue };
        let Some(version) = emulator.version else { continue };
        let known = &host.settings.tpm_versions;
        problems.unless(
            known.is_empty() || known.iter().any(|known| known == version.word()),
            format!("devices.tpms[{}].backend.emulator.version", tpm.name),
            format!("this host emulates no TPM of version {version}"),
        );
    }
}

fn check_iommu(domain: &Domain, problems: &mut Problems) {
    let Some(iommu) = &domain.devices.iommu else { return };
    let at = "devices.iommu";
    let family = machine(domain);
    match iommu.model {
        IommuModel::Intel => {
            problems.unless(family == MachineFamily::Q35, at, "this IOMMU is part of the machine type q35");
        }
        IommuModel::Smmuv3 => {
            problems.unless(family == MachineFamily::ArmVirt, at, "this IOMMU is part of ARM's machine type virt");
        }
        IommuModel::Virtio => {
            let fits = matches!(family, MachineFamily::Q35 | MachineFamily::ArmVirt);
            problems.unless(fits, at, "only q35 and ARM's machine type virt have it");
            let has_acpi = domain.features.as_ref().is_some_and(|features| features.acpi);
            problems.unless(has_acpi, at, "ACPI tells the guest of it: features.acpi is needed");
            let is_pci = matches!(iommu.address, None | Some(Address::Pci(_)));
            problems.unless(is_pci, "devices.iommu.address", "it sits on a PCI bus");
        }
    }
}

fn check_panics(domain: &Domain, problems: &mut Problems) {
    for panic in &domain.devices.panics {
        let at = format!("devices.panics[{}]", panic.name);
        match panic.model {
            None => {
                problems.unsupported(format!("{at}.model"), "this machine has no panic device of its own: name a model")
            }
            Some(PanicModel::S390 | PanicModel::Pseries | PanicModel::Hyperv) => {
                problems.unless(
                    panic.address.is_none(),
                    format!("{at}.address"),
                    "a device of this model sits nowhere",
                );
            }
            Some(PanicModel::Isa) => {
                let is_isa = matches!(panic.address, None | Some(Address::Isa(_)));
                problems.unless(is_isa, format!("{at}.address"), "it sits on an ISA bus");
            }
            Some(PanicModel::Pvpanic) => {
                let is_pci = matches!(panic.address, None | Some(Address::Pci(_)));
                problems.unless(is_pci, format!("{at}.address"), "it sits on a PCI bus");
            }
        }
    }
}

fn check_graphics(domain: &Domain, problems: &mut Problems) {
    let graphics = &domain.devices.graphics;
    let count = |is: fn(&GraphicsKind) -> bool| graphics.iter().filter(|graphics| is(&graphics.kind)).count();
    for (kind, number) in [
        ("sdl", count(|kind| matches!(kind, GraphicsKind::Sdl(_)))),
        ("vnc", count(|kind| matches!(kind, GraphicsKind::Vnc(_)))),
        ("spice", count(|kind| matches!(kind, GraphicsKind::Spice(_)))),
        ("egl-headless", count(|kind| matches!(kind, GraphicsKind::EglHeadless(_)))),
    ] {
        problems.unless(number <= 1, "devices.graphics", format!("a guest has one '{kind}' at most"));
    }
    let others = count(|kind| matches!(kind, GraphicsKind::Vnc(_) | GraphicsKind::Spice(_)));
    let is_headless = count(|kind| matches!(kind, GraphicsKind::EglHeadless(_))) > 0;
    let is_else = count(|kind| !matches!(kind, GraphicsKind::EglHeadless(_))) > 0;
    problems.unless(
        !is_headless || !is_else || others > 0,
        "devices.graphics",
        "'egl-headless' draws for 'vnc' or 'spice': one of both is needed",
    );
    let draws = |kind: &GraphicsKind| {
        let gl = match kind {
            GraphicsKind::Sdl(sdl) => sdl.gl.as_ref(),
            GraphicsKind::Spice(spice) => spice.gl.as_ref(),
            GraphicsKind::EglHeadless(_) => return true,
            _ => None,
        };
        gl.and_then(|gl| gl.enable).is_some_and(|enable| enable.0)
    };
    let drawing = graphics.iter().filter(|graphics| draws(&graphics.kind)).count();
    problems.unless(drawing <= 1, "devices.graphics", "QEMU draws with OpenGL for one screen only");
}

fn check_hostdevs(domain: &Domain, problems: &mut Problems) {
    for hostdev in &domain.devices.hostdevs {
        let at = format!("devices.hostdevs[{}]", hostdev.name);
        let boots = !matches!(
            (&hostdev.source, hostdev.model.as_deref()),
            (HostdevSource::Mdev(_), Some("vfio-ap")) | (HostdevSource::ScsiHost(_), _)
        );
        problems.unless(boots || hostdev.boot.is_none(), format!("{at}.boot"), "no guest boots from such a device");
        let shows = hostdev.display.is_some_and(|display| display.0);
        problems.unless(
            !shows || !domain.devices.graphics.is_empty(),
            format!("{at}.display"),
            "what it shows needs a screen: give devices.graphics",
        );
    }
}

fn check_spapr_vio(domain: &Domain, problems: &mut Problems) {
    if arch(domain) != Arch::Ppc64 {
        return;
    }
    let devices = &domain.devices;
    let addresses = devices.controllers.iter().map(|device| &device.address);
    let addresses = addresses.chain(devices.interfaces.iter().map(|device| &device.address));
    let addresses = addresses.chain(devices.serials.iter().map(|device| &device.address));
    for address in addresses.chain(devices.nvram.iter().map(|device| &device.address)) {
        if let Some(Address::SpaprVio(address)) = address
            && address.reg.is_some_and(|reg| reg.0 > MAX_SPAPR_VIO)
        {
            problems.add(
                Code::ConfigUnsupported,
                "devices",
                format!("an address on the virtual I/O bus is {MAX_SPAPR_VIO:#x} at most"),
            );
        }
    }
}
