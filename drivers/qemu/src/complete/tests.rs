//! Completions, most of them against what libvirt 11.3 makes of the same document.

use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::{Domain, parse};

use super::{Host, complete};
use crate::probe::Capabilities;

pub(crate) fn host() -> Host {
    host_with(crate::probe::qemu_10())
}

fn host_with(mut capabilities: Capabilities) -> Host {
    // As where KVM was at hand when the emulator was asked.
    capabilities.flags.insert(crate::probe::Flag::CpuMigratable);
    Host::new(PathBuf::from("/usr/bin/qemu-system-x86_64"), Arc::new(capabilities), false)
}

pub(crate) fn domain(xml: &str) -> Domain {
    parse::<Domain>(xml).unwrap().strict().unwrap()
}

fn xml(domain: &Domain) -> String {
    ostler_conf::format(domain)
}

fn check(name: &str, input: &str, expected: &str) {
    let completed = complete(&domain(input), None, &host()).unwrap();
    let text = xml(&completed);
    assert_same(name, &text, expected);
    let again = complete(&completed, None, &host()).unwrap();
    assert_eq!(xml(&again), expected, "{name}: not settled");
    let over = complete(&domain(input), Some(&completed), &host()).unwrap();
    assert_same(&format!("{name} laid over itself"), &xml(&over), expected);
}

/// Only the lines that differ are worth reading.
fn assert_same(name: &str, made: &str, expected: &str) {
    let missing: Vec<&str> = expected.lines().filter(|line| !made.lines().any(|other| other == *line)).collect();
    let extra: Vec<&str> = made.lines().filter(|line| !expected.lines().any(|other| other == *line)).collect();
    let first = made.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(made == expected, "{name}: from line {first:?}\nmissing {missing:#?}\nextra {extra:#?}");
}

macro_rules! cases {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("../../tests/complete/", stringify!($name), ".xml")),
                include_str!(concat!("../../tests/complete/", stringify!($name), ".out.xml")));
        }
    )* };
}

cases! { q35_typical pc_typical kernel_boot cpu_and_clock q35_every_bus pc_every_device q35_conventional pc_bridges q35_ports }

const THREE_NICS: &str = "<domain type='qemu'><name>web</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type></os>
  <devices>
    <disk type='file'><source file='/a'/><target dev='vda'/></disk>
    <disk type='file'><source file='/b'/><target dev='vdb'/></disk>
    <interface type='user'><model type='virtio'/></interface>
    <interface type='user'><model type='virtio'/></interface>
    <interface type='user'><model type='e1000'/></interface>
    <rng model='virtio'><backend model='random'/></rng>
  </devices></domain>";

fn three_nics() -> Domain {
    let mut spec = domain(THREE_NICS);
    for (interface, name) in spec.devices.interfaces.iter_mut().zip(["lan", "wan", "old"]) {
        interface.name = name.into();
    }
    spec
}

/// The XML of each device that both have, without the rest.
fn kept_devices(domain: &Domain, names: &[&str]) -> String {
    let mut kept = domain.clone();
    kept.metadata = None;
    kept.devices.interfaces.retain(|nic| names.contains(&nic.name.as_str()));
    kept.devices.interfaces.sort_by(|one, other| one.name.cmp(&other.name));
    for nic in &mut kept.devices.interfaces {
        nic.name.clear();
    }
    kept.devices.disks.retain(|disk| names.contains(&disk.name.as_str()));
    xml(&kept)
}

#[test]
fn dropping_and_reordering_leaves_every_other_device_as_it_was() {
    let mut spec = three_nics();
    let first = complete(&spec, None, &host()).unwrap();
    spec.devices.interfaces.remove(1);
    spec.devices.interfaces.reverse();
    spec.devices.disks.reverse();
    let second = complete(&spec, Some(&first), &host()).unwrap();
    let kept = ["lan", "old", "vda", "vdb"];
    assert_same("kept", &kept_devices(&second, &kept), &kept_devices(&first, &kept));
    // The one that comes back is a new device: it may take the free place.
    let third = complete(&three_nics(), Some(&second), &host()).unwrap();
    assert_same("kept again", &kept_devices(&third, &kept), &kept_devices(&first, &kept));
}

