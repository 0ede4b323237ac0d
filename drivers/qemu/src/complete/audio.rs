//! The host's side of the guest's sound.

use ostler_conf::Domain;
use ostler_conf::domain::{
    AlsaAudio, Audio, AudioKind, CoreAudio, FileAudio, GraphicsKind, JackAudio, OssAudio, PipewireAudio, PlainAudio,
    PulseAudio, SdlAudio, SdlDriver,
};

use super::Settings;

/// Sound goes where the screen does, else nowhere unless the host's setup says so.
pub(super) fn complete(domain: &mut Domain, settings: &Settings) {
    let devices = &mut domain.devices;
    if !devices.audios.is_empty() {
        return;
    }
    // SPICE carries sound, whatever else shows the screen.
    let spice = devices.graphics.iter().find(|graphics| matches!(graphics.kind, GraphicsKind::Spice(_)));
    let kind = match spice.or(devices.graphics.first()).map(|graphics| &graphics.kind) {
        Some(GraphicsKind::Spice(_)) => AudioKind::Spice(PlainAudio::default()),
        // These have sound of their own, which QEMU chooses unless the environment does.
        Some(GraphicsKind::Sdl(_)) => match of_host(settings) {
            Some(kind) => kind,
            None => return,
        },
        Some(
            GraphicsKind::EglHeadless(_) | GraphicsKind::Dbus(_) | GraphicsKind::Desktop(_) | GraphicsKind::Rdp(_),
        ) => {
            return;
        }
        Some(GraphicsKind::Vnc(_)) if settings.vnc_allows_host_audio => of_host(settings).unwrap_or_else(none),
        None if settings.no_graphics_allows_host_audio => of_host(settings).unwrap_or_else(none),
        Some(GraphicsKind::Vnc(_)) | None => none(),
    };
    devices.audios.push(Audio { name: String::new(), id: 1, kind });
}

fn none() -> AudioKind {
    AudioKind::None(PlainAudio::default())
}

/// What the host's environment asks for.
fn of_host(settings: &Settings) -> Option<AudioKind> {
    let audio = settings.host_audio.as_ref()?;
    Some(match audio.driver.as_str() {
        "alsa" => AudioKind::Alsa(AlsaAudio::default()),
        "coreaudio" => AudioKind::Coreaudio(CoreAudio::default()),
        "jack" => AudioKind::Jack(JackAudio::default()),
        "oss" => AudioKind::Oss(OssAudio::default()),
        "pa" => AudioKind::Pulseaudio(PulseAudio::default()),
        "pipewire" => AudioKind::Pipewire(PipewireAudio::default()),
        "wav" => AudioKind::File(FileAudio::default()),
        "spice" => AudioKind::Spice(PlainAudio::default()),
        "sdl" => {
            let driver = match audio.sdl_driver.as_deref() {
                Some("esd") => Some(SdlDriver::Esd),
                Some("alsa") => Some(SdlDriver::Alsa),
                Some("arts") => Some(SdlDriver::Arts),
                Some("pulseaudio") => Some(SdlDriver::Pulseaudio),
                _ => None,
            };
            AudioKind::Sdl(SdlAudio { driver, ..SdlAudio::default() })
        }
        _ => none(),
    })
}
