//! `<graphics>`

use ostler_conf_derive::{element, union};

use super::{AudioRef, Clipboard, MouseMode};
use crate::Problem;
use crate::values::{Confidential, OnOff, YesNo};
use crate::words;
use crate::xml::{Element, Reader, Writer};

/// A way to see the guest's screen.
#[element]
pub struct Graphics {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// How it is seen.
    #[xml(choice = "type", flatten)]
    pub kind: GraphicsKind,
}

/// How a screen is seen; `type=` on `<graphics>` names it.
#[union]
pub enum GraphicsKind {
    /// A window on the host.
    Sdl(Sdl),
    /// VNC.
    Vnc(Vnc),
    /// Remote desktop.
    Rdp(Rdp),
    /// A window of VirtualBox.
    Desktop(Desktop),
    /// SPICE.
    Spice(Spice),
    /// Nothing but OpenGL, for another display.
    EglHeadless(EglHeadless),
    /// D-Bus.
    Dbus(DbusDisplay),
}

/// A window on the host.
#[element]
pub struct Sdl {
    /// The X server.
    #[xml(attr)]
    pub display: Option<String>,
    /// The X server's key.
    #[xml(attr)]
    pub xauth: Option<String>,
    /// Whether it takes the whole screen.
    #[xml(attr)]
    pub fullscreen: Option<YesNo>,
    /// OpenGL.
    pub gl: Option<Gl>,
}

/// A window of VirtualBox.
#[element]
pub struct Desktop {
    /// The X server.
    #[xml(attr)]
    pub display: Option<String>,
    /// Whether it takes the whole screen.
    #[xml(attr)]
    pub fullscreen: Option<YesNo>,
}

/// Nothing but OpenGL.
#[element]
pub struct EglHeadless {
    /// OpenGL.
    pub gl: Option<Gl>,
}

/// D-Bus.
#[element]
pub struct DbusDisplay {
    /// Whether there is no bus in between.
    #[xml(attr)]
    pub p2p: Option<YesNo>,
    /// The bus.
    #[xml(attr)]
    pub address: Option<String>,
    /// OpenGL.
    pub gl: Option<Gl>,
    /// Sound.
    pub audio: Option<AudioRef>,
}

/// VNC.
#[element]
pub struct Vnc {
    /// The port; -1: chosen at start.
    #[xml(attr)]
    pub port: Option<i32>,
    /// Whether the port is chosen at start.
    #[xml(attr)]
    pub autoport: Option<YesNo>,
    /// The port for web sockets; -1: chosen at start.
    #[xml(attr)]
    pub websocket: Option<i32>,
    /// Where it listens.
    #[xml(flatten)]
    #[serde(default)]
    pub listens: Listens,
    /// The keyboard's layout.
    #[xml(attr)]
    pub keymap: Option<String>,
    /// The password.
    #[xml(attr, confidential)]
    pub passwd: Option<Confidential>,
    /// Until when the password counts, in UTC.
    #[xml(attr)]
    pub passwd_valid_to: Option<String>,
    /// What becomes of connections when the password changes.
    #[xml(attr)]
    pub connected: Option<Connected>,
    /// Who may watch at the same time.
    #[xml(attr)]
    pub share_policy: Option<SharePolicy>,
    /// Whether the watcher may shut the guest down.
    #[xml(attr)]
    pub power_control: Option<YesNo>,
    /// Sound.
    pub audio: Option<AudioRef>,
}

/// Remote desktop.
#[element]
pub struct Rdp {
    /// The port; -1: chosen at start.
    #[xml(attr)]
    pub port: Option<i32>,
    /// Whether the port is chosen at start.
    #[xml(attr)]
    pub autoport: Option<YesNo>,
    /// Whether one user may have several connections.
    #[xml(attr)]
    pub replace_user: Option<YesNo>,
    /// Whether several users may.
    #[xml(attr)]
    pub multi_user: Option<YesNo>,
    /// The user's name.
    #[xml(attr)]
    pub username: Option<String>,
    /// The password.
    #[xml(attr, confidential)]
    pub passwd: Option<Confidential>,
    /// Where it listens.
    #[xml(flatten)]
    #[serde(default)]
    pub listens: Listens,
}

