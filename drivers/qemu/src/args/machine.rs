//! The guest's name and identity, its machine, and what QEMU itself may do.

use ostler_conf::domain::{
    Clock, DomainType, IoapicDriver, IommuModel, KeywrapCipherName, MemoryModel, Sound, SoundModel, TimerName,
};
use ostler_driver::Result;

use super::platform::{Platform, is_arm, is_ppc64, is_s390};
use super::{Args, Props, Setup, alias, environment, escape, firmware, on_off};
use crate::probe::{Accelerator, Flag, Machine};

pub(super) fn name(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    args.option("-name", format!("guest={},debug-threads=on", escape(&setup.domain.name)));
    let behavior = setup.domain.qemu_deprecation.as_ref().and_then(|deprecation| deprecation.behavior.as_deref());
    let (input, output) = match behavior {
        Some("omit") => (None, Some("hide")),
        Some("reject") => (Some("reject"), Some("hide")),
        Some("crash") => (Some("crash"), Some("hide")),
        _ => (None, None),
    };
    if output.is_some() {
        let policy = Props::default().maybe("deprecated-output", output).maybe("deprecated-input", input);
        args.json("-compat", &policy.into_value());
    }
    args.flag("-S");
    Ok(())
}

pub(super) fn uuid(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    args.option("-uuid", setup.domain.uuid.unwrap_or_default().to_string());
    Ok(())
}

/// The property of a timer, where the clock has one.
pub(super) fn is_present(clock: Option<&Clock>, name: TimerName) -> Option<bool> {
    let timer = clock?.timers.iter().find(|timer| timer.name == name)?;
    timer.present.map(|present| present.0)
}

/// A list of options that grows.
struct List(String);

impl List {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!(",{name}={value}"));
    }

    fn switch(&mut self, name: &str, on: Option<bool>) {
        if let Some(on) = on {
            self.add(name, on_off(on));
        }
    }
}

pub(super) fn machine(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let domain = setup.domain;
    let name = domain.os.r#type.machine.as_deref().unwrap_or_default();
    let mut list = List(format!("{name},usb=off"));
    features(setup, &mut list);
    if domain.devices.iommu.as_ref().is_some_and(|iommu| iommu.model == IommuModel::Smmuv3) {
        list.add("iommu", "smmuv3");
    }
    for cipher in domain.keywrap.iter().flat_map(|keywrap| &keywrap.ciphers).filter(|_| is_s390(domain)) {
        let option = match cipher.name {
            KeywrapCipherName::Aes => "aes-key-wrap",
            KeywrapCipherName::Dea => "dea-key-wrap",
        };
        list.add(option, on_off(cipher.state.0));
    }
    let dump = domain.memory.as_ref().and_then(|memory| memory.dump_core).map(|on| on.0);
    list.add("dump-guest-core", on_off(dump.unwrap_or(setup.settings.dump_guest_core)));
    if domain.memory_backing.as_ref().is_some_and(|backing| backing.nosharepages) {
        list.add("mem-merge", "off");
    }
    if domain.devices.memories.iter().any(|memory| memory.model == MemoryModel::Nvdimm) {
        list.add("nvdimm", "on");
    }
    let numa = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).filter(|numa| !numa.cells.is_empty());
    if numa.is_some_and(|numa| numa.interconnects.is_some() || numa.cells.iter().any(|cell| !cell.caches.is_empty())) {
        list.add("hmat", "on");
    }
    sgx(setup, &mut list);
    if let Some(ram) = setup.default_ram().filter(|_| numa.is_none()) {
        list.add("memory-backend", ram);
    }
    if let Some(model) = compatible_cpu(setup) {
        list.add("max-cpu-compat", &model);
    }
    if domain.launch_security.is_some() {
        list.add("confidential-guest-support", "lsec0");
    }
    for (at, node) in firmware::nodes(setup).into_iter().enumerate() {
        list.add(&format!("pflash{at}"), &node);
    }
    if let Some(present) =
        is_present(domain.clock.as_ref(), TimerName::Hpet).filter(|_| setup.capabilities.has(Flag::MachineHpet))
    {
        list.add("hpet", on_off(present));
    }
    let speaker = domain.devices.sounds.iter().find(|sound| sound.model == SoundModel::Pcspk);
    let audio = |sound: &Sound| sound.audio.as_ref().map(|audio| audio.id).or(setup.first_audio());
    if let Some(audio) = speaker.and_then(audio) {
        list.add("pcspk-audiodev", &format!("audio{audio}"));
    }
    if let Some(loadparm) = setup.boot.loadparm().filter(|_| setup.has_machine_loadparm()) {
        list.add("loadparm", loadparm);
    }
    if setup.machine_knows_acpi() {
        list.add("acpi", on_off(setup.has_acpi()));
    }
    args.option("-machine", list.0);
    Ok(())
}

