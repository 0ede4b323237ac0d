//! `<audio>`: the host's side of the guest's sound.

use ostler_conf_derive::{element, union};

use crate::values::YesNo;
use crate::words;

/// The host's side of the guest's sound.
#[element]
pub struct Audio {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// Its number, from 1.
    #[xml(attr)]
    pub id: u32,
    /// Where the sound goes.
    #[xml(choice = "type", flatten, in_place)]
    pub kind: AudioKind,
}

/// Where a guest's sound goes; `type=` on `<audio>` names it.
#[union]
pub enum AudioKind {
    /// Nowhere.
    None(PlainAudio),
    /// ALSA.
    Alsa(AlsaAudio),
    /// Core Audio.
    Coreaudio(CoreAudio),
    /// JACK.
    Jack(JackAudio),
    /// OSS.
    Oss(OssAudio),
    /// PulseAudio.
    Pulseaudio(PulseAudio),
    /// SDL.
    Sdl(SdlAudio),
    /// SPICE.
    Spice(PlainAudio),
    /// A file.
    File(FileAudio),
    /// D-Bus.
    Dbus(PlainAudio),
    /// PipeWire.
    Pipewire(PipewireAudio),
}

/// What every direction may say.
#[element]
pub struct AudioStream {
    /// Whether streams are mixed by the hypervisor.
    #[xml(attr)]
    pub mixing_engine: Option<YesNo>,
    /// Whether the settings below count, whatever the guest asks.
    #[xml(attr)]
    pub fixed_settings: Option<YesNo>,
    /// How many streams there may be.
    #[xml(attr)]
    pub voices: Option<u32>,
    /// How much is kept ready, in microseconds.
    #[xml(attr)]
    pub buffer_length: Option<u32>,
}

/// `<settings frequency='44100' channels='2' format='s16'/>`: the settings of a direction.
#[element]
pub struct AudioSettings {
    /// Samples a second.
    #[xml(attr)]
    pub frequency: Option<u32>,
    /// Channels.
    #[xml(attr)]
    pub channels: Option<u32>,
    /// What a sample is.
    #[xml(attr)]
    pub format: Option<AudioFormat>,
}

/// One direction.
#[element]
pub struct PlainStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// Nothing more to say.
#[element]
pub struct PlainAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// What comes from the host.
    pub input: Option<PlainStream>,
    /// What goes to the host.
    pub output: Option<PlainStream>,
}

/// One direction of ALSA.
#[element]
pub struct AlsaStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// The host's device.
    #[xml(attr)]
    pub dev: Option<String>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// ALSA.
#[element]
pub struct AlsaAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// What comes from the host.
    pub input: Option<AlsaStream>,
    /// What goes to the host.
    pub output: Option<AlsaStream>,
}

/// One direction of Core Audio.
#[element]
pub struct CoreStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// How many buffers.
    #[xml(attr)]
    pub buffer_count: Option<u32>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// Core Audio.
#[element]
pub struct CoreAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// What comes from the host.
    pub input: Option<CoreStream>,
    /// What goes to the host.
    pub output: Option<CoreStream>,
}

/// One direction of JACK.
#[element]
pub struct JackStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// The server.
    #[xml(attr)]
    pub server_name: Option<String>,
    /// Our name there.
    #[xml(attr)]
    pub client_name: Option<String>,
    /// The ports to connect to, as a regular expression.
    #[xml(attr)]
    pub connect_ports: Option<String>,
    /// Whether the name must be just that.
    #[xml(attr)]
    pub exact_name: Option<YesNo>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// JACK.
#[element]
pub struct JackAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// What comes from the host.
    pub input: Option<JackStream>,
    /// What goes to the host.
    pub output: Option<JackStream>,
}

/// One direction of OSS.
#[element]
pub struct OssStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// The host's device.
    #[xml(attr)]
    pub dev: Option<String>,
    /// How many buffers.
    #[xml(attr)]
    pub buffer_count: Option<u32>,
    /// Whether to wait for it.
    #[xml(attr)]
    pub try_poll: Option<YesNo>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// OSS.
#[element]
pub struct OssAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// Whether to map its memory.
    #[xml(attr, name = "tryMMap")]
    pub try_mmap: Option<YesNo>,
    /// Whether nobody else may use it.
    #[xml(attr)]
    pub exclusive: Option<YesNo>,
    /// How much it buffers, from 0 to 10.
    #[xml(attr)]
    pub dsp_policy: Option<i32>,
    /// What comes from the host.
    pub input: Option<OssStream>,
    /// What goes to the host.
    pub output: Option<OssStream>,
}

/// One direction of PulseAudio.
#[element]
pub struct PulseStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// The server's device.
    #[xml(attr, name = "name")]
    pub device: Option<String>,
    /// The stream's name.
    #[xml(attr)]
    pub stream_name: Option<String>,
    /// How late it may be, in microseconds.
    #[xml(attr)]
    pub latency: Option<u32>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// PulseAudio.
#[element]
pub struct PulseAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// The server.
    #[xml(attr)]
    pub server_name: Option<String>,
    /// What comes from the host.
    pub input: Option<PulseStream>,
    /// What goes to the host.
    pub output: Option<PulseStream>,
}

/// One direction of SDL.
#[element]
pub struct SdlStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// How many buffers.
    #[xml(attr)]
    pub buffer_count: Option<u32>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// SDL.
#[element]
pub struct SdlAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// SDL's own driver.
    #[xml(attr)]
    pub driver: Option<SdlDriver>,
    /// What comes from the host.
    pub input: Option<SdlStream>,
    /// What goes to the host.
    pub output: Option<SdlStream>,
}

/// A file.
#[element]
pub struct FileAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// Its path. Needs a grant.
    #[xml(attr)]
    pub path: Option<String>,
    /// What comes from the host.
    pub input: Option<PlainStream>,
    /// What goes to the host.
    pub output: Option<PlainStream>,
}

/// One direction of PipeWire.
#[element]
pub struct PipewireStream {
    /// What every direction may say.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub common: AudioStream,
    /// The server's device.
    #[xml(attr, name = "name")]
    pub device: Option<String>,
    /// The stream's name.
    #[xml(attr)]
    pub stream_name: Option<String>,
    /// How late it may be, in microseconds.
    #[xml(attr)]
    pub latency: Option<u32>,
    /// What the settings are.
    pub settings: Option<AudioSettings>,
}

/// PipeWire.
#[element]
pub struct PipewireAudio {
    /// How often it is looked after, in microseconds.
    #[xml(attr)]
    pub timer_period: Option<u32>,
    /// The folder of its socket.
    #[xml(attr)]
    pub runtime_dir: Option<String>,
    /// What comes from the host.
    pub input: Option<PipewireStream>,
    /// What goes to the host.
    pub output: Option<PipewireStream>,
}

words! {
    /// What a sample is.
    pub enum AudioFormat { U8 = "u8", S8 = "s8", U16 = "u16", S16 = "s16", U32 = "u32", S32 = "s32", F32 = "f32", }

    /// SDL's own driver.
    pub enum SdlDriver { Esd = "esd", Alsa = "alsa", Arts = "arts", Pulseaudio = "pulseaudio", }
}