#[test]
fn a_new_device_moves_no_old_one() {
    let mut spec = three_nics();
    let first = complete(&spec, None, &host()).unwrap();
    let mut added = spec.devices.interfaces[0].clone();
    added.name = "a-first".into();
    for _ in 0..3 {
        added.name.push('x');
        spec.devices.interfaces.insert(0, added.clone());
    }
    let mut disk = spec.devices.disks[0].clone();
    disk.name = "vdc".into();
    spec.devices.disks.insert(0, disk);
    let second = complete(&spec, Some(&first), &host()).unwrap();
    let mut kept = second.clone();
    kept.devices
        .controllers
        .retain(|c| first.devices.controllers.iter().any(|old| old.r#type == c.r#type && old.index == c.index));
    for (at, controller) in kept.devices.controllers.iter_mut().enumerate() {
        controller.name = format!("controller{at}");
    }
    let names = ["lan", "wan", "old", "vda", "vdb"];
    assert_same("kept", &kept_devices(&kept, &names), &kept_devices(&first, &names));
    assert_eq!(second.devices.controllers.len(), first.devices.controllers.len() + 3, "one was to spare");
}

#[test]
fn a_newer_emulator_and_a_working_kvm_change_nothing_that_was_completed() {
    let mut spec = three_nics();
    spec.r#type = None;
    let first = complete(&spec, None, &host()).unwrap();
    assert_eq!(first.os.r#type.machine.as_deref(), Some("pc-q35-10.0"));
    let mut newer = crate::probe::qemu_10();
    for machine in &mut newer.tcg.machines {
        machine.alias = None;
    }
    for alias in ["pc", "q35"] {
        let name = if alias == "pc" { "pc-i440fx-99.0" } else { "pc-q35-99.0" };
        newer.tcg.machines.push(crate::probe::Machine {
            name: name.into(),
            alias: Some(alias.into()),
            is_default: alias == "pc",
            max_cpus: 288,
            ..crate::probe::Machine::default()
        });
    }
    let newer = Host { kvm: true, ..host_with(newer) };
    let second = complete(&spec, Some(&first), &newer).unwrap();
    assert_same("kept", &xml(&second), &xml(&first));
    spec.os.r#type.machine = Some("pc-q35-99.0".into());
    let third = complete(&spec, Some(&second), &newer).unwrap();
    assert_eq!(third.os.r#type.machine.as_deref(), Some("pc-q35-99.0"), "until the spec says otherwise");
}

#[test]
fn macs_come_from_the_domain_and_the_name() {
    let spec = three_nics();
    let made = |spec: &Domain| -> Vec<_> {
        complete(spec, None, &host())
            .unwrap()
            .devices
            .interfaces
            .into_iter()
            .map(|nic| nic.mac.unwrap().address.to_string())
            .collect()
    };
    let (one, again) = (made(&spec), made(&spec));
    assert_eq!(one, again);
    assert!(one.iter().all(|mac| mac.starts_with("52:54:00:")) && one[0] != one[1] && one[1] != one[2]);
    let other = Domain { uuid: Some("c7a5fdbd-edaf-9455-926a-d65c16db1800".parse().unwrap()), ..spec };
    assert_ne!(made(&other), one);
}

#[test]
fn a_place_that_is_taken_is_refused_with_its_owner() {
    let place = "<address type='pci' bus='0' slot='2'/>";
    let text = THREE_NICS
        .replace("<target dev='vda'/>", &format!("<target dev='vda'/>{place}"))
        .replace("<target dev='vdb'/>", &format!("<target dev='vdb'/>{place}"));
    let error = complete(&domain(&text), None, &host()).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("devices.disks[vdb].address"));
    assert!(error.message.contains("devices.disks[vda]"), "{}", error.message);
}

/// A host on which firmware is installed: code, whether it has Secure Boot.
fn host_with_firmware(installed: &[(&str, bool)]) -> Host {
    let descriptor = |(code, is_secure): &(&str, bool)| {
        let features = if *is_secure { r#""secure-boot", "requires-smm""# } else { "" };
        let text = format!(
            r#"{{"interface-types": ["uefi"], "mapping": {{"device": "flash",
                "executable": {{"filename": "{code}", "format": "raw"}},
                "nvram-template": {{"filename": "{code}.vars", "format": "raw"}}}},
                "targets": [{{"architecture": "x86_64", "machines": ["pc-q35-*"]}}], "features": [{features}]}}"#
        );
        super::firmware::Descriptor::read(&text).unwrap()
    };
    let firmware = installed.iter().map(descriptor).collect();
    Host { settings: Arc::new(super::Settings { firmware, ..super::Settings::default() }), ..host() }
}

