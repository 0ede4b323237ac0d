//! Cards: a screen needs one, and the machine says which.

use ostler_conf::Domain;
use ostler_conf::domain::{Video, VideoKind, VideoModel};

use super::machine::{Arch, arch};
use super::{Host, MachineFamily, machine};
use crate::probe::Flag;

/// What QXL shows at most, in KiB.
const QXL_VGAMEM_KIB: u64 = 16 * 1024;

pub(super) fn complete_before(domain: &mut Domain, host: &Host) {
    let default = default_kind(domain, host);
    let devices = &mut domain.devices;
    if devices.videos.is_empty() && !devices.graphics.is_empty() {
        let name = String::new();
        devices.videos.push(Video { name, driver: None, model: None, alias: None, acpi: None, address: None });
    }
    for video in &mut devices.videos {
        video.model = video.model.take().or(default.map(VideoModel::new));
    }
}

pub(super) fn complete(domain: &mut Domain) {
    for model in domain.devices.videos.iter_mut().filter_map(|video| video.model.as_mut()) {
        if model.r#type == VideoKind::Qxl {
            model.vgamem.get_or_insert(QXL_VGAMEM_KIB);
        }
    }
}

fn default_kind(domain: &Domain, host: &Host) -> Option<VideoKind> {
    use MachineFamily as Family;
    match (machine(domain), arch(domain)) {
        (_, Arch::Ppc64) => Some(VideoKind::Vga),
        (Family::ArmVirt | Family::RiscvVirt | Family::LoongarchVirt | Family::S390Ccw, _) => Some(VideoKind::Virtio),
        _ => [(Flag::CirrusVga, VideoKind::Cirrus), (Flag::VGA, VideoKind::Vga), (Flag::VirtioGpu, VideoKind::Virtio)]
            .into_iter()
            .find(|(flag, _)| host.capabilities.has(*flag))
            .map(|(_, kind)| kind),
    }
}
