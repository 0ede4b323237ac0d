//! Screens and graphics cards.

use ostler_conf::domain::{Acceleration, Graphics, GraphicsKind, Listen, Listens, Spice, Video, VideoDriverName, Vnc};
use ostler_conf::xml::Union as _;

use super::super::is_plain_name;
use super::{Problems, Says, camel_case};
use crate::complete::Host;
use crate::probe::Flag;

/// What fits into a socket's address.
const LONGEST_SOCKET: usize = 107;

pub(super) fn check(graphics: &[Graphics], videos: &[Video], host: &Host, problems: &mut Problems) {
    for screen in graphics {
        let at = format!("devices.graphics[{}].kind", screen.name);
        match &screen.kind {
            GraphicsKind::Vnc(vnc) => check_vnc(vnc, &format!("{at}.vnc"), problems),
            GraphicsKind::Spice(spice) => {
                let has_it = host.capabilities.has(Flag::Spice);
                problems.unless(has_it, at.as_str(), "this emulator does not speak SPICE");
                check_spice(spice, &format!("{at}.spice"), problems);
            }
            GraphicsKind::Sdl(_)
            | GraphicsKind::Rdp(_)
            | GraphicsKind::Desktop(_)
            | GraphicsKind::EglHeadless(_)
            | GraphicsKind::Dbus(_) => {
                let kind = screen.kind.tag();
                problems.unsupported(at, format!("screens of the kind '{kind}' are not supported"));
            }
        }
    }
    for video in videos {
        let at = format!("devices.videos[{}]", video.name);
        let program = video.driver.as_ref().and_then(|driver| driver.name);
        problems.unless(
            program != Some(VideoDriverName::Vhostuser),
            format!("{at}.driver.name"),
            "graphics cards that are programs of their own are not supported",
        );
        let acceleration = video.model.as_ref().and_then(|model| model.acceleration.as_ref());
        if let Some(Acceleration { accel2d: _, accel3d, rendernode }) = acceleration {
            let accel3d = accel3d.filter(|on| on.0);
            refuse!(problems, format!("{at}.model.acceleration"), "graphics cards": accel3d rendernode);
        }
    }
}

fn check_vnc(vnc: &Vnc, at: &str, problems: &mut Problems) {
    let Vnc {
        port: _,
        autoport: _,
        websocket: _,
        listens,
        keymap,
        passwd: _,
        passwd_valid_to,
        connected: _,
        share_policy: _,
        power_control: _,
        audio: _,
    } = vnc;
    refuse!(problems, at, "screens": passwd_valid_to);
    check_keymap(keymap.as_deref(), at, problems);
    check_listens(listens, at, problems);
}

fn check_spice(spice: &Spice, at: &str, problems: &mut Problems) {
    let Spice { listens, keymap, passwd_valid_to, gl, tls_port, .. } = spice;
    let gl = gl.as_ref().filter(|gl| gl.enable.is_some_and(|on| on.0) || gl.rendernode.is_some());
    let tls_port = tls_port.filter(|port| *port > 0);
    refuse!(problems, at, "screens": passwd_valid_to gl tls_port);
    check_keymap(keymap.as_deref(), at, problems);
    check_listens(listens, at, problems);
}

/// QEMU looks for a file of this name.
fn check_keymap(keymap: Option<&str>, at: &str, problems: &mut Problems) {
    let is_name = keymap.is_none_or(|name| is_plain_name(name) && !name.starts_with('.'));
    problems.unless(is_name, format!("{at}.keymap"), "that is no name of a keyboard's layout");
}

fn check_listens(listens: &Listens, at: &str, problems: &mut Problems) {
    problems.unless(listens.0.len() <= 1, format!("{at}.listens"), "QEMU shows a screen at one place only");
    for listen in &listens.0 {
        match listen {
            Listen::None(_) => {}
            Listen::Address(listen) => {
                // It becomes part of a list of options.
                let is_address = |text: &str| {
                    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-%".contains(&byte))
                };
                problems.unless(
                    listen.address.as_deref().is_none_or(is_address),
                    format!("{at}.listens"),
                    "that is no address to listen at",
                );
            }
            Listen::Socket(listen) => {
                problems.absolute(listen.socket.as_deref(), format!("{at}.listens"));
                problems.unless(
                    listen.socket.as_ref().is_none_or(|path| path.len() <= LONGEST_SOCKET),
                    format!("{at}.listens"),
                    format!("the path of a socket has {LONGEST_SOCKET} bytes at most"),
                );
            }
            Listen::Network(_) => {
                problems.unsupported(format!("{at}.listens"), "listening at a network's address is not supported");
            }
        }
    }
}
