//! What an image says that it stands on: a path, a URI, one of QEMU's older notations, or JSON.
//!
//! The text comes from an image, so a guest may have written it: reading it opens nothing and trusts nothing, and what it
//! names is only a proposal to whoever may open it.

mod json;

use serde_json::Value;

use super::{
    Cookie, DirSource, DiskSource, FileSource, HostTransport, ImageFormatName, NetworkDiskSource, NetworkHost,
    NetworkProtocol as Protocol,
};
use crate::values::Confidential;

/// Longer texts stand in no image: QEMU allows names of 1023 bytes, and JSON may name many servers.
const MAX_LENGTH: usize = 64 << 10;

/// What a text says.
#[derive(Clone, Debug, PartialEq)]
pub struct BackingString {
    /// What holds the image.
    pub source: DiskSource,
    /// The image's format, where JSON names it.
    pub format: Option<ImageFormatName>,
    /// Whether it said more that no definition can say, such as a password.
    pub is_partial: bool,
}

/// A text that names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image below can't be found from '{text}': {why}")]
pub struct BackingStringError {
    text: String,
    why: String,
}

fn wrong(text: impl ToString, why: impl Into<String>) -> BackingStringError {
    BackingStringError { text: text.to_string(), why: why.into() }
}

type Result<T> = std::result::Result<T, BackingStringError>;

impl BackingString {
    /// Reads what stands in an image's header.
    ///
    /// # Errors
    /// What nothing can be made of.
    pub fn parse(text: &str) -> Result<BackingString> {
        if text.len() > MAX_LENGTH {
            return Err(wrong("…", format!("it has more than {MAX_LENGTH} bytes")));
        }
        if let Some(json) = text.strip_prefix("json:") {
            let value: Value = serde_json::from_str(json).map_err(|error| wrong(text, error.to_string()))?;
            return BackingString::of_json(&value);
        }
        if let Some(dir) = text.strip_prefix("fat:") {
            return Ok(whole(DiskSource::Dir(DirSource { dir: Some(dir.to_owned()), ..DirSource::default() })));
        }
        if text.contains("://") && !text.starts_with('/') {
            return of_uri(text);
        }
        match text.split_once(':') {
            Some(("nbd", rest)) => nbd_of_old(text, rest).map(whole),
            Some(("rbd", rest)) => Ok(whole(rbd_of_old(rest))),
            Some(("file", path)) => Ok(whole(file(path))),
            // A colon may be part of a path, but one before any slash ends a protocol.
            Some((protocol, _)) if !protocol.contains('/') => {
                Err(wrong(text, format!("the protocol '{protocol}' is unknown")))
            }
            _ => Ok(whole(file(text))),
        }
    }

    /// Reads the JSON of a header, or of QEMU's properties of a storage. Members may be written flat, as in `file.driver`.
    ///
    /// # Errors
    /// See [`parse`](Self::parse).
    pub fn of_json(value: &Value) -> Result<BackingString> {
        json::read(value)
    }
}

impl Protocol {
    /// The port that is meant where none is given; Ceph's library has a choice of its own.
    pub const fn default_port(self) -> Option<u16> {
        Some(match self {
            Protocol::Nbd => 10809,
            Protocol::Sheepdog => 7000,
            Protocol::Gluster => 24007,
            Protocol::Iscsi => 3260,
            Protocol::Http => 80,
            Protocol::Https => 443,
            Protocol::Ftp => 21,
            Protocol::Ftps => 990,
            Protocol::Tftp => 69,
            Protocol::Ssh => 22,
            Protocol::Vxhs => 9999,
            Protocol::Nfs => 2049,
            Protocol::Rbd => return None,
        })
    }
}

fn file(path: &str) -> DiskSource {
    DiskSource::File(FileSource { file: Some(path.to_owned()), ..FileSource::default() })
}

fn whole(source: DiskSource) -> BackingString {
    BackingString { source, format: None, is_partial: false }
}

/// A host that names no port has the protocol's; Ceph's and NFS's have none to speak of.
fn settle_ports(source: &mut NetworkDiskSource) {
    let default = match source.protocol {
        Protocol::Rbd | Protocol::Nfs => None,
        other => other.default_port(),
    };
    for host in source.hosts.iter_mut().filter(|host| host.transport != Some(HostTransport::Unix)) {
        host.port = host.port.filter(|port| *port > 0).or(default);
    }
}

