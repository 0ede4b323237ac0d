//! Rules of devices with little to say, and of features.

use std::fmt::Arguments;

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{Boot, Cpu, CpuMode, Domain, IommuDriver, IommuModel, OsKind};

/// The longest name of an entry in the boot menu of s390.
const LOADPARM_LENGTH: usize = 8;

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let devices = &domain.devices;
    let has_inputs = !matches!(domain.os.r#type.kind, Some(OsKind::Exe | OsKind::Linux | OsKind::Uml));
    for input in &devices.inputs {
        if !has_inputs {
            let path = format_args!("devices.inputs[{}]", input.name);
            problems.add(Code::InternalError, path, "a guest of this kind has no such device");
        }
    }
    for shmem in &devices.shmems {
        if shmem.msi.is_some() && shmem.server.is_none() {
            let path = format_args!("devices.shmems[{}].msi", shmem.name);
            problems.add(Code::XmlError, path, "interrupts come from a server: name its socket");
        }
    }
    if let Some(iommu) = devices.iommu.as_ref().filter(|iommu| iommu.model == IommuModel::Virtio)
        && iommu.driver.as_ref().is_some_and(|driver| *driver != IommuDriver::default())
    {
        problems.add(Code::XmlError, "devices.iommu.driver", "model 'virtio' has no settings");
    }
    let version = domain.features.as_ref().and_then(|f| f.gic.as_ref()).and_then(|gic| gic.version.as_deref());
    if version.is_some_and(|version| !matches!(version, "2" | "3" | "host")) {
        problems.add(Code::XmlError, "features.gic.version", "one of 2, 3, host is expected");
    }
    if let Some(cpu) = &domain.cpu {
        check_cpu(cpu, problems);
    }
    macro_rules! check_lists {
        ($($list:ident),*) => { $(for device in &devices.$list {
            let path = format_args!(concat!("devices.", stringify!($list), "[{}]"), device.name);
            check_boot(device.boot.as_ref(), path, problems);
        })* };
    }
    check_lists!(disks, interfaces, hostdevs, redirdevs);
}

/// What is said of a CPU belongs to a model.
fn check_cpu(cpu: &Cpu, problems: &mut Problems) {
    let has_model = cpu.model.as_ref().is_some_and(|model| model.name.is_some());
    let needs_model = matches!(cpu.mode, None | Some(CpuMode::Custom));
    if cpu.vendor.is_some() && !has_model {
        problems.add(Code::XmlError, "cpu.vendor", "a vendor belongs to a model: name it");
    }
    if needs_model && !has_model && !cpu.features.is_empty() {
        problems.add(Code::XmlError, "cpu.features", "features belong to a model: name it, or another mode");
    }
    if needs_model && !has_model && cpu.r#match.is_some() {
        problems.add(Code::XmlError, "cpu.model", "name the model that is matched");
    }
    for (at, feature) in cpu.features.iter().enumerate() {
        if cpu.features[..at].iter().any(|other| other.name == feature.name) {
            problems.add(Code::XmlError, "cpu.features", format!("the feature '{}' is named twice", feature.name));
        }
    }
}

fn check_boot(boot: Option<&Boot>, path: Arguments<'_>, problems: &mut Problems) {
    let Some(loadparm) = boot.and_then(|boot| boot.loadparm.as_ref()) else { return };
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b' ');
    if loadparm.is_empty() || loadparm.len() > LOADPARM_LENGTH || !loadparm.bytes().all(is_known) {
        problems.add(
            Code::InternalError,
            format!("{path}.boot.loadparm"),
            format!("'{loadparm}' is none: up to {LOADPARM_LENGTH} letters, digits, dots and blanks are expected"),
        );
    }
}
