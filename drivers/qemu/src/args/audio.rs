//! `<audio>`: where the guest's sound goes.

use ostler_conf::domain::{Audio, AudioKind, AudioSettings, AudioStream, PlainAudio, PlainStream};
use ostler_conf::values::YesNo;
use ostler_driver::Result;

use super::{Args, Props, Setup, environment};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    environment::audio(setup, args)?;
    for audio in &setup.domain.devices.audios {
        args.json("-audiodev", &props(audio).into_value());
    }
    Ok(())
}

fn on(switch: Option<YesNo>) -> Option<bool> {
    switch.map(|switch| switch.0)
}

/// What streams of all kinds have. A stream of which nothing is said is left out.
fn stream(common: &AudioStream, settings: Option<&AudioSettings>) -> Props {
    Props::default()
        .maybe("mixing-engine", on(common.mixing_engine))
        .maybe("fixed-settings", on(common.fixed_settings))
        .maybe("voices", common.voices)
        .maybe("buffer-length", common.buffer_length)
        .maybe("frequency", settings.and_then(|settings| settings.frequency))
        .maybe("channels", settings.and_then(|settings| settings.channels))
        .maybe("format", settings.and_then(|settings| settings.format).map(|format| format.word()))
}

fn plain(end: &PlainStream) -> Props {
    stream(&end.common, end.settings.as_ref())
}

fn both<T>(props: Props, input: Option<&T>, output: Option<&T>, end: impl Fn(&T) -> Props) -> Props {
    let end = |stream: Option<&T>| stream.map(|stream| end(stream).into_value());
    let is_said = |value: &serde_json::Value| value.as_object().is_some_and(|members| !members.is_empty());
    props.maybe("in", end(input).filter(is_said)).maybe("out", end(output).filter(is_said))
}

fn props(audio: &Audio) -> Props {
    let start = |driver: &str, period: Option<u32>| {
        Props::default()
            .put("id", format!("audio{}", audio.id))
            .put("driver", driver)
            .maybe("timer-period", period.filter(|period| *period > 0))
    };
    let of_plain = |driver: &str, audio: &PlainAudio| {
        both(start(driver, audio.timer_period), audio.input.as_ref(), audio.output.as_ref(), plain)
    };
    match &audio.kind {
        AudioKind::None(audio) => of_plain("none", audio),
        AudioKind::Spice(audio) => of_plain("spice", audio),
        AudioKind::Dbus(audio) => of_plain("dbus", audio),
        AudioKind::File(audio) => {
            let start = start("wav", audio.timer_period).maybe("path", audio.path.clone());
            both(start, audio.input.as_ref(), audio.output.as_ref(), plain)
        }
        AudioKind::Alsa(audio) => {
            both(start("alsa", audio.timer_period), audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref()).maybe("dev", end.dev.clone())
            })
        }
        AudioKind::Coreaudio(audio) => {
            both(start("coreaudio", audio.timer_period), audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref()).maybe("buffer-count", end.buffer_count)
            })
        }
        AudioKind::Jack(audio) => {
            both(start("jack", audio.timer_period), audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref())
                    .maybe("server-name", end.server_name.clone())
                    .maybe("client-name", end.client_name.clone())
                    .maybe("connect-ports", end.connect_ports.clone())
                    .maybe("exact-name", on(end.exact_name))
            })
        }
        AudioKind::Oss(audio) => {
            let start = start("oss", audio.timer_period)
                .maybe("try-mmap", on(audio.try_mmap))
                .maybe("exclusive", on(audio.exclusive))
                .maybe("dsp-policy", audio.dsp_policy);
            both(start, audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref())
                    .maybe("dev", end.dev.clone())
                    .maybe("buffer-count", end.buffer_count)
                    .maybe("try-poll", on(end.try_poll))
            })
        }
        AudioKind::Pulseaudio(audio) => {
            let start = start("pa", audio.timer_period).maybe("server", audio.server_name.clone());
            both(start, audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref())
                    .maybe("name", end.device.clone())
                    .maybe("stream-name", end.stream_name.clone())
                    .maybe("latency", end.latency)
            })
        }
        AudioKind::Pipewire(audio) => {
            both(start("pipewire", audio.timer_period), audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref())
                    .maybe("name", end.device.clone())
                    .maybe("stream-name", end.stream_name.clone())
                    .maybe("latency", end.latency)
            })
        }
        AudioKind::Sdl(audio) => {
            both(start("sdl", audio.timer_period), audio.input.as_ref(), audio.output.as_ref(), |end| {
                stream(&end.common, end.settings.as_ref()).maybe("buffer-count", end.buffer_count)
            })
        }
    }
}