impl Setup<'_> {
    /// What the machine calls its memory, where it has one piece.
    pub(super) fn default_ram(&self) -> Option<&str> {
        self.machine_type()?.default_ram_id.as_deref()
    }

    /// What the emulator says of the guest's machine type.
    pub(super) fn machine_type(&self) -> Option<&Machine> {
        let accelerator = Accelerator::of(self.domain.r#type.unwrap_or(DomainType::Qemu));
        self.capabilities.accelerated(accelerator).machine(self.domain.os.r#type.machine.as_deref())
    }

    /// Whether ACPI is switched by a property of the machine.
    pub(super) fn machine_knows_acpi(&self) -> bool {
        self.machine_type().is_some_and(|machine| machine.acpi == Some(true))
    }

    pub(super) fn has_acpi(&self) -> bool {
        self.domain.features.as_ref().is_some_and(|features| features.acpi)
    }

    fn has_machine_loadparm(&self) -> bool {
        is_s390(self.domain) && !self.capabilities.has(Flag::VirtioCcwLoadparm)
    }
}

fn features(setup: &Setup<'_>, list: &mut List) {
    let domain = setup.domain;
    let Some(features) = &domain.features else {
        gic(setup, list);
        return;
    };
    let state = |state: &Option<ostler_conf::domain::FeatureState>| state.as_ref()?.state.map(|on| on.0);
    list.switch("vmport", state(&features.vmport));
    list.switch("smm", features.smm.as_ref().map(|smm| smm.state.is_none_or(|on| on.0)));
    gic(setup, list);
    match features.ioapic {
        Some(IoapicDriver::Qemu) => list.add("kernel_irqchip", "split"),
        Some(IoapicDriver::Kvm) => list.add("kernel_irqchip", "on"),
        None => {}
    }
    if is_ppc64(domain) {
        if let Some(hpt) = &features.hpt {
            if let Some(resizing) = hpt.resizing {
                list.add("resize-hpt", resizing.word());
            }
            if let Some(size) = &hpt.maxpagesize {
                list.add("cap-hpt-max-page-size", &format!("{}k", size.0.kib()));
            }
        }
        list.switch("cap-htm", state(&features.htm));
        list.switch("cap-nested-hv", state(&features.nested_hv));
        list.switch("cap-ccf-assist", state(&features.ccf_assist));
        let words = [
            ("cap-cfpc", features.cfpc.map(|value| value.word())),
            ("cap-sbbc", features.sbbc.map(|value| value.word())),
            ("cap-ibs", features.ibs.map(|value| value.word())),
        ];
        for (name, word) in words {
            if let Some(word) = word {
                list.add(name, word);
            }
        }
    }
    list.switch("ras", state(&features.ras));
    list.switch("i8042", state(&features.ps2));
    if let Some(aia) = features.aia {
        list.add("aia", aia.word());
    }
}

/// The interrupt controller of ARM's generic machine.
fn gic(setup: &Setup<'_>, list: &mut List) {
    let domain = setup.domain;
    let version = domain.features.as_ref().and_then(|features| features.gic.as_ref()?.version.as_deref());
    if is_arm(domain) && Platform::of(domain) == Platform::ArmVirt {
        if let Some(version) = version {
            list.add("gic-version", version);
        }
    }
}

/// Enclave memory is part of the machine.
fn sgx(setup: &Setup<'_>, list: &mut List) {
    let enclaves = setup.domain.devices.memories.iter().filter(|memory| memory.model == MemoryModel::SgxEpc);
    for (at, memory) in enclaves.enumerate() {
        let name = alias(&memory.alias);
        list.add(&format!("sgx-epc.{at}.memdev"), &format!("mem{name}"));
        if let Some(node) = memory.target.node {
            list.add(&format!("sgx-epc.{at}.node"), &node.to_string());
        }
    }
}

/// A POWER host can play an older processor: the host's own, limited.
fn compatible_cpu(setup: &Setup<'_>) -> Option<String> {
    let cpu = setup.domain.cpu.as_ref().filter(|_| is_ppc64(setup.domain))?;
    if cpu.mode != Some(ostler_conf::domain::CpuMode::HostModel) {
        return None;
    }
    Some(cpu.model.as_ref()?.name.as_ref()?.to_lowercase())
}

pub(super) fn accelerator(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let features = setup.domain.features.as_ref();
    let text = match setup.domain.r#type {
        Some(DomainType::Kvm) => {
            let ring = features.and_then(|features| features.kvm.as_ref()?.dirty_ring.as_ref());
            let size = ring.filter(|ring| ring.state.is_some_and(|on| on.0)).and_then(|ring| ring.size);
            format!("kvm{}", size.map(|size| format!(",dirty-ring-size={size}")).unwrap_or_default())
        }
        Some(DomainType::Hvf) => "hvf".to_owned(),
        _ => {
            let cache = features.and_then(|features| features.tcg.as_ref()?.tb_cache.as_ref());
            let size = cache.map(|cache| format!(",tb-size={}", cache.0.kib() >> 10));
            format!("tcg{}", size.unwrap_or_default())
        }
    };
    args.option("-accel", text);
    let smm = features.and_then(|features| features.smm.as_ref());
    if let Some(tseg) = smm.and_then(|smm| smm.tseg.as_ref()) {
        args.option("-global", format!("mch.extended-tseg-mbytes={}", tseg.0.bytes() >> 20));
    }
    Ok(())
}

