//! Defaults of what shows the guest's screen.

use crate::domain::{Connected, Graphics, GraphicsKind, Listen, ListenAddress, Listens, Spice, Video, VideoKind};
use crate::values::YesNo;

/// A card's memory in KiB where nothing else is said.
const CIRRUS_VRAM_KIB: u64 = 16 * 1024;

pub(super) fn complete(graphics: &mut [Graphics], videos: &mut [Video]) {
    for graphics in graphics {
        match &mut graphics.kind {
            GraphicsKind::Vnc(vnc) => {
                listen(&mut vnc.listens);
                settle_port(&vnc.listens, &mut vnc.port, &mut vnc.autoport);
                vnc.connected.take_if(|connected| *connected == Connected::Keep && vnc.passwd.is_none());
            }
            GraphicsKind::Rdp(rdp) => {
                listen(&mut rdp.listens);
                settle_port(&rdp.listens, &mut rdp.port, &mut rdp.autoport);
            }
            GraphicsKind::Spice(spice) => {
                listen(&mut spice.listens);
                settle_spice(spice);
            }
            GraphicsKind::Sdl(_) | GraphicsKind::Desktop(_) | GraphicsKind::EglHeadless(_) | GraphicsKind::Dbus(_) => {}
        }
    }
    complete_videos(videos);
}

fn listen(listens: &mut Listens) {
    if listens.0.is_empty() {
        listens.0.push(Listen::Address(ListenAddress::default()));
    }
}

fn has_port(listens: &Listens) -> bool {
    matches!(listens.0.first(), Some(Listen::Address(_) | Listen::Network(_)))
}

/// -1, 0 and nothing mean that the port is chosen at start.
fn settle_port(listens: &Listens, port: &mut Option<i32>, autoport: &mut Option<YesNo>) {
    if !has_port(listens) {
        (*port, *autoport) = (None, None);
    } else if *autoport == Some(YesNo(true)) || matches!(port, None | Some(0 | -1)) {
        (*port, *autoport) = (Some(-1), Some(YesNo(true)));
    } else {
        *autoport = Some(YesNo(false));
    }
}

fn settle_spice(spice: &mut Spice) {
    if !has_port(&spice.listens) {
        (spice.port, spice.tls_port, spice.autoport) = (None, None, None);
        return;
    }
    if spice.port == Some(-1) && spice.tls_port == Some(-1) {
        spice.autoport = Some(YesNo(true));
    }
    if spice.autoport == Some(YesNo(true)) {
        (spice.port, spice.tls_port) = (None, None);
    } else if spice.port.is_some() || spice.tls_port.is_some() {
        spice.autoport = Some(YesNo(false));
    }
}

/// The first card is the primary one; memory comes in powers of two.
fn complete_videos(videos: &mut [Video]) {
    let has_primary = videos.iter().any(|video| video.model.as_ref().is_some_and(|model| model.primary.is_some()));
    for (at, video) in videos.iter_mut().enumerate() {
        let Some(model) = &mut video.model else { continue };
        if model.r#type == VideoKind::None {
            continue;
        }
        if at == 0 && !has_primary {
            model.primary = Some(YesNo(true));
        }
        model.heads.get_or_insert(1);
        let vram = match model.r#type {
            VideoKind::Cirrus | VideoKind::Vga | VideoKind::Vmvga => Some(CIRRUS_VRAM_KIB),
            VideoKind::Qxl => Some(4 * CIRRUS_VRAM_KIB),
            _ => None,
        };
        if model.vram.is_none() {
            model.vram = vram;
        }
        if model.r#type == VideoKind::Qxl {
            model.ram.get_or_insert(4 * CIRRUS_VRAM_KIB);
            model.vgamem.get_or_insert(CIRRUS_VRAM_KIB);
        }
        for amount in [&mut model.vram, &mut model.ram, &mut model.vgamem].into_iter().flatten() {
            *amount = amount.next_power_of_two();
        }
    }
}
