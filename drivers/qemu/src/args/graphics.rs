//! `<graphics>`: where the guest's screens are shown.

use ostler_conf::domain::{
    ChannelMode, DbusDisplay, EglHeadless, Gl, GraphicsKind, Listen, Listens, MouseOwner, Sdl, Spice, Vnc,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::{Args, Setup, environment, escape, on_off, secret};

/// The TCP port of VNC's display 0.
const FIRST_VNC_PORT: i32 = 5900;
/// The certificates of VNC.
const VNC_TLS: &str = "vnc-tls-creds0";

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for graphics in &setup.domain.devices.graphics {
        match &graphics.kind {
            GraphicsKind::Sdl(sdl) => {
                environment::window(&graphics.kind, args);
                window(sdl, args);
            }
            GraphicsKind::Vnc(vnc) => self::vnc(setup, vnc, args)?,
            GraphicsKind::Spice(spice) => self::spice(setup, spice, args)?,
            GraphicsKind::EglHeadless(egl) => headless(setup, egl, args),
            GraphicsKind::Dbus(dbus) => self::dbus(setup, dbus, args),
            // A program of its own serves it, from what D-Bus shows.
            GraphicsKind::Rdp(_) => {}
            GraphicsKind::Desktop(_) => {
                let message = "QEMU has no desktop of its own to show a guest on";
                return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("devices.graphics"));
            }
        }
    }
    Ok(())
}

/// The host's graphics processor; unless the guest names one, the first.
fn node(setup: &Setup<'_>, gl: Option<&Gl>) -> String {
    let node = gl.and_then(|gl| gl.rendernode.as_deref()).or(setup.runtime.render_node.as_deref());
    node.map(|node| format!(",rendernode={}", escape(node))).unwrap_or_default()
}

fn window(sdl: &Sdl, args: &mut Args) {
    if sdl.fullscreen.is_some_and(|on| on.0) {
        args.flag("-full-screen");
    }
    let gl = sdl.gl.as_ref().and_then(|gl| gl.enable).map(|on| format!(",gl={}", on_off(on.0)));
    args.option("-display", format!("sdl{}", gl.unwrap_or_default()));
}

fn headless(setup: &Setup<'_>, egl: &EglHeadless, args: &mut Args) {
    args.option("-display", format!("egl-headless{}", node(setup, egl.gl.as_ref())));
}

fn dbus(setup: &Setup<'_>, dbus: &DbusDisplay, args: &mut Args) {
    let mut text = "dbus".to_owned();
    if dbus.p2p.is_some_and(|on| on.0) {
        text.push_str(",p2p=on");
    } else {
        let address = dbus.address.clone().unwrap_or_else(|| {
            let socket = setup.settings.dbus_dir.join(format!("{}-dbus.sock", setup.runtime.short_name));
            format!("unix:path={}", socket.display())
        });
        text.push_str(&format!(",addr={}", escape(&address)));
    }
    if let Some(gl) = dbus.gl.as_ref().filter(|gl| gl.enable.is_some()) {
        text.push_str(&format!(",gl={}{}", on_off(gl.enable.is_some_and(|on| on.0)), node(setup, Some(gl))));
    }
    if let Some(audio) = &dbus.audio {
        text.push_str(&format!(",audiodev=audio{}", audio.id));
    }
    args.option("-display", text);
}

/// Where a server listens.
enum Place {
    Socket(String),
    /// At an address; empty: at all.
    Address(String),
    Nowhere,
}

fn place(setup: &Setup<'_>, listens: &Listens, socket: &str, auto_socket: bool) -> Result<Place> {
    let in_folder = || Place::Socket(setup.runtime.dir.join(socket).to_string_lossy().into_owned());
    Ok(match listens.0.first() {
        Some(Listen::Socket(listen)) => match &listen.socket {
            Some(path) => Place::Socket(
                setup
                    .runtime
                    .sockets
                    .get(path)
                    .map_or_else(|| path.clone(), |made| made.to_string_lossy().into_owned()),
            ),
            None => in_folder(),
        },
        Some(Listen::Address(listen)) => match &listen.address {
            Some(address) => Place::Address(address.clone()),
            None if auto_socket => in_folder(),
            None => Place::Address("127.0.0.1".to_owned()),
        },
        Some(Listen::Network(listen)) => {
            let known = setup.runtime.listen_addresses.get(&listen.network).or(listen.address.as_ref());
            Place::Address(known.cloned().ok_or_else(|| {
                let message = format!("the network '{}' has no address to listen at", listen.network);
                Error::new(ErrorCode::XmlError, message).at("devices.graphics")
            })?)
        }
        Some(Listen::None(_)) => Place::Nowhere,
        None if auto_socket => in_folder(),
        None => Place::Address("127.0.0.1".to_owned()),
    })
}

