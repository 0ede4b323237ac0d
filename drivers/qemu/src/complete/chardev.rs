//! Serial ports, consoles and channels.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Channel, ChannelTargetKind, CharSource, CharSourceUnix, CharSourceUnixMode, Devices, Serial, SerialTarget,
    SerialTargetKind as Kind, SerialTargetModel, SerialTargetModelName as Model, VirtioSerialAddress,
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
}

pub(super) fn complete(domain: &mut Domain) {
    let devices = &mut domain.devices;
    devices.serials.iter_mut().for_each(complete_serial);
    complete_channels(&mut devices.channels);
}

/// Gives each channel of virtio serial a free port; port 0 is kept for a console.
fn complete_channels(channels: &mut [Channel]) {
    for at in 0..channels.len() {
        let is_virtio = channels[at].target.as_ref().is_some_and(|target| target.r#type == ChannelTargetKind::Virtio);
        if channels[at].address.is_some() || !is_virtio {
            continue;
        }
        let is_taken = |port| {
            channels.iter().any(|channel| {
                matches!(&channel.address, Some(Address::VirtioSerial(address)) if address.port == Some(port))
            })
        };
        channels[at].address = (1..).find(|port| !is_taken(*port)).map(|port| {
            Address::VirtioSerial(VirtioSerialAddress { controller: Some(0), bus: Some(0), port: Some(port) })
        });
    }
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
