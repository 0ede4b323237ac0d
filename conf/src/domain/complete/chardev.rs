//! Defaults of character devices.

use crate::domain::{
    CharProtocol, CharSource, CharSourcePath, CharSourceUnixMode, Console, ConsoleTarget, ConsoleTargetKind, Domain,
    OsKind, RngBackend, Serial, SerialTarget, SerialTargetKind, SmartcardMode,
};

/// Who calls whom, where it is not said.
fn complete_source(source: &mut CharSource) {
    match source {
        CharSource::Tcp(tcp) => {
            tcp.mode.get_or_insert(CharSourceUnixMode::Connect);
            tcp.protocol.get_or_insert(CharProtocol::Raw);
        }
        // Where the hypervisor chooses the socket, it listens.
        CharSource::Unix(unix) if unix.path.is_none() => unix.mode = None,
        CharSource::Unix(unix) => {
            unix.mode.get_or_insert(CharSourceUnixMode::Connect);
        }
        _ => {}
    }
}

pub(super) fn complete(domain: &mut Domain) {
    let devices = &mut domain.devices;
    let sources = devices.serials.iter_mut().filter_map(|device| device.source.as_mut());
    let sources = sources.chain(devices.parallels.iter_mut().filter_map(|device| device.source.as_mut()));
    let sources = sources.chain(devices.consoles.iter_mut().filter_map(|device| device.source.as_mut()));
    let sources = sources.chain(devices.channels.iter_mut().filter_map(|device| device.source.as_mut()));
    let sources = sources.chain(devices.rngs.iter_mut().filter_map(|rng| match &mut rng.backend {
        RngBackend::Egd(egd) => Some(&mut egd.source),
        RngBackend::Random(_) | RngBackend::Builtin(_) => None,
    }));
    let sources = sources.chain(devices.smartcards.iter_mut().filter_map(|card| match &mut card.mode {
        SmartcardMode::Passthrough(card) => Some(&mut card.source),
        SmartcardMode::Host(_) | SmartcardMode::HostCertificates(_) => None,
    }));
    sources.chain(devices.redirdevs.iter_mut().map(|device| &mut device.source)).for_each(complete_source);
    for parallel in &mut devices.parallels {
        parallel.source.get_or_insert_with(pty);
    }
    for serial in &mut devices.serials {
        serial.source.get_or_insert_with(pty);
    }
    for console in &mut devices.consoles {
        console.source.get_or_insert_with(pty);
        let target = console.target.get_or_insert(ConsoleTarget { r#type: None, port: None });
        target.r#type.get_or_insert(ConsoleTargetKind::Serial);
    }
    if domain.os.r#type.kind == Some(OsKind::Hvm) {
        join_serial_and_console(domain);
    }
    let devices = &mut domain.devices;
    number(devices.parallels.iter_mut().map(|device| &mut device.target.get_or_insert_default().port));
    number(devices.serials.iter_mut().map(|device| &mut device.target.get_or_insert_with(serial_target).port));
    // Consoles are counted, whatever is said.
    for (port, console) in (0..).zip(&mut devices.consoles) {
        if let Some(target) = &mut console.target {
            target.port = Some(port);
        }
    }
    // The first is the first serial port itself, with its number.
    if let (Some(serial), Some(console)) = (devices.serials.first(), devices.consoles.first_mut())
        && let Some(target) = console.target.as_mut().filter(|t| t.r#type == Some(ConsoleTargetKind::Serial))
        && domain.os.r#type.kind == Some(OsKind::Hvm)
    {
        target.port = serial.target.as_ref().and_then(|target| target.port).or(target.port);
    }
}

/// A port without a number has the one behind the highest before it.
fn number<'a>(ports: impl Iterator<Item = &'a mut Option<u32>>) {
    let mut next = 0;
    for port in ports {
        next = next.max(port.get_or_insert(next).saturating_add(1));
    }
}

fn serial_target() -> SerialTarget {
    SerialTarget { r#type: None, port: None, model: None }
}

/// The first serial port shows up as the first console only if it is one that a machine boots with.
fn shows_as_console(serial: &Serial) -> bool {
    let kind = serial.target.as_ref().and_then(|target| target.r#type);
    !matches!(kind, Some(SerialTargetKind::PciSerial | SerialTargetKind::UsbSerial | SerialTargetKind::IsaDebug))
}

/// The first serial port of a hardware-like guest shows up as its first console, and the other way round.
fn join_serial_and_console(domain: &mut Domain) {
    let devices = &mut domain.devices;
    let is_serial =
        |console: &Console| console.target.as_ref().is_some_and(|t| t.r#type == Some(ConsoleTargetKind::Serial));
    match (devices.serials.first(), devices.consoles.first_mut()) {
        (None, Some(console)) if is_serial(console) => devices.serials.push(Serial {
            name: String::new(),
            source: console.source.clone(),
            log: console.log.clone(),
            target: Some(SerialTarget { port: Some(0), ..serial_target() }),
            alias: None,
            address: None,
        }),
        // Said twice, the serial port is right.
        (Some(serial), Some(console)) if is_serial(console) => {
            (console.source, console.log) = (serial.source.clone(), serial.log.clone());
        }
        (Some(serial), _) if shows_as_console(serial) => {
            let console = Console {
                name: String::new(),
                tty: None,
                source: serial.source.clone(),
                log: serial.log.clone(),
                target: Some(ConsoleTarget { r#type: Some(ConsoleTargetKind::Serial), port: Some(0) }),
                alias: None,
                address: None,
            };
            devices.consoles.insert(0, console);
        }
        (Some(_), _) | (None, _) => {}
    }
}

fn pty() -> CharSource {
    CharSource::Pty(CharSourcePath::default())
}