fn unix_host(socket: String) -> NetworkHost {
    NetworkHost { transport: Some(HostTransport::Unix), socket: Some(socket), ..NetworkHost::default() }
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`; the brackets stay.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((host, Some(port.parse().ok()?))),
        _ => Some((text, None)),
    }
}

/// An IPv6 address without the brackets that hold its colons.
fn bare(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned()
}

/// `PROTOCOL[+TRANSPORT]://[USER[:PASSWORD]@]HOST[:PORT]/NAME[?QUERY]`
fn of_uri(uri: &str) -> Result<BackingString> {
    let (scheme, rest) = uri.split_once("://").ok_or_else(|| wrong(uri, "it is no URI"))?;
    let (word, transport) = match scheme.split_once('+') {
        Some((word, transport)) => {
            let transport = known(HostTransport::ALL, HostTransport::word, transport);
            (word, Some(transport.ok_or_else(|| wrong(uri, "its transport is none of tcp, unix and rdma"))?))
        }
        None => (scheme, None),
    };
    let protocol = known(Protocol::ALL, Protocol::word, word)
        .ok_or_else(|| wrong(uri, format!("the protocol '{word}' is unknown")))?;
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = place.find('/').map_or((place, ""), |at| place.split_at(at));
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
        source.hosts = vec![unix_host(unescaped(socket.ok_or_else(|| wrong(uri, "it names no socket"))?))];
    } else {
        source.query = query.map(str::to_owned);
        let (name, port) = host_and_port(host).ok_or_else(|| wrong(uri, "its port is no number"))?;
        // TCP is what is meant where nothing is said.
        let transport = transport.filter(|transport| *transport != HostTransport::Tcp);
        source.hosts = vec![NetworkHost { transport, name: Some(bare(name)), port, ..NetworkHost::default() }];
    }
    settle_ports(&mut source);
    // Who asks is known to a definition as a secret only; SSH's user goes without one.
    let is_partial = user.is_some_and(|user| protocol != Protocol::Ssh || user.contains(':'));
    Ok(BackingString { is_partial, ..whole(DiskSource::Network(source)) })
}

/// `nbd:HOST:PORT[:exportname=NAME]` and `nbd:unix:PATH[:exportname=NAME]`.
fn nbd_of_old(text: &str, rest: &str) -> Result<DiskSource> {
    let (place, name) = match rest.split_once(":exportname=") {
        Some((place, name)) => (place, Some(name.to_owned())),
        None => (rest, None),
    };
    let host = match place.strip_prefix("unix:") {
        Some(socket) => unix_host(socket.to_owned()),
        None => {
            let (name, port) = host_and_port(place).ok_or_else(|| wrong(text, "its port is no number"))?;
            let port = Some(port.ok_or_else(|| wrong(text, "it has no port"))?);
            NetworkHost { name: Some(bare(name)), port, ..NetworkHost::default() }
        }
    };
    let source = NetworkDiskSource { name, hosts: vec![host], ..NetworkDiskSource::new(Protocol::Nbd) };
    Ok(DiskSource::Network(source))
}

/// `rbd:POOL/IMAGE[@SNAPSHOT][:OPTION=VALUE…]`; a backslash takes a colon's meaning away.
fn rbd_of_old(rest: &str) -> DiskSource {
    let mut parts = parts_of_rbd(rest).into_iter();
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

fn parts_of_rbd(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => part.extend(letters.next()),
            ':' => parts.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    parts.push(part);
    parts
}

fn rbd_host(text: &str) -> NetworkHost {
    let (name, port) = host_and_port(text).unwrap_or((text, None));
    NetworkHost { name: Some(bare(name)), port, ..NetworkHost::default() }
}

/// `a=1; b=2`
fn cookies(header: &str) -> Vec<Cookie> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(name, value)| Cookie { name: name.to_owned(), value: Confidential::Text(value.to_owned()) }).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn known<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, wanted: &str) -> Option<T> {
    all.iter().copied().find(|one| word(*one) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> (Option<String>, Option<u16>) {
        match BackingString::parse(text).unwrap().source {
            DiskSource::Network(source) => (source.hosts[0].name.clone(), source.hosts[0].port),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_path_may_hold_colons_and_slashes() {
        for path in ["a", "./a:b", "/a:b/c", "/a://b", "dir/x:y"] {
            assert_eq!(BackingString::parse(path).unwrap().source.path(), Some(path));
        }
        assert_eq!(BackingString::parse("file:a").unwrap().source.path(), Some("a"));
    }

    #[test]
    fn an_address_of_ipv6_is_one_host() {
        for text in ["nbd:[::1]:6000", "nbd://[::1]:6000/x", "rbd:pool/image:mon_host=[\\:\\:1]\\:6000"] {
            assert_eq!(host(text), (Some("::1".into()), Some(6000)), "{text}");
        }
        assert_eq!(host("http://[::1]/x"), (Some("::1".into()), Some(80)));
    }

    #[test]
    fn tcp_is_not_said() {
        match BackingString::parse("nbd+tcp://h:1/x").unwrap().source {
            DiskSource::Network(source) => assert_eq!(source.hosts[0].transport, None),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_definition_cannot_say_is_told() {
        for (text, is_partial) in [
            ("http://host/x", false),
            ("http://user:password@host/x", true),
            ("ssh://user@host/x", false),
            ("ssh://user:password@host/x", true),
        ] {
            assert_eq!(BackingString::parse(text).unwrap().is_partial, is_partial, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for text in ["://", "zfs:pool/x", "nbd:host", "nbd:host:x", "http://h:x/", "nbd+unix:///x", "x+y://h", &long] {
            assert!(BackingString::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes_are_read_and_what_is_none_stays() {
        for (text, expected) in [("a%20b", "a b"), ("%5f%5F", "__"), ("%", "%"), ("%zz", "%zz"), ("%+1", "%+1")] {
            assert_eq!(unescaped(text), expected);
        }
    }
}
