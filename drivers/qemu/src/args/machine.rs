//! All that comes before the devices.

use ostler_conf::Domain;
use ostler_conf::domain::{ClockOffset, CpuFeaturePolicy as Policy, CpuMode, DomainType, TickPolicy, TimerName};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::json;

use super::{Args, Runtime, escape};
use crate::complete::{MachineFamily, family};

pub(super) fn before_devices(domain: &Domain, runtime: &Runtime, args: &mut Args) -> Result<()> {
    args.option("-name", format!("guest={},debug-threads=on", escape(&domain.name)));
    args.flag("-S");
    args.option("-machine", machine(domain));
    args.option(
        "-accel",
        match domain.r#type {
            Some(DomainType::Kvm) => "kvm",
            // `check` refuses what is neither.
            _ => "tcg",
        },
    );
    args.option("-cpu", cpu(domain)?);
    memory(domain, args);
    args.option("-overcommit", "mem-lock=off");
    args.option("-smp", smp(domain));
    args.option("-uuid", domain.uuid.unwrap_or_default().to_string());
    args.option("-display", "none");
    args.flag("-no-user-config");
    args.flag("-nodefaults");
    args.option("-chardev", format!("socket,id=charmonitor,fd={},server=on,wait=off", runtime.monitor));
    args.option("-mon", "chardev=charmonitor,id=monitor,mode=control");
    clock(domain, args);
    args.flag("-no-shutdown");
    sleep_states(domain, args);
    boot(domain, args);
    Ok(())
}

fn timer(domain: &Domain, name: TimerName) -> Option<&ostler_conf::domain::Timer> {
    domain.clock.as_ref().and_then(|clock| clock.timers.iter().find(|timer| timer.name == name))
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn machine(domain: &Domain) -> String {
    let name = domain.os.r#type.machine.as_deref().unwrap_or_default();
    let dump = domain.memory.as_ref().and_then(|memory| memory.dump_core).is_some_and(|on| on.0);
    let hpet = timer(domain, TimerName::Hpet)
        .and_then(|timer| timer.present)
        .map(|present| format!(",hpet={}", on_off(present.0)));
    let acpi = on_off(domain.features.as_ref().is_some_and(|features| features.acpi));
    format!(
        "{name},usb=off,dump-guest-core={},memory-backend=pc.ram{},acpi={acpi}",
        on_off(dump),
        hpet.unwrap_or_default()
    )
}

fn cpu(domain: &Domain) -> Result<String> {
    let Some(cpu) = &domain.cpu else { return Ok("qemu64".into()) };
    let mut text = match cpu.mode {
        Some(CpuMode::HostPassthrough) => {
            let migratable = cpu.migratable.map(|on| format!(",migratable={}", on_off(on.0)));
            format!("host{}", migratable.unwrap_or_default())
        }
        Some(CpuMode::Maximum) => {
            let migratable = cpu.migratable.map(|on| format!(",migratable={}", on_off(on.0)));
            format!("max{}", migratable.unwrap_or_default())
        }
        Some(CpuMode::Custom) | None => {
            cpu.model.as_ref().and_then(|model| model.name.clone()).unwrap_or_else(|| "qemu64".into())
        }
        Some(CpuMode::HostModel) => {
            return Err(Error::new(ErrorCode::ConfigUnsupported, "the CPU mode host-model can't be expanded yet")
                .at("cpu.mode"));
        }
    };
    for feature in &cpu.features {
        let on = match feature.policy.unwrap_or(Policy::Require) {
            Policy::Force | Policy::Require | Policy::Optional => true,
            Policy::Disable | Policy::Forbid => false,
        };
        text.push_str(&format!(",{}={}", feature.name, on_off(on)));
    }
    if let Some(present) = timer(domain, TimerName::Kvmclock).and_then(|timer| timer.present) {
        text.push_str(&format!(",kvmclock={}", on_off(present.0)));
    }
    if timer(domain, TimerName::Hypervclock).and_then(|timer| timer.present).is_some_and(|present| present.0) {
        text.push_str(",hv-time=on");
    }
    if let Some(eoi) = domain.features.as_ref().and_then(|features| features.apic.as_ref()?.eoi) {
        text.push_str(&format!(",kvm-pv-eoi={}", on_off(eoi.0)));
    }
    Ok(text)
}

fn memory(domain: &Domain, args: &mut Args) {
    let kib = domain.memory_kib();
    args.option("-m", format!("size={kib}k"));
    args.json("-object", &json!({ "qom-type": "memory-backend-ram", "id": "pc.ram", "size": kib * 1024 }));
}

fn smp(domain: &Domain) -> String {
    let most = domain.vcpus();
    let current = domain.vcpu.as_ref().and_then(|vcpu| vcpu.current).unwrap_or(most);
    let max = if current < most { format!(",maxcpus={most}") } else { String::new() };
    match domain.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref()) {
        None => format!("{current}{max},sockets={most},cores=1,threads=1"),
        Some(t) => {
            let part =
                |name: &str, count: Option<u32>| count.map(|count| format!(",{name}={count}")).unwrap_or_default();
            let middle = part("dies", t.dies) + &part("clusters", t.clusters);
            format!("{current}{max},sockets={}{middle},cores={},threads={}", t.sockets, t.cores, t.threads)
        }
    }
}

