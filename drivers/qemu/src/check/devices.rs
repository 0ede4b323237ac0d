//! Rules of controllers, interfaces, character devices and the small ones.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{
    CharSource, CharSourceUnixMode, InputBus, InputKind, Interface, InterfaceSource, MemballoonModel, RngBackend,
    SerialTargetKind, SerialTargetModelName, WatchdogModel,
};
use ostler_util::ErrorCode as Code;

use super::{Problems, is_plain_name};
use crate::args;
use crate::complete::{Arch, Host, MachineFamily, arch, machine};

pub(super) fn check(domain: &Domain, host: &Host, problems: &mut Problems) {
    let devices = &domain.devices;
    for interface in &devices.interfaces {
        check_interface(interface, host, problems);
    }
    check_chardevs(domain, problems);
    for input in &devices.inputs {
        let is_right = !(input.r#type == InputKind::Tablet && input.bus == Some(InputBus::Ps2));
        let is_known = args::input_driver(input).is_none_or(|driver| host.capabilities.has_device(driver));
        problems.unless(
            is_right && is_known,
            format!("devices.inputs[{}].bus", input.name),
            "there is no such input device on this bus",
        );
    }
    let is_q35 = machine(domain) == MachineFamily::Q35;
    for watchdog in &devices.watchdogs {
        let path = format!("devices.watchdogs[{}]", watchdog.name);
        problems.unless(
            watchdog.model != WatchdogModel::Itco || is_q35,
            format!("{path}.model"),
            "the watchdog 'itco' is part of the machine type q35",
        );
        let same = devices.watchdogs.first().is_none_or(|first| first.action == watchdog.action);
        problems.unless(same, format!("{path}.action"), "all watchdogs of a guest have the same action");
    }
    if devices.memballoon.as_ref().is_some_and(|balloon| balloon.model == MemballoonModel::Xen) {
        problems.unsupported("devices.memballoon.model", "QEMU has no memory balloon of the model 'xen'");
    }
    for rng in &devices.rngs {
        let RngBackend::Random(backend) = &rng.backend else { continue };
        let path = backend.path.as_deref().unwrap_or("/dev/random");
        let is_source = matches!(path, "/dev/random" | "/dev/urandom" | "/dev/hwrng");
        problems.unless(
            is_source,
            format!("devices.rngs[{}].backend", rng.name),
            format!("'{path}' is no source of random numbers: /dev/random, /dev/urandom and /dev/hwrng are"),
        );
    }
    check_aliases(domain, problems);
}

fn check_interface(interface: &Interface, host: &Host, problems: &mut Problems) {
    let at = |field: &str| format!("devices.interfaces[{}].{field}", interface.name);
    let model = interface.model.as_ref().map_or("virtio", |model| model.r#type.as_str());
    let driver = match model {
        "virtio" => "virtio-net-pci",
        "virtio-transitional" => "virtio-net-pci-transitional",
        "virtio-non-transitional" => "virtio-net-pci-non-transitional",
        model => model,
    };
    let is_known = is_plain_name(model) && host.capabilities.has_device(driver);
    problems.unless(is_known, at("model.type"), format!("the emulator has no network device '{model}'"));
    if let Some(mtu) = &interface.mtu {
        problems.unless(
            !matches!(interface.source, InterfaceSource::User(_)),
            at("mtu"),
            "the packet size of a user network can't be set",
        );
        problems.unless(
            (68..=65535).contains(&mtu.size),
            at("mtu.size"),
            format!("{} is no packet size: 68 to 65535 is", mtu.size),
        );
    }
    let dev = interface.target.as_ref().and_then(|target| target.dev.as_deref());
    match &interface.source {
        InterfaceSource::Network(_) => {
            problems.unless(
                dev.is_none(),
                at("target.dev"),
                "the network names its devices itself: leave the name out",
            );
        }
        InterfaceSource::User(_) => {
            problems.unless(dev.is_none(), at("target.dev"), "a user network has no device on the host")
        }
        _ => {}
    }
}

fn check_chardevs(domain: &Domain, problems: &mut Problems) {
    let devices = &domain.devices;
    for serial in &devices.serials {
        let path = format!("devices.serials[{}]", serial.name);
        check_source(&serial.source, &path, problems);
        let target = serial.target.as_ref();
        let kind = target.and_then(|target| target.r#type);
        let is_there = match kind {
            Some(SerialTargetKind::IsaSerial | SerialTargetKind::IsaDebug) => arch(domain) == Arch::X86,
            Some(SerialTargetKind::SpaprVioSerial) => machine(domain) == MachineFamily::Pseries,
            Some(SerialTargetKind::SclpSerial) => arch(domain) == Arch::S390,
            Some(SerialTargetKind::SystemSerial) => {
                let model = target.and_then(|target| target.model.as_ref()).map(|model| model.name);
                match (model, machine(domain)) {
                    (Some(SerialTargetModelName::Pl011), family) => family == MachineFamily::ArmVirt,
                    (Some(SerialTargetModelName::A16550), family) => {
                        matches!(family, MachineFamily::RiscvVirt | MachineFamily::LoongarchVirt)
                    }
                    _ => arch(domain) != Arch::X86,
                }
            }
            Some(SerialTargetKind::UsbSerial | SerialTargetKind::PciSerial) | None => true,
        };
        problems.unless(is_there, format!("{path}.target.type"), "this machine has no serial port of this kind");
        if kind == Some(SerialTargetKind::IsaSerial) {
            let port = target.and_then(|target| target.port).unwrap_or(0);
            problems.unless(port < 4, format!("{path}.target.port"), "a PC has 4 serial ports on its ISA bus");
        }
    }
    for channel in &devices.channels {
        check_source(&channel.source, &format!("devices.channels[{}]", channel.name), problems);
    }
    for console in &devices.consoles {
        check_source(&console.source, &format!("devices.consoles[{}]", console.name), problems);
    }
    let logs = devices
        .serials
        .iter()
        .map(|d| (&d.name, "serials", &d.log))
        .chain(devices.channels.iter().map(|d| (&d.name, "channels", &d.log)));
    for (name, list, log) in logs.chain(devices.consoles.iter().map(|d| (&d.name, "consoles", &d.log))) {
        problems.absolute(log.as_ref().map(|log| log.file.as_str()), format!("devices.{list}[{name}].log.file"));
    }
}

fn check_source(source: &Option<CharSource>, path: &str, problems: &mut Problems) {
    match source {
        Some(CharSource::File(file)) => problems.absolute(Some(&file.path), format!("{path}.source.file.path")),
        Some(CharSource::Unix(unix)) => {
            problems.absolute(unix.path.as_deref(), format!("{path}.source.unix.path"));
            let is_longer = unix.path.as_ref().is_some_and(|path| path.len() > 107);
            problems.unless(!is_longer, format!("{path}.source.unix.path"), "a socket's path has 107 bytes at most");
            let connects = unix.mode == Some(CharSourceUnixMode::Connect);
            problems.unless(
                !connects || unix.path.is_some(),
                format!("{path}.source.unix.path"),
                "name the socket to connect to",
            );
        }
        _ => {}
    }
}

/// Names that users chose become names in QEMU.
fn check_aliases(domain: &Domain, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    let devices = &domain.devices;
    let mut check = |path: String, alias: &Option<ostler_conf::domain::Alias>| {
        let Some(alias) = alias else { return };
        if !is_plain_name(&alias.name) || alias.name.contains('.') {
            problems.add(
                Code::XmlError,
                path.clone(),
                format!("the alias '{}' holds letters, digits, - and _ only", alias.name),
            );
        }
        if !seen.insert(alias.name.clone()) {
            problems.add(
                Code::ConfigUnsupported,
                path,
                format!("the alias '{}' is another device's already", alias.name),
            );
        }
    };
    macro_rules! check_lists {
        ($($list:ident),*) => { $(for device in &devices.$list {
            check(format!(concat!("devices.", stringify!($list), "[{}].alias"), device.name), &device.alias);
        })* };
    }
    check_lists!(disks, controllers, interfaces, serials, channels, inputs, watchdogs, rngs);
}
