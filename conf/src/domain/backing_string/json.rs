//! The JSON of QEMU's block layer, as far as a definition can say the same.

use serde_json::{Map, Value};

use super::super::{
    BlockSource, Cookies, DirSource, DiskSource, Identity, ImageFormatName, Initiator, NetworkDiskSource, NetworkHost,
    NetworkProtocol as Protocol, NvmeSource, NvmeSourceKind, PciAddress, Slice, SliceKind, Slices, SourceCommon, Ssl,
};
use super::{
    BackingString, Result, cookies, file, host_and_port, known, of_uri, settle_ports, unix_host, whole, wrong,
};
use crate::values::{Hex, YesNo};

/// How deep layers may be nested.
const MAX_LAYERS: usize = 200;

pub(super) fn read(value: &Value) -> Result<BackingString> {
    let members = value.as_object().ok_or_else(|| wrong(value, "it is no object"))?;
    let value = unflattened(members)?;
    // The outermost layer may tell the image's format.
    let format =
        text(&value, "driver").filter(|driver| driver != "raw" && value.get("file").is_some_and(Value::is_object));
    match format.and_then(|driver| known(ImageFormatName::ALL, ImageFormatName::word, &driver)) {
        Some(format) => Ok(BackingString { format: Some(format), ..layer(&value["file"], MAX_LAYERS)? }),
        None => layer(&value, MAX_LAYERS),
    }
}

/// Members with dots in their names as members of members, as QEMU reads them.
fn unflattened(members: &Map<String, Value>) -> Result<Value> {
    let mut whole = Map::new();
    for (name, value) in members {
        let value = match value.as_object() {
            Some(members) => unflattened(members)?,
            None => value.clone(),
        };
        let mut parts = name.split('.');
        let last = parts.next_back().unwrap_or_default();
        let twice = || wrong(name, "it is said twice");
        let mut place = &mut whole;
        for part in parts {
            let inner = place.entry(part).or_insert_with(|| Value::Object(Map::new()));
            place = inner.as_object_mut().ok_or_else(twice)?;
        }
        match (place.get_mut(last), value) {
            (None, value) => {
                place.insert(last.to_owned(), value);
            }
            // `a.b` and `a: {c: …}` are two parts of one.
            (Some(Value::Object(there)), Value::Object(more)) => {
                for (name, value) in more {
                    if there.insert(name, value).is_some() {
                        return Err(twice());
                    }
                }
            }
            (Some(_), _) => return Err(twice()),
        }
    }
    Ok(Value::Object(whole))
}

