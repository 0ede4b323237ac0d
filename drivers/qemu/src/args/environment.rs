//! The environment that QEMU starts with.

use ostler_conf::domain::{AudioKind, GraphicsKind, SdlDriver};
use ostler_driver::Result;

use super::{Args, Setup};

/// What of our own environment QEMU gets.
const INHERITED: &[&str] = &["USER", "LOGNAME"];

/// Folders in which programs look for a user's files, below the guest's folder.
const HOMES: &[(&str, &str)] =
    &[("XDG_DATA_HOME", ".local/share"), ("XDG_CACHE_HOME", ".cache"), ("XDG_CONFIG_HOME", ".config")];

/// The part that is the same whatever devices a guest has.
pub(super) fn inherited(setup: &Setup<'_>) -> Vec<(String, String)> {
    let given = |name: &str| setup.settings.env.get(name).map(|value| (name.to_owned(), value.clone()));
    let dir = &setup.runtime.dir;
    let mut env = vec![("LC_ALL".to_owned(), "C".to_owned())];
    env.extend(given("PATH"));
    env.push(("HOME".to_owned(), dir.to_string_lossy().into_owned()));
    env.extend(INHERITED.iter().filter_map(|name| given(name)));
    let home = |(name, below): &(&str, &str)| ((*name).to_owned(), dir.join(below).to_string_lossy().into_owned());
    env.extend(HOMES.iter().map(home));
    env
}

/// What sound needs.
pub(super) fn audio(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for audio in &setup.domain.devices.audios {
        match &audio.kind {
            AudioKind::Sdl(sdl) => {
                if let Some(driver) = sdl.driver {
                    args.env("SDL_AUDIODRIVER", SdlDriver::word(driver));
                }
            }
            AudioKind::Pipewire(pipewire) => {
                let inherited = setup.settings.env.get("PIPEWIRE_RUNTIME_DIR");
                if let Some(dir) = pipewire.runtime_dir.as_ref().or(inherited) {
                    args.env("PIPEWIRE_RUNTIME_DIR", dir.clone());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a window on the host needs.
pub(super) fn window(kind: &GraphicsKind, args: &mut Args) {
    let GraphicsKind::Sdl(sdl) = kind else { return };
    if let Some(xauth) = &sdl.xauth {
        args.env("XAUTHORITY", xauth.clone());
    }
    if let Some(display) = &sdl.display {
        args.env("DISPLAY", display.clone());
    }
}

/// What the guest's definition adds by hand.
pub(super) fn by_hand(setup: &Setup<'_>, args: &mut Args) {
    for variable in setup.domain.qemu_commandline.iter().flat_map(|commandline| &commandline.env) {
        args.env(&variable.name, variable.value.clone().unwrap_or_default());
    }
}