fn vnc(setup: &Setup<'_>, vnc: &Vnc, args: &mut Args) -> Result<()> {
    let server = &setup.settings.vnc;
    let mut text = match place(setup, &vnc.listens, "vnc.sock", server.auto_socket)? {
        Place::Socket(path) => format!("vnc=unix:{}", escape(&path)),
        Place::Nowhere => "none".to_owned(),
        Place::Address(address) => {
            let address = if address.contains(':') { format!("[{address}]") } else { escape(&address) };
            let port = vnc.port.filter(|port| *port > 0).unwrap_or(FIRST_VNC_PORT);
            // A start chooses a port in place of -1.
            let websocket = vnc.websocket.filter(|port| *port != 0).map(|port| format!(",websocket={port}"));
            format!("{address}:{}{}", port - FIRST_VNC_PORT, websocket.unwrap_or_default())
        }
    };
    if let Some(policy) = vnc.share_policy {
        text.push_str(&format!(",share={}", policy.word()));
    }
    if vnc.passwd.is_some() || server.password.is_some() {
        text.push_str(",password=on");
    }
    if server.tls.on {
        secret::certificates(setup, args, VNC_TLS, &server.tls, true, &format!("{VNC_TLS}-secret0"))?;
        text.push_str(&format!(",tls-creds={VNC_TLS}"));
    }
    if server.sasl {
        text.push_str(",sasl=on");
        args.env("SASL_CONF_PATH", setup.settings.sasl_dir.to_string_lossy());
    }
    if let Some(on) = vnc.power_control {
        text.push_str(&format!(",power-control={}", on_off(on.0)));
    }
    if let Some(audio) = vnc.audio.as_ref().map(|audio| audio.id).or(setup.first_audio()) {
        text.push_str(&format!(",audiodev=audio{audio}"));
    }
    args.option("-vnc", text);
    if let Some(keymap) = &vnc.keymap {
        args.option("-k", keymap.clone());
    }
    Ok(())
}

impl Setup<'_> {
    /// The number of the first place that sound goes to.
    pub(super) fn first_audio(&self) -> Option<u32> {
        self.domain.devices.audios.first().map(|audio| audio.id)
    }
}

fn spice(setup: &Setup<'_>, spice: &Spice, args: &mut Args) -> Result<()> {
    let server = &setup.settings.spice;
    let place = place(setup, &spice.listens, "spice.sock", server.auto_socket)?;
    let has_tls = matches!(place, Place::Address(_)) && spice.tls_port.is_some_and(|port| port > 0);
    let has_port = matches!(place, Place::Address(_)) && spice.port.is_some_and(|port| port > 0);
    let mut list: Vec<String> = Vec::new();
    if let Place::Address(address) = &place {
        list.extend(spice.port.filter(|_| has_port).map(|port| format!("port={port}")));
        if let Some(port) = spice.tls_port.filter(|_| has_tls) {
            if !server.tls.on {
                let message = "a TLS port is wanted for Spice, which has no certificates here";
                return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("devices.graphics"));
            }
            list.push(format!("tls-port={port}"));
        }
        if has_port || has_tls {
            list.push(format!("addr={}", escape(address)));
        } else {
            list.push("port=0".to_owned());
        }
    }
    match &place {
        Place::Socket(path) => list.extend(["unix=on".to_owned(), format!("addr={}", escape(path))]),
        Place::Nowhere => list.push("port=0".to_owned()),
        Place::Address(_) => {}
    }
    if spice.mouse.as_ref().is_some_and(|mouse| mouse.mode == MouseOwner::Server) {
        list.push("agent-mouse=off".to_owned());
    }
    if server.sasl {
        list.push("sasl=on".to_owned());
        args.env("SASL_CONF_PATH", setup.settings.sasl_dir.to_string_lossy());
    }
    if spice.passwd.is_none() && server.password.is_none() {
        list.push("disable-ticketing=on".to_owned());
    }
    if has_tls {
        list.push(format!("x509-dir={}", escape(&server.tls.dir.to_string_lossy())));
    }
    list.extend(channels(spice, has_port, has_tls)?);
    let words = [
        ("image-compression", spice.image_compression.map(|value| value.word())),
        ("jpeg-wan-compression", spice.jpeg_compression.map(|value| value.word())),
        ("zlib-glz-wan-compression", spice.zlib_compression.map(|value| value.word())),
        ("playback-compression", spice.playback_compression.map(|on| on_off(on.0))),
        ("streaming-video", spice.streaming.map(|value| value.word())),
    ];
    list.extend(words.iter().filter_map(|(name, word)| word.map(|word| format!("{name}={word}"))));
    if spice.clipboard.as_ref().is_some_and(|clipboard| !clipboard.copypaste.0) {
        list.push("disable-copy-paste=on".to_owned());
    }
    if spice.filetransfer.is_some_and(|on| !on.0) {
        list.push("disable-agent-file-xfer=on".to_owned());
    }
    if let Some(gl) = spice.gl.as_ref().filter(|gl| gl.enable.is_some_and(|on| on.0)) {
        list.push(format!("gl=on{}", node(setup, Some(gl))));
    }
    list.push("seamless-migration=on".to_owned());
    args.option("-spice", list.join(","));
    if let Some(keymap) = &spice.keymap {
        args.option("-k", keymap.clone());
    }
    Ok(())
}

/// Which channels are encrypted, and which must not be.
fn channels(spice: &Spice, has_port: bool, has_tls: bool) -> Result<Vec<String>> {
    let mut list = Vec::new();
    let mut add = |name: &str, mode: ChannelMode| {
        let missing = |what: &str| {
            let message = format!("the Spice channel '{name}' needs {what}, which the guest does not have");
            Error::new(ErrorCode::ConfigUnsupported, message).at("devices.graphics")
        };
        match mode {
            ChannelMode::Secure if has_tls => list.push(format!("tls-channel={name}")),
            ChannelMode::Secure => return Err(missing("a TLS port")),
            ChannelMode::Insecure if has_port => list.push(format!("plaintext-channel={name}")),
            ChannelMode::Insecure => return Err(missing("a port without TLS")),
            ChannelMode::Any => {}
        }
        Ok(())
    };
    add("default", spice.default_mode.unwrap_or(ChannelMode::Any))?;
    for channel in &spice.channels {
        add(channel.name.word(), channel.mode)?;
    }
    Ok(list)
}
