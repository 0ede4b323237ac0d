//! `<sound>`: sound cards.

use ostler_conf::domain::{CodecKind, Sound, SoundModel};
use ostler_driver::Result;

use super::{Args, Props, Setup, alias, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for sound in &setup.domain.devices.sounds {
        let name = alias(&sound.alias);
        let audio = sound.audio.as_ref().map(|audio| audio.id).or(setup.first_audio());
        let audio = audio.map(|id| format!("audio{id}"));
        let props = match sound.model {
            // It is part of the machine, which has its own word for where its sound goes.
            SoundModel::Pcspk => continue,
            SoundModel::Virtio => virtio::device("virtio-sound", None, &sound.address, sound.driver.as_ref()),
            model => Props::driver(driver(model)),
        };
        let has_codecs = matches!(sound.model, SoundModel::Ich6 | SoundModel::Ich9);
        let props = props
            .put("id", name)
            .maybe("audiodev", audio.clone().filter(|_| !has_codecs))
            .maybe("multi", sound.multichannel.map(|on| on.0).filter(|_| sound.model == SoundModel::Usb))
            .maybe("streams", sound.streams.filter(|_| sound.model == SoundModel::Virtio))
            .address(setup.domain, &sound.address)?
            .acpi_index(sound.acpi.as_ref());
        args.device(setup, props);
        if has_codecs {
            codecs(setup, sound, name, audio, args);
        }
    }
    Ok(())
}

const fn driver(model: SoundModel) -> &'static str {
    match model {
        SoundModel::Sb16 => "sb16",
        SoundModel::Es1370 => "ES1370",
        SoundModel::Ac97 => "AC97",
        SoundModel::Ich6 => "intel-hda",
        SoundModel::Ich9 => "ich9-intel-hda",
        SoundModel::Usb => "usb-audio",
        SoundModel::Ich7 | SoundModel::Pcspk | SoundModel::Virtio => model.word(),
    }
}

/// What sits on the card; unless it is said, one that plays and records.
fn codecs(setup: &Setup<'_>, sound: &Sound, name: &str, audio: Option<String>, args: &mut Args) {
    let kinds: Vec<CodecKind> = sound.codecs.iter().map(|codec| codec.r#type).collect();
    let kinds = if kinds.is_empty() { vec![CodecKind::Duplex] } else { kinds };
    for (at, kind) in kinds.iter().enumerate() {
        let driver = match kind {
            CodecKind::Duplex => "hda-duplex",
            CodecKind::Micro => "hda-micro",
            CodecKind::Output => "hda-output",
        };
        args.device(
            setup,
            Props::driver(driver)
                .put("id", format!("{name}-codec{at}"))
                .put("bus", format!("{name}.0"))
                .put("cad", at)
                .maybe("audiodev", audio.clone()),
        );
    }
}
