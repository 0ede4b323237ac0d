//! Command lines, most of them against what libvirt 11.3 makes of the same definition.

use std::path::PathBuf;

use super::*;
use crate::{alias, complete};

/// What the host's side was like when libvirt was asked: taps for every interface, files where their paths say.
fn runtime(domain: &Domain, chains: &[(&str, &str)]) -> Runtime {
    let mut runtime = Runtime { monitor: Monitor::Descriptor(3), ..Runtime::default() };
    for disk in &domain.devices.disks {
        if let Some(source) = disk.source.as_ref().filter(|source| source.path().is_some()) {
            let is_block = matches!(source, ostler_conf::domain::DiskSource::Block(_));
            let path = PathBuf::from(source.path().unwrap_or_default());
            let format = disk.format();
            let mut chain = vec![Image::new(&path, format, is_block)];
            let below = chains.iter().filter(|(target, _)| *target == disk.name);
            chain.extend(
                below.map(|(_, path)| Image::new(path.as_ref(), ostler_conf::domain::ImageFormatName::Qcow2, false)),
            );
            runtime.images.insert(disk.name.clone(), Chain { is_whole: !chains.is_empty(), images: chain });
        }
    }
    for (fd, interface) in (26..).zip(&domain.devices.interfaces) {
        runtime.taps.insert(super::alias(&interface.alias).to_owned(), Tap { fds: vec![fd], vhosts: Vec::new() });
    }
    for (name, source) in domain
        .devices
        .serials
        .iter()
        .map(|d| (&d.alias, &d.source))
        .chain(domain.devices.channels.iter().map(|d| (&d.alias, &d.source)))
    {
        let is_unix = matches!(source, Some(ostler_conf::domain::CharSource::Unix(_)));
        let fds = CharFds { socket: is_unix.then_some(40), file: Some(41), log: None };
        runtime.chardevs.insert(super::alias(name).to_owned(), fds);
    }
    for serial in domain.devices.serials.iter().filter(|serial| serial.log.is_some()) {
        runtime.chardevs.get_mut(super::alias(&serial.alias)).unwrap().log = Some(42);
    }
    runtime
}

/// What QEMU 10 can do of what a command line depends on.
fn capabilities() -> Capabilities {
    let mut capabilities = crate::probe::qemu_10();
    for flag in [
        Flag::BlockjobBackingMaskProtocol,
        Flag::DeviceJsonHotplug,
        Flag::NetdevJson,
        Flag::SeccompSandbox,
        Flag::KvmPitLostTickPolicy,
        Flag::MachineHpet,
        Flag::SmpDies,
        Flag::SmpClusters,
    ] {
        capabilities.flags.insert(flag);
    }
    for machine in &mut capabilities.tcg.machines {
        machine.default_ram_id = Some("pc.ram".into());
        machine.acpi = Some(true);
    }
    capabilities.kvm = capabilities.tcg.clone();
    capabilities
}

/// The arguments for a definition, with images below that of a disk, by its target.
fn arguments(xml: &str, chains: &[(&str, &str)]) -> Vec<String> {
    let mut domain = complete::tests::domain(xml);
    alias::assign(&mut domain);
    let line = command_line(&domain, &capabilities(), &Settings::default(), &runtime(&domain, chains)).unwrap();
    line.args[1..].to_vec()
}

/// One option a line.
fn lines(arguments: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for argument in arguments {
        match lines.last_mut() {
            Some(line) if !argument.starts_with('-') => *line = format!("{line} {argument}"),
            _ => lines.push(argument.clone()),
        }
    }
    lines
}

fn check(name: &str, definition: &str, expected: &str) {
    let made = lines(&arguments(definition, &[]));
    let expected: Vec<&str> = expected.lines().collect();
    for (at, (one, other)) in made.iter().zip(&expected).enumerate() {
        assert_eq!(one, other, "{name}, option {at}");
    }
    assert_eq!(made.len(), expected.len(), "{name}: {made:#?}");
}

macro_rules! cases {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("../../tests/complete/", stringify!($name), ".out.xml")),
                include_str!(concat!("../../tests/args/", stringify!($name), ".args")));
        }
    )* };
}

