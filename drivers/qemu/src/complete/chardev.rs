//! Serial ports, consoles and channels.

use ostler_conf::Domain;
use ostler_conf::domain::{
    CharSource, CharSourceUnix, CharSourceUnixMode, Console, ConsoleTarget, ConsoleTargetKind, Devices, Serial,
    SerialTarget, SerialTargetKind as Kind, SerialTargetModel, SerialTargetModelName as Model,
};

pub(super) fn complete_before(domain: &mut Domain) {
    for channel in &mut domain.devices.channels {
        // What a channel is for is a socket of the host's; a pseudo-terminal must be asked for.
        let source = channel.source.get_or_insert(CharSource::Unix(CharSourceUnix::default()));
        // libvirt leaves out that the hypervisor listens, where it chooses the socket.
        if let CharSource::Unix(CharSourceUnix { mode: mode @ Some(CharSourceUnixMode::Bind), path: None, .. }) = source
        {
            *mode = None;
        }
    }
    let first_is_other = domain.devices.consoles.first().is_some_and(|console| {
        console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Virtio))
    });
    if first_is_other && domain.devices.serials.first().is_some_and(shows_as_console) {
        let target = Some(ConsoleTarget { r#type: Some(ConsoleTargetKind::Serial), port: None });
        let console =
            Console { name: String::new(), tty: None, source: None, log: None, target, alias: None, address: None };
        domain.devices.consoles.insert(0, console);
    }
}

/// The first serial port shows up as the first console only if it is one that a machine boots with.
fn shows_as_console(serial: &Serial) -> bool {
    !matches!(serial.target.as_ref().and_then(|target| target.r#type), Some(Kind::PciSerial | Kind::UsbSerial))
}

/// `had_console`: whether there was one before the driver-independent completion added its own.
pub(super) fn complete(domain: &mut Domain, had_console: bool) {
    let devices = &mut domain.devices;
    if !had_console && !devices.serials.first().is_some_and(shows_as_console) {
        devices.consoles.clear();
    }
    devices.serials.iter_mut().for_each(complete_serial);
}

fn complete_serial(serial: &mut Serial) {
    let target = serial.target.get_or_insert(SerialTarget { r#type: None, port: None, model: None });
    let kind = *target.r#type.get_or_insert(Kind::IsaSerial);
    let model = match kind {
        Kind::IsaSerial => Some(Model::IsaSerial),
        Kind::UsbSerial => Some(Model::UsbSerial),
        Kind::PciSerial => Some(Model::PciSerial),
        Kind::SystemSerial | Kind::SpaprVioSerial | Kind::SclpSerial | Kind::IsaDebug => None,
    };
    if target.model.is_none() {
        target.model = model.map(|name| SerialTargetModel { name });
    }
}

pub(super) fn forget_live_values(devices: &mut Devices) {
    for console in &mut devices.consoles {
        console.tty = None;
    }
    let sources = devices.serials.iter_mut().map(|device| &mut device.source);
    let sources = sources.chain(devices.consoles.iter_mut().map(|device| &mut device.source));
    for source in sources.chain(devices.channels.iter_mut().map(|device| &mut device.source)) {
        if let Some(CharSource::Pty(source)) = source {
            source.path = None;
        }
    }
}
