//! What stands in the header of an image for the one below it: a path, a URI, QEMU's older notations, or JSON.

use ostler_conf::domain::{
    BlockSource, Cookie, Cookies, DirSource, DiskSource, FileSource, HostTransport, Initiator, NetworkDiskSource,
    NetworkHost, NetworkProtocol as Protocol, NvmeSource, NvmeSourceKind, PciAddress, Slice, SliceKind, Slices, Ssl,
};
use ostler_conf::values::{Hex, YesNo};
use ostler_driver::Result;
use serde_json::{Map, Value, json};

use super::network::default_port;
use super::unsupported;

/// How deep JSON may be nested.
const MAX_DEPTH: usize = 200;

/// What a header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What holds the image.
    pub source: DiskSource,
    /// Whether it said more that no definition can say, such as a password.
    pub is_partial: bool,
}

/// Reads what stands in a header.
///
/// # Errors
/// What nothing can be made of.
pub fn backing_string(text: &str) -> Result<Parsed> {
    if let Some(json) = text.strip_prefix("json:") {
        let value = serde_json::from_str(json).map_err(|error| wrong(text, &error.to_string()))?;
        return object(&value);
    }
    if let Some(dir) = text.strip_prefix("fat:") {
        return Ok(whole(DiskSource::Dir(DirSource { dir: Some(dir.to_owned()), ..DirSource::default() })));
    }
    if text.contains("://") {
        return of_uri(text);
    }
    match text.split_once(':') {
        Some(("nbd", rest)) => nbd_of_old(text, rest).map(whole),
        Some(("rbd", rest)) => Ok(whole(rbd_of_old(rest))),
        // A colon may be part of a path, but one before any slash is a protocol.
        Some((protocol, _)) if !protocol.contains('/') => Err(wrong(text, "the protocol is unknown")),
        _ => Ok(whole(file(text))),
    }
}

/// Reads the JSON of a header, or of QEMU's properties of a storage.
///
/// # Errors
/// See [`backing_string`].
pub fn object(value: &Value) -> Result<Parsed> {
    let members = value.as_object().ok_or_else(|| wrong(&value.to_string(), "it is no object"))?;
    layer(&unflattened(members), MAX_DEPTH)
}

fn layer(value: &Value, depth: usize) -> Result<Parsed> {
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
        (None, None) => Err(wrong(&value.to_string(), "it names no driver")),
    }
}

fn storage(driver: &str, value: &Value) -> Result<Parsed> {
    let missing = |member: &str| wrong(&value.to_string(), &format!("it has no '{member}'"));
    let filename = text(value, "filename");
    let block = |dev: String| DiskSource::Block(BlockSource { dev: Some(dev), ..BlockSource::default() });
    let protocol = known(Protocol::ALL, Protocol::word, driver);
    // Whatever is spoken may be given as one text as well.
    if let (Some(_), Some(filename)) = (protocol, &filename) {
        return backing_string(filename);
    }
    Ok(match (driver, protocol) {
        ("file", _) => whole(file(&filename.ok_or_else(|| missing("filename"))?)),
        ("host_device" | "host_cdrom", _) => whole(block(filename.ok_or_else(|| missing("filename"))?)),
        ("nvme", _) => whole(nvme(value).ok_or_else(|| missing("device"))?),
        ("vvfat", _) => {
            let dir = Some(text(value, "dir").ok_or_else(|| missing("dir"))?);
            whole(DiskSource::Dir(DirSource { dir, ..DirSource::default() }))
        }
        (_, Some(protocol)) => network(protocol, value)?,
        (other, None) => return Err(wrong(&value.to_string(), &format!("the driver '{other}' is unknown"))),
    })
}