cases! { cpu_and_clock q35_typical kernel_boot q35_every_bus pc_every_device q35_conventional pc_bridges q35_ports }

#[test]
fn a_chain_is_given_to_its_end() {
    let definition = include_str!("../../tests/complete/q35_typical.out.xml");
    let made = lines(&arguments(definition, &[("vda", "/base"), ("vda", "/root,1")]));
    let nodes: Vec<&str> = made.iter().filter_map(|line| line.strip_prefix("-blockdev ")).collect();
    assert_eq!(
        nodes,
        [
            r#"{"driver":"file","filename":"/root,1","node-name":"libvirt-4-storage","auto-read-only":true,"discard":"unmap"}"#,
            r#"{"node-name":"libvirt-4-format","read-only":true,"driver":"qcow2","file":"libvirt-4-storage","backing":null}"#,
            r#"{"driver":"file","filename":"/base","node-name":"libvirt-3-storage","auto-read-only":true,"discard":"unmap"}"#,
            r#"{"node-name":"libvirt-3-format","read-only":true,"driver":"qcow2","file":"libvirt-3-storage","backing":"libvirt-4-format"}"#,
            r#"{"driver":"file","filename":"/tmp/orq/d.qcow2","node-name":"libvirt-2-storage","auto-read-only":true,"discard":"unmap"}"#,
            r#"{"node-name":"libvirt-2-format","read-only":false,"driver":"qcow2","file":"libvirt-2-storage","backing":"libvirt-3-format"}"#,
        ]
    );
}

#[test]
fn a_secret_is_handed_over_under_the_guests_key() {
    let domain = complete::tests::domain(include_str!("../../tests/complete/q35_typical.out.xml"));
    let key = MasterKey {
        file: "/key".into(),
        key: std::array::from_fn(|at| at as u8),
        iv: || std::array::from_fn(|at| at as u8),
    };
    let name = SecretName::Usage("disk".into());
    let secrets = [(name.clone(), b"AQCVn5hO6HzFAhAAq0NCv8jtJcIcE+HOBlMQ1A".to_vec())].into();
    let runtime = Runtime { master_key: Some(key), secrets, ..Runtime::default() };
    let (capabilities, settings) = (capabilities(), Settings::default());
    let setup = Setup {
        domain: &domain,
        capabilities: &capabilities,
        settings: &settings,
        runtime: &runtime,
        boot: BootOrder::of(&domain),
    };
    // What libvirt's own tests make of this key and value.
    assert_eq!(
        secret::object(&setup, "s", &name).unwrap().into_value()["data"],
        "9eao5F8qtkGt+seB1HYivWIxbtwUu6MQtg1zpj/oDtUsPr1q8wBYM91uEHCn6j/1"
    );
    assert_eq!(
        secret::object(&setup, "s", &SecretName::Usage("other".into())).unwrap_err().code,
        ostler_util::ErrorCode::NoSecret
    );
}

#[test]
fn an_override_goes_to_the_end() {
    let mut domain = complete::tests::domain(include_str!("../../tests/complete/q35_typical.out.xml"));
    domain.qemu_override = Some(ostler_conf::domain::QemuOverride {
        devices: vec![ostler_conf::domain::QemuOverrideDevice {
            alias: "net0".into(),
            frontend: Some(ostler_conf::domain::QemuFrontend {
                properties: vec![
                    property("a", ostler_conf::domain::QemuPropertyKind::Unsigned, Some("7")),
                    property("b", ostler_conf::domain::QemuPropertyKind::Remove, None),
                ],
            }),
        }],
    });
    let device = serde_json::json!({ "driver": "d", "a": 1, "b": 2, "id": "net0" });
    assert_eq!(overridden(&domain, device).to_string(), r#"{"driver":"d","id":"net0","a":7}"#);
}

fn property(
    name: &str,
    r#type: ostler_conf::domain::QemuPropertyKind,
    value: Option<&str>,
) -> ostler_conf::domain::QemuProperty {
    ostler_conf::domain::QemuProperty { name: name.into(), r#type, value: value.map(Into::into) }
}
