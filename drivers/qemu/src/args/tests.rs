//! Command lines, most of them against what libvirt 11.3 makes of the same definition.

use std::path::PathBuf;

use super::*;
use crate::{alias, complete};

/// What the host's side was like when libvirt was asked: taps for every interface, files where their paths say.
fn runtime(domain: &Domain, chains: &[(&str, &str)]) -> Runtime {
    let mut runtime = Runtime { monitor: 3, ..Runtime::default() };
    for disk in &domain.devices.disks {
        if let Some(source) = disk.source.as_ref().filter(|source| source.path().is_some()) {
            let is_block = matches!(source, ostler_conf::domain::DiskSource::Block(_));
            let path = PathBuf::from(source.path().unwrap_or_default());
            let format = disk.format().word().to_owned();
            let mut chain = vec![Image { path, format, is_block }];
            let below = chains.iter().filter(|(target, _)| *target == disk.name);
            chain.extend(below.map(|(_, path)| Image { path: path.into(), format: "qcow2".into(), is_block: false }));
            runtime.images.insert(disk.name.clone(), Chain { is_whole: !chains.is_empty(), images: chain });
        }
    }
    for (fd, interface) in (26..).zip(&domain.devices.interfaces) {
        runtime.taps.insert(super::alias(&interface.alias).to_owned(), Tap { fd, vhost: None });
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

fn command_line(xml: &str) -> Vec<String> {
    let mut domain = complete::tests::domain(xml);
    alias::assign(&mut domain);
    arguments(&domain, &runtime(&domain, &[])).unwrap()
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
    let made = lines(&command_line(definition));
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
    let mut domain = complete::tests::domain(include_str!("../../tests/complete/q35_typical.out.xml"));
    alias::assign(&mut domain);
    let made = lines(&arguments(&domain, &runtime(&domain, &[("vda", "/base"), ("vda", "/root,1")])).unwrap());
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
