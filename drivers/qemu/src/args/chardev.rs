//! Serial ports, channels and consoles.

use ostler_conf::Domain;
use ostler_conf::domain::{Address, CharSource, ConsoleTargetKind, SerialTargetKind};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::{Args, Runtime, address, alias, escape, object};

pub(super) fn all(domain: &Domain, runtime: &Runtime, args: &mut Args) -> Result<()> {
    for serial in &domain.devices.serials {
        backend(alias(&serial.alias), &serial.source, runtime, args)?;
        let name = alias(&serial.alias);
        let target = serial.target.as_ref();
        let (driver, index) = match target.and_then(|target| target.r#type) {
            Some(SerialTargetKind::UsbSerial) => ("usb-serial", None),
            Some(SerialTargetKind::PciSerial) => ("pci-serial", None),
            Some(
                SerialTargetKind::IsaSerial
                | SerialTargetKind::SystemSerial
                | SerialTargetKind::SpaprVioSerial
                | SerialTargetKind::SclpSerial
                | SerialTargetKind::IsaDebug,
            )
            | None => ("isa-serial", target.and_then(|target| target.port)),
        };
        let mut members = vec![
            ("driver", json!(driver)),
            ("chardev", json!(format!("char{name}"))),
            ("id", json!(name)),
            ("index", json!(index)),
        ];
        if driver != "isa-serial" {
            members.extend(address::members(domain, &serial.address)?);
        }
        args.device(&object(members));
    }
    for channel in &domain.devices.channels {
        let name = alias(&channel.alias);
        backend(name, &channel.source, runtime, args)?;
        let mut members = vec![("driver", json!("virtserialport"))];
        members.extend(virtio_port(&channel.address));
        members.extend([
            ("chardev", json!(format!("char{name}"))),
            ("id", json!(name)),
            ("name", json!(channel.target.as_ref().and_then(|target| target.name.clone()))),
        ]);
        args.device(&object(members));
    }
    for console in &domain.devices.consoles {
        // The others are serial ports that were said already.
        if console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Virtio)) {
            let name = alias(&console.alias);
            backend(name, &console.source, runtime, args)?;
            let mut members = vec![("driver", json!("virtconsole"))];
            members.extend(virtio_port(&console.address));
            members.extend([("chardev", json!(format!("char{name}"))), ("id", json!(name))]);
            args.device(&object(members));
        }
    }
    Ok(())
}

fn virtio_port(address: &Option<Address>) -> Vec<(&'static str, Value)> {
    match address {
        Some(Address::VirtioSerial(place)) => {
            let bus = format!("virtio-serial{}.{}", place.controller.unwrap_or(0), place.bus.unwrap_or(0));
            vec![("bus", json!(bus)), ("nr", json!(place.port))]
        }
        _ => Vec::new(),
    }
}

/// The host's side of the device with this alias.
fn backend(name: &str, source: &Option<CharSource>, runtime: &Runtime, args: &mut Args) -> Result<()> {
    let fds = runtime.chardevs.get(name).copied().unwrap_or_default();
    let not_open =
        || Error::new(ErrorCode::InternalError, format!("nothing was opened for the character device '{name}'"));
    let kind = match source {
        Some(CharSource::Null(_)) => format!("null,id=char{name}"),
        Some(CharSource::Pty(_)) | None => format!("pty,id=char{name}"),
        Some(CharSource::File(_)) => {
            let path = args.descriptor(fds.file.ok_or_else(not_open)?, &format!("{name}-source"));
            format!("file,id=char{name},path={path},append=on")
        }
        Some(CharSource::Unix(unix)) => match (fds.socket, &unix.path) {
            (Some(fd), _) => format!("socket,id=char{name},fd={fd},server=on,wait=off"),
            (None, Some(path)) => format!("socket,id=char{name},path={}", escape(path)),
            (None, None) => return Err(not_open()),
        },
        // `check` refuses it.
        Some(_) => return Err(not_open()),
    };
    let log = fds.log.map(|fd| format!(",logfile={},logappend=on", args.descriptor(fd, &format!("{name}-log"))));
    args.option("-chardev", kind + &log.unwrap_or_default());
    Ok(())
}