fn network(protocol: Protocol, value: &Value) -> Result<Parsed> {
    let missing = |member: &str| wrong(&value.to_string(), &format!("it has no '{member}'"));
    let mut source = NetworkDiskSource::new(protocol);
    let mut is_partial = false;
    match protocol {
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
            let uri = text(value, "url").ok_or_else(|| missing("url"))?;
            let parsed = of_uri(&uri)?;
            let DiskSource::Network(of_uri) = parsed.source else { return Err(wrong(&uri, "it is no URL")) };
            source = of_uri;
            is_partial = parsed.is_partial
                || ["username", "password", "proxy-username", "proxy-password"]
                    .iter()
                    .any(|member| value.get(member).is_some());
            source.ssl = flag(value, "sslverify").map(|verify| Ssl { verify: YesNo(verify) });
            source.cookies = text(value, "cookie").map(|header| Cookies { cookies: cookies(&header) });
            source.readahead = number(value, "readahead").filter(|bytes| *bytes > 0);
            source.timeout = number(value, "timeout").filter(|seconds| *seconds > 0);
        }
        Protocol::Nbd => {
            source.name = text(value, "export");
            source.hosts = vec![server_or_flat(value).ok_or_else(|| missing("server"))?];
        }
        Protocol::Ssh => {
            if let Some(uri) = text(value, "uri") {
                return of_uri(&uri);
            }
            source.name = Some(text(value, "path").ok_or_else(|| missing("path"))?);
            source.hosts = vec![server_or_flat(value).ok_or_else(|| missing("server"))?];
        }
        Protocol::Gluster => {
            if let Some(uri) = text(value, "uri") {
                return of_uri(&uri);
            }
            let part = |name: &str| text(value, name).ok_or_else(|| missing(name));
            source.name = Some(format!("{}/{}", part("volume")?, part("path")?));
            source.hosts = servers(value);
        }
        Protocol::Rbd => {
            let image = text(value, "image").ok_or_else(|| missing("image"))?;
            let parts = [text(value, "pool"), text(value, "namespace"), Some(image)];
            source.name = Some(parts.into_iter().flatten().collect::<Vec<_>>().join("/"));
            source.snapshot = text(value, "snapshot");
            source.config = text(value, "conf");
            source.hosts = servers(value);
        }
        Protocol::Iscsi => {
            let target = text(value, "target").ok_or_else(|| missing("target"))?;
            let portal = text(value, "portal").ok_or_else(|| missing("portal"))?;
            source.name = Some(format!("{target}/{}", number(value, "lun").unwrap_or(0)));
            // Brackets hold the colons of an IPv6 address.
            let (host, port) = match portal.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => (host.to_owned(), port.parse().ok()),
                _ => (portal, None),
            };
            source.hosts = vec![NetworkHost { name: Some(host), port, ..NetworkHost::default() }];
            source.initiator = text(value, "initiator-name").map(|iqn| Initiator { iqn });
            is_partial = ["user", "password"].iter().any(|member| value.get(member).is_some());
        }
        Protocol::Nfs => {
            source.name = Some(text(value, "path").ok_or_else(|| missing("path"))?);
            source.hosts = vec![server_or_flat(value).ok_or_else(|| missing("server"))?];
            let id = |name: &str| number(value, name).map(|number| format!("+{number}"));
            let (user, group) = (id("user"), id("group"));
            if user.is_some() || group.is_some() {
                source.identity =
                    Some(ostler_conf::domain::Identity { user, group, ..ostler_conf::domain::Identity::default() });
            }
        }
        Protocol::Sheepdog => {
            source.name = Some(text(value, "vdi").ok_or_else(|| missing("vdi"))?);
            source.hosts = vec![server_or_flat(value).ok_or_else(|| missing("server"))?];
        }
        Protocol::Vxhs => {
            source.name = Some(text(value, "vdisk-id").ok_or_else(|| missing("vdisk-id"))?);
            source.hosts = vec![server_or_flat(value).ok_or_else(|| missing("server"))?];
        }
    }
    settle_ports(&mut source);
    Ok(Parsed { source: DiskSource::Network(source), is_partial })
}

/// A host that names no port has the protocol's; Ceph's and NFS's have none to speak of.
fn settle_ports(source: &mut NetworkDiskSource) {
    if matches!(source.protocol, Protocol::Rbd | Protocol::Nfs) {
        source
            .hosts
            .iter_mut()
            .for_each(|host| host.port = host.port.filter(|port| *port > 0 && source.protocol == Protocol::Rbd));
        return;
    }
    for host in source.hosts.iter_mut().filter(|host| host.transport != Some(HostTransport::Unix)) {
        host.port = host.port.filter(|port| *port > 0).or(Some(default_port(source.protocol)));
    }
}

fn servers(value: &Value) -> Vec<NetworkHost> {
    value.get("server").and_then(Value::as_array).into_iter().flatten().filter_map(server).collect()
}

