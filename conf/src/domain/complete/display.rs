//! Defaults of what shows the guest's screen.

use crate::domain::{
    Connected, Domain, DomainType, GraphicsKind, Listen, ListenAddress, ListenNone, Listens, OsKind, Spice,
    SpiceChannel, SpiceChannelName, Video, VideoKind, VideoModel,
};
use crate::values::YesNo;

/// A card's memory in KiB where nothing else is said.
const CARD_KIB: u64 = 16 * 1024;

pub(super) fn complete(domain: &mut Domain) {
    let runs = domain.id.is_some();
    for graphics in &mut domain.devices.graphics {
        match &mut graphics.kind {
            // The ports were chosen.
            GraphicsKind::Vnc(_) | GraphicsKind::Rdp(_) | GraphicsKind::Spice(_) if runs => {}
            GraphicsKind::Vnc(vnc) => {
                listen(&mut vnc.listens);
                settle_port(&vnc.listens, -1, &mut vnc.port, &mut vnc.autoport);
                vnc.connected.take_if(|connected| *connected == Connected::Keep && vnc.passwd.is_none());
                vnc.passwd_valid_to.take_if(|_| vnc.passwd.is_none());
            }
            GraphicsKind::Rdp(rdp) => {
                listen(&mut rdp.listens);
                settle_port(&rdp.listens, 0, &mut rdp.port, &mut rdp.autoport);
            }
            GraphicsKind::Spice(spice) => settle_spice(spice),
            GraphicsKind::Sdl(_) | GraphicsKind::Desktop(_) | GraphicsKind::EglHeadless(_) | GraphicsKind::Dbus(_) => {}
        }
    }
    complete_videos(domain);
}

fn listen(listens: &mut Listens) {
    if listens.0.is_empty() {
        listens.0.push(Listen::Address(ListenAddress::default()));
    }
}

fn has_port(listens: &Listens) -> bool {
    matches!(listens.0.first(), Some(Listen::Address(_) | Listen::Network(_)))
}

/// -1, 0 and nothing mean that the port is chosen at start; `any` is how that is written.
fn settle_port(listens: &Listens, any: i32, port: &mut Option<i32>, autoport: &mut Option<YesNo>) {
    if !has_port(listens) {
        (*port, *autoport) = (None, None);
    } else if *autoport == Some(YesNo(true)) || (autoport.is_none() && matches!(port, None | Some(0 | -1))) {
        (*port, *autoport) = (Some(any), Some(YesNo(true)));
    } else {
        *autoport = Some(YesNo(false));
        port.take_if(|port| *port == 0);
    }
}

/// Without any port, SPICE listens nowhere.
fn settle_spice(spice: &mut Spice) {
    let place = |channel: &SpiceChannel| SpiceChannelName::ALL.iter().position(|name| *name == channel.name);
    // What is said last of a channel counts.
    spice.channels.reverse();
    spice.channels.sort_by_key(place);
    spice.channels.dedup_by_key(|channel| channel.name);
    spice.passwd_valid_to.take_if(|_| spice.passwd.is_none());
    let has_any = spice.port.is_some() || spice.tls_port.is_some() || spice.autoport == Some(YesNo(true));
    if spice.listens.0.is_empty() {
        spice.listens.0.push(if has_any {
            Listen::Address(ListenAddress::default())
        } else {
            Listen::None(ListenNone::default())
        });
    }
    if !has_port(&spice.listens) {
        (spice.port, spice.tls_port, spice.autoport) = (None, None, None);
        return;
    }
    if spice.port == Some(-1) && spice.tls_port == Some(-1) {
        spice.autoport = Some(YesNo(true));
    }
    if spice.autoport == Some(YesNo(true)) {
        (spice.port, spice.tls_port) = (None, None);
    } else {
        spice.autoport = Some(YesNo(false));
    }
}

/// A screen needs a card; the first card is the primary one, unless another says so and then comes first; memory comes in
/// powers of two.
fn complete_videos(domain: &mut Domain) {
    let default = default_kind(domain);
    let devices = &mut domain.devices;
    if default.is_some() && devices.videos.is_empty() && !devices.graphics.is_empty() {
        let name = String::new();
        devices.videos.push(Video { name, driver: None, model: None, alias: None, acpi: None, address: None });
    }
    for video in &mut devices.videos {
        video.model = video.model.take().or(default.map(VideoModel::new));
    }
    settle_primary(&mut devices.videos);
    devices.videos.iter_mut().for_each(complete_memory);
}

fn settle_primary(videos: &mut [Video]) {
    let is_primary = |video: &Video| video.model.as_ref().is_some_and(|model| model.primary == Some(YesNo(true)));
    if let Some(at) = videos.iter().position(is_primary) {
        videos[..=at].rotate_right(1);
    }
    for (at, video) in videos.iter_mut().enumerate() {
        if let Some(model) = video.model.as_mut().filter(|model| model.r#type != VideoKind::None) {
            model.primary.take_if(|primary| !primary.0);
            if at == 0 {
                model.primary = Some(YesNo(true));
            }
        }
    }
}

/// The card that a screen gets; QEMU's driver chooses by what its binary has.
fn default_kind(domain: &Domain) -> Option<VideoKind> {
    let os = &domain.os.r#type;
    match domain.r#type? {
        DomainType::Test | DomainType::Xen => Some(match os.kind {
            Some(OsKind::Xen | OsKind::Linux) => VideoKind::Xen,
            _ if matches!(os.arch.as_deref(), Some("ppc64" | "ppc64le")) => VideoKind::Vga,
            _ => VideoKind::Cirrus,
        }),
        DomainType::Vbox => Some(VideoKind::Vbox),
        DomainType::Vmware => Some(VideoKind::Vmvga),
        DomainType::Bhyve => Some(VideoKind::Gop),
        DomainType::Vz | DomainType::Parallels if os.kind == Some(OsKind::Hvm) => Some(VideoKind::Vga),
        DomainType::Vz | DomainType::Parallels => Some(VideoKind::Parallels),
        DomainType::Kvm
        | DomainType::Qemu
        | DomainType::Kqemu
        | DomainType::Hvf
        | DomainType::Lxc
        | DomainType::Uml
        | DomainType::Openvz
        | DomainType::Hyperv
        | DomainType::Phyp => None,
    }
}

fn complete_memory(video: &mut Video) {
    let Some(model) = &mut video.model else { return };
    if model.r#type == VideoKind::None {
        return;
    }
    model.heads.get_or_insert(1);
    let vram = match model.r#type {
        VideoKind::Cirrus | VideoKind::Vga | VideoKind::Vmvga | VideoKind::Bochs => Some(CARD_KIB),
        VideoKind::Xen => Some(CARD_KIB / 4),
        VideoKind::Qxl => Some(4 * CARD_KIB),
        VideoKind::Vbox
        | VideoKind::Parallels
        | VideoKind::Virtio
        | VideoKind::Gop
        | VideoKind::None
        | VideoKind::Ramfb => None,
    };
    model.vram = model.vram.or(vram);
    if model.r#type == VideoKind::Qxl {
        model.ram.get_or_insert(4 * CARD_KIB);
    }
    for amount in [&mut model.vram, &mut model.ram, &mut model.vgamem].into_iter().flatten() {
        *amount = amount.checked_next_power_of_two().unwrap_or(*amount);
    }
}
