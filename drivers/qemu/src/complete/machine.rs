//! Architecture, machine type, emulator, accelerator and CPU.

use std::path::PathBuf;

use ostler_conf::Domain;
use ostler_conf::domain::{BootDevice, BootEntry, CpuCheck, CpuMatch, CpuMode, CpuModel, CpuModelFallback, DomainType};
use ostler_conf::values::OnOff;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::Host;

/// What machine types of different versions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineFamily {
    /// `pc`: a PCI bus.
    I440fx,
    /// `q35`: PCI Express.
    Q35,
}

/// The family of a canonical machine type.
pub(crate) fn family(machine: &str) -> Option<MachineFamily> {
    match machine {
        "pc" => Some(MachineFamily::I440fx),
        "q35" => Some(MachineFamily::Q35),
        _ if machine.starts_with("pc-i440fx-") => Some(MachineFamily::I440fx),
        _ if machine.starts_with("pc-q35-") => Some(MachineFamily::Q35),
        _ => None,
    }
}

/// The emulator for guests of the architecture; absent: this host's.
pub(crate) fn default_emulator(arch: Option<&str>) -> PathBuf {
    PathBuf::from(format!(
        "/usr/bin/qemu-system-{}",
        match arch.unwrap_or(std::env::consts::ARCH) {
            "i686" => "i386",
            other => other,
        }
    ))
}

pub(super) fn complete(domain: &mut Domain, host: &Host) -> Result<()> {
    domain.r#type.get_or_insert(if host.kvm { DomainType::Kvm } else { DomainType::Qemu });
    domain.os.r#type.arch.get_or_insert_with(|| std::env::consts::ARCH.to_owned());
    domain.devices.emulator.get_or_insert_with(|| host.emulator.to_string_lossy().into_owned());
    let wanted = domain.os.r#type.machine.as_deref();
    let Some(machine) = host.capabilities.machine(wanted) else {
        let message =
            format!("the emulator {} has no machine type '{}'", host.emulator.display(), wanted.unwrap_or("default"));
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("os.type.machine"));
    };
    domain.os.r#type.machine = Some(machine.name.clone());
    complete_cpu(domain);
    let has_order = domain.devices.disks.iter().any(|d| d.boot.is_some())
        || domain.devices.interfaces.iter().any(|i| i.boot.is_some());
    // libvirt says so beside a kernel that is booted directly, too.
    if domain.os.boot.is_empty() && !has_order {
        domain.os.boot.push(BootEntry { dev: BootDevice::Hd });
    }
    Ok(())
}

fn complete_cpu(domain: &mut Domain) {
    let cpu = domain.cpu.get_or_insert_default();
    let has_model = cpu.model.as_ref().is_some_and(|model| model.name.is_some());
    match cpu.mode {
        Some(CpuMode::HostPassthrough | CpuMode::Maximum) => {
            cpu.check.get_or_insert(CpuCheck::None);
            if cpu.mode == Some(CpuMode::HostPassthrough) {
                cpu.migratable.get_or_insert(OnOff(true));
            }
        }
        Some(CpuMode::HostModel) => drop(cpu.check.get_or_insert(CpuCheck::Partial)),
        Some(CpuMode::Custom) | None if has_model => {
            cpu.mode = Some(CpuMode::Custom);
            cpu.r#match.get_or_insert(CpuMatch::Exact);
            cpu.check.get_or_insert(CpuCheck::Partial);
            if let Some(model) = &mut cpu.model {
                model.fallback.get_or_insert(CpuModelFallback::Allow);
            }
        }
        // QEMU's own default, written down so that another QEMU does not change it.
        Some(CpuMode::Custom) | None => {
            cpu.mode = Some(CpuMode::Custom);
            cpu.r#match = Some(CpuMatch::Exact);
            cpu.check.get_or_insert(CpuCheck::None);
            cpu.model = Some(CpuModel {
                fallback: Some(CpuModelFallback::Forbid),
                vendor_id: None,
                name: Some("qemu64".into()),
            });
        }
    }
    if let Some(topology) = &mut cpu.topology {
        topology.dies.get_or_insert(1);
        topology.clusters.get_or_insert(1);
    }
}