fn clock(domain: &Domain, args: &mut Args) {
    let base = match domain.clock.as_ref().map(|clock| clock.offset) {
        // A time zone of its own comes by the environment.
        Some(ClockOffset::Localtime | ClockOffset::Timezone) => "localtime",
        Some(ClockOffset::Utc | ClockOffset::Variable | ClockOffset::Absolute) | None => "utc",
    };
    let catches_up = timer(domain, TimerName::Rtc).and_then(|timer| timer.tickpolicy) == Some(TickPolicy::Catchup);
    args.option("-rtc", format!("base={base}{}", if catches_up { ",driftfix=slew" } else { "" }));
    match timer(domain, TimerName::Pit).and_then(|timer| timer.tickpolicy) {
        Some(TickPolicy::Delay) => args.option("-global", "kvm-pit.lost_tick_policy=delay"),
        Some(TickPolicy::Discard) => args.option("-global", "kvm-pit.lost_tick_policy=discard"),
        Some(TickPolicy::Catchup | TickPolicy::Merge) | None => {}
    }
}

fn sleep_states(domain: &Domain, args: &mut Args) {
    let Some(pm) = &domain.pm else { return };
    let device = match domain.os.r#type.machine.as_deref().and_then(family) {
        Some(MachineFamily::Q35) => "ICH9-LPC",
        Some(MachineFamily::I440fx) | None => "PIIX4_PM",
    };
    for (state, property) in [(&pm.suspend_to_mem, "disable_s3"), (&pm.suspend_to_disk, "disable_s4")] {
        if let Some(enabled) = state.as_ref().and_then(|state| state.enabled) {
            args.option("-global", format!("{device}.{property}={}", u8::from(!enabled.0)));
        }
    }
}

fn boot(domain: &Domain, args: &mut Args) {
    let menu = domain.os.bootmenu.as_ref().and_then(|menu| {
        let enable = menu.enable?;
        let timeout = menu.timeout.filter(|_| enable.0).map(|ms| format!("splash-time={ms},")).unwrap_or_default();
        Some(format!("menu={},{timeout}", on_off(enable.0)))
    });
    args.option("-boot", format!("{}strict=on", menu.unwrap_or_default()));
    for (option, value) in
        [("-kernel", &domain.os.kernel), ("-initrd", &domain.os.initrd), ("-append", &domain.os.cmdline)]
    {
        if let Some(value) = value {
            args.option(option, value.clone());
        }
    }
}