fn server_or_flat(value: &Value) -> Option<NetworkHost> {
    value.get("server").map_or_else(|| server(value), server)
}

fn server(value: &Value) -> Option<NetworkHost> {
    let socket = text(value, "path").or_else(|| text(value, "socket"));
    let is_unix = match value.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "unix",
        None => value.get("host").is_none(),
    };
    if is_unix {
        return Some(NetworkHost {
            transport: Some(HostTransport::Unix),
            socket: Some(socket?),
            ..NetworkHost::default()
        });
    }
    let port = number(value, "port").and_then(|port| u16::try_from(port).ok());
    Some(NetworkHost { name: Some(text(value, "host")?), port, ..NetworkHost::default() })
}

fn nvme(value: &Value) -> Option<DiskSource> {
    let device = text(value, "device")?;
    let (place, function) = device.split_once('.')?;
    let parts: Vec<u32> =
        place.split(':').map(|part| u32::from_str_radix(part, 16)).collect::<std::result::Result<_, _>>().ok()?;
    let [domain, bus, slot] = parts.as_slice() else { return None };
    let function = function.parse().ok()?;
    let address =
        PciAddress { domain: Some(Hex(*domain)), function: Some(Hex(function)), ..PciAddress::new(*bus, *slot) };
    Some(DiskSource::Nvme(NvmeSource {
        r#type: NvmeSourceKind::Pci,
        managed: None,
        namespace: number(value, "namespace")?,
        address,
        common: ostler_conf::domain::SourceCommon::default(),
    }))
}

fn of_uri(uri: &str) -> Result<Parsed> {
    let (scheme, rest) = uri.split_once("://").ok_or_else(|| wrong(uri, "it is no URI"))?;
    let (word, transport) = match scheme.split_once('+') {
        Some((word, transport)) => (
            word,
            Some(
                known(HostTransport::ALL, HostTransport::word, transport)
                    .ok_or_else(|| wrong(uri, "its transport is unknown"))?,
            ),
        ),
        None => (scheme, None),
    };
    let protocol = known(Protocol::ALL, Protocol::word, word).ok_or_else(|| wrong(uri, "its protocol is unknown"))?;
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = match place.find('/') {
        Some(at) => place.split_at(at),
        None => (place, ""),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let mut source = NetworkDiskSource::new(protocol);
    // The leading slash parts path and authority.
    let name = unescaped(path.strip_prefix('/').unwrap_or(path));
    source.name = Some(name).filter(|name| protocol != Protocol::Nbd || !name.is_empty());
    if transport == Some(HostTransport::Unix) {
        let socket = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("socket=")));
        let socket = Some(unescaped(socket.ok_or_else(|| wrong(uri, "it names no socket"))?));
        source.hosts = vec![NetworkHost { transport, socket, ..NetworkHost::default() }];
    } else {
        source.query = query.map(str::to_owned);
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => {
                (name, Some(port.parse().map_err(|_| wrong(uri, "its port is no number"))?))
            }
            _ => (host, None),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        source.hosts = vec![NetworkHost { transport, name: Some(name), port, ..NetworkHost::default() }];
    }
    settle_ports(&mut source);
    let is_partial = user.is_some_and(|user| user.contains(':'));
    Ok(Parsed { source: DiskSource::Network(source), is_partial })
}

/// `nbd:HOST:PORT:exportname=NAME` and `nbd:unix:PATH:exportname=NAME`.
fn nbd_of_old(whole: &str, rest: &str) -> Result<DiskSource> {
    let (place, name) = match rest.split_once(":exportname=") {
        Some((place, name)) => (place, Some(name.to_owned())),
        None => (rest, None),
    };
    let host = match place.split_once(':') {
        Some(("unix", socket)) => {
            let socket = Some(socket.to_owned());
            NetworkHost { transport: Some(HostTransport::Unix), socket, ..NetworkHost::default() }
        }
        Some((name, port)) => {
            let port = port.parse().map_err(|_| wrong(whole, "its port is no number"))?;
            NetworkHost { name: Some(name.to_owned()), port: Some(port), ..NetworkHost::default() }
        }
        None => return Err(wrong(whole, "it has no port")),
    };
    Ok(DiskSource::Network(NetworkDiskSource { name, hosts: vec![host], ..NetworkDiskSource::new(Protocol::Nbd) }))
}