const UEFI: &str = "<domain type='qemu'><name>web</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='MiB'>64</memory><os firmware='efi'><type machine='q35'>hvm</type>OS</os><features><acpi/></features></domain>";

fn loader_of(domain: &Domain) -> Option<&str> {
    domain.os.loader.as_ref()?.path.as_deref()
}

#[test]
fn firmware_that_was_chosen_stays_with_its_guest() {
    let spec = domain(&UEFI.replace("OS", ""));
    let first = complete(&spec, None, &host_with_firmware(&[("/a", false), ("/b", true)])).unwrap();
    assert_eq!(loader_of(&first), Some("/a"));
    // Another is preferred now; and it has gone altogether.
    for installed in [&[("/b", true), ("/c", false)][..], &[]] {
        let second = complete(&spec, Some(&first), &host_with_firmware(installed)).unwrap();
        assert_same("kept", &xml(&second), &xml(&first));
    }
    let own = domain(&UEFI.replace("OS", "<nvram>/elsewhere.fd</nvram>"));
    let moved = complete(&own, Some(&first), &host_with_firmware(&[])).unwrap();
    assert_eq!(loader_of(&moved), Some("/a"));
    let nvram = moved.os.nvram.unwrap();
    assert_eq!((nvram.path.as_deref(), nvram.template.as_deref()), (Some("/elsewhere.fd"), Some("/a.vars")));
}

#[test]
fn firmware_that_needs_more_stays_with_what_it_needs() {
    let spec = domain(&UEFI.replace("OS", ""));
    let first = complete(&spec, None, &host_with_firmware(&[("/b", true)])).unwrap();
    assert!(first.features.as_ref().unwrap().smm.is_some());
    let second = complete(&spec, Some(&first), &host_with_firmware(&[("/a", false)])).unwrap();
    assert_same("kept", &xml(&second), &xml(&first));
}

#[test]
fn a_definition_that_asks_for_other_firmware_gets_it() {
    let host = host_with_firmware(&[("/a", false), ("/b", true)]);
    let first = complete(&domain(&UEFI.replace("OS", "")), None, &host).unwrap();
    for (os, expected) in [
        ("<firmware><feature enabled='yes' name='secure-boot'/></firmware>", Some("/b")),
        ("<loader secure='yes'/>", Some("/b")),
        ("<loader readonly='yes' type='pflash'>/b</loader>", Some("/b")),
        ("<nvram template='/b.vars'/>", Some("/b")),
    ] {
        let second = complete(&domain(&UEFI.replace("OS", os)), Some(&first), &host).unwrap();
        assert_eq!(loader_of(&second), expected, "{os}");
    }
    let without = domain(&UEFI.replace("OS", "").replace(" firmware='efi'", ""));
    let second = complete(&without, Some(&first), &host).unwrap();
    assert_eq!((loader_of(&second), &second.os.nvram), (None, &None), "who asks for none has none");
}
