//! The virtual processors: their model and its features.

use ostler_conf::domain::{
    Cpu, CpuCacheMode, CpuFeaturePolicy, CpuMode, DomainType, FeatureState, HypervFeatures, HypervMode, KvmFeatures,
    MaxPhysAddrMode, PanicModel, TimerName,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::platform::{arch, is_s390, is_x86};
use super::{Args, Setup, on_off};
use crate::probe::{Accelerator, CpuValue, Flag};

pub(super) fn cpu(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let domain = setup.domain;
    let switches_old = domain.cpu.as_ref().is_some_and(|cpu| cpu.deprecated_features.is_some());
    if switches_old && !setup.capabilities.has(Flag::QueryCpuModelExpansionDeprecatedProps) {
        let message = "this emulator does not tell which features are about to go";
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("cpu.deprecatedFeatures"));
    }
    let cpu = setup.runtime.cpu.as_ref().or(domain.cpu.as_ref());
    let mut text = match cpu {
        Some(cpu) => model(setup, cpu)?,
        None => None,
    };
    let mut rest = String::new();
    timers(setup, &mut rest);
    features(setup, &mut rest);
    if let Some(cpu) = &domain.cpu {
        physical(cpu, &mut rest);
    }
    if text.is_none() && !rest.is_empty() {
        text = Some(
            default_model(setup).unwrap_or_else(|| if arch(domain) == "i686" { "qemu32" } else { "qemu64" }.into()),
        );
    }
    if let Some(text) = text {
        args.option("-cpu", text + &rest);
    }
    Ok(())
}

/// The model that the machine has where none is named.
fn default_model(setup: &Setup<'_>) -> Option<String> {
    let suffix = format!("-{}-cpu", arch(setup.domain));
    let name = setup.machine_type()?.default_cpu.as_deref()?;
    Some(name.strip_suffix(&suffix).unwrap_or(name).to_owned())
}

fn option(text: &mut String, name: &str, on: bool) {
    text.push_str(&format!(",{name}={}", on_off(on)));
}

fn model(setup: &Setup<'_>, cpu: &Cpu) -> Result<Option<String>> {
    let migratable = cpu.migratable.map(|on| format!(",migratable={}", on_off(on.0))).unwrap_or_default();
    let named = cpu.model.as_ref().and_then(|model| model.name.clone());
    let mut text = match cpu.mode {
        Some(CpuMode::HostPassthrough) if !setup.is_accelerated() => {
            let message = "only a guest that is not translated can have the host's processor";
            return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("cpu.mode"));
        }
        Some(CpuMode::HostPassthrough) => format!("host{migratable}"),
        Some(CpuMode::Maximum) => format!("max{migratable}"),
        Some(CpuMode::HostModel) if super::platform::is_ppc64(setup.domain) => "host".to_owned(),
        Some(CpuMode::HostModel) => {
            let mut text = host_model(setup, cpu)?;
            overrides(setup, cpu, &mut text);
            return Ok(Some(text));
        }
        Some(CpuMode::Custom) | None => match named {
            Some(name) => name,
            None if cpu.features.is_empty() => return Ok(None),
            None => default_model(setup).unwrap_or_default(),
        },
    };
    if let Some(vendor) = cpu.model.as_ref().and_then(|model| model.vendor_id.as_ref()) {
        text.push_str(&format!(",vendor={vendor}"));
    }
    overrides(setup, cpu, &mut text);
    Ok(Some(text))
}

fn overrides(setup: &Setup<'_>, cpu: &Cpu, text: &mut String) {
    for feature in cpu.features.iter().filter(|feature| !UNKNOWN.contains(&feature.name.as_str())) {
        let on = match feature.policy.unwrap_or(CpuFeaturePolicy::Require) {
            CpuFeaturePolicy::Force | CpuFeaturePolicy::Require | CpuFeaturePolicy::Optional => true,
            CpuFeaturePolicy::Disable | CpuFeaturePolicy::Forbid => false,
        };
        option(text, qemu_name(setup, &feature.name), on);
    }
}

/// What the processor has without being told, or what is no matter of QEMU's.
const UNKNOWN: &[&str] = &["cmt", "mbm_total", "mbm_local", "osxsave", "ospke"];