fn layer(value: &Value, depth: usize) -> Result<BackingString> {
    let below = value.get("file").filter(|below| below.is_object());
    let driver = value.get("driver").and_then(Value::as_str);
    match (driver, below) {
        _ if depth == 0 => Err(wrong("json:", "it is nested too deeply")),
        (None, Some(below)) => layer(below, depth - 1),
        (Some("raw"), Some(below)) => {
            let mut parsed = layer(below, depth - 1)?;
            let (offset, size) = (number(value, "offset"), number(value, "size"));
            if offset.is_some() || size.is_some() {
                let slice = Slice { r#type: SliceKind::Storage, offset: offset.unwrap_or(0), size: size.unwrap_or(0) };
                parsed.source.common_mut().slices = Some(Slices { slices: vec![slice] });
            }
            Ok(parsed)
        }
        (Some(driver), _) => storage(driver, value),
        (None, None) => Err(wrong(value, "it names no driver")),
    }
}

fn storage(driver: &str, value: &Value) -> Result<BackingString> {
    let filename = text(value, "filename");
    let protocol = known(Protocol::ALL, Protocol::word, driver);
    // Whatever is spoken may be given as one text as well.
    if let (Some(_), Some(filename)) = (protocol, &filename) {
        // Which is never JSON again: a text names a place.
        return match filename.starts_with("json:") {
            true => Err(wrong(value, "its 'filename' is JSON")),
            false => BackingString::parse(filename),
        };
    }
    let filename = || member(value, "filename");
    Ok(match (driver, protocol) {
        ("file", _) => whole(file(&filename()?)),
        ("host_device" | "host_cdrom", _) => {
            whole(DiskSource::Block(BlockSource { dev: Some(filename()?), ..BlockSource::default() }))
        }
        ("nvme", _) => whole(nvme(value)?),
        ("vvfat", _) => whole(DiskSource::Dir(DirSource { dir: Some(member(value, "dir")?), ..DirSource::default() })),
        (_, Some(protocol)) => network(protocol, value)?,
        (other, None) => return Err(wrong(value, format!("the driver '{other}' is unknown"))),
    })
}

fn network(protocol: Protocol, value: &Value) -> Result<BackingString> {
    if let (Protocol::Ssh | Protocol::Gluster, Some(uri)) = (protocol, text(value, "uri")) {
        return of_uri(&uri);
    }
    let mut source = NetworkDiskSource::new(protocol);
    let mut is_partial = false;
    match protocol {
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
            let uri = member(value, "url")?;
            let parsed = of_uri(&uri)?;
            let DiskSource::Network(of_uri) = parsed.source else { return Err(wrong(&uri, "it is no URL")) };
            source = of_uri;
            is_partial =
                parsed.is_partial || has_any(value, &["username", "password", "proxy-username", "proxy-password"]);
            source.ssl = flag(value, "sslverify").map(|verify| Ssl { verify: YesNo(verify) });
            source.cookies = text(value, "cookie").map(|header| Cookies { cookies: cookies(&header) });
            source.readahead = number(value, "readahead").filter(|bytes| *bytes > 0);
            source.timeout = number(value, "timeout").filter(|seconds| *seconds > 0);
        }
        Protocol::Nbd => {
            source.name = text(value, "export");
            source.hosts = vec![only_server(value)?];
        }
        Protocol::Ssh => {
            source.name = Some(member(value, "path")?);
            source.hosts = vec![only_server(value)?];
        }
        Protocol::Gluster => {
            source.name = Some(format!("{}/{}", member(value, "volume")?, member(value, "path")?));
            source.hosts = servers(value)?;
        }
        Protocol::Rbd => {
            let parts = [text(value, "pool"), text(value, "namespace"), Some(member(value, "image")?)];
            source.name = Some(parts.into_iter().flatten().collect::<Vec<_>>().join("/"));
            source.snapshot = text(value, "snapshot");
            source.config = text(value, "conf");
            source.hosts = servers(value)?;
        }
        Protocol::Iscsi => {
            source.name = Some(format!("{}/{}", member(value, "target")?, number(value, "lun").unwrap_or(0)));
            let portal = member(value, "portal")?;
            let (host, port) = host_and_port(&portal).ok_or_else(|| wrong(&portal, "its port is no number"))?;
            source.hosts = vec![NetworkHost { name: Some(host.to_owned()), port, ..NetworkHost::default() }];
            source.initiator = text(value, "initiator-name").map(|iqn| Initiator { iqn });
            is_partial = has_any(value, &["user", "password"]);
        }
        Protocol::Nfs => {
            source.name = Some(member(value, "path")?);
            source.hosts = vec![only_server(value)?];
            let id = |name: &str| number(value, name).map(|number| format!("+{number}"));
            let (user, group) = (id("user"), id("group"));
            if user.is_some() || group.is_some() {
                source.identity = Some(Identity { user, group, ..Identity::default() });
            }
        }
        Protocol::Sheepdog => {
            source.name = Some(member(value, "vdi")?);
            source.hosts = vec![only_server(value)?];
        }
        Protocol::Vxhs => {
            source.name = Some(member(value, "vdisk-id")?);
            source.hosts = vec![only_server(value)?];
        }
    }
    settle_ports(&mut source);
    Ok(BackingString { is_partial, ..whole(DiskSource::Network(source)) })
}

fn servers(value: &Value) -> Result<Vec<NetworkHost>> {
    value.get("server").and_then(Value::as_array).into_iter().flatten().map(server).collect()
}

/// The one server, which older notations tell among the members themselves.
fn only_server(value: &Value) -> Result<NetworkHost> {
    server(value.get("server").unwrap_or(value))
}

fn server(value: &Value) -> Result<NetworkHost> {
    let is_unix = match value.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "unix",
        None => value.get("host").is_none(),
    };
    if is_unix {
        let socket = text(value, "path").or_else(|| text(value, "socket"));
        return socket.map(unix_host).ok_or_else(|| wrong(value, "it names no server"));
    }
    let port = match value.get("port") {
        None => None,
        Some(port) => {
            let read = number(value, "port").and_then(|port| u16::try_from(port).ok());
            Some(read.ok_or_else(|| wrong(value, format!("{port} is no port")))?)
        }
    };
    Ok(NetworkHost { name: Some(member(value, "host")?), port, ..NetworkHost::default() })
}