/// SPICE.
#[element]
pub struct Spice {
    /// The port; -1: chosen at start.
    #[xml(attr)]
    pub port: Option<i32>,
    /// The encrypted port; -1: chosen at start.
    #[xml(attr)]
    pub tls_port: Option<i32>,
    /// Whether ports are chosen at start.
    #[xml(attr)]
    pub autoport: Option<YesNo>,
    /// Where it listens.
    #[xml(flatten)]
    #[serde(default)]
    pub listens: Listens,
    /// The keyboard's layout.
    #[xml(attr)]
    pub keymap: Option<String>,
    /// Whether channels are encrypted by default.
    #[xml(attr)]
    pub default_mode: Option<ChannelMode>,
    /// The password.
    #[xml(attr, confidential)]
    pub passwd: Option<Confidential>,
    /// Until when the password counts, in UTC.
    #[xml(attr)]
    pub passwd_valid_to: Option<String>,
    /// What becomes of connections when the password changes.
    #[xml(attr)]
    pub connected: Option<Connected>,
    /// Which channels are encrypted.
    #[xml(name = "channel")]
    pub channels: Vec<SpiceChannel>,
    /// How images are compressed.
    #[xml(attr, name = "compression", on = "image")]
    pub image_compression: Option<ImageCompression>,
    /// Whether images lose details over slow links.
    #[xml(attr, name = "compression", on = "jpeg")]
    pub jpeg_compression: Option<LossyCompression>,
    /// Whether images are compressed once more over slow links.
    #[xml(attr, name = "compression", on = "zlib")]
    pub zlib_compression: Option<LossyCompression>,
    /// Whether sound is compressed.
    #[xml(attr, name = "compression", on = "playback")]
    pub playback_compression: Option<OnOff>,
    /// Which parts of the screen are sent as video.
    #[xml(attr, name = "mode", on = "streaming")]
    pub streaming: Option<Streaming>,
    /// Who moves the mouse's pointer.
    pub mouse: Option<MouseMode>,
    /// Whether the clipboard is shared.
    pub clipboard: Option<Clipboard>,
    /// Whether files may be sent.
    #[xml(attr, name = "enable", on = "filetransfer")]
    pub filetransfer: Option<YesNo>,
    /// OpenGL.
    pub gl: Option<Gl>,
}

/// `<gl enable='yes' rendernode='/dev/dri/renderD128'/>`: OpenGL.
#[element]
pub struct Gl {
    /// Whether it is used.
    #[xml(attr)]
    pub enable: Option<YesNo>,
    /// The host's device for it. Needs a grant.
    #[xml(attr)]
    pub rendernode: Option<String>,
}

/// `<channel name='main' mode='secure'/>`: whether one of SPICE's channels is encrypted.
#[element]
pub struct SpiceChannel {
    /// The channel.
    #[xml(attr)]
    pub name: SpiceChannelName,
    /// Whether it must be encrypted.
    #[xml(attr)]
    pub mode: ChannelMode,
}

/// Where a display listens. The first one stands in an attribute of the display as well, for older programs.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Listens(pub Vec<Listen>);

/// `<listen type='address' address='0.0.0.0'/>`: where a display listens.
#[union(tag = "type")]
pub enum Listen {
    /// At no place; it is reached by a file descriptor.
    None(ListenNone),
    /// At an address.
    Address(ListenAddress),
    /// At the address of a network's bridge.
    Network(ListenNetwork),
    /// At a unix socket.
    Socket(ListenSocket),
}

/// At no place.
#[element]
pub struct ListenNone {}

/// At an address.
#[element]
pub struct ListenAddress {
    /// The address or host name; absent: the driver's default.
    #[xml(attr)]
    pub address: Option<String>,
    /// Whether it is the driver's default and not the definition's.
    #[xml(live, attr)]
    pub from_config: Option<u32>,
    /// Whether the driver chose the path.
    #[xml(live, attr)]
    pub auto_generated: Option<YesNo>,
}