/// The features of x86 that QEMU has another name for.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("cmp_legacy", "cmp-legacy"),
    ("ds_cpl", "ds-cpl"),
    ("fxsr_opt", "fxsr-opt"),
    ("kvm_pv_eoi", "kvm-pv-eoi"),
    ("kvm_pv_unhalt", "kvm-pv-unhalt"),
    ("lahf_lm", "lahf-lm"),
    ("nodeid_msr", "nodeid-msr"),
    ("pclmuldq", "pclmulqdq"),
    ("perfctr_core", "perfctr-core"),
    ("perfctr_nb", "perfctr-nb"),
    ("tsc_adjust", "tsc-adjust"),
];

fn qemu_name<'a>(setup: &Setup<'_>, name: &'a str) -> &'a str {
    let other = OTHER_NAMES.iter().find(|(libvirts, _)| is_x86(setup.domain) && *libvirts == name);
    other.map_or(name, |(_, qemus)| qemus)
}

impl Setup<'_> {
    fn is_accelerated(&self) -> bool {
        matches!(self.domain.r#type, Some(DomainType::Kvm | DomainType::Hvf))
    }
}

/// The host's processor, as the emulator told it for guests of this kind: only of s390 is that all that there is to say.
fn host_model(setup: &Setup<'_>, cpu: &Cpu) -> Result<String> {
    let accelerator = Accelerator::of(setup.domain.r#type.unwrap_or(DomainType::Qemu));
    let host = setup.capabilities.accelerated(accelerator).host_cpu.as_ref().filter(|_| is_s390(setup.domain));
    let host = host.ok_or_else(|| {
        Error::new(ErrorCode::ConfigUnsupported, "the host's processor model is not known here").at("cpu.mode")
    })?;
    let without_old = cpu.deprecated_features.is_some_and(|on| !on.0);
    let mut text = host.model.clone();
    for property in &host.properties {
        if let CpuValue::Boolean(on) = property.value {
            option(&mut text, &property.name, on && !(without_old && host.deprecated.contains(&property.name)));
        }
    }
    Ok(text)
}

fn timers(setup: &Setup<'_>, text: &mut String) {
    let clock = setup.domain.clock.as_ref();
    for timer in clock.iter().flat_map(|clock| &clock.timers) {
        let present = timer.present.map(|present| present.0);
        match timer.name {
            TimerName::Kvmclock => {
                if let Some(present) = present {
                    option(text, "kvmclock", present);
                }
            }
            TimerName::Hypervclock if present == Some(true) => text.push_str(",hv-time=on"),
            TimerName::Tsc => {
                if let Some(frequency) = timer.frequency.filter(|frequency| *frequency > 0) {
                    text.push_str(&format!(",tsc-frequency={frequency}"));
                }
            }
            TimerName::Armvtimer => match timer.tickpolicy {
                Some(ostler_conf::domain::TickPolicy::Delay) => text.push_str(",kvm-no-adjvtime=off"),
                Some(ostler_conf::domain::TickPolicy::Discard) => text.push_str(",kvm-no-adjvtime=on"),
                _ => {}
            },
            _ => {}
        }
    }
}

fn state(state: &Option<FeatureState>) -> Option<bool> {
    state.as_ref().and_then(|state| state.state).map(|on| on.0)
}

fn features(setup: &Setup<'_>, text: &mut String) {
    let features = setup.domain.features.as_ref();
    if let Some(eoi) = features.and_then(|features| features.apic.as_ref()?.eoi) {
        option(text, "kvm-pv-eoi", eoi.0);
    }
    if let Some(on) = features.and_then(|features| state(&features.pvspinlock)) {
        option(text, "kvm-pv-unhalt", on);
    }
    if let Some(hyperv) = features.and_then(|features| features.hyperv.as_ref()) {
        enlightenments(hyperv, text);
    }
    if setup.domain.devices.panics.iter().any(|panic| panic.model == Some(PanicModel::Hyperv)) {
        text.push_str(",hv-crash");
    }
    if let Some(kvm) = features.and_then(|features| features.kvm.as_ref()) {
        of_kvm(kvm, text);
    }
    if let Some(on) = features.and_then(|features| state(&features.pmu)) {
        option(text, "pmu", on);
    }
}

fn of_kvm(kvm: &KvmFeatures, text: &mut String) {
    if state(&kvm.hidden) == Some(true) {
        text.push_str(",kvm=off");
    }
    if state(&kvm.hint_dedicated) == Some(true) {
        text.push_str(",kvm-hint-dedicated=on");
    }
    if state(&kvm.poll_control) == Some(true) {
        text.push_str(",kvm-poll-control=on");
    }
    if state(&kvm.pv_ipi) == Some(false) {
        text.push_str(",kvm-pv-ipi=off");
    }
}

/// Hyper-V's features, in libvirt's order.
fn enlightenments(hyperv: &HypervFeatures, text: &mut String) {
    if hyperv.mode == Some(HypervMode::Passthrough) {
        text.push_str(",hv-passthrough=on");
    }
    let is_on = |on: Option<ostler_conf::values::OnOff>| on.is_some_and(|on| on.0);
    let plain = |name: &str, on: bool| if on { format!(",hv-{name}=on") } else { String::new() };
    let feature = |name: &str, wanted: &Option<FeatureState>| plain(name, state(wanted) == Some(true));
    *text += &feature("relaxed", &hyperv.relaxed);
    *text += &feature("vapic", &hyperv.vapic);
    if let Some(spinlocks) = hyperv.spinlocks.as_ref().filter(|spinlocks| is_on(spinlocks.state)) {
        text.push_str(&format!(",hv-spinlocks={:#x}", spinlocks.retries.unwrap_or(0)));
    }
    *text += &feature("vpindex", &hyperv.vpindex);
    *text += &feature("runtime", &hyperv.runtime);
    *text += &feature("synic", &hyperv.synic);
    if let Some(stimer) = hyperv.stimer.as_ref().filter(|stimer| is_on(stimer.state)) {
        *text += &plain("stimer", true);
        *text += &feature("stimer-direct", &stimer.direct);
    }
    *text += &feature("reset", &hyperv.reset);
    if let Some(vendor) = hyperv.vendor_id.as_ref().filter(|vendor| is_on(vendor.state)) {
        text.push_str(&format!(",hv-vendor-id={}", vendor.value.as_deref().unwrap_or_default()));
    }
    *text += &feature("frequencies", &hyperv.frequencies);
    *text += &feature("reenlightenment", &hyperv.reenlightenment);
    if let Some(tlbflush) = hyperv.tlbflush.as_ref().filter(|tlbflush| is_on(tlbflush.state)) {
        *text += &plain("tlbflush", true);
        *text += &feature("tlbflush-direct", &tlbflush.direct);
        *text += &feature("tlbflush-ext", &tlbflush.extended);
    }
    *text += &feature("ipi", &hyperv.ipi);
    *text += &feature("evmcs", &hyperv.evmcs);
    *text += &feature("avic", &hyperv.avic);
    *text += &feature("emsr-bitmap", &hyperv.emsr_bitmap);
    *text += &feature("xmm-input", &hyperv.xmm_input);
}

/// Caches and the width of addresses.
fn physical(cpu: &Cpu, text: &mut String) {
    if let Some(cache) = &cpu.cache {
        let is_host = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
        match cache.mode {
            CpuCacheMode::Emulate => {
                text.push_str(",l3-cache=on");
                if is_host {
                    text.push_str(",host-cache-info=off");
                }
            }
            CpuCacheMode::Passthrough => text.push_str(",host-cache-info=on,l3-cache=off"),
            CpuCacheMode::Disable => {
                if is_host {
                    text.push_str(",host-cache-info=off");
                }
                text.push_str(",l3-cache=off");
            }
        }
    }
    if let Some(address) = &cpu.maxphysaddr {
        match address.mode {
            MaxPhysAddrMode::Passthrough => {
                text.push_str(",host-phys-bits=on");
                if let Some(limit) = address.limit {
                    text.push_str(&format!(",host-phys-bits-limit={limit}"));
                }
            }
            MaxPhysAddrMode::Emulate => match address.bits {
                Some(bits) => text.push_str(&format!(",phys-bits={bits}")),
                None => text.push_str(",host-phys-bits=off"),
            },
        }
    }
}