/// The guest comes from somewhere else.
pub(super) fn incoming(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    if let Some(uri) = &setup.runtime.incoming {
        args.option("-incoming", uri.clone());
    }
    Ok(())
}

/// What QEMU may never do.
pub(super) fn sandbox(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    if setup.capabilities.has(Flag::SeccompSandbox) {
        args.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    }
    Ok(())
}

/// The guest's memory is given back after QEMU has ended.
pub(super) fn async_teardown(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let wanted = setup.domain.features.as_ref().and_then(|features| features.async_teardown);
    if let Some(wanted) = wanted {
        args.option("-run-with", format!("async-teardown={}", on_off(wanted.0)));
    }
    Ok(())
}

pub(super) fn messages(_: &Setup<'_>, args: &mut Args) -> Result<()> {
    args.option("-msg", "timestamp=on");
    Ok(())
}

/// What the definition adds by hand.
pub(super) fn by_hand(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for arg in setup.domain.qemu_commandline.iter().flat_map(|commandline| &commandline.args) {
        args.list.push(arg.value.clone());
    }
    environment::by_hand(setup, args);
    Ok(())
}

/// The guest's generation.
pub(super) fn generation(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    if let Some(id) = setup.domain.genid.as_ref().and_then(|generation| generation.id) {
        args.device(setup, Props::driver("vmgenid").put("guid", id.to_string()).put("id", "vmgenid0"));
    }
    Ok(())
}
