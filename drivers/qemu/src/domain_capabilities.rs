//! What guests of a type on a machine can have, as libvirt's `<domainCapabilities>` tells.

mod cpu;
mod devices;
mod firmware;

pub(crate) use cpu::{offered, properties};
pub use firmware::{LoaderFacts, LoaderFile};

use ostler_conf::DomainCapabilities;
use ostler_conf::Size;
use ostler_conf::domain::{DomainType, TpmVersion};
use ostler_conf::domain_capabilities::{
    Choice, FeatureSupport, MaxVcpus, SevSupport, SgxSection, SgxSections, SgxSupport, Support,
};
use ostler_conf::values::{ScaledKib, YesNo};

use ostler_driver::{Cpus, HostCpu};

use crate::probe::{Accelerator, Capabilities, Flag, Machine};

/// What depends on the host rather than on the emulator.
#[derive(Clone, Debug, Default)]
pub struct DomainHost {
    /// How many CPUs KVM gives a guest at most; absent: as many as the machine has.
    pub kvm_max_vcpus: Option<u32>,
    /// The firmware that it has for this machine.
    pub loader: LoaderFacts,
    /// The versions of TPMs that can be emulated.
    pub tpm_versions: Vec<TpmVersion>,
    /// Its processors, where they can be told.
    pub cpu: Option<HostCpu>,
    /// How long their physical addresses are, where that is known.
    pub physical_address_bits: Option<u32>,
    /// What can give a PCI device to a guest, in libvirt's words.
    pub pci_backends: Vec<String>,
}

/// Which guests are asked about.
#[derive(Clone, Copy, Debug)]
pub struct DomainQuery<'a> {
    /// Their type.
    pub r#type: DomainType,
    /// Their machine type, by name or alias; absent: the default.
    pub machine: Option<&'a str>,
}

/// What guests can have. Pure.
pub fn domain_capabilities(
    emulator: &Capabilities,
    query: DomainQuery<'_>,
    host: &DomainHost,
    cpus: &dyn Cpus,
) -> DomainCapabilities {
    let accelerator = Accelerator::of(query.r#type);
    let accelerated = emulator.accelerated(accelerator);
    let machine = accelerated.machine(query.machine).or_else(|| emulator.machine(query.machine));
    let name = machine.map_or(query.machine.unwrap_or_default(), |machine| &machine.name);
    // A machine that the emulator knows under another accelerator only says nothing about this one.
    let max = accelerated.machine(query.machine).map(|machine| machine.max_cpus).filter(|max| *max > 0);
    let max = match (accelerator, host.kvm_max_vcpus) {
        (Accelerator::Kvm, Some(most)) => max.map(|max| max.min(most)),
        _ => max,
    };
    DomainCapabilities {
        path: emulator.emulator.clone(),
        domain: query.r#type,
        machine: Some(name.to_owned()),
        arch: emulator.arch.clone(),
        vcpu: max.map(|max| MaxVcpus { max }),
        iothreads: Support::with([]),
        os: host.loader.support(),
        cpu: cpu::modes(emulator, query.r#type, host, cpus),
        memory_backing: Some(memory_backing(emulator)),
        devices: devices::support(emulator, name, host),
        features: features(emulator, machine, accelerator),
    }
}

fn memory_backing(emulator: &Capabilities) -> Support {
    let sources = [("file", true), ("anonymous", true), ("memfd", emulator.has(Flag::MemoryBackendMemfd))];
    Support::with([choice("sourceType", sources)])
}

/// The words of which it is so.
fn choice<'a>(name: &str, words: impl IntoIterator<Item = (&'a str, bool)>) -> Choice {
    Choice::of(name, words.into_iter().filter(|(_, is_so)| *is_so).map(|(word, _)| word))
}

fn is_x86(arch: &str) -> bool {
    matches!(arch, "x86_64" | "i686")
}

fn features(emulator: &Capabilities, machine: Option<&Machine>, accelerator: Accelerator) -> FeatureSupport {
    let flag = |flag| Some(Support::with_if(emulator.has(flag), []));
    let secrets = [
        ("sev", emulator.has(Flag::SevGuest)),
        ("sev-snp", emulator.has(Flag::SevSnpGuest)),
        ("s390-pv", emulator.has(Flag::S390PvGuest)),
    ];
    let keeps_secrets = secrets.iter().any(|(_, is_so)| *is_so);
    FeatureSupport {
        gic: Some(gic(emulator, machine, accelerator)),
        vmcoreinfo: flag(Flag::Vmcoreinfo),
        genid: flag(Flag::Vmgenid),
        backing_store_input: Some(Support::with([])),
        backup: Some(Support::with([])),
        async_teardown: flag(Flag::RunWithAsyncTeardown),
        s390_pv: emulator.has(Flag::S390PvGuest).then(|| Support::with([])),
        ps2: Some(Support::with_if(is_x86(&emulator.arch), [])),
        tdx: None,
        sev: Some(sev(emulator)),
        sgx: Some(sgx(emulator)),
        hyperv: emulator
            .hyperv
            .as_ref()
            .map(|hyperv| Support::with_if(hyperv.supported, [Choice::of("features", &hyperv.features)])),
        launch_security: Some(Support::with_if(keeps_secrets, [choice("sectype", secrets)])),
    }
}

/// Interrupt controllers of ARM's `virt`: the kernel's under KVM, else QEMU's.
fn gic(emulator: &Capabilities, machine: Option<&Machine>, accelerator: Accelerator) -> Support {
    let is_virt = machine.is_some_and(|machine| machine.name == "virt" || machine.name.starts_with("virt-"));
    let can_be = |gic: &&crate::probe::Gic| match accelerator {
        Accelerator::Kvm => gic.kernel,
        Accelerator::Tcg => gic.emulated,
        Accelerator::Hvf => false,
    };
    let versions: Vec<u8> = emulator.gic.iter().filter(can_be).map(|gic| gic.version).collect();
    Support::with_if(is_virt && !versions.is_empty(), [Choice::of("version", versions)])
}

fn sev(emulator: &Capabilities) -> SevSupport {
    let Some(sev) = emulator.sev.as_ref().filter(|_| emulator.has(Flag::SevGuest)) else {
        return SevSupport {
            supported: YesNo(false),
            cbitpos: None,
            reduced_phys_bits: None,
            max_guests: None,
            max_es_guests: None,
            cpu0_id: None,
        };
    };
    SevSupport {
        supported: YesNo(true),
        cbitpos: Some(sev.cbitpos),
        reduced_phys_bits: Some(sev.reduced_phys_bits),
        max_guests: Some(sev.max_guests),
        max_es_guests: Some(sev.max_es_guests),
        cpu0_id: sev.cpu0_id.clone(),
    }
}

fn sgx(emulator: &Capabilities) -> SgxSupport {
    let sgx = emulator.sgx.as_ref().filter(|_| emulator.has(Flag::SgxEpc));
    let section = |(node, size): &(u32, u64)| SgxSection { node: *node, size: *size, unit: "KiB".to_owned() };
    let sections = sgx.map(|sgx| sgx.sections.iter().map(section).collect::<Vec<_>>());
    SgxSupport {
        supported: YesNo(sgx.is_some()),
        flc: sgx.map(|sgx| YesNo(sgx.flc)),
        sgx1: sgx.map(|sgx| YesNo(sgx.sgx1)),
        sgx2: sgx.map(|sgx| YesNo(sgx.sgx2)),
        section_size: sgx.map(|sgx| ScaledKib(Size::from_kib(sgx.section_size_kib))),
        sections: sections.filter(|list| !list.is_empty()).map(|sections| SgxSections { sections }),
    }
}
