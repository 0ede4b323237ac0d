//! What a character device is connected to on the host.

use ostler_conf_derive::{element, union};

use super::DeviceSeclabel;
use crate::Problem;
use crate::values::{OnOff, YesNo};
use crate::words;
use crate::xml::{Element, Reader, Writer};

/// What a character device is connected to on the host; `type=` names it.
#[union]
pub enum CharSource {
    /// Nothing.
    Null(CharSourcePlain),
    /// A console in the hypervisor's own window.
    Vc(CharSourcePlain),
    /// A pseudo-terminal that the hypervisor makes.
    Pty(CharSourcePath),
    /// A device of the host. Needs a grant.
    Dev(CharSourceDevice),
    /// A file that output is written to. Needs a grant.
    File(CharSourceFile),
    /// A named pipe. Needs a grant.
    Pipe(CharSourceDevice),
    /// The hypervisor's own input and output.
    Stdio(CharSourcePlain),
    /// UDP packets.
    Udp(CharSourceUdp),
    /// A TCP connection.
    Tcp(CharSourceTcp),
    /// A unix socket.
    Unix(CharSourceUnix),
    /// A channel of SPICE.
    Spicevmc(CharSourcePlain),
    /// A named port of SPICE.
    Spiceport(CharSourceChannel),
    /// A null modem device.
    Nmdm(CharSourceNmdm),
    /// The hypervisor's own clipboard agent.
    QemuVdagent(CharSourceVdagent),
    /// A named port on D-Bus.
    Dbus(CharSourceChannel),
}

/// Nothing to say.
#[element]
pub struct CharSourcePlain {}

/// `<source path='/dev/pts/3'/>`
#[element(single = "source")]
pub struct CharSourcePath {
    /// The running guest's pseudo-terminal; never in a definition.
    #[xml(attr, on = "source")]
    #[serde(skip)]
    pub path: Option<String>,
    /// Labels of its own.
    #[xml(name = "seclabel", on = "source")]
    pub seclabels: Vec<DeviceSeclabel>,
}

/// `<source path='/dev/ttyS2'/>`
#[element(single = "source")]
pub struct CharSourceDevice {
    /// The path.
    #[xml(attr, on = "source")]
    pub path: String,
    /// Labels of its own.
    #[xml(name = "seclabel", on = "source")]
    pub seclabels: Vec<DeviceSeclabel>,
}

/// `<source path='/var/log/x.log' append='on'/>`
#[element(single = "source")]
pub struct CharSourceFile {
    /// The file.
    #[xml(attr, on = "source")]
    pub path: String,
    /// Whether output is added to what is there.
    #[xml(attr, on = "source")]
    pub append: Option<OnOff>,
    /// Labels of its own.
    #[xml(name = "seclabel", on = "source")]
    pub seclabels: Vec<DeviceSeclabel>,
}

/// `<source mode='bind' path='/run/x.sock'/>`
#[element(single = "source")]
pub struct CharSourceUnix {
    /// Whether the hypervisor listens or connects.
    #[xml(attr, on = "source")]
    pub mode: Option<CharSourceUnixMode>,
    /// The socket; absent: one below the driver's own folder.
    #[xml(attr, on = "source")]
    pub path: Option<String>,
    /// Whether a lost connection is made again.
    #[xml(on = "source")]
    pub reconnect: Option<Reconnect>,
    /// Labels of its own.
    #[xml(name = "seclabel", on = "source")]
    pub seclabels: Vec<DeviceSeclabel>,
}

/// `<source mode='connect' host='127.0.0.1' service='4555'/>`
#[element(single = "source")]
pub struct CharSourceTcp {
    /// Whether the hypervisor listens or connects.
    #[xml(attr, on = "source")]
    pub mode: Option<CharSourceUnixMode>,
    /// The host.
    #[xml(attr, on = "source", blank)]
    pub host: String,
    /// The port, by number or name.
    #[xml(attr, on = "source", blank)]
    pub service: String,
    /// Whether it is encrypted.
    #[xml(attr, on = "source")]
    pub tls: Option<YesNo>,
    /// Whether a lost connection is made again.
    #[xml(on = "source")]
    pub reconnect: Option<Reconnect>,
    /// What is spoken.
    #[xml(attr, name = "type", on = "protocol")]
    pub protocol: Option<CharProtocol>,
}