/// `rbd:POOL/IMAGE@SNAPSHOT:OPTION=VALUE…`; a backslash takes a colon's meaning away.
fn rbd_of_old(rest: &str) -> DiskSource {
    let mut parts = vec![String::new()];
    let mut bytes = rest.chars();
    while let Some(letter) = bytes.next() {
        match letter {
            '\\' => parts.last_mut().expect("never empty").extend(bytes.next()),
            ':' => parts.push(String::new()),
            other => parts.last_mut().expect("never empty").push(other),
        }
    }
    let mut parts = parts.into_iter();
    let place = parts.next().unwrap_or_default();
    let mut source = NetworkDiskSource::new(Protocol::Rbd);
    match place.split_once('@') {
        Some((name, snapshot)) => {
            (source.name, source.snapshot) = (Some(name.to_owned()), Some(snapshot.to_owned()));
        }
        None => source.name = Some(place),
    }
    for option in parts {
        match option.split_once('=') {
            Some(("mon_host", hosts)) => {
                let hosts = hosts.split([',', ';', ' ']).filter(|host| !host.is_empty());
                source.hosts = hosts.map(rbd_host).collect();
            }
            Some(("conf", path)) => source.config = Some(path.to_owned()),
            _ => {}
        }
    }
    DiskSource::Network(source)
}

fn rbd_host(text: &str) -> NetworkHost {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()),
        _ => (text, None),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    NetworkHost { name: Some(name), port, ..NetworkHost::default() }
}

/// `a=1; b=2`
fn cookies(header: &str) -> Vec<Cookie> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(name, value)| Cookie { name: name.to_owned(), value: value.to_owned() }).collect()
}

/// Members with dots in their names as members of members, as QEMU reads them.
fn unflattened(members: &Map<String, Value>) -> Value {
    let mut whole = json!({});
    for (name, value) in members {
        let value = value.as_object().map_or_else(|| value.clone(), unflattened);
        let mut parts = name.split('.');
        let last = parts.next_back().unwrap_or_default();
        let place = parts.fold(&mut whole, |place, part| {
            if !place[part].is_object() {
                place[part] = json!({});
            }
            &mut place[part]
        });
        place[last] = value;
    }
    whole
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(Value::as_str).map(str::to_owned)
}

/// A number, which headers give as a text as well.
fn number(value: &Value, member: &str) -> Option<u64> {
    let value = value.get(member)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn flag(value: &Value, member: &str) -> Option<bool> {
    let value = value.get(member)?;
    value.as_bool().or(match value.as_str() {
        Some("on" | "yes" | "true") => Some(true),
        Some("off" | "no" | "false") => Some(false),
        _ => None,
    })
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(code) => (bytes, rest) = (pushed(bytes, code), &tail[2..]),
            None => (bytes, rest) = (pushed(bytes, byte), tail),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn pushed(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

fn known<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, wanted: &str) -> Option<T> {
    all.iter().copied().find(|one| word(*one) == wanted)
}

fn file(path: &str) -> DiskSource {
    DiskSource::File(FileSource { file: Some(path.to_owned()), ..FileSource::default() })
}

fn whole(source: DiskSource) -> Parsed {
    Parsed { source, is_partial: false }
}

fn wrong(text: &str, why: &str) -> ostler_driver::Error {
    unsupported(format!("the backing image can't be found from '{text}': {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_the_same() {
        for text in [
            "/a/b.img",
            "fat:/dir",
            "nbd://host:10809/export",
            "iscsi://host:3260/iqn.2016-09.com.example%3Ax/1",
            "https://host:443/a%20b?x=y",
        ] {
            let source = backing_string(text).unwrap().source;
            assert_eq!(super::super::uri::backing_string(&source).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["json:", "json:{}", "json:[]", "://", "zfs:pool/x", "nbd:host", "json:{\"driver\":\"qcow2\"}"] {
            assert!(backing_string(text).is_err(), "{text}");
        }
        let deep = format!("json:{}{}", "{\"file\":".repeat(100), "{}".to_owned() + &"}".repeat(100));
        assert!(backing_string(&deep).is_err());
    }
}
