//! Rules of the machine, its CPUs, memory, clock and life.

use ostler_conf::Domain;
use ostler_conf::domain::{
    ClockOffset, CpuMode, DomainType, OsKind, TickPolicy as Tick, TimerName as Name, TimerTrack,
};
use ostler_util::ErrorCode as Code;

use super::{Problems, is_plain_name};
use crate::complete::{Arch, Host, arch};

/// A real-mode guest's address space: firmware finds no room in less.
const LEAST_MEMORY_KIB: u64 = 1024;

/// The end of the year 9999: QEMU reads no later date.
const LAST_SECOND: u64 = 253_402_300_799;

pub(super) fn check(domain: &Domain, host: &Host, problems: &mut Problems) {
    problems.unless(
        domain.r#type != Some(DomainType::Test),
        "type",
        "the QEMU driver runs domains of type 'qemu' and 'kvm'",
    );
    problems.unless(
        domain.os.r#type.kind == Some(OsKind::Hvm),
        "os.type.kind",
        "the QEMU driver runs guests of kind 'hvm'",
    );
    problems.absolute(domain.devices.emulator.as_deref(), "devices.emulator");
    if domain.name.chars().any(char::is_control) {
        problems.add(Code::XmlError, "name", "a name holds no control characters");
    }
    check_memory(domain, problems);
    check_cpus(domain, host, problems);
    check_boot(domain, problems);
    check_clock(domain, problems);
    for (at, env) in domain.qemu_commandline.iter().flat_map(|commandline| &commandline.env).enumerate() {
        let is_name = is_plain_name(&env.name) && !env.name.contains(['-', '.']);
        problems.unless(
            is_name,
            format!("qemuCommandline.env[{at}].name"),
            format!("'{}' is no name of an environment variable", env.name),
        );
    }
}

fn check_memory(domain: &Domain, problems: &mut Problems) {
    let kib = domain.memory_kib();
    problems.unless(
        kib >= LEAST_MEMORY_KIB,
        "memory.size",
        format!("{kib} KiB is too little: a machine has 1 MiB at least"),
    );
}

fn check_cpus(domain: &Domain, host: &Host, problems: &mut Problems) {
    let vcpus = domain.vcpus();
    let machine = host.capabilities.machine(domain.os.r#type.machine.as_deref());
    if let Some(machine) = machine.filter(|machine| machine.max_cpus > 0 && vcpus > machine.max_cpus) {
        problems.unsupported(
            "vcpu.count",
            format!(
                "{vcpus} virtual CPUs are too many: the machine type {} has {} at most",
                machine.name, machine.max_cpus
            ),
        );
    }
    let Some(cpu) = &domain.cpu else { return };
    if let Some(t) = &cpu.topology {
        let parts = [t.sockets, t.dies.unwrap_or(1), t.clusters.unwrap_or(1), t.cores, t.threads];
        let product = parts.iter().try_fold(1_u32, |product, part| product.checked_mul(*part));
        problems.unless(
            product == Some(vcpus),
            "cpu.topology",
            format!("the topology does not make {vcpus} virtual CPUs"),
        );
    }
    match cpu.mode {
        Some(CpuMode::HostPassthrough) => {}
        Some(CpuMode::HostModel) => {}
        Some(CpuMode::Maximum) => {}
        Some(CpuMode::Custom) | None => {
            let name = cpu.model.as_ref().and_then(|model| model.name.as_deref());
            let is_x86 = arch(domain) == Arch::X86;
            problems.unless(
                !is_x86 || name.is_none_or(|name| host.capabilities.has_cpu(name) || is_plain_name(name)),
                "cpu.model.name",
                format!("the emulator has no CPU model '{}'", name.unwrap_or_default()),
            );
        }
    }
    for feature in &cpu.features {
        problems.unless(
            is_plain_name(&feature.name),
            format!("cpu.features[{}]", feature.name),
            "that is no name of a CPU feature",
        );
    }
}

fn check_boot(domain: &Domain, problems: &mut Problems) {
    let os = &domain.os;
    problems.absolute(os.kernel.as_deref(), "os.kernel");
    problems.absolute(os.initrd.as_deref(), "os.initrd");
}

fn check_clock(domain: &Domain, problems: &mut Problems) {
    let Some(clock) = &domain.clock else { return };
    let is_timezone = clock.offset == ClockOffset::Timezone;
    let is_name = |zone: &str| {
        !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-:,.".contains(&byte))
    };
    if is_timezone && !clock.timezone.as_deref().is_some_and(is_name) {
        problems.add(Code::XmlError, "clock.timezone", "name the time zone, as in Europe/Berlin");
    }
    if clock.offset == ClockOffset::Absolute && clock.start.is_some_and(|start| start > LAST_SECOND) {
        problems.unsupported("clock.start", format!("a clock can't start later than {LAST_SECOND}"));
    }
    for timer in &clock.timers {
        let is_followed = match timer.track {
            None => true,
            Some(track) => timer.name == Name::Rtc && track != TimerTrack::Boot,
        };
        let message = format!("the timer '{}' can't be made to follow that", timer.name);
        problems.unless(is_followed, format!("clock.timers[{}].track", timer.name), message);
        let is_right = match (timer.name, timer.tickpolicy) {
            (Name::Platform, _) => false,
            (Name::Pit, None | Some(Tick::Delay | Tick::Discard | Tick::Catchup)) => true,
            (Name::Rtc, None | Some(Tick::Delay | Tick::Catchup)) => true,
            (Name::Hpet | Name::Kvmclock | Name::Hypervclock | Name::Tsc | Name::Armvtimer, _) => true,
            _ => false,
        };
        problems.unless(is_right, "clock.timers", format!("QEMU can't set the timer '{}' so", timer.name));
    }
}