fn nvme(value: &Value) -> Result<DiskSource> {
    let device = member(value, "device")?;
    let address = pci_address(&device).ok_or_else(|| wrong(value, format!("'{device}' is no PCI address")))?;
    Ok(DiskSource::Nvme(NvmeSource {
        r#type: NvmeSourceKind::Pci,
        managed: None,
        namespace: number(value, "namespace").ok_or_else(|| wrong(value, "it has no 'namespace'"))?,
        address,
        common: SourceCommon::default(),
    }))
}

/// `0000:01:00.0`
fn pci_address(text: &str) -> Option<PciAddress> {
    let (place, function) = text.split_once('.')?;
    let parts: Vec<u32> = place.split(':').map(|part| u32::from_str_radix(part, 16).ok()).collect::<Option<_>>()?;
    let [domain, bus, slot] = parts.as_slice() else { return None };
    let function = function.parse().ok()?;
    Some(PciAddress { domain: Some(Hex(*domain)), function: Some(Hex(function)), ..PciAddress::new(*bus, *slot) })
}

fn member(value: &Value, name: &str) -> Result<String> {
    text(value, name).ok_or_else(|| wrong(value, format!("it has no '{name}'")))
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A number, which headers give as a text as well.
fn number(value: &Value, name: &str) -> Option<u64> {
    let value = value.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Yes or no, which headers give as a text as well.
fn flag(value: &Value, name: &str) -> Option<bool> {
    let value = value.get(name)?;
    value.as_bool().or(match value.as_str() {
        Some("on" | "yes" | "true") => Some(true),
        Some("off" | "no" | "false") => Some(false),
        _ => None,
    })
}

fn has_any(value: &Value, names: &[&str]) -> bool {
    names.iter().any(|name| value.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::super::{DiskSource, ImageFormatName};
    use super::super::BackingString;

    fn parse(json: &str) -> Option<BackingString> {
        BackingString::parse(&format!("json:{json}")).ok()
    }

    #[test]
    fn flat_and_nested_members_say_the_same() {
        let nested = parse(r#"{"file": {"driver": "nbd", "server": {"type": "inet", "host": "h", "port": "1"}}}"#);
        for flat in [
            r#"{"file.driver": "nbd", "file.server.type": "inet", "file.server.host": "h", "file.server.port": 1}"#,
            r#"{"file": {"driver": "nbd", "server.host": "h", "server.port": "1"}}"#,
            r#"{"file.driver": "nbd", "file": {"host": "h", "port": 1}}"#,
        ] {
            assert_eq!(parse(flat), nested, "{flat}");
        }
        assert!(nested.is_some());
    }

    #[test]
    fn the_outermost_layer_may_tell_the_format() {
        let parsed = parse(r#"{"driver": "qcow2", "file": {"driver": "file", "filename": "/x"}}"#).unwrap();
        assert_eq!((parsed.format, parsed.source.path()), (Some(ImageFormatName::Qcow2), Some("/x")));
        // One that reads another format out of an image's content can't be told by a definition.
        assert_eq!(
            parse(r#"{"driver": "qcow2", "file": {"driver": "qcow2", "file": {"driver": "file", "filename": "/x"}}}"#),
            None
        );
    }

    #[test]
    fn a_part_of_a_file_is_a_slice() {
        let parsed =
            parse(r#"{"driver": "raw", "offset": 10, "size": 20, "file": {"driver": "file", "filename": "/x"}}"#);
        let DiskSource::File(source) = parsed.unwrap().source else { panic!("a file") };
        let slice = &source.common.slices.unwrap().slices[0];
        assert_eq!((slice.offset, slice.size), (10, 20));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for json in [
            "",
            "{}",
            "[]",
            "1",
            r#"{"driver": "qcow2"}"#,
            r#"{"driver": "file"}"#,
            r#"{"driver": "file", "filename": 1}"#,
            r#"{"file.driver": "file", "filename": "/x"}"#,
            r#"{"a": 1, "a.b": 2, "driver": "file", "filename": "/x"}"#,
            r#"{"driver": "nvme", "device": "0000:01:00.0"}"#,
            r#"{"driver": "nvme", "device": "x", "namespace": 1}"#,
            r#"{"driver": "nbd", "host": "h", "port": "x"}"#,
            r#"{"driver": "http", "filename": "json:{}"}"#,
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
        let deep = format!("{}{{}}{}", r#"{"file":"#.repeat(120), "}".repeat(120));
        assert_eq!(parse(&deep), None);
    }
}
