//! The host's side of character devices.

use ostler_conf::domain::{
    Alias, CharProtocol, CharSource, CharSourceTcp, CharSourceUdp, CharSourceUnixMode, Log, MouseOwner, Reconnect,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::{Args, Setup, alias, escape, on_off, secret};
use crate::probe::Flag;

/// A back end in both of QEMU's syntaxes: JSON nests where options have names of their own.
pub(crate) struct Backend {
    kind: &'static str,
    options: Vec<(&'static str, String)>,
    data: Vec<(&'static str, Value)>,
}

impl Backend {
    fn new(kind: &'static str) -> Self {
        Backend { kind, options: Vec::new(), data: Vec::new() }
    }

    /// Adds a property that is the same in both.
    fn text(self, name: &'static str, value: &str) -> Self {
        self.option(name, escape(value)).data(name, json!(value))
    }

    fn option(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.options.push((name, value.into()));
        self
    }

    fn data(mut self, name: &'static str, value: Value) -> Self {
        self.data.push((name, value));
        self
    }

    fn switch(self, name: &'static str, on: bool) -> Self {
        self.option(name, on_off(on)).data(name, json!(on))
    }

    /// A socket that listens already.
    pub(crate) fn listening_descriptor(fd: i32) -> Self {
        Self::descriptor(fd).switch("server", true).switch("wait", false)
    }

    /// A socket that is connected, or listens, already.
    pub(crate) fn descriptor(fd: i32) -> Self {
        let address = json!({ "type": "fd", "data": { "str": fd.to_string() } });
        Backend::new("socket").option("fd", fd.to_string()).data("addr", address)
    }

    /// A socket that QEMU makes and listens on.
    pub(crate) fn listening(path: &str) -> Self {
        Self::connecting(path).switch("server", true).switch("wait", false)
    }

    /// A socket that QEMU connects to.
    pub(crate) fn connecting(path: &str) -> Self {
        let address = json!({ "type": "unix", "data": { "path": path } });
        Backend::new("socket").option("path", escape(path)).data("addr", address)
    }

    /// A socket that QEMU makes, and waits at until the other side is there.
    pub(crate) fn serving(path: &str) -> Self {
        Self::connecting(path).switch("server", true)
    }

    /// Connects anew, so many seconds after the other side went away.
    pub(crate) fn reconnect(self, setup: &Setup<'_>, seconds: Option<u32>) -> Self {
        let Some(seconds) = seconds else { return self };
        let (name, value) = if setup.capabilities.has(Flag::ChardevReconnectMiliseconds) {
            ("reconnect-ms", seconds * 1000)
        } else {
            ("reconnect", seconds)
        };
        self.option(name, value.to_string()).data(name, json!(value))
    }
}

/// Writes a back end.
pub(crate) fn write(setup: &Setup<'_>, args: &mut Args, id: &str, backend: Backend) {
    if setup.capabilities.has(Flag::ChardevJson) {
        let data: serde_json::Map<_, _> =
            backend.data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        args.json("-chardev", &json!({ "id": id, "backend": { "type": backend.kind, "data": data } }));
    } else {
        let mut text = format!("{},id={id}", backend.kind);
        for (name, value) in backend.options {
            text.push_str(&format!(",{name}={value}"));
        }
        args.option("-chardev", text);
    }
}

/// The back end of the device with this alias.
///
/// # Errors
/// What QEMU has no back end for.
pub(super) fn of(
    setup: &Setup<'_>,
    args: &mut Args,
    owner: &Option<Alias>,
    source: Option<&CharSource>,
    log: Option<&Log>,
) -> Result<()> {
    named(setup, args, alias(owner), source, log, "vdagent")
}

/// The same, with what a Spice channel is for.
pub(super) fn named(
    setup: &Setup<'_>,
    args: &mut Args,
    name: &str,
    source: Option<&CharSource>,
    log: Option<&Log>,
    spice: &str,
) -> Result<()> {
    let fds = setup.runtime.chardevs.get(name).copied().unwrap_or_default();
    let id = format!("char{name}");
    let backend = match source {
        None | Some(CharSource::Pty(_)) => Backend::new("pty"),
        Some(CharSource::Null(_)) => Backend::new("null"),
        Some(CharSource::Vc(_)) => Backend::new("vc"),
        Some(CharSource::Stdio(_)) => Backend::new("stdio"),
        Some(CharSource::Dev(source)) => {
            let kind = if name.starts_with("parallel") { "parallel" } else { "serial" };
            Backend::new(kind).option("path", escape(&source.path)).data("device", json!(source.path))
        }
        Some(CharSource::Pipe(source)) => {
            Backend::new("pipe").option("path", escape(&source.path)).data("device", json!(source.path))
        }
        Some(CharSource::File(source)) => {
            let (path, append) = match fds.file {
                Some(fd) => (args.descriptor(fd, &format!("{name}-source")), Some(true)),
                None => (source.path.clone(), source.append.map(|on| on.0)),
            };
            let file = Backend::new("file").option("path", escape(&path)).data("out", json!(path));
            match append {
                Some(append) => file.switch("append", append),
                None => file,
            }
        }
        Some(CharSource::Unix(source)) => {
            let path = source.path.as_deref().unwrap_or_default();
            match (source.mode, fds.socket) {
                (_, None) if path.is_empty() => Backend::listening(&socket_path(setup, name)),
                (Some(CharSourceUnixMode::Connect) | None, None) => {
                    let socket = Backend::connecting(path).data("server", json!(false));
                    socket.reconnect(setup, reconnect(source.reconnect.as_ref()))
                }
                (_, Some(fd)) => Backend::listening_descriptor(fd),
                (Some(CharSourceUnixMode::Bind), None) => Backend::listening(path),
            }
        }
        Some(CharSource::Tcp(source)) => tcp(setup, args, name, source)?,
        Some(CharSource::Udp(source)) => udp(source),
        Some(CharSource::Spicevmc(_)) => Backend::new("spicevmc").option("name", spice).data("type", json!(spice)),
        Some(CharSource::Spiceport(source)) => {
            let channel = source.channel.as_deref().unwrap_or_default();
            Backend::new("spiceport").option("name", escape(channel)).data("fqdn", json!(channel))
        }
        Some(CharSource::Dbus(source)) => {
            Backend::new("dbus").text("name", source.channel.as_deref().unwrap_or_default())
        }
        Some(CharSource::QemuVdagent(source)) => {
            let clipboard = source.clipboard.as_ref().is_some_and(|clipboard| clipboard.copypaste.0);
            let mouse = source.mouse.as_ref().is_some_and(|mouse| mouse.mode == MouseOwner::Client);
            Backend::new("qemu-vdagent").option("name", "vdagent").switch("clipboard", clipboard).switch("mouse", mouse)
        }
        Some(CharSource::Nmdm(_)) => {
            let message = format!("QEMU has no null modem for the character device '{name}'");
            return Err(Error::new(ErrorCode::ConfigUnsupported, message));
        }
    };
    let backend = match log {
        Some(log) => {
            let (path, append) = match fds.log {
                Some(fd) => (args.descriptor(fd, &format!("{name}-log")), Some(true)),
                None => (log.file.clone(), log.append.map(|on| on.0)),
            };
            let backend = backend.text("logfile", &path);
            match append {
                Some(append) => backend.switch("logappend", append),
                None => backend,
            }
        }
        None => backend,
    };
    write(setup, args, &id, backend);
    Ok(())
}

fn reconnect(reconnect: Option<&Reconnect>) -> Option<u32> {
    let reconnect = reconnect?;
    match reconnect.enabled {
        Some(enabled) if enabled.0 => reconnect.timeout,
        Some(_) => Some(0),
        None => None,
    }
}

fn inet(host: &str, port: &str) -> Value {
    json!({ "type": "inet", "data": { "host": host, "port": port } })
}

fn tcp(setup: &Setup<'_>, args: &mut Args, name: &str, source: &CharSourceTcp) -> Result<Backend> {
    let is_server = source.mode == Some(CharSourceUnixMode::Bind);
    let is_telnet = matches!(source.protocol, Some(CharProtocol::Telnet));
    let mut backend = Backend::new("socket")
        .option("host", escape(&source.host))
        .option("port", escape(&source.service))
        .data("addr", inet(&source.host, &source.service))
        .data("telnet", json!(is_telnet));
    if is_telnet {
        backend = backend.option("telnet", "on");
    }
    backend = if is_server {
        backend.switch("server", true).switch("wait", false)
    } else {
        backend.data("server", json!(false)).reconnect(setup, reconnect(source.reconnect.as_ref()))
    };
    let tls = &setup.settings.chardev_tls;
    if source.tls.map_or(tls.on, |on| on.0) {
        let id = format!("objchar{name}_tls0");
        secret::certificates(setup, args, &id, tls, is_server, &format!("char{name}-secret0"))?;
        backend = backend.text("tls-creds", &id);
    }
    Ok(backend)
}

fn udp(source: &CharSourceUdp) -> Backend {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let (host, port) =
        source.connect.as_ref().map_or_else(Default::default, |end| (part(&end.host), part(&end.service)));
    let backend = Backend::new("udp")
        .option("host", escape(&host))
        .option("port", escape(&port))
        .data("remote", inet(&host, &port));
    let (host, port) = source.bind.as_ref().map_or_else(Default::default, |end| (part(&end.host), part(&end.service)));
    let shown = if port.is_empty() { "0" } else { &port };
    let backend = backend.option("localaddr", escape(&host)).option("localport", escape(shown));
    if source.bind.is_some() { backend.data("local", inet(&host, shown)) } else { backend }
}

/// Where a channel listens that names no place.
fn socket_path(setup: &Setup<'_>, name: &str) -> String {
    let mut channels = setup.domain.devices.channels.iter();
    let channel = channels.find(|channel| alias(&channel.alias) == name);
    let shown = channel.and_then(|channel| channel.target.as_ref()?.name.as_deref()).unwrap_or(name);
    setup.settings.channel_dir.join(&setup.runtime.short_name).join(shown).to_string_lossy().into_owned()
}