/// At the address of a network's bridge.
#[element]
pub struct ListenNetwork {
    /// The running guest's address; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub address: Option<String>,
    /// The network.
    #[xml(attr)]
    pub network: String,
}

/// At a unix socket.
#[element]
pub struct ListenSocket {
    /// Its path; absent: one below the driver's own folder.
    #[xml(attr)]
    pub socket: Option<String>,
    /// Whether it is the driver's default and not the definition's.
    #[xml(live, attr)]
    pub from_config: Option<u32>,
    /// Whether the driver chose the path.
    #[xml(live, attr)]
    pub auto_generated: Option<YesNo>,
}

/// What the display's own attribute says, and what its first `<listen>` does.
fn agree(first: &mut Option<String>, given: &str, reader: &Reader<'_>) -> Result<(), Problem> {
    if first.get_or_insert_with(|| given.to_owned()) != given && !reader.is_grammar_only() {
        return Err(reader.problem(format!("the first <listen> is not at '{given}'")));
    }
    Ok(())
}

impl Element for Listens {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let (listen, socket) = (reader.attr_text("listen"), reader.attr_text("socket"));
        let mut listens: Vec<Listen> = reader.elements("listen")?;
        match (listens.first_mut(), listen, socket) {
            (None, _, Some(socket)) => {
                listens
                    .push(Listen::Socket(ListenSocket { socket: Some(socket.to_owned()), ..ListenSocket::default() }));
            }
            (None, Some(address), None) => {
                listens.push(Listen::Address(ListenAddress {
                    address: Some(address.to_owned()),
                    ..ListenAddress::default()
                }));
            }
            (Some(Listen::Socket(first)), _, Some(socket)) => agree(&mut first.socket, socket, reader)?,
            (Some(first), _, Some(socket)) => {
                *first = Listen::Socket(ListenSocket { socket: Some(socket.to_owned()), ..ListenSocket::default() })
            }
            (Some(Listen::Address(first)), Some(address), None) => agree(&mut first.address, address, reader)?,
            _ => {}
        }
        Ok(Listens(listens))
    }

    fn attrs(&self, writer: &mut Writer) {
        match self.0.first() {
            Some(
                Listen::Address(ListenAddress { address: Some(address), .. })
                | Listen::Network(ListenNetwork { address: Some(address), .. }),
            ) => writer.attr("listen", address),
            Some(Listen::Socket(ListenSocket { socket: Some(socket), .. })) => writer.attr("socket", socket),
            _ => {}
        }
    }

    fn body(&self, writer: &mut Writer) {
        for listen in &self.0 {
            writer.element("listen", true, |writer| {
                Element::attrs(listen, writer);
                Element::body(listen, writer);
            });
        }
    }
}

words! {
    /// What becomes of connections when the password changes.
    pub enum Connected { Fail = "fail", Disconnect = "disconnect", Keep = "keep", }

    /// Who may watch at the same time.
    pub enum SharePolicy { AllowExclusive = "allow-exclusive", ForceShared = "force-shared", Ignore = "ignore", }

    /// A channel of SPICE.
    pub enum SpiceChannelName {
        Main = "main", Display = "display", Inputs = "inputs", Cursor = "cursor", Playback = "playback", Record = "record",
        Smartcard = "smartcard", Usbredir = "usbredir",
    }

    /// Whether a channel is encrypted.
    pub enum ChannelMode { Any = "any", Secure = "secure", Insecure = "insecure", }

    /// How images are compressed.
    pub enum ImageCompression { AutoGlz = "auto_glz", AutoLz = "auto_lz", Quic = "quic", Glz = "glz", Lz = "lz", Off = "off", }

    /// Whether images are compressed over slow links.
    pub enum LossyCompression { Auto = "auto", Never = "never", Always = "always", }

    /// Which parts of a screen are sent as video.
    pub enum Streaming { Filter = "filter", All = "all", Off = "off", }
}
