//! Defaults of the machine, what it boots, and its CPU.

use crate::domain::{
    BootDevice, BootEntry, Cpu, CpuFeaturePolicy, CpuMatch, CpuMode, CpuModelFallback, Domain, FeatureState, Features,
    HypervMode, LoaderKind, Os, OsKind,
};
use crate::values::{OnOff, YesNo};

pub(super) fn complete(domain: &mut Domain) {
    let default = if domain.bootloader.is_some() { OsKind::Xen } else { OsKind::Hvm };
    let kind = *domain.os.r#type.kind.get_or_insert(default);
    forget_other_ways_to_boot(&mut domain.os, kind, domain.bootloader.is_some());
    let has_order = domain.devices.disks.iter().any(|d| d.boot.is_some())
        || domain.devices.interfaces.iter().any(|i| i.boot.is_some())
        || domain.devices.hostdevs.iter().any(|h| h.boot.is_some())
        || domain.devices.redirdevs.iter().any(|r| r.boot.is_some());
    // libvirt says so beside a kernel that is booted directly, too.
    let boots_by_itself = domain.os.boot.is_empty() && domain.bootloader.is_none() && !has_order;
    if kind == OsKind::Hvm && boots_by_itself {
        domain.os.boot.push(BootEntry { dev: BootDevice::Hd });
    }
    if domain.bootloader.is_none() {
        domain.bootloader_args = None;
    }
    if let Some(menu) = domain.os.bootmenu.as_mut().filter(|menu| menu.enable != Some(YesNo(true))) {
        menu.timeout = None;
    }
    if let Some(loader) = domain.os.loader.as_mut().filter(|loader| loader.path.is_some()) {
        loader.r#type.get_or_insert(LoaderKind::Rom);
    }
    if let Some(features) = &mut domain.features {
        complete_features(features);
    }
    if let Some(cpu) = &mut domain.cpu {
        complete_cpu(cpu);
    }
}

/// A guest of one kind has no use for how another kind boots, and libvirt keeps none of it.
fn forget_other_ways_to_boot(os: &mut Os, kind: OsKind, has_bootloader: bool) {
    if kind != OsKind::Exe {
        (os.init, os.initdir, os.inituser, os.initgroup) = (None, None, None, None);
        os.initargs.clear();
        os.initenvs.clear();
    }
    if !matches!(kind, OsKind::Hvm | OsKind::Xen | OsKind::Xenpvh | OsKind::Uml) {
        (os.kernel, os.initrd, os.cmdline, os.root, os.dtb) = (None, None, None, None, None);
    }
    if !matches!(kind, OsKind::Hvm | OsKind::Xen) {
        (os.loader, os.nvram, os.firmware, os.firmware_features) = (None, None, None, None);
    }
    if kind != OsKind::Hvm || has_bootloader {
        os.boot.clear();
        (os.bootmenu, os.bios) = (None, None);
    }
}

/// Features that are on when they are only named.
fn complete_features(features: &mut Features) {
    let named: [&mut Option<FeatureState>; 5] = [
        &mut features.hap,
        &mut features.pmu,
        &mut features.pvspinlock,
        &mut features.vmport,
        &mut features.vmcoreinfo,
    ];
    for feature in named.into_iter().flatten() {
        feature.state.get_or_insert(OnOff(true));
    }
    if let Some(smm) = &mut features.smm {
        smm.state.get_or_insert(OnOff(true));
    }
    if let Some(hyperv) = &mut features.hyperv {
        hyperv.mode.get_or_insert(HypervMode::Custom);
        // What is off has no settings.
        let is_off = |state: Option<OnOff>| state == Some(OnOff(false));
        if let Some(vendor) = hyperv.vendor_id.as_mut().filter(|vendor| is_off(vendor.state)) {
            vendor.value = None;
        }
        if let Some(spinlocks) = hyperv.spinlocks.as_mut().filter(|spinlocks| is_off(spinlocks.state)) {
            spinlocks.retries = None;
        }
    }
}

fn complete_cpu(cpu: &mut Cpu) {
    if let Some(topology) = &mut cpu.topology {
        topology.dies.get_or_insert(1);
        topology.clusters.get_or_insert(1);
    }
    for feature in &mut cpu.features {
        feature.policy.get_or_insert(CpuFeaturePolicy::Require);
    }
    let has_model = cpu.model.as_ref().is_some_and(|model| model.name.is_some());
    let has_vendor = cpu.model.as_ref().is_some_and(|model| model.vendor_id.is_some());
    match cpu.mode {
        None | Some(CpuMode::Custom) if has_model => {
            cpu.mode = Some(CpuMode::Custom);
            cpu.r#match.get_or_insert(CpuMatch::Exact);
        }
        Some(CpuMode::HostModel) if has_model || has_vendor => {}
        Some(_) => cpu.model = None,
        None => {}
    }
    if let Some(model) = cpu.model.as_mut().filter(|model| model.name.is_some()) {
        model.fallback.get_or_insert(CpuModelFallback::Allow);
    }
}
