//! Serial ports, consoles and channels.

use ostler_conf::Domain;
use ostler_conf::domain::{
    CharSource, CharSourceUnix, CharSourceUnixMode, ConsoleTargetKind, GraphicsKind, Listen, Serial, SerialTarget,
    SerialTargetKind as Kind, SerialTargetModel, SerialTargetModelName as Model,
};

use super::machine::{Arch, arch};
use super::{MachineFamily, machine};

/// Where libvirt makes sockets for a run, of which people paste.
pub(super) const MADE_SOCKETS: &[&str] = &[
    "/var/lib/libvirt/qemu/channel/target/",
    "/var/lib/libvirt/qemu/channel/",
    "/var/run/libvirt/qemu/channel/",
    "/run/libvirt/qemu/channel/",
    "/var/lib/libvirt/qemu/domain-",
];

/// Whether a channel's socket is named as libvirt names those that it makes, for the guest or for one run.
fn is_made_channel(path: &str, name: &str) -> bool {
    let Some(rest) = MADE_SOCKETS.iter().find_map(|beginning| path.strip_prefix(beginning)) else { return false };
    match rest.split_once('/') {
        None => rest.ends_with(&format!(".{name}")),
        Some((folder, file)) => {
            file == name
                && folder.split('-').next().is_some_and(|first| first == "domain" || first.parse::<u32>().is_ok())
        }
    }
}

/// Forgets the sockets that libvirt made for a run: they are made anew.
pub(super) fn forget_made(domain: &mut Domain) {
    for graphics in &mut domain.devices.graphics {
        let GraphicsKind::Vnc(vnc) = &mut graphics.kind else { continue };
        vnc.listens.0.retain(|listen| match listen {
            Listen::Socket(listen) => {
                let is_made = |path: &String| MADE_SOCKETS.iter().any(|beginning| path.starts_with(beginning));
                !listen.socket.as_ref().is_some_and(is_made)
            }
            _ => true,
        });
    }
    for channel in &mut domain.devices.channels {
        if let Some(CharSource::Unix(unix)) = &mut channel.source {
            let name = channel.target.as_ref().and_then(|target| target.name.as_deref());
            unix.path.take_if(|path| is_made_channel(path, name.unwrap_or_default()));
        }
    }
}

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

pub(super) fn complete_serials(domain: &mut Domain) {
    let (default, system) = default_serial(domain);
    domain.devices.serials.iter_mut().for_each(|serial| complete_serial(serial, default, system));
}

fn complete_serial(serial: &mut Serial, default: Option<Kind>, system: Option<Model>) {
    let target = serial.target.get_or_insert(SerialTarget { r#type: None, port: None, model: None });
    // People copy definitions from PCs to machines that never had such a port.
    let is_virt = matches!(default, Some(Kind::SystemSerial | Kind::SpaprVioSerial));
    if is_virt && target.r#type == Some(Kind::IsaSerial) {
        (target.r#type, target.model) = (None, None);
    }
    target.r#type = target.r#type.or(default);
    let model = match target.r#type {
        Some(Kind::IsaSerial) => Some(Model::IsaSerial),
        Some(Kind::UsbSerial) => Some(Model::UsbSerial),
        Some(Kind::PciSerial) => Some(Model::PciSerial),
        Some(Kind::SpaprVioSerial) => Some(Model::SpaprVty),
        Some(Kind::SystemSerial) => system,
        Some(Kind::SclpSerial) => Some(Model::Sclpconsole),
        Some(Kind::IsaDebug) => Some(Model::IsaDebugcon),
        None => None,
    };
    if target.model.is_none() {
        target.model = model.map(|name| SerialTargetModel { name });
    }
}

/// The kind of serial port that a machine has, and what it is called where it is part of the machine.
fn default_serial(domain: &Domain) -> (Option<Kind>, Option<Model>) {
    match (machine(domain), arch(domain)) {
        (_, Arch::X86) => (Some(Kind::IsaSerial), None),
        (MachineFamily::Pseries, _) => (Some(Kind::SpaprVioSerial), None),
        (MachineFamily::ArmVirt, _) => (Some(Kind::SystemSerial), Some(Model::Pl011)),
        (MachineFamily::RiscvVirt | MachineFamily::LoongarchVirt, _) => (Some(Kind::SystemSerial), Some(Model::A16550)),
        (_, Arch::S390) => (Some(Kind::SclpSerial), None),
        _ => (None, None),
    }
}

/// The first console is the first serial port, wherever that is.
pub(super) fn repeat_first_serial(domain: &mut Domain) {
    let devices = &mut domain.devices;
    let (Some(serial), Some(console)) = (devices.serials.first(), devices.consoles.first_mut()) else { return };
    if console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Serial)) {
        console.address.clone_from(&serial.address);
    }
}
