//! What this driver does not do yet: every part of a definition is either named here or consumed. Structures are taken apart
//! whole, so that a new field can't be forgotten.

/// Refuses those of the fields, bound by their names, that say anything.
macro_rules! refuse {
    ($problems:ident, $at:expr, $what:literal: $($field:ident)*) => { $(
        if $field.says() {
            let name = camel_case(stringify!($field));
            let path = if $at.is_empty() { name.clone() } else { format!("{}.{name}", $at) };
            $problems.unsupported(path, format!("'{name}' is not supported for {}", $what));
        }
    )* };
}

mod chardevs;
mod devices;
mod display;
mod interfaces;
mod storage;

use ostler_conf::Domain;
use ostler_conf::domain::{
    Clock, Cpu, CpuMode, CpuModel, DiskSource, DomainType, Features, LifecycleAction as Action, Memory, MemoryBacking,
    Nvram, Os, SeclabelKind, SmbiosMode, Sysinfo, TickPolicy, Timer, TimerName, Vcpu, VcpuPlacement,
};

use super::{Problems, is_plain_name};
use crate::complete::{Arch, Host, arch, runs};
use crate::files;

/// 52 bits, the most that an x86 CPU can address.
const MOST_MEMORY_KIB: u64 = 1 << 42;

/// Whether a field says anything.
trait Says {
    fn says(&self) -> bool;
}

impl<T> Says for Option<T> {
    fn says(&self) -> bool {
        self.is_some()
    }
}

impl<T> Says for Vec<T> {
    fn says(&self) -> bool {
        !self.is_empty()
    }
}

impl Says for bool {
    fn says(&self) -> bool {
        *self
    }
}