/// `<reconnect enabled='yes' timeout='10'/>`: whether a lost connection is made again.
#[element]
pub struct Reconnect {
    /// Whether it is made again.
    #[xml(attr)]
    pub enabled: Option<YesNo>,
    /// After how many seconds.
    #[xml(attr)]
    pub timeout: Option<u32>,
}

/// One `<source>` for each direction: packets come in where it binds, and go out to what it connects to.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CharSourceUdp {
    /// Where packets come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<CharSourceEnd>,
    /// Where packets go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<CharSourceEnd>,
}

/// `host='127.0.0.1' service='9999'`: one end.
#[element]
pub struct CharSourceEnd {
    /// The host.
    #[xml(attr)]
    pub host: Option<String>,
    /// The port, by number or name.
    #[xml(attr)]
    pub service: Option<String>,
}

impl Element for CharSourceUdp {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut udp = CharSourceUdp::default();
        for source in reader.children("source") {
            let end = Some(CharSourceEnd::read(&source)?);
            match source.attr::<CharSourceUnixMode>("mode")? {
                Some(CharSourceUnixMode::Bind) => udp.bind = end,
                Some(CharSourceUnixMode::Connect) | None => udp.connect = end,
            }
        }
        Ok(udp)
    }
    fn attrs(&self, _: &mut Writer) {}
    fn body(&self, writer: &mut Writer) {
        let ends = [(CharSourceUnixMode::Bind, &self.bind), (CharSourceUnixMode::Connect, &self.connect)];
        for (mode, end) in ends {
            let Some(end) = end else { continue };
            writer.element("source", true, |writer| {
                writer.attr("mode", &mode);
                end.attrs(writer);
            });
        }
    }
}

/// `<source channel='org.qemu.console.serial.0'/>`
#[element]
pub struct CharSourceChannel {
    /// The port's name.
    #[xml(attr, on = "source")]
    pub channel: Option<String>,
}

/// `<source master='/dev/nmdm0A' slave='/dev/nmdm0B'/>`
#[element]
pub struct CharSourceNmdm {
    /// The host's end.
    #[xml(attr, on = "source")]
    pub master: Option<String>,
    /// The guest's end.
    #[xml(attr, on = "source")]
    pub slave: Option<String>,
}

/// `<source><clipboard copypaste='yes'/><mouse mode='client'/></source>`
#[element]
pub struct CharSourceVdagent {
    /// Whether the clipboard is shared.
    #[xml(on = "source")]
    pub clipboard: Option<Clipboard>,
    /// Who moves the mouse's pointer.
    #[xml(on = "source")]
    pub mouse: Option<MouseMode>,
}

/// `<clipboard copypaste='yes'/>`: the clipboard.
#[element]
pub struct Clipboard {
    /// Whether it is shared.
    #[xml(attr)]
    pub copypaste: YesNo,
}

/// `<mouse mode='client'/>`: the mouse's pointer.
#[element]
pub struct MouseMode {
    /// Who moves it.
    #[xml(attr)]
    pub mode: MouseOwner,
}

words! {
    /// Who listens on a socket.
    pub enum CharSourceUnixMode {
        /// The hypervisor.
        Bind = "bind",
        /// The other side.
        Connect = "connect",
    }

    /// What is spoken on a TCP connection.
    pub enum CharProtocol { Raw = "raw", Telnet = "telnet", Telnets = "telnets", Tls = "tls", }

    /// Who moves the mouse's pointer.
    pub enum MouseOwner { Server = "server", Client = "client", }
}
