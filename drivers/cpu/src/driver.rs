//! The driver itself: each act by the family of the architecture.

use ostler_conf::domain::{Cpu, CpuMatch, CpuMode, CpuModel, CpuModelFallback};
use ostler_driver::{BaselineOptions, Comparison, Cpus, Error, HostCpu, Offered, Property, RemovedFeatures, Result};
use ostler_util::ErrorCode;

use crate::arch::Family;
use crate::features::set;
use crate::x86::{CpuData, Decoded, Purpose, decode};
use crate::{named, plain, x86};

/// Knows the CPU models of every architecture.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuDriver;

impl Cpus for CpuDriver {
    fn models(&self, arch: &str) -> Vec<&'static str> {
        match Family::of(arch) {
            Some(Family::X86) => x86::models(),
            Some(Family::Ppc64) => named::PPC64.models(),
            Some(Family::Arm) => named::ARM.models(),
            Some(Family::S390 | Family::Riscv | Family::Loongarch) | None => Vec::new(),
        }
    }

    fn vendor_of(&self, arch: &str, model: &str) -> Option<&'static str> {
        match Family::of(arch)? {
            Family::X86 => x86::vendor_of(model),
            Family::Ppc64 => named::PPC64.vendor_of(model),
            Family::Arm => named::ARM.vendor_of(model),
            Family::S390 | Family::Riscv | Family::Loongarch => None,
        }
    }

    fn canonical(&self, arch: &str, model: &str) -> Option<&'static str> {
        if Family::of(arch) == Some(Family::X86) { x86::canonical(model) } else { None }
    }

    fn feature_name<'a>(&self, arch: &str, name: &'a str) -> &'a str {
        if Family::of(arch) == Some(Family::X86) { x86::feature_name(name) } else { name }
    }

    fn host(&self) -> Result<HostCpu> {
        crate::host::probe()
    }

    fn compare(&self, host: &HostCpu, cpu: &Cpu) -> Result<Comparison> {
        match family(&host.arch)? {
            Family::X86 => x86::compare(host, cpu),
            Family::Ppc64 => named::compare_ppc64(host, cpu),
            // What they have can't be compared; the hypervisor decides.
            Family::Arm | Family::Riscv | Family::Loongarch => Ok(Comparison::Identical),
            Family::S390 => Err(Error::no_support("cpu", "comparing CPUs of s390x")),
        }
    }

    fn migratable(&self, host: &HostCpu) -> HostCpu {
        let mut host = host.clone();
        if Family::of(&host.arch) == Some(Family::X86) {
            host.features.retain(|name| x86::is_migratable(name));
        }
        host
    }

    fn update(&self, cpu: &mut Cpu, host: &HostCpu, removed: RemovedFeatures) -> Result<()> {
        let is_relative = cpu.mode == Some(CpuMode::HostModel) || cpu.r#match == Some(CpuMatch::Minimum);
        match family(&host.arch)? {
            Family::X86 => x86::update(cpu, host, removed)?,
            Family::Ppc64 if cpu.r#match == Some(CpuMatch::Minimum) => {
                return Err(Error::new(ErrorCode::ConfigUnsupported, "match='minimum' is not known on ppc64"));
            }
            // QEMU knows what `host-model` is there.
            Family::Ppc64 => {}
            Family::S390 if is_relative => plain::update_s390(cpu, host)?,
            Family::Arm | Family::Riscv | Family::Loongarch if is_relative => named::take_host(cpu, host),
            Family::S390 | Family::Arm | Family::Riscv | Family::Loongarch => {}
        }
        Ok(())
    }

    fn translate(&self, arch: &str, cpu: &mut Cpu, offered: Offered<'_>) -> Result<()> {
        if !matches!(cpu.mode, None | Some(CpuMode::Custom)) {
            return Ok(());
        }
        let family = family(arch)?;
        if let (Family::Ppc64, Some(name)) = (family, cpu.model.as_mut().and_then(|model| model.name.as_mut())) {
            *name = named::present_name(name).to_owned();
        }
        let name = cpu.model.as_ref().and_then(|model| model.name.as_deref()).unwrap_or_default();
        if offered.is_none_or(|offered| offered.iter().any(|offered| offered.name == name)) {
            return Ok(());
        }
        let is_allowed = cpu.model.as_ref().is_none_or(|model| model.fallback != Some(CpuModelFallback::Forbid));
        match family {
            Family::X86 if is_allowed => x86::translate(cpu, offered),
            _ => {
                let message = format!("the hypervisor has no CPU model '{name}', and no other may stand for it");
                Err(Error::new(ErrorCode::ConfigUnsupported, message).at("cpu.model"))
            }
        }
    }

    fn described(&self, arch: &str, properties: &[Property<'_>], offered: Offered<'_>) -> Result<Cpu> {
        match family(arch)? {
            Family::X86 => guest(&CpuData::from_properties(properties), offered),
            _ => Err(Error::no_support("cpu", "making a CPU of properties but on x86")),
        }
    }

    fn baseline(&self, arch: &str, cpus: &[Cpu], options: BaselineOptions<'_>) -> Result<Cpu> {
        match family(arch)? {
            Family::X86 => x86::baseline(cpus, options),
            Family::Ppc64 => named::baseline_ppc64(cpus),
            _ => Err(Error::no_support("cpu", &format!("a baseline of CPUs of {arch}"))),
        }
    }

    fn check_features(&self, arch: &str, cpu: &Cpu) -> Result<()> {
        match Family::of(arch) {
            Some(Family::X86) => x86::check_features(cpu),
            Some(Family::Arm) => named::ARM.check_features(cpu),
            // Only the hypervisor knows their features.
            Some(Family::Ppc64 | Family::S390 | Family::Riscv | Family::Loongarch) | None => Ok(()),
        }
    }

    fn is_compared_by_model(&self, arch: &str, model: &str) -> bool {
        Family::of(arch) != Some(Family::X86) || x86::is_compared_by_model(model)
    }

    fn check_partially(&self, host: &HostCpu, cpu: &Cpu, unavailable: Option<&[String]>) -> Result<Comparison> {
        match family(&host.arch)? {
            Family::X86 => x86::check_partially(host, cpu, unavailable),
            _ => self.compare(host, cpu),
        }
    }

    fn update_live(
        &self,
        arch: &str,
        cpu: &mut Cpu,
        enabled: &[Property<'_>],
        disabled: &[Property<'_>],
    ) -> Result<()> {
        match family(arch)? {
            Family::X86 => {
                x86::update_live(cpu, &CpuData::from_properties(enabled), &CpuData::from_properties(disabled))
            }
            // What their guests got is what they asked for.
            _ => Ok(()),
        }
    }
}

/// The guest CPU that has just what `data` says, by a model on offer.
///
/// # Errors
/// `InternalError`: no model fits.
pub fn guest(data: &CpuData, offered: Offered<'_>) -> Result<Cpu> {
    let Decoded { model, vendor, features } = decode(data, Purpose { offered, ..Purpose::default() })?;
    let named =
        CpuModel { fallback: Some(CpuModelFallback::Forbid), name: Some(model.to_owned()), ..CpuModel::default() };
    let mut cpu = Cpu {
        mode: Some(CpuMode::Custom),
        r#match: Some(CpuMatch::Exact),
        model: Some(named),
        vendor: vendor.map(str::to_owned),
        ..Cpu::default()
    };
    features.iter().for_each(|(name, policy)| set(&mut cpu, name, *policy));
    Ok(cpu)
}

fn family(arch: &str) -> Result<Family> {
    Family::of(arch).ok_or_else(|| Error::no_support("cpu", &format!("CPUs of '{arch}'")))
}
