//! `<sound>`

use ostler_conf_derive::element;

use super::{AcpiIndex, Address, Alias, AudioRef, VirtioOptions};
use crate::values::YesNo;
use crate::words;

/// A sound card.
#[element]
pub struct Sound {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// The card.
    #[xml(attr)]
    pub model: SoundModel,
    /// Whether a USB card has many channels.
    #[xml(attr)]
    pub multichannel: Option<YesNo>,
    /// How many streams a virtio card has.
    #[xml(attr)]
    pub streams: Option<u32>,
    /// What is connected to a card of Intel's HD audio.
    #[xml(name = "codec")]
    pub codecs: Vec<Codec>,
    /// The host's side.
    pub audio: Option<AudioRef>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
    /// How virtio is spoken.
    pub driver: Option<VirtioOptions>,
}

/// `<codec type='duplex'/>`: what is connected to a card.
#[element]
pub struct Codec {
    /// What the codec can do: play, record, or both.
    #[xml(attr)]
    pub r#type: CodecKind,
}

words! {
    /// A sound card.
    pub enum SoundModel {
        Sb16 = "sb16", Es1370 = "es1370", Pcspk = "pcspk", Ac97 = "ac97", Ich6 = "ich6", Ich9 = "ich9", Usb = "usb",
        Ich7 = "ich7", Virtio = "virtio",
    }

    /// What is connected to a card.
    pub enum CodecKind { Duplex = "duplex", Micro = "micro", Output = "output", }
}