/// `memory_backing` → `memoryBacking`.
fn camel_case(name: &str) -> String {
    let mut parts = name.trim_start_matches("r#").split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

/// Everything that would be dropped silently.
pub(super) fn check(domain: &Domain, host: &Host, problems: &mut Problems) {
    let is_foreign = !host.capabilities.arch.is_empty() && !runs(&host.settings.arch, &host.capabilities.arch);
    problems.unless(
        !is_foreign || domain.r#type != Some(DomainType::Kvm),
        "type",
        format!("KVM runs no guests of the architecture '{}' on this host's", host.capabilities.arch),
    );
    check_life(domain, problems);
    let os = &domain.os;
    for (value, field) in [(&os.initrd, "os.initrd"), (&os.cmdline, "os.cmdline")] {
        problems.unless(
            value.is_none() || os.kernel.is_some(),
            field,
            "it goes with a kernel that is booted directly: give os.kernel",
        );
    }
    for disk in &domain.devices.disks {
        if let Some(DiskSource::File(_) | DiskSource::Block(_)) = &disk.source {
            let path = disk.source.as_ref().and_then(DiskSource::path);
            problems.absolute(path, format!("devices.disks[{}].source", disk.name));
        }
    }
    for timer in domain.clock.iter().flat_map(|clock| &clock.timers) {
        let is_right = timer.name != TimerName::Hpet || timer.tickpolicy.is_none();
        problems.unless(is_right, "clock.timers", "QEMU's hpet knows no ticks to catch up with");
    }
    for file in files::of(domain) {
        problems.absolute(Some(file.path), file.field);
    }
    let kib = domain.memory_kib();
    problems.unless(kib <= MOST_MEMORY_KIB, "memory.size", format!("{kib} KiB is more than a CPU can address (4 PiB)"));
    let is_hosts = domain.cpu.as_ref().and_then(|cpu| cpu.mode) == Some(CpuMode::HostPassthrough);
    problems.unless(
        !is_hosts || domain.r#type == Some(DomainType::Kvm),
        "cpu.mode",
        "the CPU mode host-passthrough needs KVM: 'maximum' gives all that the translator can",
    );
    for timer in domain.clock.iter().flat_map(|clock| &clock.timers) {
        let is_switch = matches!(timer.name, TimerName::Hpet | TimerName::Kvmclock | TimerName::Hypervclock);
        let cant_be_absent = !is_switch && timer.present.is_some_and(|present| !present.0);
        let catches_up = timer.name == TimerName::Pit && timer.tickpolicy == Some(TickPolicy::Catchup);
        problems.unless(
            !cant_be_absent && !catches_up && timer.name != TimerName::Armvtimer,
            "clock.timers",
            format!("QEMU can't set the timer '{}' so", timer.name),
        );
    }
    let at = "";
    let Domain {
        r#type,
        memory,
        vcpu,
        os,
        features,
        cpu,
        clock,
        devices,
        id: _,
        name: _,
        uuid: _,
        title: _,
        description: _,
        metadata: _,
        current_memory: _,
        on_poweroff: _,
        on_reboot: _,
        on_crash: _,
        pm: _,
        qemu_commandline: _,
        genid: _,
        max_memory: _,
        blkiotune,
        memtune,
        memory_backing,
        vcpus,
        iothreads: _,
        iothreadids: _,
        defaultiothread: _,
        throttlegroups: _,
        cputune,
        numatune,
        resource,
        sysinfo,
        bootloader,
        bootloader_args,
        idmap,
        on_lockfailure,
        perf,
        seclabels,
        keywrap: _,
        launch_security,
        qemu_capabilities,
        qemu_deprecation: _,
        qemu_override: _,
        lxc_namespace,
        xen_commandline,
        bhyve_commandline,
        vmware_datacenterpath,
    } = domain;
    refuse!(problems, at, "QEMU guests": blkiotune memtune cputune numatune resource bootloader bootloader_args idmap on_lockfailure perf launch_security qemu_capabilities lxc_namespace xen_commandline bhyve_commandline vmware_datacenterpath);
    if !matches!(r#type, None | Some(DomainType::Kvm | DomainType::Qemu | DomainType::Test)) {
        problems.unsupported("type", "the QEMU driver runs domains of type 'qemu' and 'kvm'");
    }
    if let Some(Memory { dump_core: _, size: _ }) = memory {}
    if let Some(Vcpu { placement, cpuset, current: _, count: _ }) = vcpu {
        refuse!(problems, "vcpu", "virtual CPUs": cpuset);
        problems.unless(
            *placement != Some(VcpuPlacement::Auto),
            "vcpu.placement",
            "the placement 'auto' is not supported",
        );
    }
    if let Some(MemoryBacking {
        hugepages: _,
        nosharepages: _,
        locked,
        source: _,
        access: _,
        allocation: _,
        discard: _,
    }) = memory_backing
    {
        refuse!(problems, "memoryBacking", "QEMU guests": locked);
    }
    let is_plugged = vcpus.iter().flat_map(|vcpus| &vcpus.vcpus).any(|vcpu| vcpu.hotpluggable.is_some_and(|on| on.0));
    problems.unless(
        !is_plugged || arch(domain) == Arch::X86,
        "vcpus",
        "virtual CPUs are plugged in one by one on x86 only",
    );
    for (at, label) in seclabels.iter().enumerate() {
        let is_none = label.r#type == Some(SeclabelKind::None);
        let message = "guests have no other security labels than their user: 'none' is supported";
        problems.unless(is_none, format!("seclabels[{at}].type"), message);
    }
    check_sysinfo(sysinfo, problems);
    check_os(os, problems);
    check_features(features.as_ref(), problems);
    check_cpu(cpu.as_ref(), problems);
    check_clock(clock.as_ref(), problems);
    devices::check(domain, devices, host, problems);
}

/// What becomes part of a list of options as it is.
fn check_sysinfo(sysinfo: &[Sysinfo], problems: &mut Problems) {
    for (at, sysinfo) in sysinfo.iter().enumerate() {
        let Sysinfo::Fwcfg(config) = sysinfo else { continue };
        for entry in &config.entries {
            let texts = [Some(&entry.name), entry.value.as_ref(), entry.file.as_ref()];
            let is_plain = texts.into_iter().flatten().all(|text| !text.contains(','));
            problems.unless(
                is_plain,
                format!("sysinfo[{at}].entries[{}]", entry.name),
                "QEMU takes neither a name nor a value with a comma",
            );
        }
    }
}

fn check_os(os: &Os, problems: &mut Problems) {
    let Os {
        r#type: _,
        kernel: _,
        initrd: _,
        cmdline: _,
        boot: _,
        bootmenu: _,
        firmware: _,
        firmware_features: _,
        init,
        initargs,
        initenvs,
        initdir,
        inituser,
        initgroup,
        loader: _,
        nvram,
        shim: _,
        dtb: _,
        root,
        acpi: _,
        bios: _,
        smbios,
    } = os;
    refuse!(problems, "os", "QEMU guests": init initargs initenvs initdir inituser initgroup root);
    if let Some(Nvram { template: _, template_format: _, source, format: _, path: _ }) = nvram {
        let is_here = matches!(source, None | Some(DiskSource::File(_) | DiskSource::Block(_)));
        problems.unless(is_here, "os.nvram.source", "the firmware's memory is a file or a block device of this host");
    }
    problems.unless(
        *smbios != Some(SmbiosMode::Host),
        "os.smbios",
        "the host's own description is not handed on: give one with 'sysinfo'",
    );
}

fn check_features(features: Option<&Features>, problems: &mut Problems) {
    let Some(features) = features else { return };
    let Features {
        acpi: _,
        apic: _,
        pae: _,
        hap,
        viridian,
        privnet,
        hyperv,
        kvm: _,
        pvspinlock: _,
        capabilities,
        pmu: _,
        vmport: _,
        gic: _,
        smm: _,
        ioapic: _,
        hpt: _,
        vmcoreinfo: _,
        htm: _,
        nested_hv: _,
        msrs,
        ccf_assist: _,
        xen,
        cfpc: _,
        sbbc: _,
        ibs: _,
        tcg: _,
        async_teardown: _,
        ras: _,
        ps2: _,
        aia: _,
    } = features;
    refuse!(problems, "features", "QEMU guests": hap viridian privnet capabilities msrs xen);
    let vendor = hyperv.as_ref().and_then(|hyperv| hyperv.vendor_id.as_ref()?.value.as_deref());
    check_vendor(vendor, "features.hyperv.vendorId.value", problems);
}

/// A maker's name becomes part of a list of options.
fn check_vendor(vendor: Option<&str>, at: &str, problems: &mut Problems) {
    let is_right = vendor.is_none_or(|vendor| {
        vendor.len() <= 12 && vendor.bytes().all(|byte| byte == b' ' || (byte.is_ascii_graphic() && byte != b','))
    });
    problems.unless(is_right, at, "a maker's name has 12 characters at most, and no comma");
}

fn check_cpu(cpu: Option<&Cpu>, problems: &mut Problems) {
    let Some(cpu) = cpu else { return };
    let Cpu {
        model,
        mode: _,
        r#match: _,
        check: _,
        migratable: _,
        topology: _,
        features: _,
        deprecated_features: _,
        vendor: _,
        cache: _,
        maxphysaddr: _,
        numa: _,
    } = cpu;
    if let Some(CpuModel { fallback: _, vendor_id, name }) = model {
        check_vendor(vendor_id.as_deref(), "cpu.model.vendorId", problems);
        let is_name = name.as_deref().is_none_or(is_plain_name);
        problems.unless(is_name, "cpu.model.name", "that is no name of a CPU model");
    }
}

fn check_clock(clock: Option<&Clock>, problems: &mut Problems) {
    let Some(clock) = clock else { return };
    // Each start sets the clock anew, which is all that `adjustment='reset'` asks for.
    let Clock { offset: _, timezone: _, timers, adjustment: _, adjustment0: _, basis: _, start: _ } = clock;
    for timer in timers {
        let Timer { name, present: _, tickpolicy: _, track, frequency, mode, catchup } = timer;
        let at = format!("clock.timers[{name}]");
        // Only the real-time clock follows one of the host's clocks by choice.
        let track = track.filter(|_| *name != TimerName::Rtc);
        refuse!(problems, at, "timers": track frequency mode catchup);
    }
}

/// Ends of a run that this driver can carry out.
fn check_life(domain: &Domain, problems: &mut Problems) {
    let life = [("on_poweroff", domain.on_poweroff), ("on_reboot", domain.on_reboot), ("on_crash", domain.on_crash)];
    for (field, action) in life {
        let action = action.unwrap_or(Action::Destroy);
        let is_right = matches!(action, Action::Destroy | Action::Restart | Action::Preserve);
        problems.unless(
            is_right,
            field,
            format!("the action '{action}' is not supported: destroy, restart and preserve are"),
        );
    }
    // QEMU tells one from the other only by what it does at the second.
    let contradicts = domain.on_poweroff == Some(Action::Restart) && domain.on_reboot == Some(Action::Destroy);
    problems.unless(
        !contradicts,
        "on_reboot",
        "a guest that is restarted when it powers off can't be ended when it reboots",
    );
}
