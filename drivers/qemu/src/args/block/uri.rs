//! URIs of images on other machines.

use ostler_conf::domain::{DiskSource, HostTransport, NetworkDiskSource, NetworkProtocol as Protocol};

use super::network::port;

/// The URI of an image on the first of its machines. (What a library of the cURL family is asked for, and what stands in the
/// headers of images.)
pub(super) fn of(source: &NetworkDiskSource) -> String {
    let host = source.hosts.first();
    let transport = host.and_then(|host| host.transport);
    let socket = host.filter(|_| transport == Some(HostTransport::Unix)).and_then(|host| host.socket.as_deref());
    let scheme = match transport {
        Some(HostTransport::Unix) => format!("{}+unix", source.protocol),
        Some(HostTransport::Rdma) => format!("{}+rdma", source.protocol),
        Some(HostTransport::Tcp) | None => source.protocol.word().to_owned(),
    };
    let authority = match host {
        Some(host) if socket.is_none() => {
            let name = host.name.as_deref().unwrap_or_default();
            let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
            format!("{name}:{}", port(host, source.protocol))
        }
        _ => String::new(),
    };
    // An export of NBD may begin with a slash of its own; a path of a web server has that one only.
    let path = match &source.name {
        Some(name) if source.protocol != Protocol::Nbd => format!("/{}", escaped(name.trim_start_matches('/'))),
        Some(name) => format!("/{}", escaped(name)),
        None => String::new(),
    };
    let query = match (socket, &source.query) {
        (Some(socket), _) => format!("?socket={socket}"),
        (None, Some(query)) => format!("?{query}"),
        (None, None) => String::new(),
    };
    format!("{scheme}://{authority}{path}{query}")
}

/// What stands in the header of an image for the one below it, where that needs no JSON.
pub(super) fn backing_string(source: &DiskSource) -> Option<String> {
    match source {
        DiskSource::File(source) => source.file.clone(),
        DiskSource::Block(source) => source.dev.clone(),
        DiskSource::Dir(source) => Some(format!("fat:{}", source.dir.as_deref().unwrap_or_default())),
        DiskSource::Network(source) => {
            let has_uri = match source.protocol {
                Protocol::Nbd | Protocol::Iscsi => true,
                Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
                    source.ssl.is_none()
                        && source.cookies.is_none()
                        && source.timeout.is_none()
                        && source.readahead.is_none()
                }
                Protocol::Gluster
                | Protocol::Rbd
                | Protocol::Sheepdog
                | Protocol::Ssh
                | Protocol::Vxhs
                | Protocol::Nfs => false,
            };
            (has_uri && source.hosts.len() == 1).then(|| of(source))
        }
        DiskSource::Volume(_) | DiskSource::Nvme(_) | DiskSource::Vhostuser(_) | DiskSource::Vhostvdpa(_) => None,
    }
}

/// A path in a URI: what RFC 3986 leaves as it is there, but no colon.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b'/' | b';' | b'@' | b'&' | b'=' | b'+'
            | b'$' | b',' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ostler_conf::domain::BackingString;

    use super::*;

    #[test]
    fn what_is_written_is_read_the_same() {
        for text in [
            "/a/b.img",
            "fat:/dir",
            "nbd://host:10809/export",
            "nbd+unix:///export?socket=/s",
            "iscsi://host:3260/iqn.2016-09.com.example%3Ax/1",
            "https://host:443/a%20b?x=y",
        ] {
            let source = BackingString::parse(text).unwrap().source;
            assert_eq!(backing_string(&source).as_deref(), Some(text));
        }
    }
}
